//! What came of it.

use super::{Totals, Work, deleting::Deleting};
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

    /// The `result` column of `system.jobs`. In a dry run, what would have been.
    pub(super) fn result(&self, work: &Work) -> serde_json::Value {
        let Totals { storages, seen, deleted, deleted_bytes, released, held_back, temp_files, failures } = &self.totals;
        serde_json::json!({
            "dry_run": work.dry_run,
            "storages": storages,
            "objects": seen.objects,
            "bytes": seen.bytes,
            "young": seen.young,
            "of_jobs": seen.of_jobs,
            "known": seen.known,
            "foreign": seen.foreign,
            "foreign_paths": seen.foreign_paths,
            "quarantined": seen.orphans,
            "quarantined_bytes": seen.orphans_bytes,
            "deleted": deleted,
            "deleted_bytes": deleted_bytes,
            "released": released,
            "held_back": held_back,
            "temp_files": temp_files,
            "failures": failures,
        })
    }
}
