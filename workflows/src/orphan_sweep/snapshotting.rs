//! Fixes the moment that ages count from.

use super::{Totals, Work, listing::Listing, queued::Queued};
use crate::kinds::read;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{StorageId, Store};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) async fn fix(self, work: &Work, cx: &mut Step) -> Result<Listing, StepError> {
        let storages = storages(work, cx).await?;
        if let (true, Some(wanted)) = (storages.is_empty(), &work.storage) {
            return Err(StepError::fail(format!("Storage '{wanted}' does not exist")));
        }
        cx.synced();
        Ok(Listing::new(self, cx.env().now(), storages.into_iter().next(), Totals::default()))
    }
}

/// The storages to sweep, in their order.
pub(super) async fn storages(work: &Work, cx: &Step) -> Result<Vec<StorageId>, StepError> {
    let store = cx.get::<Store>()?;
    let wanted = work.storage.clone();
    let mut ids = read("reading the catalog", cx, move |snapshot| {
        let storages = store.catalog().storages(&snapshot)?;
        let wanted = |id: &StorageId| wanted.as_ref().is_none_or(|wanted| id.as_str().eq_ignore_ascii_case(wanted));
        Ok::<_, ebbtide_store::Error>(
            storages.iter().map(|storage| storage.id.clone()).filter(wanted).collect::<Vec<_>>(),
        )
    })
    .await?;
    ids.sort();
    Ok(ids)
}
