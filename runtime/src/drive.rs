//! Step, commit, until done: the life of one claim.
//!
//! ```text
//!   claim ─► step ─► commit {row, body, transition, index keys, counters, effects} ─► step ─► …  ─► completed
//!             │         └─ an expectation did not hold ─► back to the checkpoint, step again (bounded)
//!             └─ error ─► retrying, failed, cancelled, or released to pending
//! ```
//!
//! The claim keeps the row and the typed workflow in memory and never reads them back while its commits succeed. The truth
//! stays on disk all the same: each commit expects the stored row to be what this claim wrote last.

use crate::backoff;
use crate::claim::{self, Claimed, Taken};
use crate::cpu::{Metered, panic_text};
use crate::error::Error;
use crate::held::{Effects, Held, Refused};
use crate::job::JobId;
use crate::keys::{self, JOBS, Part};
use crate::metrics;
use crate::overrule;
use crate::pause;
use crate::record;
use crate::retry;
use crate::row::Row;
use crate::runner::{Live, Shared};
use crate::signal::Stop;
use crate::status::Status;
use crate::step::{Step, StepError};
use crate::workflow::Workflow;
use ebbtide_engine::{Commit, Expect, Sync};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Conflicts in a row after which a step counts as failed.
const CONFLICTS_MAX: u32 = 100;

/// The shortest wait before the engine is asked again for what it could not read.
const READ_WAIT_MIN: Duration = Duration::from_millis(10);

/// What is to be done with a job whose claim has ended.
pub(crate) enum After {
    /// Nothing, here.
    Over,
    /// It is to be claimed again.
    Again { at: i64 },
}

/// Claims a job and runs it as far as it goes.
pub(crate) async fn drive(shared: &Arc<Shared>, id: JobId) -> After {
    match claim::claim(shared, id).await {
        Ok(Claimed::Taken(taken)) => {
            shared.claims_failed.store(0, Ordering::Relaxed);
            shared.enter(&taken.live);
            start_timeout(shared, &taken.live).await;
            let Taken { live, workflow, body, attempt } = taken;
            Drive::new(shared, live, attempt, &*workflow, body).run(workflow).await
        }
        Ok(Claimed::Nothing) => After::Over,
        Ok(Claimed::Later { at }) => After::Again { at },
        Err(error) => {
            tracing::error!(job_id = %id, %error, "the job could not be claimed");
            if shared.stalled().is_some() {
                return After::Over;
            }
            let failed = shared.claims_failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            let wait =
                backoff::bound(failed, shared.options.backoff_min.max(READ_WAIT_MIN), shared.options.backoff_max);
            let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
            After::Again { at: shared.env.now().saturating_add(wait) }
        }
    }
}

/// Has the job fail when it has run as long as it may.
async fn start_timeout(shared: &Arc<Shared>, live: &Arc<Live>) {
    let timeout = live.held.lock().await.row.timeout_micros;
    if let Some(timeout) = timeout {
        let left = Duration::from_micros(timeout.saturating_sub(live.ran_before_micros));
        shared.tasks.spawn(overrule::time_out(Arc::clone(shared), Arc::clone(live), left));
    }
}

struct Drive<'a> {
    shared: &'a Shared,
    live: Arc<Live>,
    step: Step,
    /// The workflow as it is stored, to go back to.
    body: Vec<u8>,
    parameters: Value,
    result: Option<Value>,
    conflicts: u32,
}

impl Drop for Drive<'_> {
    /// Whatever a step has started elsewhere learns that nobody will commit it.
    fn drop(&mut self) {
        self.live.signal.trip(Stop::ClaimLost);
    }
}

/// One turn of the loop.
enum Turn {
    Next(Box<dyn Workflow>),
    Over(After),
}

impl<'a> Drive<'a> {
    fn new(shared: &'a Arc<Shared>, live: Arc<Live>, attempt: u32, workflow: &dyn Workflow, body: Vec<u8>) -> Self {
        let view = workflow.view();
        Self {
            shared,
            step: Step::new(Arc::clone(shared), Arc::clone(&live), attempt),
            live,
            body,
            parameters: view.parameters,
            result: view.result,
            conflicts: 0,
        }
    }

    async fn run(mut self, mut workflow: Box<dyn Workflow>) -> After {
        tracing::debug!(job_id = %self.live.id, kind = workflow.view().kind, state = workflow.view().state, epoch = self.live.epoch, "claimed");
        loop {
            match self.turn(workflow).await {
                Turn::Next(next) => workflow = next,
                Turn::Over(after) => return after,
            }
        }
    }

    async fn turn(&mut self, workflow: Box<dyn Workflow>) -> Turn {
        if let Some(stop) = self.live.signal.asked() {
            return self.stop(stop).await;
        }
        if workflow.view().done {
            return self.checkpoint(workflow).await;
        }
        let stepped = {
            let step = Metered::new(workflow.step(&mut self.step), self.live.progress.clone());
            tokio::select! {
                biased;
                stepped = step => stepped,
                stop = self.live.signal.overdue(self.shared.options.cancel_grace) => Ok(Err(StepError::Stopped(stop))),
            }
        };
        match stepped {
            Ok(Ok(next)) => self.checkpoint(next).await,
            Ok(Err(error)) => self.halt(error).await,
            Err(panic) => self.halt(StepError::retry(panic_text(&*panic))).await,
        }
    }

