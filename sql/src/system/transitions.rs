//! `system.job_transitions`: every change of a job's state or status.

use super::columns::{Column, Value};
use super::jobs::unreadable;
use super::{Out, System, Wanted};
use crate::error::Result;
use crate::scan::Moment;
use ebbtide_runtime::{JobId, query};
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("job_id", Text, "Whose change."),
    Column::new("seq_no", BigInt, "Its place among the changes of this job, from 1."),
    Column::nullable("from_state", Text, "The state before; NULL for the submission."),
    Column::new("to_state", Text, "The state after; the same as before when only the status changed."),
    Column::new("status", Text, "The status after."),
    Column::new("epoch", BigInt, "The claim that made the change."),
    Column::new("attempt", BigInt, "The attempt that made the change."),
    Column::new("at", TimestampTz, "When."),
    Column::nullable("error", Text, "What went wrong, if something did."),
];

/// `system.job_transitions`
#[derive(Debug)]
pub(super) struct Transitions;

impl System for Transitions {
    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["job_id"]
    }

    fn rows(&self, moment: &Moment, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let of = match wanted.get("job_id") {
            None => None,
            Some(id) => match id.parse::<JobId>().ok().filter(|found| found.to_string() == id) {
                Some(id) => Some(id),
                None => return Ok(()),
            },
        };
        let mut transitions = query::transitions(&moment.snapshot, of.as_ref()).map_err(unreadable)?;
        while let Some(change) = transitions.next().map_err(unreadable)? {
            let more = out.row(&[
                Value::Text(&change.job_id.to_string()),
                change.seq_no.into(),
                change.from_state.as_deref().into(),
                change.to_state.as_str().into(),
                change.status.as_str().into(),
                change.epoch.into(),
                change.attempt.into(),
                Value::Time(change.at),
                change.error.as_deref().into(),
            ])?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}
