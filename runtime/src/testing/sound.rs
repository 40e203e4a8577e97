//! Whether everything kept beside the rows says what the rows say. Counted anew here, by no code that keeps it.

use crate::job::JobId;
use crate::keys::{self, BODIES, COUNTERS, INDEX, JOBS, TRANSITIONS};
use crate::row::Row;
use crate::status::Status;
use ebbtide_engine::{KeyRange, Order, Snapshot, Space, counter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What does not fit in this snapshot, in words; nothing when all does. Reads everything: for tests.
pub(super) fn unsound(snapshot: &Arc<dyn Snapshot>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rows = BTreeMap::new();
    for (key, value) in read(snapshot, JOBS) {
        match (JobId::from_slice(&key), Row::decode(&value)) {
            (Some(id), Ok(row)) => drop(rows.insert(id, row)),
            _ => wrong.push(format!("a row that cannot be read: {key:?}")),
        }
    }
    counters(snapshot, &rows, &mut wrong);
    index(snapshot, &rows, &mut wrong);
    transitions(snapshot, &rows, &mut wrong);
    for (key, _) in read(snapshot, BODIES) {
        match key.split_at_checked(16).and_then(|(id, part)| Some((rows.get(&JobId::from_slice(id)?)?, part))) {
            None => wrong.push(format!("a body of no job: {key:?}")),
            Some((row, b"b")) if row.status == Status::Completed => wrong.push("a completed job has a body".to_owned()),
            Some(_) => {}
        }
    }
    wrong
}

fn counters(snapshot: &Arc<dyn Snapshot>, rows: &BTreeMap<JobId, Row>, wrong: &mut Vec<String>) {
    let stored: BTreeMap<Vec<u8>, Vec<u8>> = read(snapshot, COUNTERS).into_iter().collect();
    for status in Status::ALL {
        let counted = rows.values().filter(|row| row.status == status).count();
        let kept = stored.get(&keys::counter(status)).map_or(0, |value| counter(value));
        if usize::try_from(kept).ok() != Some(counted) {
            wrong.push(format!("the counter of {status} says {kept}, there are {counted}"));
        }
    }
}

fn index(snapshot: &Arc<dyn Snapshot>, rows: &BTreeMap<JobId, Row>, wrong: &mut Vec<String>) {
    let stored: BTreeSet<Vec<u8>> = read(snapshot, INDEX).into_iter().map(|(key, _)| key).collect();
    let records = read(snapshot, TRANSITIONS).into_iter().map(|(key, _)| key);
    let mut expected: BTreeSet<Vec<u8>> =
        records.filter(|key| key.len() == 28).map(|key| [b"r", key.as_slice()].concat()).collect();
    for (id, row) in rows {
        expected.insert(keys::indexed(keys::by_time(), row.created_at, id));
        expected.insert(keys::indexed(keys::by_status(row.status), row.created_at, id));
        expected.insert(keys::indexed(keys::by_workflow(&row.workflow), row.created_at, id));
        if let Some((first, second)) = &row.scope {
            expected.insert(keys::indexed(keys::by_scope(first, second), row.created_at, id));
        }
        if let Some(text) = &row.idempotency_key {
            expected.insert(keys::idempotency(text));
        }
        let ended = if row.status == Status::Cancelled { row.cancelled_at } else { row.completed_at };
        match (&row.unique, row.status.is_terminal(), ended) {
            (_, true, Some(at)) => drop(expected.insert(keys::indexed(keys::history(row.status), at, id))),
            (_, true, None) => wrong.push(format!("{id} is {} at no time", row.status)),
            (Some(unique), false, _) => drop(expected.insert(keys::unique(unique))),
            (None, false, _) => {}
        }
    }
    let say = |key: &Vec<u8>| key.escape_ascii().to_string();
    wrong.extend(stored.difference(&expected).map(|key| format!("an index key of no job: {}", say(key))));
    wrong.extend(expected.difference(&stored).map(|key| format!("an index key is missing: {}", say(key))));
}

fn transitions(snapshot: &Arc<dyn Snapshot>, rows: &BTreeMap<JobId, Row>, wrong: &mut Vec<String>) {
    let mut counted: BTreeMap<JobId, u32> = BTreeMap::new();
    for (key, _) in read(snapshot, TRANSITIONS) {
        let Some((id, number)) = keys::transition_parts(&key) else {
            wrong.push(format!("a transition that cannot be read: {key:?}"));
            continue;
        };
        if key.len() == 28 {
            // A refused checkpoint stands behind the change it came after.
            if !rows.contains_key(&id) || counted.get(&id) != Some(&number) {
                wrong.push(format!("a refused checkpoint of {id} is out of place"));
            }
            continue;
        }
        let count = counted.entry(id).or_default();
        *count += 1;
        if number != *count || !rows.contains_key(&id) {
            wrong.push(format!("transition {number} of {id} is out of place"));
        }
    }
    for (id, row) in rows {
        if counted.get(id) != Some(&row.transitions) {
            wrong.push(format!("{id} says {} transitions, there are {:?}", row.transitions, counted.get(id)));
        }
    }
}

fn read(snapshot: &Arc<dyn Snapshot>, space: Space) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor =
        Arc::clone(snapshot).scan(space, KeyRange::all(), Order::Ascending).expect("the engine can be read");
    let mut all = Vec::new();
    while let Some((key, value)) = cursor.next().expect("the engine can be read") {
        all.push((key.to_vec(), value.to_vec()));
    }
    all
}
