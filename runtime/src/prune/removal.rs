//! What removes some jobs: ranges where whole stretches of keys go, single keys elsewhere.
//!
//! A range is safe only where nobody else has a key and nobody can get one. Jobs that are stored are seen by walking the keys
//! themselves, by id and by time; new ones are made above the floor, and ranges end at it.

use super::stretch::stretches;
use super::walk::Old;
use crate::error::Error;
use crate::floor;
use crate::job::JobId;
use crate::keys::{self, BODIES, COUNTERS, INDEX, JOBS, Part, TRANSITIONS};
use crate::status::Status;
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot, Space, Write};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Keys that make a range worth it: fewer are removed one by one, so that readers meet few ranges.
const RANGE_KEYS_MIN: usize = 32;

/// Transitions of one job that are still removed one by one.
const TRANSITIONS_SINGLE_MAX: u32 = 256;

/// Keys of jobs that stay, looked at in vain beside each one that goes.
const STRANGERS_PER_JOB_MAX: usize = 4;

/// Adds the writes that remove `jobs`, which are all of one status.
pub(super) fn remove(
    snapshot: &Arc<dyn Snapshot>,
    floor: Option<i64>,
    status: Status,
    jobs: &[Old],
    writes: &mut Vec<Write>,
) -> Result<(), Error> {
    records(snapshot, floor, jobs, writes)?;
    listings(snapshot, floor, status, jobs, writes)?;
    for job in jobs {
        // Nobody keeps others from ending at such a time, so these go one by one.
        writes.push(Write::delete(INDEX, keys::indexed(keys::history(status), job.ended_at, &job.id)));
        if let Some(text) = &job.history.idempotency_key {
            writes.push(Write::delete(INDEX, keys::idempotency(text)));
        }
    }
    let count = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
    writes.push(Write::add(COUNTERS, keys::counter(status), -count));
    Ok(())
}

/// Rows, bodies and transitions, which all lie by job id.
fn records(
    snapshot: &Arc<dyn Snapshot>,
    floor: Option<i64>,
    jobs: &[Old],
    writes: &mut Vec<Write>,
) -> Result<(), Error> {
    let mut by_id: Vec<&Old> = jobs.iter().collect();
    by_id.sort_unstable_by_key(|job| job.id);
    let ids: Vec<JobId> = by_id.iter().map(|job| job.id).collect();
    let below = floor.map_or(0, |floor| ids.partition_point(|id| *id <= floor::last_id(floor)));
    let found = stored_stretches(snapshot, JOBS, &ids[..below], keys::job, JobId::from_slice)?;
    refused(snapshot, &ids, writes)?;
    split(by_id.len(), &found, |stretch, together| {
        let jobs = &by_id[stretch];
        let (Some(first), Some(last)) = (jobs.first(), jobs.last()) else { return };
        if together {
            let range = KeyRange::new(first.id.as_bytes(), KeyRange::prefix(last.id.as_bytes()).to);
            writes.extend([JOBS, BODIES, TRANSITIONS].map(|space| Write::delete_range(space, range.clone())));
        } else {
            jobs.iter().for_each(|job| record(job, writes));
        }
    });
    Ok(())
}

/// Refused checkpoints, which are few and stand in no job's row. `ids` are sorted.
fn refused(snapshot: &Arc<dyn Snapshot>, ids: &[JobId], writes: &mut Vec<Write>) -> Result<(), Error> {
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
    let range = KeyRange::new(keys::refused_marks(first), KeyRange::prefix(&keys::refused_marks(last)).to);
    let mut marks = Arc::clone(snapshot).scan(INDEX, range, Order::Ascending)?;
    while let Some((mark, _)) = marks.next()? {
        if let Some((id, record)) = keys::refused_parts(mark)
            && ids.binary_search(&id).is_ok()
        {
            writes.push(Write::delete(TRANSITIONS, record));
            writes.push(Write::delete(INDEX, mark));
        }
    }
    Ok(())
}

