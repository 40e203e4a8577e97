//! The ledger: one row for each slot, with what became of it.
//!
//! | key in `schedule_slots` | value |
//! | --- | --- |
//! | `s` workflow, nominal time | slot |
//! | `t` nominal time, workflow | |
//! | `a` workflow | since when it is declared as it is, see `anchor.rs` |
//!
//! Times stand in keys as everywhere in this crate, so that their byte order is their order.

use crate::error::Error;
use crate::job::JobId;
use crate::keys;
use crate::wire::{Fields, put_bytes, put_count, put_number, put_text, put_time};
use ebbtide_engine::{Cache, Cursor, Expect, KeyRange, Order, Snapshot, Space, Write};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Slots of declared workflows.
pub(crate) const SLOTS: Space = Space { name: "schedule_slots", cache: Cache::Jobs };

/// What became of one slot: a row of `system.schedule_slots`. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The declared name.
    pub workflow: String,
    /// When it was due. Of several, the last.
    pub nominal_time: i64,
    /// What became of it.
    pub status: SlotStatus,
    /// Why, unless it was simply started.
    pub reason: Option<String>,
    /// The job that it started, or the one that was in its way.
    pub job_id: Option<JobId>,
    /// When this was written.
    pub recorded_at: i64,
    /// How many slots this row stands for: more than one where many were missed.
    pub slots: u64,
    /// When the first of several was due; otherwise the nominal time.
    pub first_nominal_time: i64,
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotStatus {
    /// A job was started.
    Fired,
    /// A job is kept and starts when the active one ends. The slot is then fired, or made up for.
    Queued,
    /// It was due and not started, for the reason given.
    Skipped,
    /// A job was started late, which makes up for this slot and those missed before it.
    MadeUp,
    /// It passed while nobody could start it.
    Missed,
}

impl SlotStatus {
    const ALL: [SlotStatus; 5] =
        [SlotStatus::Fired, SlotStatus::Queued, SlotStatus::Skipped, SlotStatus::MadeUp, SlotStatus::Missed];

    /// The name as `system.schedule_slots` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            SlotStatus::Fired => "fired",
            SlotStatus::Queued => "queued",
            SlotStatus::Skipped => "skipped",
            SlotStatus::MadeUp => "made_up",
            SlotStatus::Missed => "missed",
        }
    }

    /// The stored number. Once given out, a number never changes its meaning.
    fn code(self) -> u64 {
        match self {
            SlotStatus::Fired => 1,
            SlotStatus::Queued => 2,
            SlotStatus::Skipped => 3,
            SlotStatus::MadeUp => 4,
            SlotStatus::Missed => 5,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        SlotStatus::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for SlotStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no status of a slot.
#[derive(Debug, thiserror::Error)]
#[error("unknown status {0:?} of a slot; known are fired, queued, skipped, made_up, missed")]
pub struct UnknownSlotStatus(String);

impl FromStr for SlotStatus {
    type Err = UnknownSlotStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SlotStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownSlotStatus(text.to_owned()))
    }
}

const STATUS: u64 = 1;
const REASON: u64 = 2;
const JOB_ID: u64 = 3;
const RECORDED_AT: u64 = 4;
const COUNT: u64 = 5;
const FIRST: u64 = 6;

impl Slot {
    /// A slot of its own.
    pub(crate) fn new(workflow: &str, nominal_time: i64, status: SlotStatus, recorded_at: i64) -> Self {
        Self {
            workflow: workflow.to_owned(),
            nominal_time,
            status,
            reason: None,
            job_id: None,
            recorded_at,
            slots: 1,
            first_nominal_time: nominal_time,
        }
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        slot_key(&self.workflow, self.nominal_time)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        put_number(&mut out, STATUS, self.status.code());
        put_text(&mut out, REASON, self.reason.as_deref());
        if let Some(job_id) = &self.job_id {
            put_bytes(&mut out, JOB_ID, job_id.as_bytes());
        }
        put_time(&mut out, RECORDED_AT, Some(self.recorded_at));
        if self.slots != 1 {
            put_count(&mut out, COUNT, self.slots);
            put_time(&mut out, FIRST, Some(self.first_nominal_time));
        }
        out
    }

