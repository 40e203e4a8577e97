//! Spaces and key layouts.
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | `jobs` | job id | row |
//! | `job_bodies` | job id, `b` `p` `r` or `f` | body, parameters, result (JSON), follow-up |
//! | `job_transitions` | job id, number u32 | transition |
//! | | job id, number u32, epoch u64 | a refused checkpoint of this epoch, after the transition of this number |
//! | `job_index` | `t` created_at, job id | |
//! | | `s` status, created_at, job id | when to run, while pending or retrying |
//! | | `n` scope, created_at, job id | |
//! | | `w` workflow, created_at, job id | |
//! | | `h` status, time of the end, job id | what its removal needs, while it is over |
//! | | `r` job id, number u32, epoch u64 | there is such a refused checkpoint |
//! | | `u` active key | job id, until a terminal status |
//! | | `i` idempotency key | job id, as long as the job is stored |
//! | `job_counters` | status | how many jobs have it |
//! | | `g` | how often a job that was over was changed or removed |
//! | | `f` | no new job is made at or below this time |
//! | `job_nodes` | node id | node |
//! | `schedule_slots` | | see `schedule/slots.rs` |
//!
//! Numbers are big endian, times with their sign bit flipped, so that byte order is their order. Bytes once given out keep
//! their meaning for ever.

use crate::job::JobId;
use crate::schedule::SLOTS;
use crate::status::Status;
use ebbtide_engine::{Cache, Space};

/// Job rows.
pub const JOBS: Space = Space { name: "jobs", cache: Cache::Jobs };
/// Bodies, parameters, results and follow-ups: what can be large.
pub const BODIES: Space = Space { name: "job_bodies", cache: Cache::Jobs };
/// Changes of state and status.
pub const TRANSITIONS: Space = Space { name: "job_transitions", cache: Cache::Jobs };
/// Orders to list jobs in, and the keys that at most one job holds.
pub const INDEX: Space = Space { name: "job_index", cache: Cache::Jobs };
/// How many jobs have each status.
pub const COUNTERS: Space = Space { name: "job_counters", cache: Cache::Jobs };
/// Who runs jobs.
pub const NODES: Space = Space { name: "job_nodes", cache: Cache::Jobs };

/// Every space of this crate; an engine has to be opened with them.
pub const SPACES: &[Space] = &[JOBS, BODIES, TRANSITIONS, INDEX, COUNTERS, NODES, SLOTS];

/// Counts every change of a job that is over, its removal too: whoever plans to remove some expects it to stand.
pub(crate) const HISTORY_CHANGES: &[u8] = b"g";
/// The time at and below which no new job is made.
pub(crate) const FLOOR: &[u8] = b"f";

/// What lies beside a job's row.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Body,
    Parameters,
    Result,
    FollowUp,
}

