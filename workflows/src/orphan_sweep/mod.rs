//! Finds objects below our owner objects that the manifest does not name, holds them back for a while, and removes them.
//!
//! ```text
//! Queued ─► Snapshotting ─► Listing(storage) ─► Deleting ─► Done
//!                              ▲    │            ▲    │
//!                              └────┘            └────┘
//!                            next objects      next objects
//! ```
//!
//! An object is an orphan when all of this holds: its name is one of ours, the manifest does not name it, it is older
//! than the grace, it is not to go anyway, and no job that is unfinished or has failed writes files of its timestamp.
//! Such a one is quarantined, in a commit that expects the manifest not to name it; and no commit can attach a segment
//! whose object is quarantined. A later run asks all of it again once the quarantine has lasted long enough, and only
//! then has the object removed. Whatever is not named as we name files is left alone; so is what was there before the storage
//! was registered, in a folder of which nothing is named: that of a lost database, which attaching has not taken in.
//!
//! A listing that ends early looks like fewer objects. Here that is a sweep which finds less, and the next one finds the rest:
//! nothing is ever removed because a listing does not show it.

mod deleting; // what was quarantined long enough goes
mod done; // what came of it
mod jobs; // file timestamps that somebody may still need
mod listing; // storage by storage, object by object
mod ours; // which objects are ours to judge
mod parameters; // what a config file says
mod queued; // asked for
mod snapshotting; // the moment is fixed

#[cfg(test)]
mod tests;

pub use parameters::OrphanSweep;

use crate::kinds::{Span, state_from};
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs and in config files.
pub const KIND: &str = "orphan_sweep";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One sweep: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sweep {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    /// Only this storage.
    storage: Option<String>,
    grace: Span,
    quarantine: Span,
    dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Listing(listing::Listing),
    Deleting(deleting::Deleting),
    Done(done::Done),
}

#[typetag::serde(name = "orphan_sweep")]
impl Workflow for Sweep {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Sweep { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.fix(&work, cx).await?.into(),
                State::Listing(s) => s.list_next(&work, cx).await?.into(),
                State::Deleting(s) => s.delete_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Sweep { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Listing(s) => ("Listing", Some(s.totals())),
            State::Deleting(s) => ("Deleting", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            parameters: serde_json::json!({
                "storage": self.work.storage,
                "grace": self.work.grace,
                "quarantine": self.work.quarantine,
                "dry_run": self.work.dry_run,
            }),
            subject: match &self.state {
                State::Listing(s) => s.subject(),
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

/// What the sweep has seen and done so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    storages: u64,
    /// What the listings held.
    seen: Seen,
    /// Quarantined objects that are to go now.
    deleted: u64,
    deleted_bytes: u64,
    /// Quarantined objects that were let go: gone already, or not what had been found.
    released: u64,
    /// Quarantined objects that a job may still need.
    held_back: u64,
    /// Temp files that were left behind.
    temp_files: u64,
    /// Storages that could not be listed, with the reason.
    failures: Vec<Failure>,
}

/// Objects that listings held, by what they were.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    objects: u64,
    bytes: u64,
    /// Too young to be judged.
    young: u64,
    /// Of a job that is unfinished or has failed.
    of_jobs: u64,
    /// On their way out already: quarantined before, or to be removed.
    known: u64,
    /// Not named as we name files, or of a database that was there before.
    foreign: u64,
    /// Some of those, for people.
    foreign_paths: Vec<String>,
    orphans: u64,
    orphans_bytes: u64,
}

/// A storage that could not be swept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    storage: String,
    reason: String,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { rows_done: self.seen.objects, bytes_done: self.seen.bytes, ..Progress::default() }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, listing::Listing, deleting::Deleting, done::Done);
