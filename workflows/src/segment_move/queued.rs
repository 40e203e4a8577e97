//! Asked for: the job row is durable, nothing else has happened.

use super::snapshotting::Snapshotting;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Queued {}

impl Queued {
    pub(super) fn start(self) -> Snapshotting {
        Snapshotting::new(self)
    }
}
