//! What this crate measures, through the `metrics` facade: names, labels and units in one place.

use metrics::counter;

/// Checkpoints that were refused to claims which did not hold any more.
pub const JOBS_FENCED_TOTAL: &str = "ebbtide_jobs_fenced_total";

/// A checkpoint was refused.
pub(crate) fn fenced() {
    counter!(JOBS_FENCED_TOTAL).increment(1);
}