    /// Commits the next state with everything the step wants written.
    async fn checkpoint(&mut self, next: Box<dyn Workflow>) -> Turn {
        let body = match serde_json::to_vec(&next) {
            Ok(body) => body,
            Err(error) => {
                return self.halt(StepError::fail(format!("the next state cannot be stored: {error}"))).await;
            }
        };
        let view = next.view();
        let mut effects = self.step.take_effects();
        let id = self.live.id;
        if view.done {
            record::delete_part(&id, Part::Body, &mut effects.writes);
        } else if body != self.body {
            record::put_part(&id, Part::Body, body.clone(), &mut effects.writes);
        }
        let parameters_changed = view.parameters != self.parameters;
        if parameters_changed {
            put_json(&id, Part::Parameters, &view.parameters, &mut effects);
        }
        let result_changed = view.result != self.result;
        if let (true, Some(result)) = (result_changed, &view.result) {
            put_json(&id, Part::Result, result, &mut effects);
        }

        self.shared.env.reached("job.step.before_commit");
        let live = &*self.live;
        let mut held = live.held.lock().await;
        if !held.is_claimed_by(live.epoch) || live.signal.asked() == Some(Stop::ClaimLost) {
            drop(held);
            return self.fenced(view.state).await;
        }
        if held.row.cancel_requested {
            drop(held);
            return self.stop(Stop::Cancelled).await;
        }
        let now = self.shared.env.now();
        let committed = held
            .commit(self.shared, &id, effects, |row| {
                if row.state != view.state {
                    view.state.clone_into(&mut row.state);
                }
                if row.subject.as_deref() != view.subject {
                    row.subject = view.subject.map(str::to_owned);
                }
                row.progress = view.progress;
                row.body_version = view.body_version;
                row.has_parameters = !view.parameters.is_null();
                row.has_result |= view.result.is_some();
                row.error = None;
                charge(row, live, self.shared);
                if view.done {
                    row.status = Status::Completed;
                    row.completed_at = Some(now);
                    row.lease_expires_at = None;
                } else {
                    row.attempt = 1;
                    row.lease_expires_at = Some(self.shared.options.lease_end(now));
                }
            })
            .await;
        let still_ours = held.is_claimed_by(live.epoch);
        live.heed(&held.row);
        drop(held);
        match committed {
            Ok(()) => {
                self.shared.env.reached("job.step.after_commit");
                if view.done {
                    tracing::debug!(job_id = %id, kind = view.kind, "completed");
                    return Turn::Over(After::Over);
                }
                self.live.progress.checkpointed(&view.progress);
                if parameters_changed {
                    self.parameters = view.parameters;
                }
                if result_changed {
                    self.result = view.result;
                }
                self.body = body;
                self.conflicts = 0;
                self.step.begin_next();
                Turn::Next(next)
            }
            Err(Refused::Moved) if !still_ours => self.fenced(view.state).await,
            Err(Refused::Moved) => self.again("the job's row").await,
            Err(Refused::Effect { index, space }) => {
                tracing::debug!(job_id = %id, index, space, "an expectation of the step does not hold");
                self.again(space).await
            }
            Err(Refused::Invalid { reason }) => self.fail(reason).await,
            Err(Refused::Unread { reason }) => self.retry(reason).await,
            Err(Refused::Failed(error)) => match self.read_again(error).await {
                None => self.again("the job's row").await,
                Some(turn) => turn,
            },
        }
    }

    /// A step ended without a next state.
    async fn halt(&mut self, error: StepError) -> Turn {
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
    async fn again(&mut self, what: &str) -> Turn {
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

    async fn stop(&mut self, stop: Stop) -> Turn {
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

    async fn retry(&mut self, reason: String) -> Turn {
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

    async fn fail(&mut self, reason: String) -> Turn {
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
    async fn fenced(&self, state: &str) -> Turn {
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

    fn lost(&self) -> Turn {
        tracing::debug!(job_id = %self.live.id, epoch = self.live.epoch, "the claim is lost");
        Turn::Over(After::Over)
    }

    /// The engine could not say how the job stands, and nothing was written. While the claim is ours it asks again, with
    /// waits that grow; the job must not lie until its lease ends for a disk that failed once. None when the job is still
    /// ours, otherwise the end of the claim.
    async fn read_again(&self, mut error: Error) -> Option<Turn> {
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

/// Takes over into the row what the claim has used.
pub(crate) fn charge(row: &mut Row, live: &Live, shared: &Shared) {
    let ran = shared.awake.now().saturating_sub(live.began);
    row.ran_micros = live.ran_before_micros.saturating_add(retry::micros(ran));
    row.cpu_used = live.progress.cpu_micros();
    row.memory_used = live.progress.memory_peak();
}

fn put_json(id: &JobId, part: Part, value: &Value, effects: &mut Effects) {
    record::put_part(id, part, value.to_string().into_bytes(), &mut effects.writes);
}
