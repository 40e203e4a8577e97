//! Holding a job back, and letting it go on.

use crate::error::Error;
use crate::held::{Effects, Held};
use crate::job::JobId;
use crate::live::Live;
use crate::row::Row;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::signal::Stop;
use crate::status::Status;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What became of the wish to hold a job back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The job is paused.
    Paused,
    /// The job runs and was asked to stop at its next safe point; the wish is durable and outlives a crash.
    Asked,
}

impl Runtime {
    /// Holds a job back until it is resumed: one that waits at once, a running one at its next safe point. It keeps its
    /// active key, as what it stands for is unfinished.
    ///
    /// # Errors
    ///
    /// [`Error::NotPausable`] for a job that is over, parked or being cancelled; [`Error::NotFound`].
    pub async fn pause(&self, id: &JobId) -> Result<Pause, Error> {
        let shared = &self.0.shared;
        shared.whole(pause(Arc::clone(shared), *id)).await
    }

    /// Lets a paused job go on from the state it stands in, or takes back a pause that a running job has not followed yet.
    ///
    /// # Errors
    ///
    /// [`Error::NotPaused`] for any other job; [`Error::NotFound`].
    pub async fn resume(&self, id: &JobId) -> Result<(), Error> {
        let shared = &self.0.shared;
        if shared.stopping.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        shared.whole(resume(Arc::clone(shared), *id)).await
    }
}

/// How often a change is tried against others who change the same job.
const TRIES_MAX: usize = 64;

async fn pause(shared: Arc<Shared>, id: JobId) -> Result<Pause, Error> {
    for _ in 0..TRIES_MAX {
        let changed = change_running(&shared, &id, |row| row.pause_requested = true).await?;
        if let Some(live) = changed {
            live.signal.trip(Stop::Paused);
            return Ok(Pause::Asked);
        }
        let mut held = Held::read(&*shared.engine.snapshot(), &id)?.ok_or(Error::NotFound { id })?;
        let synced = Effects { synced: true, ..Effects::default() };
        let (paused, committed) = match held.row.status {
            Status::Paused => return Ok(Pause::Paused),
            Status::Pending | Status::Retrying => (Pause::Paused, held.commit(&shared, &id, synced, paused).await),
            Status::Running if held.row.cancel_requested => {
                return Err(Error::Ended { id, status: Status::Cancelled });
            }
            // The claim is another process's, or is being taken. Its next commit meets the wish.
            Status::Running => {
                (Pause::Asked, held.commit(&shared, &id, synced, |row| row.pause_requested = true).await)
            }
            status => return Err(Error::NotPausable { id, status }),
        };
        match committed {
            Ok(()) => return Ok(paused),
            Err(refused) => refused.or_again()?,
        }
    }
    Err(Error::Contended { id })
}

async fn resume(shared: Arc<Shared>, id: JobId) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        // A step that has stopped already finds no wish any more, and its job is claimed again at once.
        if change_running(&shared, &id, |row| row.pause_requested = false).await?.is_some() {
            return Ok(());
        }
        let mut held = Held::read(&*shared.engine.snapshot(), &id)?.ok_or(Error::NotFound { id })?;
        let synced = Effects { synced: true, ..Effects::default() };
        let now = shared.env.now();
        let committed = match held.row.status {
            Status::Paused => {
                let resumed = |row: &mut Row| {
                    row.status = Status::Pending;
                    row.next_run_at = Some(now);
                };
                held.commit(&shared, &id, synced, resumed).await
            }
            Status::Running if held.row.pause_requested => {
                held.commit(&shared, &id, synced, |row| row.pause_requested = false).await
            }
            status => return Err(Error::NotPaused { id, status }),
        };
        match committed {
            Ok(()) => {
                if held.row.status == Status::Pending {
                    shared.enqueue(id, now);
                }
                return Ok(());
            }
            Err(refused) => refused.or_again()?,
        }
    }
    Err(Error::Contended { id })
}

/// Changes the wish about a job that runs in this process, durably. None when none runs, or it has no such wish to change.
async fn change_running(shared: &Shared, id: &JobId, wish: impl Fn(&mut Row)) -> Result<Option<Arc<Live>>, Error> {
    let Some(live) = shared.live(id) else {
        return Ok(None);
    };
    let mut held = live.held.lock().await;
    while held.is_claimed_by(live.epoch) && !held.row.cancel_requested {
        let mut wanted = held.row.clone();
        wish(&mut wanted);
        if wanted == held.row {
            break;
        }
        // Durable before it is acknowledged: a crash right here must not forget it.
        let effects = Effects { synced: true, ..Effects::default() };
        match held.commit(shared, id, effects, &wish).await {
            Ok(()) => {
                drop(held);
                return Ok(Some(live));
            }
            Err(refused) => refused.or_again()?,
        }
    }
    Ok(None)
}

/// The row of a job that is held back. It keeps its active key.
pub(crate) fn paused(row: &mut Row) {
    // Coming back from a failure is the next try, whenever that will be.
    if row.status == Status::Retrying {
        row.attempt += 1;
    }
    row.status = Status::Paused;
    row.pause_requested = false;
    row.next_run_at = None;
    row.lease_expires_at = None;
    row.node_id = None;
}
