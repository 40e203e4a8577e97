//! Removing jobs that ended long ago, in bounded batches that a step commits with its own checkpoint.
//!
//! [`plan`] walks the history keys of one terminal status, oldest end first, and reads no row of a job it removes. A step
//! puts the batch into its own commit with [`Batch::put`], stores [`Batch::next`] in its next state and goes on from there.

mod removal; // ranges where whole stretches go, single keys elsewhere
mod stretch; // which sorted keys have no other key between them
mod walk; // the history of one status, oldest end first

use crate::error::Error;
use crate::floor;
use crate::job::JobId;
use crate::keys::{self, COUNTERS};
use crate::status::Status;
use crate::step::Step;
use ebbtide_engine::{Expect, Snapshot, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use walk::{ORDER, Old, Walk};

/// A good number of jobs for one batch: large enough that the commit costs little beside its work, small enough that other
/// commits wait a few milliseconds at most.
pub const JOBS_MAX: usize = 8192;

/// Writes of one batch, checked after each chunk of jobs: where no ranges can be removed, a job takes a dozen.
const WRITES_MAX: usize = 8192;

/// Jobs that are planned at once, before the writes are counted again.
const CHUNK_JOBS: u64 = 1024;

/// The same after a chunk that mostly went in ranges: the larger the chunk, the fewer and longer they are.
const CHUNK_JOBS_MAX: u64 = 4096;

/// Writes for a job up to which a chunk counts as one that mostly went in ranges.
const RANGED_WRITES_MAX: u64 = 4;

/// How far below the present the floor stays.
const FLOOR_AGE_MIN: Duration = Duration::from_secs(60);

/// How long ended jobs are kept, by how they ended. Nothing given: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For jobs that came to their end.
    pub completed: Option<Duration>,
    /// For jobs that were stopped by request.
    pub cancelled: Option<Duration>,
    /// For jobs that a rule of their workflow left out.
    pub skipped: Option<Duration>,
    /// For jobs that gave up. Those may still be run again by an operator, so they usually stay longer.
    pub failed: Option<Duration>,
}

impl Retention {
    /// The same time for every terminal status.
    pub fn all(keep: Duration) -> Self {
        Self { completed: Some(keep), cancelled: Some(keep), skipped: Some(keep), failed: Some(keep) }
    }

    /// How long jobs with this terminal status are kept; none for ever, as for every status that is not terminal.
    pub fn of(&self, status: Status) -> Option<Duration> {
        match status {
            Status::Completed => self.completed,
            Status::Cancelled => self.cancelled,
            Status::Skipped => self.skipped,
            Status::Failed => self.failed,
            Status::Pending | Status::Running | Status::Retrying | Status::Paused | Status::Parked => None,
        }
    }
}

/// Where a walk over the history stands: behind this job. To be stored in the state of whoever prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The status whose history is walked.
    #[serde(with = "status_name")]
    pub status: Status,
    /// When the job ended, in microseconds since the Unix epoch.
    pub ended_at: i64,
    /// The job.
    pub job_id: JobId,
}

/// Some jobs to remove, all of one status, and what a commit needs to remove them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How many jobs it removes.
    pub jobs: u64,
    /// How they ended; none when there are none.
    pub status: Option<Status>,
    /// When the first of them ended, in microseconds since the Unix epoch.
    pub oldest: Option<i64>,
    /// What must hold: that no ended job was run again or removed by somebody else since the plan was made.
    pub expect: Vec<Expect>,
    /// What removes them, with every index key and counter.
    pub writes: Vec<Write>,
    /// Where to go on; none when nothing is left to remove.
    pub next: Option<Place>,
}

impl Batch {
    /// Has the step remove these jobs in its commit. When an expectation does not hold, the state is stepped again.
    pub fn put(&mut self, cx: &mut Step) {
        self.expect.drain(..).for_each(|expect| cx.expect(expect));
        cx.extend(self.writes.drain(..));
    }
}

/// The next jobs to remove: those that ended at or before `now` less the time that `retention` keeps their status, up to
/// `jobs_max` of them and with a bounded number of writes. `after` is where the last batch ended. Never a job that is not over.
///
/// Blocking: it reads a few hundred bytes a job, in order. From a step, call it on a blocking thread.
///
/// # Errors
///
/// When the engine cannot read, or a history record is damaged.
pub fn plan(
    snapshot: &Arc<dyn Snapshot>,
    retention: &Retention,
    now: i64,
    after: Option<&Place>,
    jobs_max: usize,
) -> Result<Batch, Error> {
    let Some(mut walk) = Walk::begin(snapshot, retention, now, after)? else {
        return Ok(Batch::default());
    };
    let changes = snapshot.get(COUNTERS, keys::HISTORY_CHANGES)?;
    let floor = floor::read(&**snapshot)?;
    let mut batch = Batch {
        status: Some(walk.status),
        expect: vec![Expect::as_read(COUNTERS, keys::HISTORY_CHANGES, changes)],
        writes: vec![Write::add(COUNTERS, keys::HISTORY_CHANGES, 1)],
        ..Batch::default()
    };
    let jobs_max = u64::try_from(jobs_max.max(1)).unwrap_or(u64::MAX);
    let (mut above_floor, mut chunk) = (false, CHUNK_JOBS);
    while batch.jobs < jobs_max && batch.writes.len() < WRITES_MAX {
        let jobs = walk.take(usize::try_from(chunk.min(jobs_max - batch.jobs)).unwrap_or(usize::MAX))?;
        let (Some(first), Some(last)) = (jobs.first(), jobs.last()) else { break };
        batch.oldest = batch.oldest.or(Some(first.ended_at));
        batch.next = Some(Place { status: walk.status, ended_at: last.ended_at, job_id: last.id });
        batch.jobs += jobs.len() as u64;
        above_floor |= jobs.iter().any(|job| floor.is_none_or(|floor| is_above(job, floor)));
        let writes = batch.writes.len();
        removal::remove(snapshot, floor, walk.status, &jobs, &mut batch.writes)?;
        let ranged = (batch.writes.len() - writes) as u64 <= jobs.len() as u64 * RANGED_WRITES_MAX;
        chunk = if ranged { CHUNK_JOBS_MAX } else { CHUNK_JOBS };
    }
    // Ranges reach no further than the floor was when this was read, so it is raised for the batches to come.
    let raised = floor_for(retention, now);
    if above_floor && floor.is_none_or(|floor| floor < raised) {
        batch.writes.push(floor::raise(raised));
    }
    Ok(batch)
}

fn is_above(job: &Old, floor: i64) -> bool {
    job.history.created_at > floor || job.id > floor::last_id(floor)
}

/// As high as jobs are old enough to go, and far enough below the present that no new job has to make way.
fn floor_for(retention: &Retention, now: i64) -> i64 {
    let keep = ORDER.into_iter().filter_map(|status| retention.of(status)).min().unwrap_or_default();
    walk::deadline(now, keep.max(FLOOR_AGE_MIN))
}

#[cfg(test)]
mod tests;

/// A status by its name, in stored places.
mod status_name {
    use crate::status::Status;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
