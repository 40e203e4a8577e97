//! The end of a claim without its step: for a step that neither stops nor can be dropped, as one that blocks its thread.

use crate::drive;
use crate::held::Effects;
use crate::job::JobId;
use crate::live::Live;
use crate::retry;
use crate::row::Row;
use crate::runner::Shared;
use crate::signal::Stop;
use crate::status::Status;
use std::sync::Arc;
use std::time::Duration;

/// Takes the job from its step and changes it. False when the claim had ended already, or the engine could not say.
/// Whatever the step may still try to commit is refused.
pub(crate) async fn overrule(shared: &Arc<Shared>, live: &Arc<Live>, change: impl Fn(&mut Row)) -> bool {
    let mut held = live.held.lock().await;
    while held.is_claimed_by(live.epoch) {
        let effects = Effects { synced: true, ..Effects::default() };
        let changed = held
            .commit(shared, &live.id, effects, |row| {
                change(row);
                drive::charge(row, live, shared);
            })
            .await;
        match changed {
            Ok(()) => {
                held.over = true;
                live.signal.trip(Stop::ClaimLost);
                return true;
            }
            Err(refused) => {
                if let Err(error) = refused.or_again() {
                    tracing::error!(job_id = %live.id, %error, "the job could not be taken from its step");
                    return false;
                }
            }
        }
    }
    false
}

/// Takes a job from a step that has shown no sign of life for too long. It counts as a failed try.
pub(crate) async fn give_up_on(shared: &Arc<Shared>, live: &Arc<Live>, silent: Duration) {
    let reason = format!(
        "the step showed no sign of life for {} s: it was given up, and what it may still commit is refused",
        silent.as_secs()
    );
    let now = shared.env.now();
    let random = shared.env.random();
    let taken = overrule(shared, live, |row| {
        if row.cancel_requested {
            crate::claim::cancelled(row, now);
        } else if row.attempt >= row.attempts_max {
            failed(row, &reason, now);
        } else {
            let delay = retry::delay_micros(row, row.attempt, &shared.options, random);
            row.status = Status::Retrying;
            row.error = Some(reason.clone());
            row.next_run_at = Some(now.saturating_add(delay));
            row.lease_expires_at = None;
            if row.pause_requested {
                crate::pause::paused(row);
            }
        }
    })
    .await;
    if !taken {
        return;
    }
    tracing::warn!(job_id = %live.id, epoch = live.epoch, reason, "the job was taken from its step");
    let next_run_at = live.held.lock().await.row.next_run_at;
    // A thread that is blocked is lost; the place among the running jobs is not.
    shared.detach(live);
    if let Some(at) = next_run_at {
        shared.enqueue(live.id, at);
    }
}

/// Trips the signal of a claim when its job has run as long as it may, and fails the job if the step does not stop.
pub(crate) async fn time_out(shared: Arc<Shared>, live: Arc<Live>, left: Duration) {
    let end = shared.awake.now() + left;
    loop {
        let left = end.saturating_sub(shared.awake.now());
        if left.is_zero() {
            break;
        }
        tokio::select! {
            () = live.signal.lost() => return,
            // In pieces: a time that the process stood still does not count.
            () = tokio::time::sleep(left.min(shared.beat_interval())) => {}
        }
    }
    live.signal.trip(Stop::TimedOut);
    tokio::select! {
        () = live.signal.lost() => return,
        () = tokio::time::sleep(shared.options.cancel_grace * 2) => {}
    }
    let now = shared.env.now();
    let timed_out = |row: &mut Row| {
        let reason = timeout_text(&live.id, row);
        failed(row, &reason, now);
    };
    if overrule(&shared, &live, timed_out).await {
        tracing::error!(job_id = %live.id, "the job ran into its timeout and was failed without its step, which does not stop");
    }
}

/// Why a job that ran too long failed, and what to do about it.
pub(crate) fn timeout_text(id: &JobId, row: &Row) -> String {
    let timeout = Duration::from_micros(row.timeout_micros.unwrap_or(0));
    format!(
        "it ran for {timeout:?}, which is its timeout, and stands in state {}: RETRY JOB '{id}' runs it on from there with as much time again; \
         to give later jobs more, raise `timeout` of workflow {:?}",
        row.state, row.workflow
    )
}

/// The row of a job that gave up.
pub(crate) fn failed(row: &mut Row, reason: &str, now: i64) {
    row.status = Status::Failed;
    row.error = Some(reason.to_owned());
    row.completed_at = Some(now);
    row.next_run_at = None;
    row.lease_expires_at = None;
}
