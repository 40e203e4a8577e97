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

mod ending; // every other way than a checkpoint

use crate::backoff;
use crate::claim::{self, Claimed, Taken};
use crate::cpu::{Metered, panic_text};
use crate::held::{Effects, Refused};
use crate::job::JobId;
use crate::keys::Part;
use crate::live::Live;
use crate::overrule;
use crate::record;
use crate::retry;
use crate::row::Row;
use crate::runner::Shared;
use crate::signal::Stop;
use crate::status::Status;
use crate::step::{Step, StepError};
use crate::workflow::Workflow;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::Instrument;

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
            let span = tracing::info_span!("job", job_id = %id, kind = workflow.view().kind, epoch = live.epoch);
            Drive::new(shared, live, attempt, &*workflow, body).run(workflow).instrument(span).await
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
        shared.supervise(overrule::time_out(Arc::clone(shared), Arc::clone(live), left));
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
            let span = tracing::info_span!("state", state = workflow.view().state, attempt = self.step.attempt());
            let step = Metered::new(workflow.step(&mut self.step), self.live.progress.clone()).instrument(span);
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
