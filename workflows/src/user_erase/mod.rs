//! Erases a user: all of his rows, hot and cold, in every USER table or in those of one namespace, on every storage.
//!
//! ```text
//! Queued ─► Fencing(table) ─► Erasing(table) ─► Removing(table) ─► Purging ─► Done
//!             ▲    │            ▲    │            ▲    │            ▲   │
//!             └────┘            └────┘            └────┘            └───┘
//!           next table       next segments     next objects      next tables
//! ```
//!
//! What is erased is what had been written when the job began: rows up to one cut, kept in the job, the same after any
//! restart. A row that the user writes later is a new row and stays.
//!
//! | state | what is gone when it ends | who is kept from bringing it back |
//! | --- | --- | --- |
//! | `Fencing` | hot rows | a flush that has read them expects another generation of the watermark |
//! | `Erasing` | segments, from the manifest | a move or a rewriting expects the entry that it has read |
//! | `Removing` | objects: segments, what nothing names, published manifests | whoever writes one at this moment is waited for |
//! | `Purging` | what the engine's files still held | |
//!
//! It ends with a receipt: what was removed, and that it was looked for afterwards. As long as a storage cannot be asked the
//! job is tried again; it does not end with something left.

mod done; // the receipt
mod erasing; // segments leave the manifest
mod fencing; // hot rows go, and nobody brings them back
mod folders; // where objects of his may lie
mod purging; // the engine's files
mod queued; // asked for, and the cut
pub mod records; // objects that are to be gone in the end
mod removing; // objects go, and are looked for

#[cfg(test)]
mod tests;

use crate::kinds::{FILE_TIMESTAMP, Span, Tables, read, state_from};
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{BoxFuture, NewJob, Progress, Retry, Step, StepError, View, Workflow};
use ebbtide_store::deletions::{self, Deletion, Why};
use ebbtide_store::path::escape::escape;
use ebbtide_store::{Kind, Name, Store, Table, TableId, UserId, manifest, published};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The stable name of this kind in stored jobs.
pub const KIND: &str = "user_erase";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// How often the same is tried, with waits of up to five minutes: a storage may be down for a day.
const ATTEMPTS_MAX: u32 = 300;
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// One erasure, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserErase {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    user: UserId,
    namespace: Option<Name>,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Fencing(fencing::Fencing),
    Erasing(erasing::Erasing),
    Removing(removing::Removing),
    Purging(purging::Purging),
    Done(done::Done),
}

impl UserErase {
    /// The erasure of a user, not yet begun: of everything, or of what he has in one namespace.
    pub fn new(user: UserId, namespace: Option<Name>) -> Self {
        Self { work: Work { user, namespace }, state: State::Queued(queued::Queued::default()) }
    }

    /// As a job: there is one at a time for a user and a namespace, and it does not give up soon. One that is asked for while
    /// another runs begins when that ends, for what was written meanwhile.
    pub fn job(user: UserId, namespace: Option<Name>) -> NewJob {
        let key = match &namespace {
            Some(namespace) => format!("{KIND}/{namespace}/{user}"),
            None => format!("{KIND}//{user}"),
        };
        let retry = Retry { attempts_max: Some(ATTEMPTS_MAX), backoff_min: None, backoff_max: Some(BACKOFF_MAX) };
        NewJob { retry, follow_up: true, ..NewJob::new(KIND, Box::new(Self::new(user, namespace))).unique(key) }
    }
}

