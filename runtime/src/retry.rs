//! How often a job is tried again, and how long it waits in between.

use crate::backoff;
use crate::row::Row;
use crate::runtime::Options;
use std::time::Duration;

/// How a job is tried again. What is absent is taken from the [`Options`] of the runtime that runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Tries of one checkpoint before the job fails.
    pub attempts_max: Option<u32>,
    /// The bound of the first wait before another try; it doubles with each further one.
    pub backoff_min: Option<Duration>,
    /// The highest bound of such a wait.
    pub backoff_max: Option<Duration>,
}

/// The wait before the next try of this job, chosen by `random`.
pub(crate) fn delay_micros(row: &Row, attempt: u32, options: &Options, random: u64) -> i64 {
    let min = row.backoff_min_micros.map_or(options.backoff_min, Duration::from_micros);
    let max = row.backoff_max_micros.map_or(options.backoff_max, Duration::from_micros);
    backoff::delay_micros(attempt, min, max.max(min), random)
}

/// A length of time as it is stored.
pub(crate) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
