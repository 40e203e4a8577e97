//! What can go wrong for a caller.

use crate::job::JobId;
use crate::status::Status;
use ebbtide_engine::CommitError;

/// What can go wrong for a caller of the runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such job is stored.
    #[error("there is no job {id}")]
    NotFound {
        /// The id that was asked for.
        id: JobId,
    },
    /// The job is over, so it cannot be cancelled.
    #[error("job {id} is already {status}")]
    Ended {
        /// The job.
        id: JobId,
        /// How it ended.
        status: Status,
    },
    /// Only failed, cancelled, skipped and parked jobs can be run again.
    #[error("job {id} is {status}; only a failed, cancelled, skipped or parked job can be run again")]
    NotRetryable {
        /// The job.
        id: JobId,
        /// Its status.
        status: Status,
    },
    /// Only jobs that wait or run can be held back.
    #[error("job {id} is {status} and cannot be paused; only a pending, retrying or running job can")]
    NotPausable {
        /// The job.
        id: JobId,
        /// Its status.
        status: Status,
    },
    /// Only paused jobs can be resumed.
    #[error("job {id} is {status}, not paused, so there is nothing to resume; RETRY JOB runs one on that is over")]
    NotPaused {
        /// The job.
        id: JobId,
        /// Its status.
        status: Status,
    },
    /// The active key is held by another job.
    #[error("job {by} is active for the same work")]
    KeyHeld {
        /// Who holds it.
        by: JobId,
    },
    /// One of the expectations handed in with a new job did not hold; nothing was written.
    #[error("expectation {index} of the new job does not hold (space {space})")]
    Expectation {
        /// Its place in `NewJob::expect`.
        index: usize,
        /// The space of its key.
        space: &'static str,
    },
    /// What was asked for makes no sense.
    #[error("{reason}")]
    Invalid {
        /// Why not.
        reason: String,
    },
    /// Others changed the job each time this call tried to.
    #[error("job {id} kept changing while it was to be changed; try again")]
    Contended {
        /// The job.
        id: JobId,
    },
    /// No new jobs are taken.
    #[error("the runtime is shutting down and takes no new jobs")]
    ShuttingDown,
    /// The engine takes no more writes, so no job can go on.
    #[error("jobs cannot go on until a restart: {reason}")]
    Stalled {
        /// What the engine said.
        reason: String,
    },
    /// Reading failed.
    #[error("reading jobs failed: {0}")]
    Engine(#[from] ebbtide_engine::Error),
    /// Writing failed.
    #[error("writing a job failed: {0}")]
    Commit(#[source] CommitError),
    /// Stored bytes that cannot be read.
    #[error("the stored {what} of job {id} cannot be read: {reason}")]
    Corrupt {
        /// Which part of it.
        what: &'static str,
        /// The job.
        id: JobId,
        /// What is wrong with the bytes.
        reason: String,
    },
}
