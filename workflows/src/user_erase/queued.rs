//! Asked for. The cut is fixed: whatever was written before is to go, and nothing that is written after.

use super::{Run, Totals, Work, fencing::Fencing};
use crate::kinds::read;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Queued {}

impl Queued {
    pub(super) async fn start(self, work: &Work, cx: &mut Step) -> Result<Fencing, StepError> {
        let cut = cx.engine().last_seq();
        if let Some(namespace) = work.namespace.clone() {
            let store = cx.get::<Store>()?;
            let asked = namespace.clone();
            let there = read("reading the catalog", cx, move |snapshot| {
                Ok::<_, ebbtide_store::Error>(store.catalog().namespace(&snapshot, &asked)?.is_some())
            })
            .await?;
            if !there {
                return Err(StepError::fail(format!("Namespace {namespace} not found")));
            }
        }
        cx.synced();
        Ok(Fencing::new(self, Run { at: cx.env().now(), cut, totals: Totals::default() }))
    }
}
