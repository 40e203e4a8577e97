//! What came of it.

use super::{Run, Work, describing::Describing};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    run: Run,
    /// Where the export is, for people.
    location: String,
    ended_at: i64,
}

impl Done {
    /// Only a `Describing` gives a `Done`.
    pub(super) fn new(_: Describing, run: Run, location: String, cx: &mut Step) -> Self {
        cx.synced();
        Self { run, location, ended_at: cx.env().now() }
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
            "to": work.to,
            "location": self.location,
            "cut": cut,
            "tables": totals.tables,
            "files": totals.files,
            "rows": totals.rows,
            "rows_hot": totals.rows_hot,
            "bytes": totals.bytes,
            "duration_ms": (self.ended_at - at) / 1000,
        })
    }
}
