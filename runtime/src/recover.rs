//! The start of a node: claims of its earlier life are made void, and the queue is read back.
//!
//! No lease is waited for: whoever held those claims is gone, since no two runtimes that live at once share a name. Each
//! interrupted job becomes pending (or paused or cancelled, if that was asked for; or parked, if this program cannot load
//! it) in a commit that expects its row as it was left, so that a straggler's checkpoint is refused. Many jobs share one
//! commit. Dying in the middle leaves some of them running under the old claim, and the next start does the rest.

use crate::claim;
use crate::error::Error;
use crate::held::{Effects, Held};
use crate::job::JobId;
use crate::keys::{self, BODIES, INDEX, Part};
use crate::recovery::Recovery;
use crate::retry;
use crate::row::Row;
use crate::runner::Shared;
use crate::status::Status;
use ebbtide_engine::{Commit, KeyRange, Order, Sync};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Jobs that share one commit.
const BATCH_JOBS_MAX: usize = 512;

/// A job to be recovered, and what it is to become.
struct Found {
    id: JobId,
    held: Held,
    becomes: Becomes,
}

enum Becomes {
    /// Claimable.
    Pending,
    /// What was asked for while it ran.
    Wished,
    /// Not loadable by this program.
    Parked { reason: String },
}

/// Recovers the jobs of this node's earlier life and fills the queue.
pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<Recovery, Error> {
    let begun = Instant::now();
    let waiting = blocking(shared, |shared| shared.read_queue()).await?;
    let mut recovery = Recovery { waiting, ..Recovery::default() };
    let mut resumed = BTreeMap::new();
    // The parked ones first: a running one that is parked now was looked at then.
    for status in [Status::Parked, Status::Running] {
        let mut read = blocking(shared, move |shared| read_batch(shared, status, None)).await?;
        loop {
            recovery.failed += read.damaged;
            recovery.parked += read.still_parked;
            let settling = settle(shared, read.found, status, &mut recovery, &mut resumed);
            // The next ones are read while these are written.
            let Some(after) = read.next else {
                settling.await?;
                break;
            };
            let reading = blocking(shared, move |shared| read_batch(shared, status, Some(after)));
            let ((), next) = futures::try_join!(settling, reading)?;
            read = next;
        }
    }
    recovery.resumed = resumed.into_iter().map(|((kind, state), count)| (kind, state, count)).collect();
    // The most first, and those of one count by name.
    recovery.resumed.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    // As it is stored.
    recovery.took = Duration::from_micros(retry::micros(begun.elapsed()));
    Ok(recovery)
}

async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    read: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || read(&shared))
        .await
        .map_err(|panic| Error::Invalid { reason: format!("reading the queue panicked: {panic}") })?
}

#[derive(Default)]
struct Read {
    found: Vec<Found>,
    /// Rows that cannot be read.
    damaged: u64,
    /// Parked jobs that stay so, for the same reason as before.
    still_parked: u64,
    /// Where the next batch begins.
    next: Option<Vec<u8>>,
}

/// Reads the next jobs of this status that this node has to recover.
fn read_batch(shared: &Shared, status: Status, after: Option<Vec<u8>>) -> Result<Read, Error> {
    let snapshot = shared.engine.snapshot();
    let mut range = KeyRange::prefix(&keys::by_status(status));
    if let Some(after) = after {
        range.from = after;
    }
    let mut cursor = Arc::clone(&snapshot).scan(INDEX, range, Order::Ascending)?;
    let mut read = Read::default();
    while let Some((key, _)) = cursor.next()? {
        let Some((_, id)) = keys::indexed_parts(key) else {
            continue;
        };
        if read.found.len() == BATCH_JOBS_MAX {
            read.next = Some(key.to_vec());
            break;
        }
        let held = match Held::read(&*snapshot, &id) {
            Ok(Some(held)) => held,
            Ok(None) => continue,
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(job_id = %id, %error, "this job cannot be recovered; the others go on");
                read.damaged += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let ours = held.row.node_id.as_deref() == Some(shared.options.node_id.as_str());
        if held.row.status != status || (status == Status::Running && !ours) {
            continue;
        }
        if status == Status::Running && (held.row.cancel_requested || held.row.pause_requested) {
            read.found.push(Found { id, held, becomes: Becomes::Wished });
            continue;
        }
        let body = snapshot.get(BODIES, &keys::part(&id, Part::Body))?;
        let becomes = match claim::load(body, &held.row) {
            Ok(_) => Becomes::Pending,
            Err(reason) if status == Status::Parked && held.row.error.as_deref() == Some(reason.as_str()) => {
                read.still_parked += 1;
                continue;
            }
            Err(reason) => Becomes::Parked { reason },
        };
        read.found.push(Found { id, held, becomes });
    }
    Ok(read)
}

/// Changes all of them in one commit; one by one where somebody else has changed one meanwhile.
async fn settle(
    shared: &Arc<Shared>,
    found: Vec<Found>,
    status: Status,
    recovery: &mut Recovery,
    resumed: &mut BTreeMap<(String, String), u64>,
) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let now = shared.env.now();
    let mut commit = Commit { sync: Sync::Synced, ..Commit::default() };
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for Found { id, held, becomes } in found {
        // A follow-up starts where a job ends, which takes more than its row.
        if held.row.cancel_requested {
            alone.push((id, held, becomes));
            continue;
        }
        let (row, expect) = held.changed(&id, now, &mut commit.writes, |row| apply(row, &becomes, now));
        commit.expect.push(expect);
        together.push((id, held, becomes, row));
    }
    let mut settled = Vec::new();
    if !together.is_empty() {
        match shared.engine.commit(commit).await {
            Ok(_) => settled.extend(together.into_iter().map(|(id, _, becomes, row)| (id, becomes, row))),
            Err(ebbtide_engine::CommitError::Mismatch { .. }) => {
                alone.extend(together.into_iter().map(|(id, held, becomes, _)| (id, held, becomes)));
            }
            Err(error) => return Err(Error::Commit(error)),
        }
    }
    for (id, mut held, becomes) in alone {
        let effects = Effects { synced: true, ..Effects::default() };
        match held.commit(shared, &id, effects, |row| apply(row, &becomes, now)).await {
            Ok(()) => settled.push((id, becomes, held.row)),
            Err(refused) => {
                // Somebody else has it by now.
                if let Err(error) = refused.or_again() {
                    tracing::error!(job_id = %id, %error, "this job could not be recovered; the others go on");
                    recovery.failed += 1;
                }
            }
        }
    }
    for (id, becomes, row) in settled {
        recovery.fenced += u64::from(status == Status::Running);
        match becomes {
            Becomes::Pending => {
                shared.enqueue(id, now);
                *resumed.entry((row.job_type, row.state)).or_default() += 1;
            }
            Becomes::Wished => {}
            Becomes::Parked { reason } => {
                tracing::error!(job_id = %id, kind = row.job_type, reason, "the job is parked; it is tried again at the next start");
                recovery.parked += 1;
            }
        }
    }
    shared.env.reached("job.recovered");
    Ok(())
}

fn apply(row: &mut Row, becomes: &Becomes, now: i64) {
    match becomes {
        Becomes::Pending => {
            row.status = Status::Pending;
            row.next_run_at = Some(now);
            row.lease_expires_at = None;
            row.node_id = None;
        }
        Becomes::Wished => claim::wished(row, now),
        Becomes::Parked { reason } => claim::parked(row, reason),
    }
}
