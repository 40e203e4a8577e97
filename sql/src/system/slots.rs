//! `system.schedule_slots`: what became of each time at which a workflow was due.

use super::columns::{Column, Value};
use super::jobs::unreadable;
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_runtime::schedule::{Slot, slots};
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("workflow", Text, "The declared name."),
    Column::new("nominal_time", TimestampTz, "When it was due."),
    Column::new(
        "status",
        Text,
        "What became of it: fired; queued, behind an active run; skipped, for the reason given; missed, while nobody could start it; made_up, started late for itself and the missed ones before it.",
    ),
    Column::nullable("reason", Text, "Why, unless it was simply started."),
    Column::nullable("job_id", Text, "The job it started or is to start, or the one that was in its way."),
    Column::new(
        "slots",
        BigInt,
        "How many slots the row stands for; more than one when many were missed, of which this is the last.",
    ),
    Column::new("recorded_at", TimestampTz, "When this was written."),
];

/// `system.schedule_slots`
#[derive(Debug)]
pub(super) struct Slots;

impl System for Slots {
    fn name(&self) -> &'static str {
        "system.schedule_slots"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["workflow", "status"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let mut cursor = slots(&look.snapshot, wanted.get("workflow")).map_err(unreadable)?;
        while let Some(slot) = cursor.next().map_err(unreadable)? {
            let matches =
                wanted.allows("workflow", Some(&slot.workflow)) && wanted.allows("status", Some(slot.status.as_str()));
            if matches && !row(&slot, out)? {
                break;
            }
        }
        Ok(())
    }
}

fn row(slot: &Slot, out: &mut Out<'_>) -> Result<bool> {
    let job = slot.job_id.map(|id| id.to_string());
    out.row(&[
        slot.workflow.as_str().into(),
        Value::Time(slot.nominal_time),
        slot.status.as_str().into(),
        slot.reason.as_deref().into(),
        job.as_deref().into(),
        slot.slots.into(),
        Value::Time(slot.recorded_at),
    ])
}
