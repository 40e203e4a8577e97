//! Fixes the moment that ages count from.

use super::{Totals, deleting::Deleting, queued::Queued};
use ebbtide_runtime::Step;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) fn fix(self, cx: &mut Step) -> Deleting {
        cx.synced();
        Deleting::new(self, cx.env().now(), Totals::default())
    }
}
