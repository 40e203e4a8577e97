//! One workflow on its way through time: up to where its slots are dealt with, and what comes next.

use super::anchor;
use super::declared::{Declared, Missed, When};
use super::due::{Due, due, missed_rows, next_slot};
use super::fire::{Fired, Firing, fire, record};
use super::slots::{Slot, SlotStatus, newest, slots};
use crate::error::Error;
use crate::kind::{Pending, Starting};
use crate::query;
use crate::runner::Shared;
use crate::status::Status;
use ebbtide_engine::{Commit, Sync};
use std::sync::Arc;
use std::time::Duration;

/// A slot that is found this late is still simply due: a restart is no miss.
pub(super) const LATE_MAX: Duration = Duration::from_secs(60);
/// How often triggers by rows and bytes are looked at.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// Slots of one workflow that are kept, as far as whole batches go.
const SLOTS_KEPT: usize = 10_000;
/// After how many new slots, or old ones removed, the ledger of a workflow is shortened further.
const TRIM_BATCH: usize = 500;
/// How often a turn begins anew because others record slots at the same time.
const OVERTAKEN_MAX: u32 = 64;

/// One workflow.
pub(super) struct Line {
    pub(super) declared: Declared,
    /// Absent until its anchor is settled.
    place: Option<Place>,
    /// New slots since the ledger was last shortened.
    untrimmed: usize,
    /// What last went wrong. It is logged when it changes.
    pub(super) trouble: Option<String>,
}

#[derive(Clone, Copy)]
struct Place {
    /// Since when it is declared as it is.
    since: i64,
    /// Everything up to here is dealt with.
    after: i64,
}

impl Line {
    pub(super) fn new(declared: Declared) -> Self {
        Self { declared, place: None, untrimmed: TRIM_BATCH, trouble: None }
    }

    /// Deals with everything that is due, and says when to come again: microseconds since the Unix epoch.
    pub(super) async fn turn(&mut self, shared: &Arc<Shared>) -> Option<i64> {
        match self.try_turn(shared).await {
            Ok(next) => {
                self.trouble = None;
                next
            }
            Err(Error::ShuttingDown) => None,
            Err(error) => {
                let trouble = error.to_string();
                if self.trouble.as_deref() != Some(&trouble) {
                    tracing::error!(
                        workflow = self.declared.name,
                        error = trouble,
                        "the workflow could not be started"
                    );
                }
                self.trouble = Some(trouble);
                Some(shared.env.now().saturating_add(micros(POLL)))
            }
        }
    }

    async fn try_turn(&mut self, shared: &Arc<Shared>) -> Result<Option<i64>, Error> {
        let place = match self.place {
            Some(place) => place,
            None => self.settle(shared).await?,
        };
        if !self.declared.enabled {
            return Ok(None);
        }
        match self.declared.when {
            When::Manual => Ok(None),
            When::Rows(_) | When::Bytes(_) => {
                self.poll(shared).await?;
                Ok(Some(shared.env.now().saturating_add(micros(POLL))))
            }
            When::Cron(_) | When::Interval(_) => self.clock(shared, place).await,
        }
    }

    /// Finds out where the workflow stands, and says durably that it is declared.
    async fn settle(&mut self, shared: &Arc<Shared>) -> Result<Place, Error> {
        let since = anchor::settle(shared, &self.declared).await?;
        let place = Place { since, after: self.dealt_with(shared, since)? };
        self.place = Some(place);
        Ok(place)
    }

    /// Up to where the ledger says that slots are dealt with, by the present clock.
    fn dealt_with(&self, shared: &Shared, since: i64) -> Result<i64, Error> {
        let now = shared.env.now();
        let newest = newest(&shared.engine.snapshot(), &self.declared.name, now)?;
        Ok(newest.map_or(since, |nominal| nominal.max(since)).min(now))
    }

    /// Slots of a crontab or an interval.
    async fn clock(&mut self, shared: &Arc<Shared>, place: Place) -> Result<Option<i64>, Error> {
        let Place { since, mut after } = place;
        for _ in 0..OVERTAKEN_MAX {
            let now = shared.env.now();
            if now < after {
                // The clock was put back. Slots that come again are known from the ledger.
                after = self.dealt_with(shared, since)?;
            }
            if next_slot(&self.declared.when, since, after).is_none_or(|next| next > now) {
                self.place = Some(Place { since, after });
                self.trim(shared).await?;
                return Ok(next_slot(&self.declared.when, since, after));
            }
            let (snapshot, declared) = (shared.engine.snapshot(), self.declared.clone());
            let found = tokio::task::spawn_blocking(move || due(&snapshot, &declared, since, after, now)).await;
            let found =
                found.map_err(|panic| Error::Invalid { reason: format!("reading slots panicked: {panic}") })??;
            match self.deal_with(shared, &found, now).await? {
                Fired::Recorded => {
                    self.untrimmed += found.latest.len();
                    after = now;
                }
                Fired::Overtaken | Fired::Busy => {}
            }
        }
        Err(Error::Invalid { reason: "its slots are recorded by others faster than they can be looked at".to_owned() })
    }

