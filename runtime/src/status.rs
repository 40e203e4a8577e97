//! What the queue thinks of a job, which is apart from where its work stands (its state).

use std::fmt;
use std::str::FromStr;

/// What the queue thinks of a job. Where the job's work stands is its state, a column of its own: a job that failed while
/// writing is `failed` in state `Writing`, visible and resumable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Waits to be claimed.
    Pending,
    /// Claimed by a runner.
    Running,
    /// Failed, and waits for `next_run_at` to be tried again.
    Retrying,
    /// Held back by an operator, with its active key, until it is resumed or cancelled.
    Paused,
    /// Its stored body cannot be loaded by this program. Tried again at the next start.
    Parked,
    /// Came to its end.
    Completed,
    /// Gave up; `error` says why, and the state is kept.
    Failed,
    /// Stopped by request.
    Cancelled,
    /// Was due but did not run, by a rule of its workflow.
    Skipped,
}

impl Status {
    /// Every status, in the order of their stored numbers.
    pub const ALL: [Status; 9] = [
        Status::Pending,
        Status::Running,
        Status::Retrying,
        Status::Paused,
        Status::Parked,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
        Status::Skipped,
    ];

    /// The statuses of jobs that still have something to do.
    pub const ACTIVE: [Status; 5] =
        [Status::Pending, Status::Running, Status::Retrying, Status::Paused, Status::Parked];

    /// The name in lower case, as `system.jobs` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Retrying => "retrying",
            Status::Paused => "paused",
            Status::Parked => "parked",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Skipped => "skipped",
        }
    }

    /// Whether the job is over. Every terminal status frees the job's active key.
    pub fn is_terminal(self) -> bool {
        match self {
            Status::Completed | Status::Failed | Status::Cancelled | Status::Skipped => true,
            Status::Pending | Status::Running | Status::Retrying | Status::Paused | Status::Parked => false,
        }
    }

    /// The number stored in rows and keys. Once given out, a number never changes its meaning.
    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Pending => 1,
            Status::Running => 2,
            Status::Retrying => 3,
            Status::Paused => 4,
            Status::Parked => 5,
            Status::Completed => 6,
            Status::Failed => 7,
            Status::Cancelled => 8,
            Status::Skipped => 9,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Status::ALL.into_iter().find(|status| u64::from(status.code()) == code)
    }

    /// The whole table of legal changes. A status that is terminal is left only by an operator's retry, for `Pending`.
    pub(crate) fn may_become(self, next: Status) -> bool {
        use Status::{Cancelled, Completed, Failed, Parked, Paused, Pending, Retrying, Running, Skipped};
        match self {
            Pending => matches!(next, Running | Parked | Paused | Cancelled | Skipped),
            Running => matches!(
                next,
                Running | Pending | Retrying | Paused | Parked | Completed | Failed | Cancelled | Skipped
            ),
            Retrying => matches!(next, Running | Parked | Paused | Cancelled),
            // Resumed, or killed.
            Paused => matches!(next, Pending | Cancelled),
            Parked => matches!(next, Running | Pending | Cancelled | Parked),
            Failed | Cancelled | Skipped => matches!(next, Pending),
            Completed => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no status.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown status {0:?}; known are pending, running, retrying, paused, parked, completed, failed, cancelled, skipped"
)]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn names_and_numbers_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse::<Status>().expect("a known name"), status);
            assert_eq!(Status::from_code(u64::from(status.code())), Some(status));
        }
    }

    #[test]
    fn nothing_follows_a_completed_job_and_only_a_retry_follows_other_ends() {
        for from in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
            for to in Status::ALL {
                let allowed = from != Status::Completed && to == Status::Pending;
                assert_eq!(from.may_become(to), allowed, "{from} -> {to}");
            }
        }
    }
}
