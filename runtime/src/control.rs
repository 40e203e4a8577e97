//! What callers do with a job that exists: cancel, run again, wait.

use crate::claim;
use crate::error::Error;
use crate::held::{Effects, Held, Refused};
use crate::job::{Job, JobId};
use crate::keys::{self, INDEX};
use crate::live::Live;
use crate::overrule;
use crate::query;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::signal::Stop;
use crate::status::Status;
use ebbtide_engine::{Expect, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a change is tried against others who change the same job.
const TRIES_MAX: usize = 64;

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The job is cancelled.
    Cancelled,
    /// The job runs and was asked to stop; the wish is durable, and the status follows within a second.
    Asked,
}

impl Runtime {
    /// Cancels a job: one that waits at once, a running one by asking it to stop. A running step that does not look at its
    /// signal is dropped at its next await after [`Options::cancel_grace`](crate::Options::cancel_grace), and after twice
    /// that the job is cancelled without it: what it may still try to commit is refused.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and [`Error::Ended`] for a job that is over.
    pub async fn cancel(&self, id: &JobId) -> Result<Cancel, Error> {
        let shared = &self.0.shared;
        shared.whole(cancel(Arc::clone(shared), *id)).await
    }

    /// Runs a failed, cancelled, skipped or parked job on from the state it stands in, with all its attempts before it.
    ///
    /// # Errors
    ///
    /// [`Error::KeyHeld`] when another job has taken its active key meanwhile; [`Error::NotRetryable`] for a job that is
    /// completed or not over; [`Error::NotFound`].
    pub async fn retry(&self, id: &JobId) -> Result<(), Error> {
        let shared = &self.0.shared;
        if shared.stopping.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        shared.whole(retry(Arc::clone(shared), *id)).await
    }

    /// Comes back when the job is over, with the job as it then is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Stalled`] when no job can end any more because the engine takes no writes;
    /// [`Error::ShuttingDown`] when the runtime ended first.
    pub async fn wait(&self, id: &JobId) -> Result<Job, Error> {
        let shared = &self.0.shared;
        loop {
            let waiter = shared.waiters.register(id);
            let ended = waiter.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let job = query::job(&*shared.engine.snapshot(), id)?.ok_or(Error::NotFound { id: *id })?;
            if job.status.is_terminal() {
                return Ok(job);
            }
            if let Some(stalled) = shared.stalled() {
                return Err(stalled);
            }
            if shared.killed.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            ended.await;
        }
    }

    /// Comes back when nothing runs and nothing is due.
    pub async fn idle(&self) {
        self.0.shared.idle().await;
    }

    /// Makes the scheduler look at the clock again. Only of use where the environment's clock is not the real one.
    pub fn look_again(&self) {
        self.0.shared.look_again();
    }
}

pub(crate) async fn cancel(shared: Arc<Shared>, id: JobId) -> Result<Cancel, Error> {
    for _ in 0..TRIES_MAX {
        if let Some(live) = shared.live(&id)
            && ask(&shared, &live).await?
        {
            return Ok(Cancel::Asked);
        }
        let mut held = Held::read(&*shared.engine.snapshot(), &id)?.ok_or(Error::NotFound { id })?;
        if held.row.status.is_terminal() {
            return Err(Error::Ended { id, status: held.row.status });
        }
        let now = shared.env.now();
        // Also for a claim that is not of this process: its next commit is refused.
        match held.commit(&shared, &id, Effects::default(), |row| claim::cancelled(row, now)).await {
            Ok(()) => return Ok(Cancel::Cancelled),
            Err(refused) => refused.or_again()?,
        }
    }
    Err(Error::Contended { id })
}

async fn retry(shared: Arc<Shared>, id: JobId) -> Result<(), Error> {
    for _ in 0..TRIES_MAX {
        let mut held = Held::read(&*shared.engine.snapshot(), &id)?.ok_or(Error::NotFound { id })?;
        let status = held.row.status;
        if !matches!(status, Status::Failed | Status::Cancelled | Status::Skipped | Status::Parked) {
            return Err(Error::NotRetryable { id, status });
        }
        let key = held.row.unique.as_deref().map(keys::unique);
        let mut effects = Effects::default();
        // A parked job still holds its key.
        if let (true, Some(key)) = (status.is_terminal(), &key) {
            effects.expect.push(Expect::absent(INDEX, key.clone()));
            effects.writes.push(Write::put(INDEX, key.clone(), id.as_bytes()));
        }
        let now = shared.env.now();
        let committed = held
            .commit(&shared, &id, effects, |row| {
                row.status = Status::Pending;
                row.attempt = 0;
                row.next_run_at = Some(now);
                row.completed_at = None;
                row.cancelled_at = None;
                row.cancel_requested = false;
                row.pause_requested = false;
                row.ran_micros = 0;
            })
            .await;
        match committed {
            Ok(()) => {
                shared.enqueue(id, now);
                return Ok(());
            }
            Err(Refused::Effect { .. }) => {
                let holder = key.map(|key| shared.engine.snapshot().get(INDEX, &key)).transpose()?.flatten();
                if let Some(by) = holder.and_then(|value| JobId::from_slice(&value)) {
                    return Err(Error::KeyHeld { by });
                }
            }
            Err(refused) => refused.or_again()?,
        }
    }
    Err(Error::Contended { id })
}

/// Asks the running claim to stop. False when it ended meanwhile.
async fn ask(shared: &Arc<Shared>, live: &Arc<Live>) -> Result<bool, Error> {
    let mut held = live.held.lock().await;
    while held.is_claimed_by(live.epoch) {
        if !held.row.cancel_requested {
            // Durable before it is acknowledged: a crash right here must not bring the job back to life.
            let effects = Effects { synced: true, ..Effects::default() };
            match held.commit(shared, &live.id, effects, |row| row.cancel_requested = true).await {
                Ok(()) => {}
                Err(refused) => {
                    refused.or_again()?;
                    continue;
                }
            }
        }
        drop(held);
        live.signal.trip(Stop::Cancelled);
        shared.supervise(insist(Arc::clone(shared), Arc::clone(live)));
        return Ok(true);
    }
    Ok(false)
}

/// Cancels a job whose step neither stops nor can be dropped.
async fn insist(shared: Arc<Shared>, live: Arc<Live>) {
    tokio::select! {
        () = live.signal.lost() => return,
        () = tokio::time::sleep(shared.options.cancel_grace * 2) => {}
    }
    let now = shared.env.now();
    if overrule::overrule(&shared, &live, |row| claim::cancelled(row, now)).await {
        tracing::warn!(job_id = %live.id, "the job was cancelled without its step, which does not stop");
    }
}
