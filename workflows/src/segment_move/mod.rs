//! Moves cold segments to another storage.
//!
//! ```text
//! Queued ─► Snapshotting ─► Copying(user) ─► Deleting ─► Done
//!                              ▲    │         ▲    │
//!                              └────┘         └────┘
//!                          next segments   next objects
//! ```
//!
//! An object is copied as it is and compared with its manifest entry on the way; then one commit names the copy in the
//! place of the original, which goes later: after the grace, and after every reader that may have seen it named. A segment
//! that cannot be read whole stays where it is, and is named in the result.
//!
//! It is for what is cold already. Where a user's next flush goes is what the catalog says, as before.
//!
//! It expects of the manifest only the entries that it replaces, so flushes of the same tables go on beside it.

mod copying; // segment by segment
mod deleting; // the originals go
mod done; // what came of it
mod page; // which segments are next
mod parameters; // what a config file says
mod queued; // asked for
mod snapshotting; // whether there is something to move, and somewhere to

#[cfg(test)]
mod tests;

pub use parameters::SegmentMove;

use crate::kinds::{FILE_TIMESTAMP, Span, Tables, state_from};
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, View, Workflow};
use ebbtide_store::{StorageId, UserId};
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs and in config files.
pub const KIND: &str = "segment_move";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One run of a move: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Move {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    tables: Tables,
    /// Only this user's.
    user: Option<UserId>,
    to: StorageId,
    grace: Span,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Copying(copying::Copying),
    Deleting(deleting::Deleting),
    Done(done::Done),
}

#[typetag::serde(name = "segment_move")]
impl Workflow for Move {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Move { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.look(&work, cx).await?.into(),
                State::Copying(s) => s.copy_next(&work, cx).await?.into(),
                State::Deleting(s) => s.delete_next(cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Move { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Copying(s) => ("Copying", Some(s.totals())),
            State::Deleting(s) => ("Deleting", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            scope: self.work.tables.scope(),
            parameters: serde_json::json!({
                "tables": self.work.tables,
                "user": self.work.user,
                "to": self.work.to,
                "grace": self.work.grace,
                FILE_TIMESTAMP: match &self.state {
                    State::Copying(s) => s.stamp(),
                    _ => None,
                },
            }),
            subject: match &self.state {
                State::Copying(s) => s.subject(),
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

/// What the run has done so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    tables: u64,
    /// Segments that lie in the other storage now.
    segments: u64,
    /// Rows of those.
    rows: u64,
    /// Bytes of their objects.
    bytes: u64,
    /// Segments that lay there before.
    segments_there: u64,
    segments_failed: u64,
    /// Some of the segments that could not be moved, with the reason.
    failures: Vec<Failure>,
}

/// A segment that stays where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    table: String,
    user: String,
    storage: String,
    path: String,
    reason: String,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { users_done: 0, users_total: 0, rows_done: self.rows, bytes_done: self.bytes }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, copying::Copying, deleting::Deleting, done::Done);