fn record(job: &Old, writes: &mut Vec<Write>) {
    let Old { id, history, .. } = job;
    writes.push(Write::delete(JOBS, keys::job(id)));
    let parts = [
        (Part::Body, history.has_body),
        (Part::Parameters, history.has_parameters),
        (Part::Result, history.has_result),
    ];
    for (part, _) in parts.into_iter().filter(|(_, there)| *there) {
        writes.push(Write::delete(BODIES, keys::part(id, part)));
    }
    if history.transitions > TRANSITIONS_SINGLE_MAX {
        writes.push(Write::delete_range(TRANSITIONS, KeyRange::prefix(id.as_bytes())));
    } else {
        writes.extend((1..=history.transitions).map(|number| Write::delete(TRANSITIONS, keys::transition(id, number))));
    }
}

/// The keys by which jobs are listed, which all end in the time a job was made and its id. Where one of these indexes has no
/// other job in between, none of them has.
fn listings(
    snapshot: &Arc<dyn Snapshot>,
    floor: Option<i64>,
    status: Status,
    jobs: &[Old],
    writes: &mut Vec<Write>,
) -> Result<(), Error> {
    let mut by_time: Vec<&Old> = jobs.iter().collect();
    by_time.sort_unstable_by_key(|job| (job.history.created_at, job.id));
    let places: Vec<(i64, JobId)> = by_time.iter().map(|job| (job.history.created_at, job.id)).collect();
    let below = floor.map_or(0, |floor| places.partition_point(|(at, _)| *at <= floor));
    let key = |(at, id): &(i64, JobId)| keys::indexed(keys::by_time(), *at, id);
    let found = stored_stretches(snapshot, INDEX, &places[..below], key, keys::indexed_parts)?;
    split(by_time.len(), &found, |stretch, together| {
        let jobs = &by_time[stretch];
        let mut groups: BTreeMap<Vec<u8>, Vec<&Old>> = BTreeMap::new();
        groups.insert(keys::by_time(), jobs.to_vec());
        groups.insert(keys::by_status(status), jobs.to_vec());
        for job in jobs {
            groups.entry(keys::by_workflow(&job.history.workflow)).or_default().push(job);
            if let Some((first, second)) = &job.history.scope {
                groups.entry(keys::by_scope(first, second)).or_default().push(job);
            }
        }
        for (prefix, jobs) in groups {
            let key = |job: &Old| keys::indexed(prefix.clone(), job.history.created_at, &job.id);
            match jobs.as_slice() {
                [first, .., last] if together && jobs.len() >= RANGE_KEYS_MIN => {
                    let range = KeyRange::new(key(first), KeyRange::prefix(&key(last)).to);
                    writes.push(Write::delete_range(INDEX, range));
                }
                _ => writes.extend(jobs.into_iter().map(|job| Write::delete(INDEX, key(job)))),
            }
        }
    });
    Ok(())
}

/// The stretches of `wanted` among the keys that are stored.
fn stored_stretches<K: Ord>(
    snapshot: &Arc<dyn Snapshot>,
    space: Space,
    wanted: &[K],
    key: impl Fn(&K) -> Vec<u8>,
    read: impl Fn(&[u8]) -> Option<K>,
) -> Result<Vec<Range<usize>>, Error> {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
    if wanted.len() < RANGE_KEYS_MIN {
        return Ok(Vec::new());
    }
    let range = KeyRange::new(key(first), KeyRange::prefix(&key(last)).to);
    let mut cursor: Box<dyn Cursor> = Arc::clone(snapshot).scan(space, range, Order::Ascending)?;
    stretches(wanted, STRANGERS_PER_JOB_MAX * wanted.len(), || {
        while let Some((key, _)) = cursor.next()? {
            if let Some(found) = read(key) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    })
}

/// Calls `each` for all of `0..len` in pieces: each long stretch as a whole, and what lies between as single keys.
fn split(len: usize, stretches: &[Range<usize>], mut each: impl FnMut(Range<usize>, bool)) {
    let mut done = 0;
    for stretch in stretches.iter().filter(|stretch| stretch.len() >= RANGE_KEYS_MIN) {
        if done < stretch.start {
            each(done..stretch.start, false);
        }
        each(stretch.clone(), true);
        done = stretch.end;
    }
    if done < len {
        each(done..len, false);
    }
}
