//! What came of it.

use super::{Totals, Work, bare::Bare};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    totals: Totals,
    ended_at: i64,
}

impl Done {
    /// Only a `Bare` with no folder left gives a `Done`.
    pub(super) fn new(before: Bare, cx: &mut Step) -> Self {
        cx.synced();
        Self { totals: before.totals().clone(), ended_at: cx.env().now() }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let totals = &self.totals;
        serde_json::json!({
            "storage": work.storage,
            "folders": totals.folders,
            "segments": totals.segments,
            "rows": totals.rows,
            "bytes": totals.bytes,
            "ignored_files": totals.ignored,
            "missing_files": totals.missing,
            "missing": totals.missing_named,
            "failed_folders": totals.folders_failed,
            "failures": totals.failures,
            "duration_ms": (self.ended_at - totals.at) / 1000,
        })
    }
}
