//! What came of it.

use super::{Totals, Work, deleting::Deleting};
use crate::kinds::show_time;
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    totals: Totals,
}

impl Done {
    /// Only a `Deleting` with nothing left gives a `Done`.
    pub(super) fn new(_: Deleting, totals: Totals, cx: &mut Step) -> Self {
        cx.synced();
        Self { totals }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let Totals { jobs, by_status, oldest, findings, slots } = &self.totals;
        let oldest = oldest.map(show_time);
        let said = match (work.dry_run, &oldest) {
            (true, Some(oldest)) => format!("would delete {jobs} jobs, the oldest ended {oldest}"),
            (true, None) => "would delete no jobs".to_owned(),
            (false, Some(oldest)) => format!("deleted {jobs} jobs, the oldest ended {oldest}"),
            (false, None) => "deleted no jobs".to_owned(),
        };
        serde_json::json!({
            "dry_run": work.dry_run,
            "jobs": jobs,
            "by_status": by_status,
            "oldest": oldest,
            "findings": findings,
            "slots": slots,
            "message": said,
        })
    }
}
