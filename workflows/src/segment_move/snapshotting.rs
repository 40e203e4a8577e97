//! Looks whether there is something to move, and somewhere to.

use super::{Totals, Work, copying::Copying, queued::Queued};
use crate::kinds::{Tables, next_table, read};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) async fn look(self, work: &Work, cx: &mut Step) -> Result<Copying, StepError> {
        let store = cx.get::<Store>()?;
        let to = work.to.clone();
        let there = read("reading the catalog", cx, move |snapshot| {
            Ok::<_, ebbtide_store::Error>(store.catalog().storage(&snapshot, &to)?.is_some())
        })
        .await?;
        if !there {
            return Err(no_storage(work));
        }
        let first = next_table(&work.tables, None, cx).await?;
        if let (None, Tables::Table(name)) = (&first, &work.tables) {
            return Err(StepError::fail(format!("Table {name} not found")));
        }
        cx.synced();
        Ok(Copying::new(self, cx.env().now(), first.map(|table| table.id), Totals::default()))
    }
}

/// There is nowhere to move to.
pub(super) fn no_storage(work: &Work) -> StepError {
    StepError::fail(format!("Storage '{}' does not exist", work.to))
}