    /// Starts at most one job, for the newest slot, and records the others as missed: all in one commit.
    async fn deal_with(&self, shared: &Arc<Shared>, due: &Due, now: i64) -> Result<Fired, Error> {
        let declared = &self.declared;
        let Some(newest) = due.latest.last().copied() else { return Ok(Fired::Recorded) };
        let on_time = now.saturating_sub(newest) <= micros(LATE_MAX);
        let others = due.latest.len() as u64 - 1 + due.earlier.as_ref().map_or(0, |earlier| earlier.count);
        let reason = match declared.missed {
            Missed::RunOnce => "nobody was there to start it; a later slot makes up for it",
            Missed::Skip => "nobody was there to start it, and missed = skip",
        };
        let mut missed = missed_rows(declared, due, Some(newest), now, reason);
        let mut slot = Slot::new(&declared.name, newest, SlotStatus::Fired, now);
        if !on_time && declared.missed == Missed::Skip {
            slot.status = SlotStatus::Missed;
            slot.reason = Some(reason.to_owned());
            let firing = Firing { slot: slot.clone(), missed: std::mem::take(&mut missed), only_if_free: false };
            tracing::warn!(workflow = declared.name, missed = others + 1, "slots were missed");
            return record(shared, &firing, slot, None).await;
        }
        if !on_time {
            let late = Duration::from_micros(u64::try_from(now - newest).unwrap_or(0)).as_secs();
            slot.status = SlotStatus::MadeUp;
            slot.reason = Some(match others {
                0 => format!("started {late} s late"),
                _ => format!("started {late} s late, for {others} slots missed before it too"),
            });
        }
        if others > 0 {
            tracing::warn!(workflow = declared.name, missed = others, "slots were missed");
        }
        let firing = Firing { slot, missed, only_if_free: false };
        // To its end, even if the scheduler is stopped: a job that is stored has to be queued.
        shared.whole(fire(Arc::clone(shared), declared.clone(), firing)).await
    }

    /// Triggers by rows and bytes.
    async fn poll(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let (asked, declared) = (Arc::clone(shared), self.declared.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let pending = declared.kind.pending(&Starting::new(&asked, &declared.name));
            let failed_at = last_failure(&asked, &declared.name)?;
            Ok::<_, Error>((pending, failed_at))
        });
        let (pending, failed_at) = looked.await.map_err(|panic| invalid(format!("its kind panicked: {panic}")))??;
        let pending = pending.map_err(|error| invalid(format!("what is pending cannot be told: {error}")))?;
        let Some(Pending { rows, bytes }) = pending else {
            let kind = &self.declared.kind_name;
            return Err(invalid(format!("kind {kind} counts no rows or bytes: give the workflow another trigger")));
        };
        let reached = match self.declared.when {
            When::Rows(limit) => rows >= limit,
            When::Bytes(limit) => bytes >= limit,
            When::Cron(_) | When::Interval(_) | When::Manual => false,
        };
        let now = shared.env.now();
        // What a failed job left is still pending; without a pause it would fail once a second.
        let pause = self.declared.retry.backoff_max.unwrap_or(shared.options.backoff_max);
        let paused = failed_at.is_some_and(|at| at <= now && now.saturating_sub(at) < micros(pause));
        if !reached || paused {
            return Ok(());
        }
        let slot = Slot::new(&self.declared.name, now, SlotStatus::Fired, now);
        let firing = Firing { slot, missed: Vec::new(), only_if_free: true };
        if shared.whole(fire(Arc::clone(shared), self.declared.clone(), firing)).await? == Fired::Recorded {
            self.untrimmed += 1;
            self.trim(shared).await?;
        }
        Ok(())
    }

    /// Removes the oldest slots when there are more than are kept.
    async fn trim(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        if self.untrimmed < TRIM_BATCH {
            return Ok(());
        }
        let (snapshot, name) = (shared.engine.snapshot(), self.declared.name.clone());
        let found = tokio::task::spawn_blocking(move || {
            let mut cursor = slots(&snapshot, Some(&name))?;
            let (mut kept, mut removed) = (0, 0);
            let mut writes = Vec::new();
            while let Some(slot) = cursor.next()? {
                if kept < SLOTS_KEPT {
                    kept += 1;
                } else if removed < TRIM_BATCH {
                    removed += 1;
                    slot.remove(&mut writes);
                } else {
                    break;
                }
            }
            Ok::<_, Error>((removed, writes))
        });
        let (removed, writes) = found.await.map_err(|panic| invalid(format!("reading slots panicked: {panic}")))??;
        if removed > 0 {
            let commit = Commit { expect: Vec::new(), writes, sync: Sync::Unsynced };
            shared.engine.commit(commit).await.map_err(Error::Commit)?;
        }
        // A full batch: there may be more, to be removed at the next turn.
        self.untrimmed = if removed < TRIM_BATCH { 0 } else { TRIM_BATCH };
        Ok(())
    }
}

/// When the newest job of a workflow failed, if it did.
fn last_failure(shared: &Shared, workflow: &str) -> Result<Option<i64>, Error> {
    let snapshot = shared.engine.snapshot();
    let newest = super::list::newest_job(&snapshot, workflow)?;
    let job = newest.map(|(_, id)| query::job(&*snapshot, &id)).transpose()?.flatten();
    Ok(job.filter(|job| job.status == Status::Failed).and_then(|job| job.completed_at))
}

fn invalid(reason: String) -> Error {
    Error::Invalid { reason }
}

pub(super) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
