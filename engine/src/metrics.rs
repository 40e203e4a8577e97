//! What this crate measures, through the `metrics` facade: names and units in one place.

use metrics::{Unit, describe_histogram, histogram};
use std::time::Duration;

/// Seconds that a synced write of the log took: the write itself and the fsync that makes it durable.
pub const SYNC_SECONDS: &str = "ebbtide_sync_seconds";

/// Tells the recorder what each number is.
pub fn describe() {
    describe_histogram!(SYNC_SECONDS, Unit::Seconds, "How long a synced write of the log took, with its fsync.");
}

/// The log was written and synced.
pub(crate) fn synced(took: Duration) {
    histogram!(SYNC_SECONDS).record(took);
}
