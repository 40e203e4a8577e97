//! What one change of a job writes: row, transition, index keys and counters, all in the same commit.
//!
//! Every change of a job goes through [`change`], so the indexes, the counters and the history cannot drift from the rows.

use crate::history::{self, Ended};
use crate::job::{JobId, Transition};
use crate::keys::{self, BODIES, COUNTERS, INDEX, JOBS, Part, TRANSITIONS};
use crate::row::Row;
use crate::status::Status;
use crate::wire::{Fields, put_bytes, put_count, put_number, put_text, put_time};
use ebbtide_engine::Write;

/// Where a job stood before a change.
pub(crate) struct Before {
    pub(crate) status: Status,
    pub(crate) state: String,
    pub(crate) epoch: u64,
    pub(crate) ended: Option<Ended>,
}

impl Before {
    pub(crate) fn of(row: &Row) -> Self {
        Self { status: row.status, state: row.state.clone(), epoch: row.epoch, ended: Ended::of(row) }
    }

    /// Whether the change belongs into the history: another state, another status, another claim.
    pub(crate) fn moves_to(&self, row: &Row) -> bool {
        self.status != row.status || self.epoch != row.epoch || self.state != row.state
    }
}

/// Adds the writes that make `row` the stored one; `before` is absent for a new job. Gives the row's bytes, which the next
/// change has to expect.
pub(crate) fn change(id: &JobId, before: Option<&Before>, row: &mut Row, at: i64, writes: &mut Vec<Write>) -> Vec<u8> {
    let status_before = before.map(|before| before.status);
    if let Some(from) = status_before {
        debug_assert!(
            from == row.status || from.may_become(row.status),
            "job {id}: {from} must not become {}",
            row.status
        );
    }
    if status_before != Some(row.status) {
        move_index(id, status_before, row, writes);
        if let (Some(true), Some(unique)) = (ends(status_before, row), &row.unique) {
            writes.push(Write::delete(INDEX, keys::unique(unique)));
        }
    }
    if before.is_none_or(|before| before.moves_to(row)) {
        row.transitions += 1;
        writes.push(Write::put(TRANSITIONS, keys::transition(id, row.transitions), transition(before, row, at)));
    }
    history::change(id, before.and_then(|before| before.ended), row, writes);
    let bytes = row.encode();
    writes.push(Write::put(JOBS, keys::job(id), bytes.clone()));
    bytes
}

/// Whether this change ends the job; none for a new one.
fn ends(before: Option<Status>, row: &Row) -> Option<bool> {
    before.map(|before| !before.is_terminal() && row.status.is_terminal())
}

fn move_index(id: &JobId, before: Option<Status>, row: &Row, writes: &mut Vec<Write>) {
    match before {
        Some(before) => {
            writes.push(Write::delete(INDEX, keys::indexed(keys::by_status(before), row.created_at, id)));
            writes.push(Write::add(COUNTERS, keys::counter(before), -1));
        }
        None => {
            writes.push(Write::put(INDEX, keys::indexed(keys::by_time(), row.created_at, id), []));
            writes.push(Write::put(INDEX, keys::indexed(keys::by_workflow(&row.workflow), row.created_at, id), []));
            if let Some((first, second)) = &row.scope {
                writes.push(Write::put(INDEX, keys::indexed(keys::by_scope(first, second), row.created_at, id), []));
            }
        }
    }
    // The time to run stands in the index, so that a start reads the queue without reading the rows.
    let value = row.next_run_at.map_or_else(Vec::new, |at| at.to_be_bytes().to_vec());
    writes.push(Write::put(INDEX, keys::indexed(keys::by_status(row.status), row.created_at, id), value));
    writes.push(Write::add(COUNTERS, keys::counter(row.status), 1));
}

/// Adds the write of one of the parts beside the row.
pub(crate) fn put_part(id: &JobId, part: Part, value: Vec<u8>, writes: &mut Vec<Write>) {
    writes.push(Write::put(BODIES, keys::part(id, part), value));
}

/// Adds the removal of one of the parts beside the row.
pub(crate) fn delete_part(id: &JobId, part: Part, writes: &mut Vec<Write>) {
    writes.push(Write::delete(BODIES, keys::part(id, part)));
}

fn transition(before: Option<&Before>, row: &Row, at: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    put_text(&mut out, 1, before.map(|before| before.state.as_str()));
    put_bytes(&mut out, 2, row.state.as_bytes());
    put_number(&mut out, 3, row.status.code().into());
    put_count(&mut out, 4, row.epoch);
    put_count(&mut out, 5, row.attempt.into());
    put_time(&mut out, 6, Some(at));
    // An error that a later try left behind is no part of a change that went well.
    if matches!(row.status, Status::Retrying | Status::Failed | Status::Parked) {
        put_text(&mut out, 7, row.error.as_deref());
    }
    out
}

/// The writes that record a checkpoint which was refused to a claim that did not hold any more. The job itself does not change.
pub(crate) fn refuse(id: &JobId, row: &Row, epoch: u64, text: &str, at: i64) -> Vec<Write> {
    let mut out = Vec::with_capacity(128);
    put_text(&mut out, 1, Some(&row.state));
    put_bytes(&mut out, 2, row.state.as_bytes());
    put_number(&mut out, 3, row.status.code().into());
    put_count(&mut out, 4, epoch);
    put_count(&mut out, 5, row.attempt.into());
    put_time(&mut out, 6, Some(at));
    put_text(&mut out, 7, Some(text));
    vec![
        Write::put(TRANSITIONS, keys::refused(id, row.transitions, epoch), out),
        Write::put(INDEX, keys::refused_mark(id, row.transitions, epoch), []),
        // The job may be over, and a plan to remove it knows nothing of this record.
        Write::add(COUNTERS, keys::HISTORY_CHANGES, 1),
    ]
}

/// Reads a transition back.
pub(crate) fn read_transition(job_id: JobId, seq_no: u32, bytes: &[u8]) -> Result<Transition, String> {
    let mut read = Transition {
        job_id,
        seq_no,
        from_state: None,
        to_state: String::new(),
        status: Status::Pending,
        epoch: 0,
        attempt: 0,
        at: 0,
        error: None,
    };
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => read.from_state = Some(value.text()?),
            2 => read.to_state = value.text()?,
            3 => read.status = Status::from_code(value.number()?).ok_or("a status that this version does not know")?,
            4 => read.epoch = value.number()?,
            5 => read.attempt = value.small()?,
            6 => read.at = value.time()?,
            7 => read.error = Some(value.text()?),
            _ => {}
        }
    }
    Ok(read)
}
