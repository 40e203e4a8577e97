//! Jobs and transitions, from a snapshot: by id, newest first, by status, by scope, by workflow, in pages. Reads block.
//!
//! A listing walks one index and reads one row per job it gives out, so its cost does not grow with the number of stored
//! jobs. Several statuses are merged from their indexes. Counting is reading nine counters.

use crate::error::Error;
use crate::held::Held;
use crate::job::{Job, JobId, Transition};
use crate::keys::{self, BODIES, COUNTERS, INDEX, Part, TRANSITIONS};
use crate::record;
use crate::row::Row;
use crate::status::Status;
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot, counter};
use std::fmt;
use std::sync::Arc;

pub use crate::nodes::nodes;
pub use crate::upgrade::unloadable;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these statuses; empty for all.
    pub statuses: Vec<Status>,
    /// Only this scope (namespace and table).
    pub scope: Option<(String, String)>,
    /// Only runs of this declared workflow.
    pub workflow: Option<String>,
    /// Only this kind. It has no index of its own: to be given with another bound where the listing is long.
    pub kind: Option<String>,
    /// Only jobs created at this time or later.
    pub created_from: Option<i64>,
    /// Only jobs created before this time.
    pub created_before: Option<i64>,
    /// Only jobs that come after this one in the listing, which is how the next page is asked for: `created_at` and id of the
    /// last job of the page before.
    pub after: Option<(i64, JobId)>,
    /// Leaves parameters and result out, which saves up to two reads a job.
    pub without_payload: bool,
}

impl Filter {
    /// All jobs of these statuses.
    pub fn statuses(statuses: impl Into<Vec<Status>>) -> Self {
        Self { statuses: statuses.into(), ..Self::default() }
    }

    /// All jobs of one scope.
    pub fn scope(first: impl Into<String>, second: impl Into<String>) -> Self {
        Self { scope: Some((first.into(), second.into())), ..Self::default() }
    }

    /// All runs of one declared workflow.
    pub fn workflow(name: impl Into<String>) -> Self {
        Self { workflow: Some(name.into()), ..Self::default() }
    }

    fn accepts(&self, row: &Row) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&row.status))
            && self.scope.as_ref().is_none_or(|scope| row.scope.as_ref() == Some(scope))
            && self.workflow.as_ref().is_none_or(|workflow| row.workflow == *workflow)
            && self.kind.as_ref().is_none_or(|kind| row.job_type == *kind)
    }

    /// The shortest indexes that hold every job of this listing. Active jobs are few, so they beat a scope, and a table has
    /// fewer jobs than a workflow.
    fn indexes(&self) -> Vec<Vec<u8>> {
        let mut statuses = self.statuses.clone();
        statuses.sort_unstable();
        statuses.dedup();
        let few = !statuses.is_empty() && !statuses.iter().any(|status| status.is_terminal());
        match (&self.scope, &self.workflow) {
            (Some((first, second)), _) if !few => vec![keys::by_scope(first, second)],
            (None, Some(workflow)) if !few => vec![keys::by_workflow(workflow)],
            _ if statuses.is_empty() => vec![keys::by_time()],
            _ => statuses.into_iter().map(keys::by_status).collect(),
        }
    }

    fn range(&self, prefix: &[u8]) -> KeyRange {
        let mut range = KeyRange::prefix(prefix);
        if let Some(from) = self.created_from {
            range.from = [prefix, &keys::ordered(from)].concat();
        }
        let ends = [
            self.created_before.map(|before| [prefix, &keys::ordered(before)].concat()),
            self.after.map(|(at, id)| keys::indexed(prefix.to_vec(), at, &id)),
        ];
        for end in ends.into_iter().flatten() {
            if range.to.is_empty() || end < range.to {
                range.to = end;
            }
        }
        range
    }
}

/// The job with this id.
///
/// # Errors
///
/// When the engine cannot read, or the row is damaged.
pub fn job(snapshot: &dyn Snapshot, id: &JobId) -> Result<Option<Job>, Error> {
    Held::read(snapshot, id)?.map(|held| with_payload(snapshot, id, held.row)).transpose()
}

/// The jobs that `filter` asks for, newest first.
///
/// # Errors
///
/// When the engine cannot read.
pub fn jobs(snapshot: &Arc<dyn Snapshot>, filter: Filter) -> Result<JobCursor, Error> {
    let mut heads = Vec::new();
    for prefix in filter.indexes() {
        let range = filter.range(&prefix);
        if range.to.is_empty() || range.from < range.to {
            let cursor = Arc::clone(snapshot).scan(INDEX, range, Order::Descending)?;
            heads.extend(Head::first(cursor)?);
        }
    }
    Ok(JobCursor { snapshot: Arc::clone(snapshot), filter, heads })
}

/// The transitions of one job in their order, or of all jobs with the newest job first and its last transition first.
///
/// # Errors
///
/// When the engine cannot read.
pub fn transitions(snapshot: &Arc<dyn Snapshot>, of: Option<&JobId>) -> Result<TransitionCursor, Error> {
    let (range, order) = match of {
        Some(id) => (KeyRange::prefix(id.as_bytes()), Order::Ascending),
        None => (KeyRange::all(), Order::Descending),
    };
    Ok(TransitionCursor { cursor: Arc::clone(snapshot).scan(TRANSITIONS, range, order)? })
}

