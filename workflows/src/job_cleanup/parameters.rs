//! What a config file says of a cleanup.

use super::{Cleanup, KIND, State, Work, queued::Queued};
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use schemars::JsonSchema;
use serde::Deserialize;

/// Parameters of `job_cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobCleanup {
    /// Days that jobs are kept after they ended. Schedule slots and findings stay as long.
    pub retention_days: u32,
    /// Days that failed jobs are kept, when others than `retention_days`. They can be tried again as long as they are kept.
    pub failed_retention_days: Option<u32>,
    /// Days that cancelled jobs are kept, when others than `retention_days`.
    pub cancelled_retention_days: Option<u32>,
    /// Days that skipped jobs are kept, when others than `retention_days`.
    pub skipped_retention_days: Option<u32>,
    /// Only say what would be deleted.
    pub dry_run: bool,
}

impl Default for JobCleanup {
    fn default() -> Self {
        Self {
            retention_days: 30,
            failed_retention_days: None,
            cancelled_retention_days: None,
            skipped_retention_days: None,
            dry_run: false,
        }
    }
}

impl JobCleanup {
    /// A run with these parameters, not yet begun.
    pub fn job(&self) -> Cleanup {
        let work = Work {
            completed_days: self.retention_days,
            failed_days: self.failed_retention_days.unwrap_or(self.retention_days),
            cancelled_days: self.cancelled_retention_days.unwrap_or(self.retention_days),
            skipped_days: self.skipped_retention_days.unwrap_or(self.retention_days),
            dry_run: self.dry_run,
        };
        Cleanup { work, state: State::Queued(Queued::default()) }
    }
}

#[typetag::deserialize(name = "job_cleanup")]
impl Kind for JobCleanup {
    fn start(&self, _: &Starting<'_>) -> Result<Start, BoxError> {
        Ok(Start::new(Box::new(self.job())))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Removes jobs that ended long ago, with old schedule slots and findings.",
        schema: || schemars::schema_for!(JobCleanup),
        counts_rows: false,
    }
}
