//! What came of it. The commit that stores this state frees the table's `active` key.

use super::{Cut, Totals, Work, deleting::Deleting, records, retry};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::Store;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    cut: Cut,
    totals: Totals,
    failed_users: Vec<FailedUser>,
    storage_locations: Vec<String>,
    ended_at: i64,
}

/// A user whose rows stayed hot, and why.
#[derive(Debug, Serialize, Deserialize)]
struct FailedUser {
    user: String,
    reason: String,
}

/// A result names this many failed users; `system.jobs` is not the place for a million.
const FAILED_USERS_NAMED_MAX: usize = 100;

impl Done {
    /// Only a `Deleting` with nothing left to delete gives a `Done`.
    pub(super) fn new(_: Deleting, cut: Cut, totals: Totals, work: &Work, cx: &mut Step) -> Result<Self, StepError> {
        let store = cx.get::<Store>()?;
        let snapshot = cx.engine().snapshot();
        let failed_users = if totals.users_failed == 0 {
            Vec::new()
        } else {
            records::failures(snapshot.clone(), work.table_id)
                .map_err(retry("reading the users that failed"))?
                .into_iter()
                .filter(|(_, failure)| failure.job_id == cx.job_id().to_string())
                .take(FAILED_USERS_NAMED_MAX)
                .map(|(user, failure)| FailedUser { user: user.to_string(), reason: failure.reason })
                .collect()
        };
        let storage_locations = totals.storages.iter().map(|id| store.storage_location(id)).collect();
        let ended_at = cx.env().now();
        cx.synced();
        store.publish_soon();
        tracing::debug!(
            job_id = %cx.job_id(), table = %format_args!("{}.{}", work.namespace, work.table),
            rows = totals.rows, users = totals.users_done, files = totals.files, bytes = totals.bytes,
            failed_users = totals.users_failed, at = ended_at, duration_ms = (ended_at - cut.taken_at) / 1000,
            "flush ends"
        );
        Ok(Self { cut, totals, failed_users, storage_locations, ended_at })
    }

    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The `result` column of `system.jobs`.
    pub(super) fn result(&self) -> serde_json::Value {
        serde_json::json!({
            "records_flushed": self.totals.rows,
            "users": self.totals.users_done - self.totals.users_failed,
            "files": self.totals.files,
            "bytes": self.totals.bytes,
            "failed_users": self.totals.users_failed,
            "failures": self.failed_users,
            "storage_locations": self.storage_locations,
            "duration_ms": (self.ended_at - self.cut.taken_at) / 1000,
        })
    }
}
