//! Takes in the segments that lie in an attached storage, folder by folder.
//!
//! ```text
//! Queued ─► Described(folder) ─► Bare(folder) ─► Done
//!             ▲    │              ▲    │
//!             └────┘              └────┘
//!           next folder         next folder
//! ```
//!
//! First the folders that have a published manifest, which say what their table looked like; then those that have only
//! files, of tables that are known by then. Each folder is one commit, so a crash leaves it whole or not at all, and going
//! over it again finds it done. Until every folder is in, nothing in the storage counts as an orphan, and the tables take no
//! rows. See ADR 10.
//!
//! A listing that ends early looks like a storage that has less in it. Of a folder that is found out: see
//! [`ebbtide_store::attach`]. A folder that no listing shows is not taken in by this run. It stays where it is, because no sweep
//! touches a folder of a lost database of which nothing was taken in, and the next run finds it.

mod bare; // folders with nothing but files
mod described; // folders with a manifest
mod done; // what came of it
mod folders; // one folder, whatever is in it

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

use ebbtide_runtime::{BoxFuture, NewJob, Progress, Step, StepError, View, Workflow};
use ebbtide_store::StorageId;
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs.
pub const KIND: &str = "attach";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One attaching of one storage.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attach {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    storage: StorageId,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued,
    Described(described::Described),
    Bare(bare::Bare),
    Done(done::Done),
}

/// A job that takes in what lies in this storage; one at a time for each.
pub fn job(storage: &StorageId) -> NewJob {
    let work = Work { storage: storage.clone() };
    let key = format!("{KIND}/{storage}").into_bytes();
    NewJob::new(KIND, Box::new(Attach { work, state: State::Queued })).unique(key)
}

#[typetag::serde(name = "attach")]
impl Workflow for Attach {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Attach { work, state } = *self;
            let state = match state {
                State::Queued => State::Described(described::Described::new(cx.env().now())),
                State::Described(s) => s.next(&work, cx).await?,
                State::Bare(s) => s.next(&work, cx).await?,
                State::Done(s) => State::Done(s),
            };
            Ok(Box::new(Attach { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued => ("Queued", None),
            State::Described(s) => ("Described", Some(s.totals())),
            State::Bare(s) => ("Bare", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            parameters: serde_json::json!({ "storage": self.work.storage }),
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

/// What was taken in so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    /// When the run began, microseconds since the Unix epoch.
    at: i64,
    folders: u64,
    segments: u64,
    rows: u64,
    bytes: u64,
    /// Files that do not count: older tries, and what was removed.
    ignored: u64,
    /// How many files a manifest names that are not there.
    missing: u64,
    /// Some of them.
    missing_named: Vec<String>,
    /// Folders that were not taken in.
    folders_failed: u64,
    /// Some of them, with the reason.
    failures: Vec<Failure>,
}

/// A folder that was not taken in.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    folder: String,
    reason: String,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { users_done: self.folders, users_total: 0, rows_done: self.rows, bytes_done: self.bytes }
    }
}
