//! `system.schedule_slots`: what became of each time at which a workflow was due.

use super::columns::{Column, Value};
use super::jobs::unreadable;
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_runtime::schedule::{Slot, slots};
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("workflow", Text, "The declared name."),
    Column::new("nominal_time", TimestampTz, "When it was due; of several, the last."),
    Column::new(
        "status",
        Text,
        "What became of it: fired; queued, behind an active run; skipped, for the reason given; missed, while nobody could start it; made_up, started late for itself and the missed ones before it.",
    ),
    Column::nullable("reason", Text, "Why, unless it was simply started."),
    Column::nullable("job_id", Text, "The job that it started, or the one that was in its way."),
    Column::new("slots", BigInt, "How many slots the row stands for: more than one where many were missed."),
    Column::new("first_nominal_time", TimestampTz, "When the first of several was due; otherwise the nominal time."),
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

    fn newest_first(&self) -> Option<&'static str> {
        Some("nominal_time")
    }

    fn then_by(&self) -> Option<&'static str> {
        Some("workflow")
    }

    fn keys(&self) -> &'static [&'static str] {
        &["workflow", "status"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let mut cursor = slots(&look.snapshot, wanted.get("workflow")).map_err(unreadable)?;
        while let Some(slot) = cursor.next().map_err(unreadable)? {
            if wanted.span.from.is_some_and(|from| slot.nominal_time < from) {
                // All that follow are older still.
                break;
            }
            let matches = wanted.span.holds(slot.nominal_time)
                && wanted.allows("workflow", Some(&slot.workflow))
                && wanted.allows("status", Some(slot.status.as_str()));
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
        Value::Time(slot.first_nominal_time),
        Value::Time(slot.recorded_at),
    ])
}
