//! Finds the first table.

use super::{Totals, Work, queued::Queued, reading::Reading};
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

    pub(super) async fn look(self, work: &Work, cx: &mut Step) -> Result<Reading, StepError> {
        let first = next_table(&work.tables, None, cx).await?;
        if let (None, Tables::Table(name)) = (&first, &work.tables) {
            return Err(StepError::fail(format!("Table {name} not found")));
        }
        Ok(Reading::new(self, first.map(|table| table.id), cx.env().now(), Totals::default()))
    }
}
