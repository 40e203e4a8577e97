//! The ledger: what became of each slot.

use crate::error::Error;
use crate::job::JobId;
use ebbtide_engine::Snapshot;
use std::fmt;
use std::sync::Arc;

/// What became of one slot: a row of `system.schedule_slots`. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The declared name.
    pub workflow: String,
    /// When it was due.
    pub nominal_time: i64,
    /// What became of it.
    pub status: SlotStatus,
    /// Why, unless it was simply started.
    pub reason: Option<String>,
    /// The job it started or is to start, or the one that was in its way.
    pub job_id: Option<JobId>,
    /// When this was written.
    pub recorded_at: i64,
    /// How many slots this row stands for: more than one when many were missed, of which `nominal_time` is the last.
    pub slots: u64,
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotStatus {
    /// A job was started.
    Fired,
    /// A job is kept and starts when the active one ends.
    Queued,
    /// It was due and not started, for the reason given.
    Skipped,
    /// It was missed, and a job was started late that makes up for it and those before it.
    MadeUp,
    /// It passed while nobody could start it.
    Missed,
}

impl SlotStatus {
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
}

impl fmt::Display for SlotStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Slots, newest first. Blocking.
pub struct SlotCursor(());

impl SlotCursor {
    /// The next one.
    ///
    /// # Errors
    ///
    /// When the engine cannot read, or a stored slot cannot be read.
    pub fn next(&mut self) -> Result<Option<Slot>, Error> {
        Ok(None)
    }
}

/// The slots of one workflow, or of all, newest first.
///
/// # Errors
///
/// When the engine cannot read.
pub fn slots(snapshot: &Arc<dyn Snapshot>, workflow: Option<&str>) -> Result<SlotCursor, Error> {
    let _ = (snapshot, workflow);
    Ok(SlotCursor(()))
}
