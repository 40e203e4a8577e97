//! How often a job is tried again, and how long it waits in between.

use std::time::Duration;

/// How a job is tried again. What is absent is taken from the [`Options`](crate::Options) of the runtime that runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Tries of one checkpoint before the job fails.
    pub attempts_max: Option<u32>,
    /// The bound of the first wait before another try; it doubles with each further one.
    pub backoff_min: Option<Duration>,
    /// The highest bound of such a wait.
    pub backoff_max: Option<Duration>,
}
