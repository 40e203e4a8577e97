//! What this crate measures, through the `metrics` facade: names, labels and units in one place.
//!
//! A program that wants the numbers installs a recorder and calls [`describe`] once; without one they cost next to nothing.

use crate::error::Error;
use crate::query;
use crate::status::Status;
use ebbtide_engine::Snapshot;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::time::Duration;

/// Jobs that are stored, by `status`. Set by [`record_jobs`].
pub const JOBS: &str = "ebbtide_jobs";
/// Seconds that the commit of a change of state or status took.
pub const TRANSITION_SECONDS: &str = "ebbtide_job_transition_seconds";
/// Seconds from the moment a job was due until it was claimed, by `kind`.
pub const QUEUE_DELAY_SECONDS: &str = "ebbtide_job_queue_delay_seconds";
/// Jobs that ended, by `kind` and `status`.
pub const JOBS_ENDED_TOTAL: &str = "ebbtide_jobs_ended_total";
/// Checkpoints that were refused to claims which did not hold any more.
pub const JOBS_FENCED_TOTAL: &str = "ebbtide_jobs_fenced_total";

/// Tells the recorder what each number is.
pub fn describe() {
    describe_gauge!(JOBS, Unit::Count, "Jobs that are stored, by status.");
    describe_histogram!(TRANSITION_SECONDS, Unit::Seconds, "How long the commit of a change of state or status took.");
    describe_histogram!(
        QUEUE_DELAY_SECONDS,
        Unit::Seconds,
        "From the moment a job was due until it was claimed, by kind."
    );
    describe_counter!(JOBS_ENDED_TOTAL, Unit::Count, "Jobs that ended, by kind and status.");
    describe_counter!(
        JOBS_FENCED_TOTAL,
        Unit::Count,
        "Checkpoints that were refused to claims that did not hold any more."
    );
}

/// Sets the gauge of jobs by status from the counters that are stored with them. To be called before the numbers are read.
///
/// # Errors
///
/// When the engine cannot read.
pub fn record_jobs(snapshot: &dyn Snapshot) -> Result<(), Error> {
    for (status, count) in query::counts(snapshot)? {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating, and exact far beyond any number of jobs")]
        gauge!(JOBS, "status" => status.as_str()).set(count as f64);
    }
    Ok(())
}

/// A change of state or status was committed.
pub(crate) fn transition(took: Duration) {
    histogram!(TRANSITION_SECONDS).record(took);
}

/// A job of this kind was claimed so long after it was due.
pub(crate) fn claimed(kind: &str, delay_micros: i64) {
    let delay = Duration::from_micros(u64::try_from(delay_micros).unwrap_or(0));
    histogram!(QUEUE_DELAY_SECONDS, "kind" => kind.to_owned()).record(delay);
}

/// A job of this kind ended.
pub(crate) fn ended(kind: &str, status: Status) {
    counter!(JOBS_ENDED_TOTAL, "kind" => kind.to_owned(), "status" => status.as_str()).increment(1);
}

/// A checkpoint was refused.
pub(crate) fn fenced() {
    counter!(JOBS_FENCED_TOTAL).increment(1);
}
