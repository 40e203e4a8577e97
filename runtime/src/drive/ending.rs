//! The ways a claim ends before its job does: an error, a request to stop, a lost claim, an engine that does not answer.

use super::{After, CONFLICTS_MAX, Drive, READ_WAIT_MIN, Turn, charge};
use crate::backoff;
use crate::claim;
use crate::error::Error;
use crate::held::{Effects, Held};
use crate::keys::{self, JOBS};
use crate::metrics;
use crate::overrule;
use crate::pause;
use crate::record;
use crate::retry;
use crate::row::Row;
use crate::signal::Stop;
use crate::status::Status;
use crate::step::StepError;
use ebbtide_engine::{Commit, Expect, Sync};
use std::sync::atomic::Ordering;

impl Drive<'_> {
    /// A step ended without a next state.
    pub(super) async fn halt(&mut self, error: StepError) -> Turn {
        self.step.forget();
        match (self.live.signal.asked(), error) {
            (Some(stop @ (Stop::TimedOut | Stop::Cancelled | Stop::ClaimLost)), _) => self.stop(stop).await,
            (_, StepError::Fail { reason }) => self.fail(reason).await,
            // What went wrong may well be the request to stop itself; it counts as no try.
            (Some(stop), _) => self.stop(stop).await,
            (None, StepError::Stopped(stop)) => self.stop(stop).await,
            (None, StepError::Conflict) => self.again("what the step had read").await,
            (None, error @ StepError::Retry { .. }) => self.retry(error.chain()).await,
        }
    }

    /// Back to the checkpoint, to step it again.
    pub(super) async fn again(&mut self, what: &str) -> Turn {
        self.step.forget();
        self.conflicts += 1;
        if self.conflicts >= CONFLICTS_MAX {
            self.conflicts = 0;
            return self.retry(format!("{what} changed under the step {CONFLICTS_MAX} times in a row")).await;
        }
        // Others get their turn between two tries.
        tokio::task::yield_now().await;
        match claim::parse(&self.body) {
            Ok(workflow) => Turn::Next(workflow),
            Err(reason) => self.retry(reason).await,
        }
    }

    pub(super) async fn stop(&mut self, stop: Stop) -> Turn {
        self.step.forget();
        let now = self.shared.env.now();
        match stop {
            Stop::ClaimLost => self.lost(),
            Stop::Cancelled => {
                tracing::debug!(job_id = %self.live.id, "cancelled");
                self.leave(After::Over, |row| claim::cancelled(row, now)).await
            }
            Stop::TimedOut => {
                let reason = overrule::timeout_text(&self.live.id, &self.live.held.lock().await.row);
                self.fail(reason).await
            }
            // Given back; a pause that still holds makes it paused. One that was taken back meanwhile does not.
            Stop::ShuttingDown | Stop::Paused => {
                let after =
                    if self.shared.stopping.load(Ordering::Acquire) { After::Over } else { After::Again { at: now } };
                self.leave(after, |row| {
                    row.status = Status::Pending;
                    row.next_run_at = Some(now);
                    row.lease_expires_at = None;
                    row.node_id = None;
                })
                .await
            }
        }
    }

    pub(super) async fn retry(&mut self, reason: String) -> Turn {
        let options = &self.shared.options;
        let attempt = self.step.attempt();
        let (limit, delay) = {
            let row = &self.live.held.lock().await.row;
            (row.attempts_max, retry::delay_micros(row, attempt, options, self.shared.env.random()))
        };
        if attempt >= limit {
            return self.fail(reason).await;
        }
        let at = self.shared.env.now().saturating_add(delay);
        tracing::warn!(job_id = %self.live.id, attempt, limit, delay_micros = delay, reason, "the step failed and is tried again");
        self.leave(After::Again { at }, |row| {
            row.status = Status::Retrying;
            row.error = Some(reason.clone());
            row.next_run_at = Some(at);
            row.lease_expires_at = None;
        })
        .await
    }

    pub(super) async fn fail(&mut self, reason: String) -> Turn {
        tracing::error!(job_id = %self.live.id, reason, "the job failed");
        let now = self.shared.env.now();
        self.leave(After::Over, |row| overrule::failed(row, &reason, now)).await
    }

    /// Gives the claim up with a change of status. A cancellation that came first is not overwritten, and what would only
    /// wait for another claim is paused if somebody asked for that.
    async fn leave(&mut self, after: After, change: impl Fn(&mut Row)) -> Turn {
        let now = self.shared.env.now();
        let live = &*self.live;
        let mut held = live.held.lock().await;
        while held.is_claimed_by(live.epoch) && live.signal.asked() != Some(Stop::ClaimLost) {
            let cancel = held.row.cancel_requested;
            let left = held
                .commit(self.shared, &self.live.id, Effects { synced: true, ..Effects::default() }, |row| {
                    if cancel {
                        claim::cancelled(row, now)
                    } else {
                        change(row);
                        if row.pause_requested && matches!(row.status, Status::Pending | Status::Retrying) {
                            pause::paused(row);
                        }
                    }
                    charge(row, live, self.shared);
                })
                .await;
            match left {
                Ok(()) => {
                    held.over = true;
                    let waits = matches!(held.row.status, Status::Pending | Status::Retrying);
                    return Turn::Over(if waits { after } else { After::Over });
                }
                Err(refused) => {
                    if let Err(error) = refused.or_again() {
                        drop(held);
                        if let Some(turn) = self.read_again(error).await {
                            return turn;
                        }
                        held = live.held.lock().await;
                    }
                }
            }
        }
        self.lost()
    }

    /// A checkpoint of a claim that does not hold any more: refused, and put on record.
    pub(super) async fn fenced(&self, state: &str) -> Turn {
        let (id, epoch) = (self.live.id, self.live.epoch);
        // At its own end a runtime has no claim any more either, and nobody else has taken it.
        if self.shared.killed.is_cancelled() {
            return self.lost();
        }
        metrics::fenced();
        if let Ok(Some(held)) = Held::read(&*self.shared.engine.snapshot(), &id) {
            let row = &held.row;
            let text = format!(
                "the checkpoint to state {state} under epoch {epoch} was refused: the job is {} under epoch {}",
                row.status, row.epoch
            );
            tracing::warn!(job_id = %id, epoch, "{text}");
            let commit = Commit {
                expect: vec![Expect::present(JOBS, keys::job(&id))],
                writes: record::refuse(&id, row, epoch, &text, self.shared.env.now()),
                sync: Sync::Unsynced,
            };
            if let Err(error) = self.shared.engine.commit(commit).await {
                tracing::debug!(job_id = %id, %error, "the refused checkpoint could not be put on record");
            }
        }
        self.lost()
    }

    pub(super) fn lost(&self) -> Turn {
        tracing::debug!(job_id = %self.live.id, epoch = self.live.epoch, "the claim is lost");
        Turn::Over(After::Over)
    }

    /// The engine could not say how the job stands, and nothing was written. While the claim is ours it asks again, with
    /// waits that grow; the job must not lie until its lease ends for a disk that failed once. None when the job is still
    /// ours, otherwise the end of the claim.
    pub(super) async fn read_again(&self, mut error: Error) -> Option<Turn> {
        let options = &self.shared.options;
        for attempt in 1_u32.. {
            if self.shared.stalled().is_some() {
                return Some(self.broken(&error));
            }
            let wait =
                backoff::bound(attempt, options.backoff_min.max(READ_WAIT_MIN), options.backoff_max.max(READ_WAIT_MIN));
            tracing::warn!(job_id = %self.live.id, %error, wait_millis = wait.as_millis(), "the job could not be read and is read again");
            tokio::select! {
                () = self.live.signal.lost() => return Some(self.lost()),
                () = tokio::time::sleep(wait) => {}
            }
            let mut held = self.live.held.lock().await;
            match held.reload(self.shared, &self.live.id) {
                Ok(()) if held.is_claimed_by(self.live.epoch) => {
                    self.live.heed(&held.row);
                    return None;
                }
                Ok(()) => return Some(self.lost()),
                Err(again) => error = again,
            }
        }
        Some(self.broken(&error))
    }

    /// The engine takes no more writes: the next start decides.
    fn broken(&self, error: &Error) -> Turn {
        tracing::error!(job_id = %self.live.id, %error, "the job stands still at its last checkpoint");
        Turn::Over(After::Over)
    }
}
