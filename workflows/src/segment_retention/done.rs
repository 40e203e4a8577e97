//! What came of it.

use super::{Totals, Work, deleting::Deleting};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    totals: Totals,
    at: i64,
    ended_at: i64,
}

impl Done {
    /// Only a `Deleting` with nothing left gives a `Done`.
    pub(super) fn new(_: Deleting, at: i64, totals: Totals, cx: &mut Step) -> Self {
        cx.synced();
        Self { totals, at, ended_at: cx.env().now() }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`. In a dry run, what would have been.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let totals = &self.totals;
        serde_json::json!({
            "dry_run": work.dry_run,
            "tables": totals.tables,
            "users": totals.users,
            "rows_removed": totals.rows,
            "segments_removed": totals.segments_removed,
            "segments_rewritten": totals.segments_rewritten,
            "bytes_removed": totals.bytes_removed,
            "bytes_written": totals.bytes_written,
            "failed_users": totals.users_failed,
            "failures": totals.failures,
            "duration_ms": (self.ended_at - self.at) / 1000,
        })
    }
}
