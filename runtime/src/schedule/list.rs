//! How each declared workflow went, and when it runs next.

use super::anchor;
use super::declared::{Declared, When};
use super::due::next_slot;
use crate::error::Error;
use crate::job::JobId;
use crate::keys::{self, INDEX};
use crate::query;
use crate::runner::Shared;
use crate::status::Status;
use ebbtide_engine::{KeyRange, Order, Snapshot};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A declared workflow, with how it went and when it runs next. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug)]
pub struct Listed {
    /// As it was declared.
    pub declared: Declared,
    /// When its newest job was made.
    pub last_run: Option<i64>,
    /// That job.
    pub last_job: Option<JobId>,
    /// The status of that job.
    pub last_status: Option<Status>,
    /// The next slot.
    pub next_run: Option<i64>,
    /// Why there is no next slot, or what keeps the workflow from starting.
    pub why_not: Option<String>,
}

/// The newest job of a workflow, with the time it was made.
pub(super) fn newest_job(snapshot: &Arc<dyn Snapshot>, workflow: &str) -> Result<Option<(i64, JobId)>, Error> {
    let range = KeyRange::prefix(&keys::by_workflow(workflow));
    let mut cursor = Arc::clone(snapshot).scan(INDEX, range, Order::Descending)?;
    Ok(cursor.next()?.and_then(|(key, _)| keys::indexed_parts(key)))
}

/// Blocking.
pub(super) fn listed(shared: &Shared, declared: &Declared, trouble: Option<String>) -> Result<Listed, Error> {
    let snapshot = shared.engine.snapshot();
    let newest = newest_job(&snapshot, &declared.name)?;
    let job = newest.map(|(_, id)| query::job(&*snapshot, &id)).transpose()?.flatten();
    let now = shared.env.now();
    let since = anchor::since(&*snapshot, declared)?.unwrap_or(now);
    let next_run = if declared.enabled { next_slot(&declared.when, since, now) } else { None };
    Ok(Listed {
        last_run: newest.map(|(at, _)| at),
        last_job: newest.map(|(_, id)| id),
        last_status: job.map(|job| job.status),
        next_run,
        why_not: why_not(shared, declared, trouble),
        declared: declared.clone(),
    })
}

fn why_not(shared: &Shared, declared: &Declared, trouble: Option<String>) -> Option<String> {
    if !declared.enabled {
        return Some("it is disabled: enabled = false".to_owned());
    }
    if trouble.is_some() {
        return trouble;
    }
    if shared.stopping.load(Ordering::Acquire) {
        return Some("the program is shutting down".to_owned());
    }
    match &declared.when {
        When::Manual => Some("it runs when asked to: RUN WORKFLOW".to_owned()),
        When::Rows(rows) => Some(format!("it runs as soon as {rows} rows wait")),
        When::Bytes(bytes) => Some(format!("it runs as soon as {bytes} bytes wait")),
        When::Cron(_) | When::Interval(_) => None,
    }
}
