//! `system.job_transitions`: every change of a job's state or status.

use super::columns::{Column, Value};
use super::jobs::{job_ids, unreadable};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_runtime::{JobId, Transition, query};
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
    fn name(&self) -> &'static str {
        "system.job_transitions"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["job_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let mut give = |of: Option<&JobId>| -> Result<bool> {
            let mut transitions = query::transitions(&look.snapshot, of).map_err(unreadable)?;
            while let Some(change) = transitions.next().map_err(unreadable)? {
                if !row(&change, out)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match wanted.texts("job_id") {
            None => give(None).map(drop),
            Some(ids) => {
                for id in job_ids(ids) {
                    if !give(Some(&id))? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

fn row(change: &Transition, out: &mut Out<'_>) -> Result<bool> {
    out.row(&[
        Value::Text(&change.job_id.to_string()),
        change.seq_no.into(),
        change.from_state.as_deref().into(),
        change.to_state.as_str().into(),
        change.status.as_str().into(),
        change.epoch.into(),
        change.attempt.into(),
        Value::Time(change.at),
        change.error.as_deref().into(),
    ])
}
