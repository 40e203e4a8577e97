//! The receipt.

use super::{Run, Work, purging::Purging};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    run: Run,
    ended_at: i64,
}

impl Done {
    /// Only a `Purging` with nothing left gives a `Done`: by then every object was looked for and the engine's files were
    /// written anew, or the job would not have come here.
    pub(super) fn new(_: Purging, run: Run, cx: &mut Step) -> Self {
        debug_assert_eq!(run.totals.objects, run.totals.objects_gone, "every object was looked for");
        cx.synced();
        Self { run, ended_at: cx.env().now() }
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let Run { at, cut, totals, .. } = &self.run;
        serde_json::json!({
            "user": work.user,
            "namespace": work.namespace,
            "cut": cut,
            "tables": totals.tables,
            "rows_hot": totals.rows_hot,
            "rows_cold": totals.rows_cold,
            "segments": totals.segments,
            "segments_rewritten": totals.segments_rewritten,
            "objects_deleted": totals.objects,
            "objects_verified_gone": totals.objects_gone,
            "hot_range_compacted": true,
            "log_turned_over": true,
            "storages": totals.storages,
            "duration_ms": (self.ended_at - at) / 1000,
        })
    }
}