pub(crate) fn job(id: &JobId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub(crate) fn part(id: &JobId, part: Part) -> Vec<u8> {
    let tag = match part {
        Part::Body => b'b',
        Part::Parameters => b'p',
        Part::Result => b'r',
        Part::FollowUp => b'f',
    };
    let mut key = Vec::with_capacity(17);
    key.extend_from_slice(id.as_bytes());
    key.push(tag);
    key
}

pub(crate) fn transition(id: &JobId, seq_no: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    key.extend_from_slice(id.as_bytes());
    key.extend_from_slice(&seq_no.to_be_bytes());
    key
}

/// A refused checkpoint stands behind the change of the job that came before it, without a number of its own: it is written
/// by one who has no say over the job's row any more.
pub(crate) fn refused(id: &JobId, seq_no: u32, epoch: u64) -> Vec<u8> {
    let mut key = transition(id, seq_no);
    key.extend_from_slice(&epoch.to_be_bytes());
    key
}

/// The mark of a refused checkpoint, by which the removal of its job finds it.
pub(crate) fn refused_mark(id: &JobId, seq_no: u32, epoch: u64) -> Vec<u8> {
    [b"r", refused(id, seq_no, epoch).as_slice()].concat()
}

/// What the marks of a job's refused checkpoints begin with.
pub(crate) fn refused_marks(id: &JobId) -> Vec<u8> {
    [b"r", id.as_bytes().as_slice()].concat()
}

/// The job of such a mark, and the key of the refused checkpoint itself.
pub(crate) fn refused_parts(mark: &[u8]) -> Option<(JobId, &[u8])> {
    let record = mark.strip_prefix(b"r").filter(|record| record.len() == 28)?;
    Some((JobId::from_slice(&record[..16])?, record))
}

pub(crate) fn transition_parts(key: &[u8]) -> Option<(JobId, u32)> {
    let (id, number) = key.split_at_checked(16)?;
    let number = number.get(..4)?;
    Some((JobId::from_slice(id)?, u32::from_be_bytes(number.try_into().ok()?)))
}

/// The index that lists every job by time.
pub(crate) fn by_time() -> Vec<u8> {
    vec![b't']
}

/// The index that lists the jobs of one status by time.
pub(crate) fn by_status(status: Status) -> Vec<u8> {
    vec![b's', status.code()]
}

/// The index that lists the jobs of one scope by time.
pub(crate) fn by_scope(first: &str, second: &str) -> Vec<u8> {
    let mut key = vec![b'n'];
    put_length_prefixed(&mut key, first.as_bytes());
    put_length_prefixed(&mut key, second.as_bytes());
    key
}

/// The index that lists the jobs of one declared workflow by time.
pub(crate) fn by_workflow(workflow: &str) -> Vec<u8> {
    let mut key = vec![b'w'];
    put_length_prefixed(&mut key, workflow.as_bytes());
    key
}

/// The index that lists the jobs that are over by the time they ended.
pub(crate) fn history(status: Status) -> Vec<u8> {
    vec![b'h', status.code()]
}

/// The length goes first, so that no text can run into the next part of the key.
pub(crate) fn put_length_prefixed(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(bytes);
}

/// The place of a job in any of the time-ordered indexes.
pub(crate) fn indexed(mut prefix: Vec<u8>, created_at: i64, id: &JobId) -> Vec<u8> {
    prefix.reserve_exact(24);
    prefix.extend_from_slice(&ordered(created_at));
    prefix.extend_from_slice(id.as_bytes());
    prefix
}

/// Bytes of a time that sort as the time does.
pub(crate) fn ordered(micros: i64) -> [u8; 8] {
    (micros.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Time and id at the end of a key of a time-ordered index.
pub(crate) fn indexed_parts(key: &[u8]) -> Option<(i64, JobId)> {
    let tail = key.len().checked_sub(24).and_then(|start| key.get(start..))?;
    let (time, id) = tail.split_at(8);
    let time = (u64::from_be_bytes(time.try_into().ok()?) ^ (1 << 63)).cast_signed();
    Some((time, JobId::from_slice(id)?))
}

pub(crate) fn unique(active: &[u8]) -> Vec<u8> {
    [b"u", active].concat()
}

pub(crate) fn idempotency(text: &str) -> Vec<u8> {
    [b"i", text.as_bytes()].concat()
}

pub(crate) fn counter(status: Status) -> Vec<u8> {
    vec![status.code()]
}

#[cfg(test)]
mod tests {
    use super::{by_scope, by_time, indexed, indexed_parts, transition, transition_parts};
    use crate::job::JobId;
    use uuid::Uuid;

    #[test]
    fn keys_sort_by_time_and_read_back() {
        let id = JobId::from_uuid(Uuid::from_u128(42));
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000_000, i64::MAX];
        let keys: Vec<_> = times.iter().map(|&time| indexed(by_time(), time, &id)).collect();
        assert!(keys.is_sorted());
        for (key, time) in keys.iter().zip(times) {
            assert_eq!(indexed_parts(key), Some((time, id)));
        }
        assert_eq!(transition_parts(&transition(&id, 7)), Some((id, 7)));
    }

    #[test]
    fn scopes_do_not_run_into_each_other() {
        assert_ne!(by_scope("a", "bc"), by_scope("ab", "c"));
        assert!(!by_scope("a", "bc").starts_with(&by_scope("a", "b")));
    }
}
