//! Removes cold rows that are older than they are to be kept, by `_committed_at`.
//!
//! ```text
//! Queued ─► Snapshotting ─► Writing(user) ─► Deleting ─► Done
//!                              ▲    │         ▲    │
//!                              └────┘         └────┘
//!                            next users     next objects
//! ```
//!
//! `_committed_at` never decreases with seq, so what is too old is a prefix of each user's segments in seq order. Whole
//! segments leave the manifest; the one that holds both old rows and young ones is written anew without the old ones,
//! under a name never used before, and swapped in one commit. The objects go later: after the grace, and after every
//! reader that may have seen them named.
//!
//! It expects of the manifest only the entries that it takes away. Watermarks and hot rows are not touched, so a flush
//! of the same table goes on beside it.

mod deleting; // objects that are due go
mod done; // what came of it
mod parameters; // what a config file says
mod prefix; // how much of a user's segments is too old
mod queued; // asked for
pub(crate) mod rewrite; // a segment without its first rows
mod snapshotting; // the cut-off is fixed
mod writing; // user by user

#[cfg(test)]
mod tests;

pub use parameters::SegmentRetention;

use crate::kinds::{FILE_TIMESTAMP, Span, Tables, state_from};
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs and in config files.
pub const KIND: &str = "segment_retention";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One run of the retention: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Retention {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    tables: Tables,
    age: Span,
    grace: Span,
    rewrite: bool,
    dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Writing(writing::Writing),
    Deleting(deleting::Deleting),
    Done(done::Done),
}

#[typetag::serde(name = "segment_retention")]
impl Workflow for Retention {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Retention { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.fix(&work, cx).await?.into(),
                State::Writing(s) => s.write_next(&work, cx).await?.into(),
                State::Deleting(s) => s.delete_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Retention { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Writing(s) => ("Writing", Some(s.totals())),
            State::Deleting(s) => ("Deleting", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            scope: self.work.tables.scope(),
            parameters: serde_json::json!({
                "tables": self.work.tables,
                "age": self.work.age,
                "grace": self.work.grace,
                "rewrite": self.work.rewrite,
                "dry_run": self.work.dry_run,
                FILE_TIMESTAMP: match &self.state {
                    State::Writing(s) => s.stamp(),
                    _ => None,
                },
            }),
            subject: match &self.state {
                State::Writing(s) => s.subject(),
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

/// What the run has done so far, or would do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    tables: u64,
    /// Users looked at.
    users: u64,
    /// Rows that left the cold tier.
    rows: u64,
    /// Segments that left whole.
    segments_removed: u64,
    /// Segments that were written anew without their first rows.
    segments_rewritten: u64,
    /// Bytes of the objects that are to go.
    bytes_removed: u64,
    /// Bytes of the objects that were written.
    bytes_written: u64,
    users_failed: u64,
    /// Some of the users whose segments could not be written anew, with the reason.
    failures: Vec<Failure>,
}

/// A user whose old rows stay for now.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    table: String,
    user: String,
    reason: String,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { users_done: self.users, users_total: 0, rows_done: self.rows, bytes_done: self.bytes_written }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, writing::Writing, deleting::Deleting, done::Done);
