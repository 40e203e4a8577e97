//! What came of it.

use super::{Totals, Work, deleting::Deleting};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
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
    pub(super) fn new(_: Deleting, at: i64, totals: Totals, cx: &mut Step) -> Result<Self, StepError> {
        cx.synced();
        // The folders on both sides say something else now.
        cx.get::<Store>()?.publish_soon();
        Ok(Self { totals, at, ended_at: cx.env().now() })
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let totals = &self.totals;
        serde_json::json!({
            "to": work.to,
            "tables": totals.tables,
            "segments_moved": totals.segments,
            "segments_there_before": totals.segments_there,
            "rows": totals.rows,
            "bytes": totals.bytes,
            "segments_failed": totals.segments_failed,
            "failures": totals.failures,
            "duration_ms": (self.ended_at - self.at) / 1000,
        })
    }
}
