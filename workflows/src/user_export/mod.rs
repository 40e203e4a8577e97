//! Exports a user: all rows that he has in every USER table, or in those of one namespace, as files in a folder of their own.
//!
//! ```text
//! Queued ─► Snapshotting ─► Copying(table) ─► Describing ─► Done
//!                              ▲    │
//!                              └────┘
//!                           next segments
//! ```
//! ```text
//! _exports/{job id}/_export.json                        what is there
//!                   chat/messages/{from seq}-{to seq}.parquet
//! ```
//!
//! It holds the rows up to one cut, each once, whatever is flushed meanwhile. Segments are copied as they are; hot rows, and the
//! beginning of a segment that the cut goes through, become files like them. `_export.json` comes last: a folder without one
//! is an export that is not whole.
//!
//! An export is a copy that belongs to whoever asked for it: no sweep, no retention and no erasure touches it.

mod copying; // table by table
mod describing; // what is there is written beside it
mod done; // what came of it
mod encoding; // rows that are in no segment of their own
mod page; // what is next
mod queued; // asked for
pub mod records; // files that belong to it
mod snapshotting; // the cut is fixed

#[cfg(test)]
mod tests;

use crate::kinds::{Tables, read, state_from};
use ebbtide_runtime::{BoxFuture, JobId, NewJob, Progress, Step, StepError, View, Workflow};
use ebbtide_store::{Name, StorageId, Store, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The stable name of this kind in stored jobs.
pub const KIND: &str = "user_export";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

pub use describing::{DESCRIPTION, Description};
/// The folder of all exports of a storage. No template leads into it.
pub use ebbtide_store::path::EXPORTS;

/// One export, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserExport {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    user: UserId,
    to: StorageId,
    namespace: Option<Name>,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Copying(copying::Copying),
    Describing(describing::Describing),
    Done(done::Done),
}

impl UserExport {
    /// The export of a user to a storage, not yet begun: of everything, or of what he has in one namespace.
    pub fn new(user: UserId, to: StorageId, namespace: Option<Name>) -> Self {
        Self { work: Work { user, to, namespace }, state: State::Queued(queued::Queued::default()) }
    }

    /// As a job: there is one at a time for a user, a storage and a namespace.
    pub fn job(user: UserId, to: StorageId, namespace: Option<Name>) -> NewJob {
        let key = match &namespace {
            Some(namespace) => format!("{KIND}/{to}/{namespace}/{user}"),
            None => format!("{KIND}/{to}//{user}"),
        };
        NewJob::new(KIND, Box::new(Self::new(user, to, namespace))).unique(key)
    }
}

#[typetag::serde(name = "user_export")]
impl Workflow for UserExport {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let UserExport { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.fix(&work, cx).await?.into(),
                State::Copying(s) => s.copy_next(&work, cx).await?.into(),
                State::Describing(s) => s.describe(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(UserExport { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, run) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Copying(s) => ("Copying", Some(s.run())),
            State::Describing(s) => ("Describing", Some(s.run())),
            State::Done(s) => ("Done", Some(s.run())),
        };
        View {
            subject: Some(self.work.user.as_str()),
            parameters: serde_json::json!({
                "user": self.work.user,
                "to": self.work.to,
                "namespace": self.work.namespace,
                "cut": run.map(|run| run.cut),
            }),
            progress: run.map_or_else(Progress::default, Run::progress),
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

/// What stays the same from the cut on, and what has been done so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    /// When it began, microseconds since the Unix epoch.
    at: i64,
    /// Rows up to here are in it.
    cut: u64,
    /// Which registration of the storage's id the files are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration: Option<u64>,
    totals: Totals,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    /// Tables in which he has rows.
    tables: u64,
    files: u64,
    rows: u64,
    /// Rows of those that no segment held.
    rows_hot: u64,
    bytes: u64,
}

impl Run {
    /// The step's commit expects the files from before to be in this storage, too.
    async fn expect_place(&self, work: &Work, store: &Arc<Store>, cx: &mut Step) -> Result<(), StepError> {
        let (looking, to) = (store.clone(), work.to.clone());
        let registration =
            read("reading the catalog", cx, move |snapshot| looking.catalog().registration(&*snapshot, &to));
        if registration.await? != self.registration {
            return Err(StepError::fail(format!(
                "storage '{}' is not the one any more that the export began in; export again",
                work.to
            )));
        }
        cx.expect(store.catalog().expect_registration(&work.to, self.registration));
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { rows_done: self.totals.rows, bytes_done: self.totals.bytes, ..Progress::default() }
    }
}

impl Work {
    fn tables(&self) -> Tables {
        self.namespace.as_ref().map_or(Tables::All, |namespace| Tables::Namespace(namespace.to_string()))
    }
}

/// The folder of a job's export.
fn folder(job: &JobId) -> String {
    format!("{EXPORTS}/{job}")
}

state_from!(queued::Queued, snapshotting::Snapshotting, copying::Copying, describing::Describing, done::Done);
