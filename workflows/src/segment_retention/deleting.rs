//! Objects that are due go.
//!
//! This has no part in correctness: nothing names them, and each is written down to be removed. What the grace or older
//! readers hold up goes later, in the background or with the next run.

use super::{Totals, Work, done::Done, writing::Writing};
use crate::kinds::{self, delete_due};
use ebbtide_runtime::{Step, StepError};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deleting {
    at: i64,
    totals: Totals,
}

/// What a page of objects leads to.
pub(super) enum AfterDelete {
    Next(Deleting),
    Finished(Done),
}

impl Deleting {
    /// Only a `Writing` with no user left gives a `Deleting`.
    pub(super) fn new(_: Writing, at: i64, totals: Totals, cx: &mut Step) -> Self {
        kinds::writes_no_more(cx);
        cx.synced();
        Self { at, totals }
    }

    pub(super) async fn delete_next(self, work: &Work, cx: &mut Step) -> Result<AfterDelete, StepError> {
        cx.signal().check()?;
        cx.env().reached("segment_retention.deleting.page");
        if !work.dry_run && delete_due(cx).await?.more {
            return Ok(AfterDelete::Next(self));
        }
        let (at, totals) = (self.at, self.totals.clone());
        Ok(AfterDelete::Finished(Done::new(self, at, totals, cx)))
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }
}

impl From<AfterDelete> for super::State {
    fn from(after: AfterDelete) -> Self {
        match after {
            AfterDelete::Next(state) => Self::Deleting(state),
            AfterDelete::Finished(state) => Self::Done(state),
        }
    }
}
