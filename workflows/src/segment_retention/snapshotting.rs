//! Fixes the cut-off: rows committed before it go.

use super::{Totals, Work, queued::Queued, writing::Writing};
use crate::kinds::{Tables, next_table};
use ebbtide_runtime::{Step, StepError};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) async fn fix(self, work: &Work, cx: &mut Step) -> Result<Writing, StepError> {
        let first = next_table(&work.tables, None, cx).await?;
        if let (None, Tables::Table(name)) = (&first, &work.tables) {
            return Err(StepError::fail(format!("Table {name} not found")));
        }
        cx.synced();
        let at = cx.env().now();
        let cutoff = at.saturating_sub(work.age.micros());
        Ok(Writing::new(self, at, cutoff, first.map(|table| table.id), Totals::default()))
    }
}