    fn decode(workflow: String, nominal_time: i64, bytes: &[u8]) -> Result<Self, String> {
        let mut slot = Self::new(&workflow, nominal_time, SlotStatus::Missed, 0);
        let mut status = None;
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                STATUS => status = SlotStatus::from_code(value.number()?),
                REASON => slot.reason = Some(value.text()?),
                JOB_ID => slot.job_id = JobId::from_slice(&value.bytes()?),
                RECORDED_AT => slot.recorded_at = value.time()?,
                COUNT => slot.slots = value.number()?,
                FIRST => slot.first_nominal_time = value.time()?,
                _ => {}
            }
        }
        slot.status = status.ok_or("a status that this version does not know")?;
        Ok(slot)
    }

    /// The slot is not recorded yet, which is what makes it happen once. Where a clock that was ahead of the present one said
    /// that it was missed, that is expected instead.
    pub(crate) fn expect_new(&self, snapshot: &dyn Snapshot) -> Result<Expect, Error> {
        let stored = snapshot.get(SLOTS, &self.key())?;
        let premature = |bytes: &Vec<u8>| {
            let read = Self::decode(self.workflow.clone(), self.nominal_time, bytes);
            read.is_ok_and(|slot| slot.is_premature(self.recorded_at))
        };
        Ok(Expect::as_read(SLOTS, self.key(), stored.filter(premature)))
    }

    /// It was called missed by a clock that was ahead of `now`: its time has yet to come.
    pub(crate) fn is_premature(&self, now: i64) -> bool {
        self.status == SlotStatus::Missed && self.recorded_at > now
    }

    /// Adds the writes that record it.
    pub(crate) fn record(&self, writes: &mut Vec<Write>) {
        writes.push(Write::put(SLOTS, self.key(), self.encode()));
        writes.push(Write::put(SLOTS, time_key(self.nominal_time, &self.workflow), []));
    }

    /// The slot's key, and its bytes to which [`with_job`] only has to add the job: for a job whose id is not known yet.
    pub(crate) fn template(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key(), self.encode())
    }

    /// Whether a nominal time is recorded by this row.
    pub(crate) fn covers(&self, nominal_time: i64) -> bool {
        (self.first_nominal_time..=self.nominal_time).contains(&nominal_time)
    }

    /// Adds the writes that remove it.
    pub(crate) fn remove(&self, writes: &mut Vec<Write>) {
        Self::forget(&self.workflow, self.nominal_time, writes);
    }

    /// Adds the writes that remove a slot.
    pub(crate) fn forget(workflow: &str, nominal_time: i64, writes: &mut Vec<Write>) {
        writes.push(Write::delete(SLOTS, slot_key(workflow, nominal_time)));
        writes.push(Write::delete(SLOTS, time_key(nominal_time, workflow)));
    }
}

/// The write of a slot from its template, once its job has an id.
pub(crate) fn with_job(key: Vec<u8>, mut template: Vec<u8>, job_id: &JobId) -> Write {
    put_bytes(&mut template, JOB_ID, job_id.as_bytes());
    Write::put(SLOTS, key, template)
}

fn workflow_prefix(workflow: &str) -> Vec<u8> {
    let mut key = vec![b's'];
    keys::put_length_prefixed(&mut key, workflow.as_bytes());
    key
}

pub(crate) fn slot_key(workflow: &str, nominal_time: i64) -> Vec<u8> {
    let mut key = workflow_prefix(workflow);
    key.extend_from_slice(&keys::ordered(nominal_time));
    key
}

pub(crate) fn time_prefix() -> Vec<u8> {
    vec![b't']
}

/// Where the keys of slots that are due at `nominal_time` or later begin.
pub(crate) fn times_from(nominal_time: i64) -> Vec<u8> {
    let mut key = time_prefix();
    key.extend_from_slice(&keys::ordered(nominal_time));
    key
}

fn time_key(nominal_time: i64, workflow: &str) -> Vec<u8> {
    let mut key = times_from(nominal_time);
    key.extend_from_slice(workflow.as_bytes());
    key
}

