//! What came of it.

use super::{Totals, reading::Reading};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    totals: Totals,
    began_at: i64,
    ended_at: i64,
}

impl Done {
    /// Only a `Reading` with no segment left gives a `Done`.
    pub(super) fn new(_: Reading, began_at: i64, totals: Totals, cx: &mut Step) -> Self {
        cx.synced();
        Self { totals, began_at, ended_at: cx.env().now() }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self) -> serde_json::Value {
        let Totals { tables, segments, rows, bytes, segments_bad, findings } = &self.totals;
        serde_json::json!({
            "tables": tables,
            "segments": segments,
            "rows": rows,
            "bytes": bytes,
            "segments_bad": segments_bad,
            "findings": findings,
            "duration_ms": (self.ended_at - self.began_at) / 1000,
        })
    }
}
