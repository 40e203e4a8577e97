//! The history: one key for each job that is over, by status and by the time it ended, with all that its removal needs.
//!
//! It is kept in the same commit as the row ([`change`]), so pruning finds its jobs in order and reads no row of theirs.

use crate::job::JobId;
use crate::keys::{self, COUNTERS, INDEX};
use crate::row::Row;
use crate::status::Status;
use crate::wire::{Fields, put_bytes, put_count, put_text, put_time};
use ebbtide_engine::Write;

/// What the removal of a job has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) created_at: i64,
    pub(crate) workflow: String,
    pub(crate) scope: Option<(String, String)>,
    pub(crate) idempotency_key: Option<String>,
    /// How many transitions are recorded.
    pub(crate) transitions: u32,
    pub(crate) has_body: bool,
    pub(crate) has_parameters: bool,
    pub(crate) has_result: bool,
}

/// Where a job stands in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) at: i64,
}

impl Ended {
    /// The place of this job, if it is over.
    pub(crate) fn of(row: &Row) -> Option<Self> {
        let at = match row.status {
            Status::Cancelled => row.cancelled_at,
            Status::Completed | Status::Failed | Status::Skipped => row.completed_at,
            Status::Pending | Status::Running | Status::Retrying | Status::Paused | Status::Parked => return None,
        };
        // Nothing ends without a time; if something did, it would be as old as it can be and go first.
        Some(Self { status: row.status, at: at.unwrap_or(row.created_at) })
    }

    fn key(self, id: &JobId) -> Vec<u8> {
        keys::indexed(keys::history(self.status), self.at, id)
    }
}

/// Adds the writes that keep the history in step with a row that has changed.
pub(crate) fn change(id: &JobId, before: Option<Ended>, row: &Row, writes: &mut Vec<Write>) {
    let now = Ended::of(row);
    if let Some(before) = before {
        // A plan to remove this job was made from what it was before, and must not go through.
        writes.push(Write::add(COUNTERS, keys::HISTORY_CHANGES, 1));
        if now != Some(before) {
            writes.push(Write::delete(INDEX, before.key(id)));
        }
    }
    if let Some(now) = now {
        writes.push(Write::put(INDEX, now.key(id), History::of(row).encode()));
    }
}

impl History {
    fn of(row: &Row) -> Self {
        Self {
            created_at: row.created_at,
            workflow: row.workflow.clone(),
            scope: row.scope.clone(),
            idempotency_key: row.idempotency_key.clone(),
            transitions: row.transitions,
            // The body goes in the commit that completes a job; any other end keeps it, to be run again.
            has_body: row.status != Status::Completed,
            has_parameters: row.has_parameters,
            has_result: row.has_result,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_time(&mut out, 1, Some(self.created_at));
        put_bytes(&mut out, 2, self.workflow.as_bytes());
        if let Some((first, second)) = &self.scope {
            put_bytes(&mut out, 3, first.as_bytes());
            put_bytes(&mut out, 4, second.as_bytes());
        }
        put_text(&mut out, 5, self.idempotency_key.as_deref());
        put_count(&mut out, 6, self.transitions.into());
        put_count(&mut out, 7, self.has_body.into());
        put_count(&mut out, 8, self.has_parameters.into());
        put_count(&mut out, 9, self.has_result.into());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self {
            created_at: 0,
            workflow: String::new(),
            scope: None,
            idempotency_key: None,
            transitions: 0,
            has_body: false,
            has_parameters: false,
            has_result: false,
        };
        let (mut first, mut second) = (None, None);
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => read.created_at = value.time()?,
                2 => read.workflow = value.text()?,
                3 => first = Some(value.text()?),
                4 => second = Some(value.text()?),
                5 => read.idempotency_key = Some(value.text()?),
                6 => read.transitions = value.small()?,
                7 => read.has_body = value.number()? != 0,
                8 => read.has_parameters = value.number()? != 0,
                9 => read.has_result = value.number()? != 0,
                _ => {}
            }
        }
        read.scope = first.zip(second);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, History, change};
    use crate::job::JobId;
    use crate::keys::COUNTERS;
    use crate::row::Row;
    use crate::status::Status;
    use ebbtide_engine::Write;
    use uuid::Uuid;

    #[test]
    fn what_removal_needs_reads_back() {
        let full = History {
            created_at: -5,
            workflow: "nightly".into(),
            scope: Some(("chat".into(), String::new())),
            idempotency_key: Some("k".into()),
            transitions: 9,
            has_body: true,
            has_parameters: true,
            has_result: true,
        };
        for history in [full, History::of(&Row { status: Status::Completed, ..Row::blank() })] {
            assert_eq!(History::decode(&history.encode()).unwrap(), history);
        }
    }

    #[test]
    fn every_change_of_an_ended_job_spoils_a_plan_and_no_other_does() {
        let id = JobId::from_uuid(Uuid::from_u128(1));
        let spoils = |before: Option<Ended>, row: &Row| {
            let mut writes = Vec::new();
            change(&id, before, row, &mut writes);
            writes.iter().any(|write| matches!(write, Write::Add { space, .. } if *space == COUNTERS))
        };
        let failed = Row { status: Status::Failed, completed_at: Some(7), ..Row::blank() };
        let running = Row { status: Status::Running, ..Row::blank() };
        assert!(spoils(Ended::of(&failed), &running), "run again");
        assert!(spoils(Ended::of(&failed), &failed), "another transition of an ended job");
        assert!(!spoils(Ended::of(&running), &failed), "an end");
        assert!(!spoils(None, &running), "a new job");
    }
}
