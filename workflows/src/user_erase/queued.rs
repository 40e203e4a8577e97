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
        let store = cx.get::<Store>()?;
        let asked = work.clone();
        let (there, dropped) = read("reading the catalog", cx, move |snapshot| {
            let there = match &asked.namespace {
                Some(namespace) => store.catalog().namespace(&snapshot, namespace)?.is_some(),
                None => true,
            };
            Ok::<_, ebbtide_store::Error>((there, asked.dropped(&store, &snapshot)?))
        })
        .await?;
        if let (false, Some(namespace)) = (there, &work.namespace) {
            return Err(StepError::fail(format!("Namespace {namespace} not found")));
        }
        cx.synced();
        let dropped = dropped.iter().map(|table| table.id).collect();
        Ok(Fencing::new(self, Run { at: cx.env().now(), cut, dropped, totals: Totals::default() }))
    }
}
