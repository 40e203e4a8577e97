//! The engine's own files: what was removed from them is still there until they are written anew.
//!
//! Nothing that reads comes by his rows any more; this is about the bytes on the disk. It waits for statements and snapshots
//! from before, which still see them. The rows are purged, and the manifest's entries, which say between which values they were.

use super::{Run, Work, done::Done, removing::Removing};
use crate::kinds::wait;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{Store, TableId, erase};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Purging {
    run: Run,
    /// The last table whose ranges are purged.
    after: Option<TableId>,
}

/// What a step of purging leads to.
pub(super) enum AfterPurge {
    Next(Purging),
    Finished(Done),
}

/// Tables whose ranges are purged by one step.
const TABLES_MAX: usize = 256;

impl Purging {
    /// Only a `Removing` with no object left gives a `Purging`.
    pub(super) fn new(_: Removing, run: Run) -> Self {
        Self { run, after: None }
    }

    pub(super) async fn purge_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterPurge, StepError> {
        cx.signal().check()?;
        let store = cx.get::<Store>()?;
        let mut ranges = Vec::new();
        let mut after = self.after;
        while ranges.len() < 2 * TABLES_MAX
            && let Some(table) = work.next_fenced(after, cx).await?
        {
            ranges.extend(erase::ranges(table.id, &work.user));
            after = Some(table.id);
        }
        let last = ranges.len() < 2 * TABLES_MAX;
        if last {
            ranges.extend(self.run.dropped.iter().flat_map(|table| erase::ranges(*table, &work.user)));
        }
        // Statements first: they may open further snapshots of the same instant.
        wait(cx, store.readers().wait_passed(store.readers().now())).await?;
        let purged = wait(cx, cx.engine().purge(ranges)).await?;
        purged.map_err(|error| StepError::retry_because("the engine's files could not be purged", error))?;
        cx.env().reached("user_erase.purging.purged");
        self.after = after;
        if last {
            let run = self.run.clone();
            return Ok(AfterPurge::Finished(Done::new(self, run, cx)));
        }
        Ok(AfterPurge::Next(self))
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }
}

impl From<AfterPurge> for super::State {
    fn from(after: AfterPurge) -> Self {
        match after {
            AfterPurge::Next(state) => Self::Purging(state),
            AfterPurge::Finished(state) => Self::Done(state),
        }
    }
}
