//! File timestamps of jobs that are not over, or have failed and may be tried again: their objects are left alone.

use crate::kinds::FILE_TIMESTAMP;
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Filter, Status, query};
use std::collections::HashSet;
use std::sync::Arc;

/// Timestamps held in memory. Far more than jobs are ever unfinished or failed at once, unless nobody cleans up.
const STAMPS_MAX: usize = 1_000_000;

/// Why the timestamps could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Runtime(#[from] ebbtide_runtime::Error),
    #[error(
        "there are more than {STAMPS_MAX} unfinished and failed jobs; let job_cleanup remove old failed ones, then sweep"
    )]
    TooMany,
}

/// The file timestamps that jobs of this snapshot may still write or attach.
pub(super) fn stamps(snapshot: &Arc<dyn Snapshot>) -> Result<HashSet<i64>, Error> {
    let statuses: Vec<Status> = Status::ACTIVE.into_iter().chain([Status::Failed]).collect();
    let mut jobs = query::jobs(snapshot, Filter::statuses(statuses))?;
    let mut stamps = HashSet::new();
    while let Some(job) = jobs.next()? {
        let stamp = job.parameters.as_ref().and_then(|parameters| parameters.get(FILE_TIMESTAMP)?.as_i64());
        stamps.extend(stamp);
        if stamps.len() > STAMPS_MAX {
            return Err(Error::TooMany);
        }
    }
    Ok(stamps)
}
