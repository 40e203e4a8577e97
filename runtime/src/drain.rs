//! The end of a runtime: in order, or at once.

use crate::held::Held;
use crate::job::JobId;
use crate::runtime::Runtime;
use crate::signal::Stop;
use crate::status::Status;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How far a shutdown lets running jobs get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    /// To their end, if they reach it in time; otherwise to their next checkpoint.
    Finish,
    /// To their next checkpoint.
    #[default]
    Checkpoint,
}

/// What became of the jobs that ran when a shutdown began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// They came to their end.
    pub ended: Vec<JobId>,
    /// They stopped at a checkpoint and go on at the next start.
    pub released: Vec<JobId>,
    /// They did not stop in time. They too go on from their last checkpoint at the next start.
    pub abandoned: Vec<JobId>,
}

impl Runtime {
    /// Ends the runtime: no new jobs, no new claims. With [`Drain::Checkpoint`] running jobs are told at once; each stops at
    /// a checkpoint, or ends, and gives its claim back. With [`Drain::Finish`] they are told only when nine tenths of
    /// `timeout` have passed. What has not stopped after `timeout` is dropped. All that is unfinished goes on at the next start.
    pub async fn shutdown(&self, drain: Drain, timeout: Duration) -> Shutdown {
        let shared = &self.0.shared;
        shared.stopping.store(true, Ordering::Release);
        let lives = shared.lives();
        let end = Instant::now().checked_add(timeout);
        if drain == Drain::Finish {
            let finished = tokio::time::timeout(timeout - timeout / 10, shared.drained()).await;
            if finished.is_err() {
                tracing::info!(jobs = shared.lives().len(), "jobs that run are told to stop at their next checkpoint");
            }
        }
        shared.checkpointing.store(true, Ordering::Release);
        shared.lives().iter().for_each(|live| live.signal.trip(Stop::ShuttingDown));
        let left = end.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
        if tokio::time::timeout(left, shared.drained()).await.is_err() {
            shared.lives().iter().for_each(|live| live.signal.expire());
            // A step that blocks its thread cannot be dropped; it is left to the end of the process.
            if tokio::time::timeout(shared.options.cancel_grace, shared.drained()).await.is_err() {
                tracing::warn!(
                    "some jobs did not stop in time; they go on from their last checkpoint at the next start"
                );
            }
        }
        crate::nodes::stopped(shared).await;
        let mut outcome = Shutdown::default();
        let snapshot = shared.engine.snapshot();
        for live in &lives {
            let status = Held::read(&*snapshot, &live.id).ok().flatten().map(|held| held.row.status);
            match status {
                Some(Status::Running) | None => outcome.abandoned.push(live.id),
                Some(status) if status.is_terminal() => outcome.ended.push(live.id),
                Some(_) => outcome.released.push(live.id),
            }
        }
        shared.kill();
        if tokio::time::timeout(shared.options.cancel_grace, shared.gone()).await.is_err() {
            tracing::warn!("a step blocks its thread and keeps the engine open until the process ends");
        }
        outcome
    }

    /// Ends the runtime where it stands, as a crash would: nothing is released and nothing more is committed. Comes back when
    /// no task of it is left. For tests, and for a program that has to go at once.
    pub async fn halt(&self) {
        self.0.shared.kill();
        self.0.shared.gone().await;
    }
}
