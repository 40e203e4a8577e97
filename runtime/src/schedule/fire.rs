//! A slot and its job in one commit.
//!
//! Every commit that records a slot expects that it is not recorded yet. So whoever comes second, in this process or another,
//! before or after a crash, finds it dealt with and does nothing.

use super::declared::{Declared, Overlap, When};
use super::slots::{Slot, SlotStatus};
use crate::control;
use crate::error::Error;
use crate::floor;
use crate::job::{JobId, Trigger};
use crate::keys::{self, INDEX};
use crate::kind::{Start, Starting};
use crate::query;
use crate::runner::Shared;
use crate::status::Status;
use crate::step::BoxError;
use crate::submit::{Beside, Draft, Key, Left, NewJob, leave_follow_up};
use ebbtide_engine::{Commit, CommitError, Expect, Sync, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a slot is tried when what it met has changed at the second look.
const TRIES_MAX: usize = 64;
/// How often a kind is asked again when what it expects does not hold.
const EXPECTATIONS_MAX: u32 = 5;

/// What a slot is to become if nothing is in its way.
pub(super) struct Firing {
    pub(super) slot: Slot,
    /// Slots that were missed before it, recorded in the same commit.
    pub(super) missed: Vec<Slot>,
    /// For triggers without times: when a job is active already there is no slot to record.
    pub(super) only_if_free: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fired {
    /// The slot is recorded.
    Recorded,
    /// Some of it was recorded by another: what is due has to be looked at again.
    Overtaken,
    /// Nothing, since a job is active.
    Busy,
}

/// The job that a workflow starts now.
pub(super) async fn new_job(shared: &Arc<Shared>, declared: &Declared, trigger: Trigger) -> Result<NewJob, BoxError> {
    let starter = Arc::clone(shared);
    let kind = Arc::clone(&declared.kind);
    let name = declared.name.clone();
    // A kind may read and block.
    let started = tokio::task::spawn_blocking(move || kind.start(&Starting::new(&starter, &name))).await;
    let Start { body, unique, expect, writes } = match started {
        Ok(start) => start?,
        Err(panic) => return Err(format!("its kind panicked: {panic}").into()),
    };
    Ok(NewJob {
        unique: Some(unique.unwrap_or_else(|| [b"workflow ", declared.name.as_bytes()].concat())),
        trigger,
        retry: declared.retry,
        timeout: declared.timeout,
        expect,
        writes,
        ..NewJob::new(&declared.name, body)
    })
}

pub(super) fn trigger(when: &When) -> Trigger {
    match when {
        When::Cron(_) => Trigger::Cron,
        When::Interval(_) => Trigger::Interval,
        When::Rows(_) => Trigger::Rows,
        When::Bytes(_) => Trigger::Bytes,
        When::Manual => Trigger::Manual,
    }
}

/// Deals with a slot that is due.
pub(super) async fn fire(shared: Arc<Shared>, declared: Declared, firing: Firing) -> Result<Fired, Error> {
    let mut expectations = 0;
    for _ in 0..TRIES_MAX {
        if shared.stopping.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let mut new = match new_job(&shared, &declared, trigger(&declared.when)).await {
            Ok(new) => new,
            Err(error) => return skip(&shared, &firing, format!("its kind does not start: {error}")).await,
        };
        new.idempotency_key = Some(format!("{} {}", declared.name, firing.slot.nominal_time));
        let draft = Draft::of(&new, shared.options.attempts_max)?;
        let tried = match draft.holder(&shared)? {
            None => start(&shared, &firing, &new, draft).await?,
            // The ledger has forgotten the slot, as it keeps a bounded number, and the job is still there.
            Some((Key::Idempotency, job)) => {
                let slot = Slot { job_id: Some(job), ..firing.slot.clone() };
                Tried::Done(record(&shared, &firing, slot, None).await?)
            }
            Some((Key::Active, _)) if firing.only_if_free => Tried::Done(Fired::Busy),
            Some((Key::Active, holder)) => give_way(&shared, &declared, &firing, &new, &draft, holder).await?,
        };
        match tried {
            Tried::Done(fired) => return Ok(fired),
            Tried::Again => {}
            Tried::Unexpected { space } => {
                expectations += 1;
                if expectations == EXPECTATIONS_MAX {
                    let reason = format!("what its kind expects to find in {space} does not hold");
                    return skip(&shared, &firing, reason).await;
                }
            }
        }
    }
    let reason = format!("the slot {} of workflow {} is contended", firing.slot.nominal_time, declared.name);
    Err(Error::Invalid { reason })
}

enum Tried {
    Done(Fired),
    /// Something has changed since it was read.
    Again,
    /// An expectation of the kind does not hold.
    Unexpected {
        space: &'static str,
    },
}

/// Starts the job together with its slot.
async fn start(shared: &Arc<Shared>, firing: &Firing, new: &NewJob, draft: Draft) -> Result<Tried, Error> {
    let newborn = floor::newborn(&*shared.engine.snapshot(), &shared.env)?;
    let mut expect = firing.expect_new(shared)?;
    let ledger = expect.len();
    expect.extend(new.expect.iter().cloned());
    let kind = expect.len();
    expect.extend(draft.absent_keys());
    expect.push(newborn.expect.clone());
    let mut writes = new.writes.clone();
    firing.record_missed(&mut writes);
    firing.slot.record(&mut writes);
    draft.for_slot(firing.slot.template()).start(&newborn, &mut writes);
    shared.env.reached("schedule.before_slot");
    match shared.engine.commit(Commit { expect, writes, sync: Sync::Synced }).await {
        Ok(_) => {
            shared.env.reached("schedule.slot_started");
            shared.enqueue(newborn.id, newborn.due);
            Ok(Tried::Done(Fired::Recorded))
        }
        Err(CommitError::Mismatch { index, .. }) if index < ledger => Ok(Tried::Done(Fired::Overtaken)),
        Err(CommitError::Mismatch { index, space, .. }) if index < kind => Ok(Tried::Unexpected { space }),
        Err(CommitError::Mismatch { .. }) => Ok(Tried::Again),
        Err(error) => Err(Error::Commit(error)),
    }
}

/// Deals with a slot whose job cannot start because `holder` is active.
async fn give_way(
    shared: &Arc<Shared>,
    declared: &Declared,
    firing: &Firing,
    new: &NewJob,
    draft: &Draft,
    holder: JobId,
) -> Result<Tried, Error> {
    // Held by this very job when the slot is recorded.
    let unique = new.unique.as_deref().map(keys::unique).unwrap_or_default();
    let still = Expect::equals(INDEX, unique, holder.as_bytes());
    let stands = stands(shared, &holder)?;
    let skipped = |reason: String| Slot {
        status: SlotStatus::Skipped,
        reason: Some(reason),
        job_id: Some(holder),
        ..firing.slot.clone()
    };
    if declared.overlap == Overlap::Skip {
        let slot = skipped(format!("job {holder} {stands}"));
        return record_while(shared, firing, slot, Some(still)).await;
    }
    let cancels = declared.overlap == Overlap::CancelOld;
    let what = if cancels { "is cancelled for it" } else { "comes first" };
    let waits = Slot {
        status: SlotStatus::Queued,
        reason: Some(format!("job {holder} {stands} and {what}")),
        ..firing.slot.clone()
    };
    let later = Slot { reason: Some(format!("waited for job {holder}")), ..firing.slot.clone() };
    let draft = draft.clone().for_slot(later.template());
    let mut expect = firing.expect_new(shared)?;
    let ledger = expect.len();
    expect.extend(new.expect.iter().cloned());
    let mut writes = new.writes.clone();
    firing.record_missed(&mut writes);
    waits.record(&mut writes);
    let beside = Beside { expect, writes, keeps_other: true, cancels };
    shared.env.reached("schedule.before_slot");
    let tried = match leave_follow_up(shared, &holder, &draft, beside).await? {
        Left::Kept => {
            shared.env.reached("schedule.slot_queued");
            Tried::Done(Fired::Recorded)
        }
        Left::Ended => return Ok(Tried::Again),
        Left::Refused { index, .. } if index < ledger => return Ok(Tried::Done(Fired::Overtaken)),
        Left::Refused { space, .. } => return Ok(Tried::Unexpected { space }),
        Left::Taken => {
            let slot = skipped(format!("job {holder} {stands}, and a run after it is queued already"));
            record_while(shared, firing, slot, Some(still)).await?
        }
    };
    if cancels && matches!(tried, Tried::Done(Fired::Recorded)) {
        match control::cancel(Arc::clone(shared), holder).await {
            Ok(_) | Err(Error::Ended { .. } | Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(tried)
}

/// How a job stands, for a sentence.
fn stands(shared: &Shared, id: &JobId) -> Result<String, Error> {
    let job = query::job(&*shared.engine.snapshot(), id)?;
    Ok(match job.map(|job| job.status) {
        Some(Status::Running) => "is still running".to_owned(),
        Some(status) => format!("is {status}"),
        None => "is active".to_owned(),
    })
}

/// Records the slot as skipped. A trigger without times has no slot to skip; it is looked at again soon.
async fn skip(shared: &Shared, firing: &Firing, reason: String) -> Result<Fired, Error> {
    if firing.only_if_free {
        return Err(Error::Invalid { reason });
    }
    let slot = Slot { status: SlotStatus::Skipped, reason: Some(reason), ..firing.slot.clone() };
    record(shared, firing, slot, None).await
}

/// Records the slot without a job, as long as `still` holds.
async fn record_while(shared: &Shared, firing: &Firing, slot: Slot, still: Option<Expect>) -> Result<Tried, Error> {
    match record(shared, firing, slot, still).await? {
        Fired::Busy => Ok(Tried::Again),
        fired => Ok(Tried::Done(fired)),
    }
}

/// Records the slot without a job. [`Fired::Busy`] when `still` does not hold any more.
pub(super) async fn record(
    shared: &Shared,
    firing: &Firing,
    slot: Slot,
    still: Option<Expect>,
) -> Result<Fired, Error> {
    let mut expect = firing.expect_new(shared)?;
    let ledger = expect.len();
    expect.extend(still);
    let mut writes = Vec::new();
    firing.record_missed(&mut writes);
    slot.record(&mut writes);
    match shared.engine.commit(Commit { expect, writes, sync: Sync::Synced }).await {
        Ok(_) => Ok(Fired::Recorded),
        Err(CommitError::Mismatch { index, .. }) if index < ledger => Ok(Fired::Overtaken),
        Err(CommitError::Mismatch { .. }) => Ok(Fired::Busy),
        Err(error) => Err(Error::Commit(error)),
    }
}

impl Firing {
    /// Neither the slot nor any of those missed before it is recorded.
    fn expect_new(&self, shared: &Shared) -> Result<Vec<Expect>, Error> {
        let snapshot = shared.engine.snapshot();
        std::iter::once(&self.slot).chain(&self.missed).map(|slot| slot.expect_new(&*snapshot)).collect()
    }

    fn record_missed(&self, writes: &mut Vec<Write>) {
        self.missed.iter().for_each(|slot| slot.record(writes));
    }
}
