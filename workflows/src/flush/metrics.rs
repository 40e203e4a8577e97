//! What flushes measure, through the `metrics` facade: names and units in one place.

use super::Totals;
use metrics::{Unit, counter, describe_counter};

/// Rows whose move to the cold tier was committed.
pub const ROWS_TOTAL: &str = "ebbtide_flush_rows_total";
/// Bytes of the files that hold them.
pub const BYTES_TOTAL: &str = "ebbtide_flush_bytes_total";
/// Those files.
pub const FILES_TOTAL: &str = "ebbtide_flush_files_total";
/// Users whose rows stayed hot because a storage did not take them.
pub const USERS_FAILED_TOTAL: &str = "ebbtide_flush_users_failed_total";

/// Tells the recorder what each number is.
pub fn describe() {
    describe_counter!(ROWS_TOTAL, Unit::Count, "Rows that flushes moved to the cold tier.");
    describe_counter!(BYTES_TOTAL, Unit::Bytes, "Bytes of the files that flushes wrote.");
    describe_counter!(FILES_TOTAL, Unit::Count, "Files that flushes wrote.");
    describe_counter!(
        USERS_FAILED_TOTAL,
        Unit::Count,
        "Users whose rows stayed hot because a storage did not take them."
    );
}

/// What of a flush has been counted. Only what a commit has made true is: a step counts what the step before it did.
#[derive(Debug, Default)]
pub(super) struct Counted {
    rows: u64,
    bytes: u64,
    files: u64,
    users_failed: u64,
}

impl Counted {
    /// Everything up to here was counted by an earlier claim, or is lost with the process that would have.
    pub(super) fn from(totals: &Totals) -> Self {
        let Totals { rows, bytes, files, users_failed, .. } = *totals;
        Self { rows, bytes, files, users_failed }
    }

    /// These totals were committed.
    pub(super) fn committed(&mut self, totals: &Totals) {
        let now = Self::from(totals);
        let more = |name, now: u64, before: u64| counter!(name).increment(now.saturating_sub(before));
        more(ROWS_TOTAL, now.rows, self.rows);
        more(BYTES_TOTAL, now.bytes, self.bytes);
        more(FILES_TOTAL, now.files, self.files);
        more(USERS_FAILED_TOTAL, now.users_failed, self.users_failed);
        *self = now;
    }
}