#[typetag::serde(name = "user_erase")]
impl Workflow for UserErase {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let UserErase { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start(&work, cx).await?.into(),
                State::Fencing(s) => s.fence_next(&work, cx).await?.into(),
                State::Erasing(s) => s.erase_next(&work, cx).await?.into(),
                State::Removing(s) => s.remove_next(&work, cx).await?.into(),
                State::Purging(s) => s.purge_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(UserErase { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, run) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Fencing(s) => ("Fencing", Some(s.run())),
            State::Erasing(s) => ("Erasing", Some(s.run())),
            State::Removing(s) => ("Removing", Some(s.run())),
            State::Purging(s) => ("Purging", Some(s.run())),
            State::Done(s) => ("Done", Some(s.run())),
        };
        View {
            subject: Some(self.work.user.as_str()),
            parameters: serde_json::json!({
                "user": self.work.user,
                "namespace": self.work.namespace,
                "cut": run.map(|run| run.cut),
                FILE_TIMESTAMP: match &self.state {
                    State::Erasing(s) => s.stamp(),
                    _ => None,
                },
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

/// What stays the same from the first state to the last, and what has been done so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    /// When it began, microseconds since the Unix epoch.
    at: i64,
    /// Rows up to here go.
    cut: u64,
    /// Tables that were dropped lately, or while it ran: their rows go with them, and their ranges are purged too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<TableId>,
    totals: Totals,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    /// Tables in which he was known.
    tables: u64,
    rows_hot: u64,
    rows_cold: u64,
    /// Segments that left the manifest.
    segments: u64,
    /// Segments that held newer rows as well, and were written anew without the old ones.
    segments_rewritten: u64,
    /// Objects that were written down to be removed.
    objects: u64,
    /// Objects of those that were looked for after their removal, and were not there.
    objects_gone: u64,
    /// The storages in which those lay.
    storages: BTreeSet<String>,
}

impl Run {
    fn progress(&self) -> Progress {
        let Totals { rows_hot, rows_cold, .. } = self.totals;
        Progress { rows_done: rows_hot + rows_cold, ..Progress::default() }
    }
}

impl Work {
    fn tables(&self) -> Tables {
        self.namespace.as_ref().map_or(Tables::All, |namespace| Tables::Namespace(namespace.to_string()))
    }

    /// Nothing of him comes in by a storage that is being attached: not before this step's commit, which expects that, and not
    /// beside it. What is written down meanwhile to be removed is not taken in either, for attaching expects it not to be.
    async fn expect_nothing_attaching(&self, cx: &mut Step) -> Result<(), StepError> {
        let store = cx.get::<Store>()?;
        let looking = store.clone();
        let attaching = read("reading the catalog", cx, move |snapshot| looking.catalog().attaching(&snapshot)).await?;
        if let Some(storage) = attaching {
            return Err(StepError::retry(format!(
                "storage {storage} is being attached, and may bring rows of his back; he is erased after that"
            )));
        }
        cx.expect(store.catalog().expect_nothing_attaching());
        Ok(())
    }

    /// What a dropped table has left and may be his. Of tables that are there, nothing of his is still to go by now but what
    /// became so since the erasure began.
    async fn left_of_dropped(&self, began_at: i64, cx: &Step) -> Result<Option<String>, StepError> {
        let store = cx.get::<Store>()?;
        let asked = self.clone();
        read("looking at dropped tables", cx, move |snapshot| {
            if let Some(table) = asked.dropped(&store, &snapshot)?.first() {
                return Ok(Some(format!(
                    "table {}, which was dropped, is not cleared away yet",
                    table.qualified_name()
                )));
            }
            let view = store.catalog().view(&snapshot)?;
            // Templates have both in them.
            let names = [Some(asked.user.as_str()), asked.namespace.as_deref()].map(|name| name.map(escape));
            let is_his = |path: &str| names.iter().flatten().all(|name| path.contains(name));
            let superseded_by_then = began_at.saturating_add(Span(published::GRACE).micros());
            let is_left = |deletion: &Deletion| match (&deletion.whose, deletion.why) {
                (Some((table, _)), _) if view.table_by_id(*table).is_some() => false,
                // What he has had published since.
                (None, Why::Superseded) if deletion.not_before > superseded_by_then => false,
                _ => is_his(&deletion.path),
            };
            let left = deletions::find(snapshot, is_left)?;
            Ok::<_, ebbtide_store::Error>(left.map(|object| {
                format!("{} of a dropped table is still to go from storage {}", object.path, object.storage)
            }))
        })
        .await
    }

    /// Those of these tables that were dropped and are not cleared away.
    fn dropped(&self, store: &Store, snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Table>, ebbtide_store::Error> {
        let ours = |table: &Table| {
            table.kind == Kind::User && self.namespace.as_ref().is_none_or(|namespace| *namespace == table.namespace)
        };
        Ok(store.catalog().dropped(snapshot)?.into_iter().map(|dropped| dropped.table).filter(ours).collect())
    }

    /// The next of these tables in which the user was erased once: only they can hold something of his.
    async fn next_fenced(&self, after: Option<TableId>, cx: &Step) -> Result<Option<Arc<Table>>, StepError> {
        let store = cx.get::<Store>()?;
        let (tables, user) = (self.tables(), self.user.clone());
        read("reading the catalog", cx, move |snapshot| {
            let view = store.catalog().view(&snapshot)?;
            let mut after = after;
            while let Some(table) = tables.next(&view, after) {
                if manifest::watermark(&*snapshot, table.id, &user)?.erase_generation > 0 {
                    return Ok(Some(table));
                }
                after = Some(table.id);
            }
            Ok::<_, ebbtide_store::Error>(None)
        })
        .await
    }
}

state_from!(queued::Queued, fencing::Fencing, erasing::Erasing, removing::Removing, purging::Purging, done::Done);
