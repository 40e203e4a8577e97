//! Removes jobs that ended long ago, with old schedule slots and old findings, and what jobs that are no more have left.
//!
//! ```text
//! Queued ─► Snapshotting ─► Deleting(jobs) ─► Deleting(findings) ─► Deleting(slots) ─► Deleting(leftovers) ─► Done
//!                              ▲    │            ▲    │                ▲    │             ▲    │
//!                              └────┘            └────┘                └────┘             └────┘
//!                             next batch        next batch            next batch         next batch
//! ```
//!
//! The moment that ages count from is fixed once and kept in the job, so what is to go is the same after any restart.
//! Each batch goes in the commit of its step. Jobs that are not over never go, so a run removes earlier runs of its own
//! kind and never itself.

mod deleting; // batch by batch
mod done; // what came of it
mod leftovers; // what jobs that are no more have left
mod parameters; // what a config file says
mod queued; // asked for
mod snapshotting; // the moment is fixed

#[cfg(test)]
mod tests;

pub use parameters::JobCleanup;

use crate::kinds::state_from;
use ebbtide_runtime::prune::Retention;
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The stable name of this kind in stored jobs and in config files.
pub const KIND: &str = "job_cleanup";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One run of the cleanup: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cleanup {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    completed_days: u32,
    failed_days: u32,
    cancelled_days: u32,
    skipped_days: u32,
    dry_run: bool,
}

impl Work {
    fn retention(&self) -> Retention {
        let days = |days: u32| Some(Duration::from_secs(u64::from(days) * 86_400));
        Retention {
            completed: days(self.completed_days),
            failed: days(self.failed_days),
            cancelled: days(self.cancelled_days),
            skipped: days(self.skipped_days),
        }
    }

    /// Slots and findings stay as long as the jobs that completed. The time up to which they go.
    fn through(&self, now: i64) -> i64 {
        now.saturating_sub(i64::from(self.completed_days) * 86_400_000_000)
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Deleting(deleting::Deleting),
    Done(done::Done),
}

#[typetag::serde(name = "job_cleanup")]
impl Workflow for Cleanup {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Cleanup { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.fix(cx).into(),
                State::Deleting(s) => s.delete_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Cleanup { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Deleting(s) => ("Deleting", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            parameters: serde_json::json!({
                "retention_days": self.work.completed_days,
                "failed_retention_days": self.work.failed_days,
                "cancelled_retention_days": self.work.cancelled_days,
                "skipped_retention_days": self.work.skipped_days,
                "dry_run": self.work.dry_run,
            }),
            subject: match &self.state {
                State::Deleting(s) => Some(s.subject()),
                _ => None,
            },
            progress: totals.map_or_else(Progress::default, Totals::progress),
            done: matches!(self.state, State::Done(_)),
            result: match &self.state {
                State::Done(s) => Some(s.result(&self.work)),
                _ => None,
            },
            body_version: BODY_VERSION,
            ..View::new(KIND, state)
        }
    }
}

/// What the run has removed so far, or would remove.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    jobs: u64,
    /// Jobs by their status, as it is shown.
    by_status: BTreeMap<String, u64>,
    /// When the job ended that ended first, microseconds since the Unix epoch.
    oldest: Option<i64>,
    findings: u64,
    slots: u64,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { rows_done: self.jobs + self.findings + self.slots, ..Progress::default() }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, deleting::Deleting, done::Done);
