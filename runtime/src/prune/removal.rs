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
    let found = stored_stretches(snapshot, JOBS, &ids[..below], JobId::from_slice, |first, last| {
        vec![KeyRange::new(first.as_bytes(), KeyRange::prefix(last.as_bytes()).to)]
    })?;
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

/// The keys by which jobs are listed, which all end in the time a job was made and its id.
fn listings(
    snapshot: &Arc<dyn Snapshot>,
    floor: Option<i64>,
    status: Status,
    jobs: &[Old],
    writes: &mut Vec<Write>,
) -> Result<(), Error> {
    let mut by_time: Vec<(Place, &Old)> = jobs.iter().map(|job| ((job.history.created_at, job.id), job)).collect();
    by_time.sort_unstable_by_key(|(place, _)| *place);
    let all: Vec<Place> = by_time.iter().map(|(place, _)| *place).collect();
    // Keys of these indexes stay as they are as long as their job is stored.
    let mut groups: BTreeMap<Vec<u8>, Vec<Place>> = BTreeMap::new();
    for (place, job) in by_time {
        groups.entry(keys::by_workflow(&job.history.workflow)).or_default().push(place);
        if let Some((first, second)) = &job.history.scope {
            groups.entry(keys::by_scope(first, second)).or_default().push(place);
        }
    }
    for (prefix, places) in groups {
        listing(snapshot, floor, &prefix, &places, &[], writes)?;
    }
    listing(snapshot, floor, &keys::by_time(), &all, &[], writes)?;
    // A job that is not over may end meanwhile, and so come to lie among those of this status.
    let unfinished = Status::ACTIVE.map(keys::by_status);
    listing(snapshot, floor, &keys::by_status(status), &all, &unfinished, writes)
}

/// Time a job was made, and its id.
type Place = (i64, JobId);

/// Removes `places` (sorted) from the index of this prefix. Keys at the same places of the indexes `also` break a stretch too.
fn listing(
    snapshot: &Arc<dyn Snapshot>,
    floor: Option<i64>,
    prefix: &[u8],
    places: &[Place],
    also: &[Vec<u8>],
    writes: &mut Vec<Write>,
) -> Result<(), Error> {
    let key = |(at, id): &Place| keys::indexed(prefix.to_vec(), *at, id);
    let below = &places[..floor.map_or(0, |floor| places.partition_point(|(at, _)| *at <= floor))];
    let prefixes = [&[prefix.to_vec()], also].concat();
    let found = stored_stretches(snapshot, INDEX, below, keys::indexed_parts, |first, last| {
        let range = |prefix: &Vec<u8>| {
            let [from, to] = [first, last].map(|(at, id)| keys::indexed(prefix.clone(), *at, id));
            KeyRange::new(from, KeyRange::prefix(&to).to)
        };
        prefixes.iter().map(range).collect()
    })?;
    split(places.len(), &found, |stretch, together| match &places[stretch] {
        [first, .., last] if together => {
            let range = KeyRange::new(key(first), KeyRange::prefix(&key(last)).to);
            writes.push(Write::delete_range(INDEX, range));
        }
        places => writes.extend(places.iter().map(|place| Write::delete(INDEX, key(place)))),
    });
    Ok(())
}

/// The stretches of `wanted` (sorted) among the keys that are stored in the ranges which `ranges` gives for its first and
/// last one.
fn stored_stretches<K: Ord + Copy>(
    snapshot: &Arc<dyn Snapshot>,
    space: Space,
    wanted: &[K],
    read: impl Fn(&[u8]) -> Option<K>,
    ranges: impl FnOnce(&K, &K) -> Vec<KeyRange>,
) -> Result<Vec<Range<usize>>, Error> {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
    if wanted.len() < RANGE_KEYS_MIN {
        return Ok(Vec::new());
    }
    let next = |cursor: &mut Box<dyn Cursor>| -> Result<Option<K>, Error> {
        while let Some((key, _)) = cursor.next()? {
            if let Some(found) = read(key) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    let mut heads = Vec::new();
    for range in ranges(first, last) {
        let mut cursor = Arc::clone(snapshot).scan(space, range, Order::Ascending)?;
        if let Some(head) = next(&mut cursor)? {
            heads.push((head, cursor));
        }
    }
    stretches(wanted, STRANGERS_PER_JOB_MAX * wanted.len(), || {
        let first = heads.iter().enumerate().min_by_key(|(_, (head, _))| *head).map(|(place, _)| place);
        let Some(place) = first else { return Ok(None) };
        let (head, cursor) = &mut heads[place];
        let found = *head;
        match next(cursor)? {
            Some(following) => *head = following,
            None => drop(heads.swap_remove(place)),
        }
        Ok(Some(found))
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
