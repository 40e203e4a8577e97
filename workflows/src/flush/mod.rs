//! Moves a table's hot rows into one Parquet file per user.
//!
//! ```text
//! Queued ─► Snapshotting ─► Writing(user) ─► Deleting(user) ─► Done
//!                              ▲    │           ▲    │
//!                              └────┘           └────┘
//!                            next users       next users
//! ```
//!
//! The runner moves every arrow. Each state is a file; each transition consumes the state it leaves, and a
//! `Deleting` can only be got from a `Writing` that has no user left,
//! so deleting before writing cannot be written down.

mod deleting; // hot rows at or below the watermarks go
mod done; // what came of it
mod encode; // one user's rows into one segment, or several parts
mod handover; // what commits together when a user has moved, and in which order
mod lanes; // what each storage may have on its way
pub mod metrics; // what is measured, by name
pub mod options; // bounds of a flush, shared by all that run at once
mod parameters; // what a config file says
mod pipeline; // scan, encode and upload of several users at once
mod queued; // asked for
pub mod records; // what is kept beside the job: last cut, users that failed
mod snapshotting; // the cut is fixed
pub mod tables; // many tables: one flush each
pub mod trigger; // who asks for a flush: a statement, an interval, rows, bytes
mod upload; // a segment's bytes to its storage, and its bound on what is in flight
mod writing; // users move to the cold tier, a few at a time

pub use options::{Options, Resources};
pub use parameters::FlushRows;
pub use tables::FlushTables;
pub use trigger::{Error, Flusher, LastCut, last_cut, next_interval};

use crate::kinds::state_from;
use ebbtide_runtime::{Progress, Step, StepError, View, Workflow};
use ebbtide_store::{Table, TableId};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs.
pub const KIND: &str = "flush";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One flush of one table: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flush {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    table_id: TableId,
    namespace: String,
    table: String,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Writing(writing::Writing),
    Deleting(deleting::Deleting),
    Done(done::Done),
}

impl Flush {
    /// A flush of `table`, not yet begun.
    pub fn new(table: &Table) -> Self {
        Self {
            work: Work { table_id: table.id, namespace: table.namespace.to_string(), table: table.name.to_string() },
            state: State::Queued(queued::Queued::default()),
        }
    }
}

#[typetag::serde(name = "flush")]
impl Workflow for Flush {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Flush { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.pin(&work, cx).await?.into(),
                State::Writing(s) => s.write_next(&work, cx).await?.into(),
                State::Deleting(s) => s.delete_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Flush { work, state }) as Box<dyn Workflow>)
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
            kind: KIND,
            state,
            subject: match &self.state {
                State::Writing(s) => s.subject(),
                _ => None,
            },
            done: matches!(self.state, State::Done(_)),
            scope: Some((&self.work.namespace, &self.work.table)),
            parameters: serde_json::json!({
                "table_id": self.work.table_id,
                "cut": match &self.state {
                    State::Writing(s) => Some(s.cut().seq),
                    State::Deleting(s) => Some(s.cut().seq),
                    State::Done(s) => Some(s.cut().seq),
                    _ => None,
                },
                // While the job may still attach files of this timestamp, or be tried again, no sweep touches them.
                crate::kinds::FILE_TIMESTAMP: match &self.state {
                    State::Writing(s) => Some(s.cut().stamp),
                    State::Deleting(s) => Some(s.cut().stamp),
                    State::Done(s) => Some(s.cut().stamp),
                    _ => None,
                },
            }),
            progress: totals.map_or_else(Progress::default, Totals::progress),
            result: match &self.state {
                State::Done(s) => Some(s.result()),
                _ => None,
            },
            body_version: BODY_VERSION,
        }
    }
}

/// What a flush will move: fixed once, kept in the job, the same after any restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cut {
    /// The highest seq that moves.
    seq: u64,
    /// Names the files: whole seconds since the Unix epoch, greater than any earlier flush's of this name.
    stamp: i64,
    /// When the cut was taken, microseconds since the Unix epoch.
    taken_at: i64,
    /// Hot rows of the table at the cut.
    rows: u64,
    /// Bytes of those rows.
    bytes_hot: u64,
}

/// What the flush has done so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    users_total: u64,
    users_done: u64,
    users_failed: u64,
    rows: u64,
    files: u64,
    /// Bytes of the files.
    bytes: u64,
    /// Bytes of the hot rows that moved.
    bytes_hot: u64,
    /// The storages that took a file, each once.
    storages: std::collections::BTreeSet<String>,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress {
            users_done: self.users_done,
            users_total: self.users_total,
            rows_done: self.rows,
            bytes_done: self.bytes,
        }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, writing::Writing, deleting::Deleting, done::Done);

/// An engine or store failure ends the attempt; the job is stepped again from its last checkpoint.
fn retry<E: std::error::Error + Send + Sync + 'static>(what: &str) -> impl FnOnce(E) -> StepError + '_ {
    move |source| StepError::Retry { reason: format!("{what}: {source}"), source: Some(Box::new(source)) }
}

/// The table as the catalog has it now. A dropped table ends the job: there is nothing left to move.
fn table_of(
    work: &Work,
    store: &ebbtide_store::Store,
    snapshot: &std::sync::Arc<dyn ebbtide_engine::Snapshot>,
) -> Result<std::sync::Arc<Table>, StepError> {
    store
        .catalog()
        .table_by_id(snapshot, work.table_id)
        .map_err(retry("reading the catalog"))?
        .ok_or_else(|| StepError::Fail { reason: format!("table {}.{} was dropped", work.namespace, work.table) })
}

#[cfg(test)]
mod deaths;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