pub(crate) fn time_key_parts(key: &[u8]) -> Option<(i64, String)> {
    let (time, workflow) = key.strip_prefix(b"t")?.split_at_checked(8)?;
    Some((unordered(time)?, String::from_utf8(workflow.to_vec()).ok()?))
}

fn unordered(bytes: &[u8]) -> Option<i64> {
    Some((u64::from_be_bytes(bytes.try_into().ok()?) ^ (1 << 63)).cast_signed())
}

/// Slots, newest first. Blocking.
pub struct SlotCursor {
    snapshot: Arc<dyn Snapshot>,
    cursor: Box<dyn Cursor>,
    /// When all are of this workflow.
    workflow: Option<String>,
}

impl SlotCursor {
    /// The next one.
    ///
    /// # Errors
    ///
    /// When the engine cannot read, or a stored slot cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as the engine's own cursor")]
    pub fn next(&mut self) -> Result<Option<Slot>, Error> {
        while let Some((key, value)) = self.cursor.next()? {
            let (nominal_time, workflow, value) = match &self.workflow {
                Some(workflow) => {
                    let time = key.len().checked_sub(8).and_then(|start| unordered(&key[start..]));
                    let Some(time) = time else { continue };
                    (time, workflow.clone(), value.to_vec())
                }
                None => {
                    let Some((time, workflow)) = time_key_parts(key) else { continue };
                    let Some(value) = self.snapshot.get(SLOTS, &slot_key(&workflow, time))? else { continue };
                    (time, workflow, value)
                }
            };
            let read = Slot::decode(workflow.clone(), nominal_time, &value);
            return read.map(Some).map_err(|reason| Error::Invalid {
                reason: format!("the stored slot {nominal_time} of workflow {workflow} cannot be read: {reason}"),
            });
        }
        Ok(None)
    }
}

impl fmt::Debug for SlotCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotCursor").field("workflow", &self.workflow).finish_non_exhaustive()
    }
}

/// The slots of one workflow, or of all, newest first by their nominal time.
///
/// # Errors
///
/// When the engine cannot read.
pub fn slots(snapshot: &Arc<dyn Snapshot>, workflow: Option<&str>) -> Result<SlotCursor, Error> {
    let prefix = workflow.map_or_else(time_prefix, workflow_prefix);
    let cursor = Arc::clone(snapshot).scan(SLOTS, KeyRange::prefix(&prefix), Order::Descending)?;
    Ok(SlotCursor { snapshot: Arc::clone(snapshot), cursor, workflow: workflow.map(str::to_owned) })
}

/// The newest nominal time up to `now` that is dealt with.
pub(crate) fn newest(snapshot: &Arc<dyn Snapshot>, workflow: &str, now: i64) -> Result<Option<i64>, Error> {
    let range = KeyRange::new(workflow_prefix(workflow), slot_key(workflow, now.saturating_add(1)));
    let cursor = Arc::clone(snapshot).scan(SLOTS, range, Order::Descending)?;
    let mut slots = SlotCursor { snapshot: Arc::clone(snapshot), cursor, workflow: Some(workflow.to_owned()) };
    while let Some(slot) = slots.next()? {
        if !slot.is_premature(now) {
            return Ok(Some(slot.nominal_time));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{Slot, SlotStatus, with_job};
    use crate::job::JobId;
    use ebbtide_engine::Write;
    use uuid::Uuid;

    #[test]
    fn slots_read_back_and_a_template_takes_its_job() {
        let plain = Slot::new("w", -5, SlotStatus::Fired, 7);
        let many = Slot { slots: 40, first_nominal_time: -900, reason: Some("r".to_owned()), ..plain.clone() };
        for slot in [plain.clone(), many] {
            assert_eq!(Slot::decode("w".to_owned(), -5, &slot.encode()), Ok(slot));
        }
        let id = JobId::from_uuid(Uuid::from_u128(9));
        let (key, template) = plain.template();
        let Write::Put { value, .. } = with_job(key, template, &id) else { panic!("a put") };
        assert_eq!(Slot::decode("w".to_owned(), -5, &value), Ok(Slot { job_id: Some(id), ..plain }));
        for status in SlotStatus::ALL {
            assert_eq!(status.as_str().parse::<SlotStatus>().unwrap(), status);
        }
    }
}