/// How many jobs have each status, from counters kept in the same commits as the rows.
///
/// # Errors
///
/// When the engine cannot read.
pub fn counts(snapshot: &dyn Snapshot) -> Result<Vec<(Status, u64)>, Error> {
    let mut counts = Vec::with_capacity(Status::ALL.len());
    for status in Status::ALL {
        let count = snapshot.get(COUNTERS, &keys::counter(status))?.map_or(0, |bytes| counter(&bytes));
        counts.push((status, u64::try_from(count).unwrap_or(0)));
    }
    Ok(counts)
}

/// A listing of jobs, newest first.
pub struct JobCursor {
    snapshot: Arc<dyn Snapshot>,
    filter: Filter,
    /// One for each index that is walked, with its next job.
    heads: Vec<Head>,
}

struct Head {
    next: (i64, JobId),
    cursor: Box<dyn Cursor>,
}

impl Head {
    fn first(mut cursor: Box<dyn Cursor>) -> Result<Option<Self>, Error> {
        Ok(read_place(&mut *cursor)?.map(|next| Self { next, cursor }))
    }
}

fn read_place(cursor: &mut dyn Cursor) -> Result<Option<(i64, JobId)>, Error> {
    while let Some((key, _)) = cursor.next()? {
        if let Some(place) = keys::indexed_parts(key) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

impl JobCursor {
    /// The next job, or none at the end.
    ///
    /// # Errors
    ///
    /// When the engine cannot read, or a row is damaged.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as the engine's own cursor")]
    pub fn next(&mut self) -> Result<Option<Job>, Error> {
        while let Some(id) = self.next_id()? {
            let Some(held) = Held::read(&*self.snapshot, &id)? else {
                continue;
            };
            if !self.filter.accepts(&held.row) {
                continue;
            }
            let job = if self.filter.without_payload {
                held.row.into_job(id, None, None)
            } else {
                with_payload(&*self.snapshot, &id, held.row)?
            };
            return Ok(Some(job));
        }
        Ok(None)
    }

    /// Up to `jobs_max` further jobs; fewer only at the end.
    ///
    /// # Errors
    ///
    /// As [`JobCursor::next`].
    pub fn page(&mut self, jobs_max: usize) -> Result<Vec<Job>, Error> {
        let mut page = Vec::with_capacity(jobs_max.min(1024));
        while page.len() < jobs_max {
            match self.next()? {
                Some(job) => page.push(job),
                None => break,
            }
        }
        Ok(page)
    }

    /// The newest of all heads. There are at most nine.
    fn next_id(&mut self) -> Result<Option<JobId>, Error> {
        let newest = self.heads.iter().enumerate().max_by_key(|(_, head)| head.next).map(|(place, _)| place);
        let Some(place) = newest else { return Ok(None) };
        let head = &mut self.heads[place];
        let (_, id) = head.next;
        match read_place(&mut *head.cursor)? {
            Some(next) => head.next = next,
            None => drop(self.heads.swap_remove(place)),
        }
        Ok(Some(id))
    }
}

impl fmt::Debug for JobCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobCursor").field("filter", &self.filter).finish_non_exhaustive()
    }
}

/// A listing of transitions.
pub struct TransitionCursor {
    cursor: Box<dyn Cursor>,
}

impl TransitionCursor {
    /// The next transition, or none at the end.
    ///
    /// # Errors
    ///
    /// When the engine cannot read, or a record is damaged.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as the engine's own cursor")]
    pub fn next(&mut self) -> Result<Option<Transition>, Error> {
        while let Some((key, value)) = self.cursor.next()? {
            let Some((id, seq_no)) = keys::transition_parts(key) else {
                continue;
            };
            return record::read_transition(id, seq_no, value).map(Some).map_err(|reason| Error::Corrupt {
                what: "transition",
                id,
                reason,
            });
        }
        Ok(None)
    }

    /// Up to `transitions_max` further transitions; fewer only at the end.
    ///
    /// # Errors
    ///
    /// As [`TransitionCursor::next`].
    pub fn page(&mut self, transitions_max: usize) -> Result<Vec<Transition>, Error> {
        let mut page = Vec::new();
        while page.len() < transitions_max {
            match self.next()? {
                Some(transition) => page.push(transition),
                None => break,
            }
        }
        Ok(page)
    }
}

impl fmt::Debug for TransitionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitionCursor").finish_non_exhaustive()
    }
}

fn with_payload(snapshot: &dyn Snapshot, id: &JobId, row: Row) -> Result<Job, Error> {
    let read = |part: Part, what: &'static str, there: bool| -> Result<Option<serde_json::Value>, Error> {
        if !there {
            return Ok(None);
        }
        let bytes = snapshot.get(BODIES, &keys::part(id, part))?;
        let parsed = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        parsed.map_err(|error| Error::Corrupt { what, id: *id, reason: error.to_string() })
    };
    let parameters = read(Part::Parameters, "parameters", row.has_parameters)?;
    let result = read(Part::Result, "result", row.has_result)?;
    Ok(row.into_job(*id, parameters, result))
}
