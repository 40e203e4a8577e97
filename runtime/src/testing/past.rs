//! Jobs that are over, put straight into an engine: for tests and benches that need more of them than they want to run.

use crate::job::{JobId, Trigger};
use crate::keys::{INDEX, Part};
use crate::record::{self, Before};
use crate::row::Row;
use crate::status::Status;
use ebbtide_engine::{Space, Write};
use std::collections::BTreeMap;

/// A job that is over, as a runtime would have left it: submitted, claimed once, and ended.
#[derive(Clone, Debug)]
pub struct Past {
    /// The declared name of its workflow.
    pub workflow: String,
    /// Its kind.
    pub kind: String,
    /// Namespace and table.
    pub scope: Option<(String, String)>,
    /// How it ended; has to be terminal.
    pub status: Status,
    /// When it was submitted, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// At most one stored job has this key.
    pub idempotency_key: Option<String>,
}

impl Past {
    /// What stores it under this id, which must be a new one: row, body, parameters, result, transitions, index keys and
    /// counters. A sum of such writes may go into one commit.
    ///
    /// # Panics
    ///
    /// When the status is not terminal.
    pub fn writes(&self, id: &JobId) -> Vec<Write> {
        assert!(self.status.is_terminal(), "a job of the past is over, not {}", self.status);
        let mut writes = Vec::new();
        let mut row = Row {
            workflow: self.workflow.clone(),
            job_type: self.kind.clone(),
            scope: self.scope.clone(),
            status: Status::Pending,
            state: "First".to_owned(),
            attempts_max: 5,
            idempotency_key: self.idempotency_key.clone(),
            trigger: Trigger::Interval,
            created_at: self.created_at,
            updated_at: self.created_at,
            next_run_at: Some(self.created_at),
            body_version: 1,
            has_parameters: true,
            ..Row::blank()
        };
        record::put_part(id, Part::Parameters, br#"{"table":"chat.messages","rows_min":1000}"#.to_vec(), &mut writes);
        if let Some(text) = &self.idempotency_key {
            writes.push(Write::put(INDEX, crate::keys::idempotency(text), *id.as_bytes()));
        }
        record::change(id, None, &mut row, self.created_at, &mut writes);

        let before = Before::of(&row);
        row.status = Status::Running;
        row.attempt = 1;
        row.epoch = 1;
        row.node_id = Some("local".to_owned());
        row.started_at = Some(self.created_at);
        row.next_run_at = None;
        record::change(id, Some(&before), &mut row, self.created_at, &mut writes);

        let before = Before::of(&row);
        row.status = self.status;
        row.updated_at = self.ended_at;
        match self.status {
            Status::Cancelled => row.cancelled_at = Some(self.ended_at),
            _ => row.completed_at = Some(self.ended_at),
        }
        match self.status {
            Status::Completed => {
                row.state = "Done".to_owned();
                row.has_result = true;
                record::put_part(id, Part::Result, br#"{"rows":1000,"files":1,"bytes":65536}"#.to_vec(), &mut writes);
            }
            _ => record::put_part(id, Part::Body, br#"{"kind":"past","state":"First"}"#.to_vec(), &mut writes),
        }
        if self.status == Status::Failed {
            row.error = Some("the storage did not answer".to_owned());
        }
        record::change(id, Some(&before), &mut row, self.ended_at, &mut writes);
        last_of_each(writes)
    }
}

/// The same in fewer writes: of each key only what is left in the end.
fn last_of_each(writes: Vec<Write>) -> Vec<Write> {
    let mut last: BTreeMap<(&'static str, Vec<u8>), Write> = BTreeMap::new();
    let mut sums: BTreeMap<Vec<u8>, (Space, i64)> = BTreeMap::new();
    for write in writes {
        match write {
            Write::Put { space, ref key, .. } => {
                last.insert((space.name, key.clone()), write);
            }
            Write::Delete { space, key } => {
                last.remove(&(space.name, key));
            }
            Write::Add { space, key, delta } => sums.entry(key).or_insert((space, 0)).1 += delta,
            other => unreachable!("a change of a job is made of puts, deletes and sums, not {other:?}"),
        }
    }
    let sums = sums.into_iter().filter(|(_, (_, sum))| *sum != 0);
    last.into_values().chain(sums.map(|(key, (space, sum))| Write::add(space, key, sum))).collect()
}
