//! Fixes the cut: rows up to it are exported, later ones are not.

use super::{Run, Totals, Work, copying::Copying, queued::Queued};
use crate::kinds::read;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{Error, Store};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) async fn fix(self, work: &Work, cx: &mut Step) -> Result<Copying, StepError> {
        let cut = cx.engine().last_seq();
        let store = cx.get::<Store>()?;
        let Work { to, namespace, .. } = work.clone();
        let (missing, registration) = read("reading the catalog", cx, move |snapshot| {
            let view = store.catalog().view(&snapshot)?;
            let storage = view.storage(&to).is_none().then(|| format!("Storage '{to}' does not exist"));
            let namespace = namespace.filter(|namespace| view.namespace(namespace).is_none());
            let registration = store.catalog().registration(&*snapshot, &to)?;
            let namespace = namespace.map(|namespace| format!("Namespace {namespace} not found"));
            Ok::<_, Error>((storage.or(namespace), registration))
        })
        .await?;
        if let Some(missing) = missing {
            return Err(StepError::fail(missing));
        }
        cx.synced();
        Ok(Copying::new(self, Run { at: cx.env().now(), cut, registration, totals: Totals::default() }))
    }
}
