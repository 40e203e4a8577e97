//! What a config file says of a sweep.

use super::{KIND, State, Sweep, Work, queued::Queued};
use crate::kinds::Span;
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use schemars::JsonSchema;
use serde::Deserialize;

/// Parameters of `orphan_sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrphanSweep {
    /// Only this storage. Without it all of them.
    pub storage: Option<String>,
    /// How old an object has to be before it is judged.
    pub grace: Span,
    /// How long an orphan is held back before it goes.
    pub quarantine: Span,
    /// Only say what would be quarantined and deleted.
    pub dry_run: bool,
}

impl Default for OrphanSweep {
    fn default() -> Self {
        Self { storage: None, grace: Span::days(1), quarantine: Span::days(1), dry_run: false }
    }
}

impl OrphanSweep {
    /// A run with these parameters, not yet begun.
    pub fn job(&self) -> Sweep {
        let Self { storage, grace, quarantine, dry_run } = self.clone();
        Sweep { work: Work { storage, grace, quarantine, dry_run }, state: State::Queued(Queued::default()) }
    }
}

#[typetag::deserialize(name = "orphan_sweep")]
impl Kind for OrphanSweep {
    fn start(&self, _: &Starting<'_>) -> Result<Start, BoxError> {
        Ok(Start::new(Box::new(self.job())))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Finds objects that the manifest does not name, quarantines them, and removes them later.",
        schema: || schemars::schema_for!(OrphanSweep),
        counts_rows: false,
    }
}
