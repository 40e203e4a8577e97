//! A segment's bytes to its storage: bounded in flight, under a name never used before, and who gives up when.

use super::pipeline::Shared;
use bytes::Bytes;
use ebbtide_engine::Expect;
use ebbtide_store::{StorageId, cold, path};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// How often in a row each storage failed a user. All flushes of the process know of it.
#[derive(Debug)]
pub(super) struct StorageHealth {
    failed_in_a_row_max: u32,
    failed: Mutex<HashMap<StorageId, u32>>,
}

impl StorageHealth {
    pub(super) fn new(failed_in_a_row_max: u32) -> Self {
        Self { failed_in_a_row_max, failed: Mutex::default() }
    }

    /// A flush begins: a storage that failed too many users before may be well again. It gets one more try.
    pub(super) fn begin(&self) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.values_mut().for_each(|failed| *failed = (*failed).min(self.failed_in_a_row_max.saturating_sub(1)));
    }

    /// Refuses a storage that failed too many users in a row, so that an outage costs a few time-outs, not one per
    /// user.
    pub(super) fn check(&self, storage: &StorageId) -> Result<(), String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).get(storage).copied().unwrap_or(0);
        if failed < self.failed_in_a_row_max {
            return Ok(());
        }
        Err(format!(
            "storage {storage} failed {failed} users in a row; its remaining users are not tried in this flush"
        ))
    }

    pub(super) fn note(&self, storage: &StorageId, succeeded: bool) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match succeeded {
            true => drop(failed.remove(storage)),
            false => *failed.entry(storage.clone()).or_default() += 1,
        }
    }
}

/// Where a user's files go, and what their next one is called.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) storage: StorageId,
    pub(super) objects: Arc<dyn cold::Objects>,
    pub(super) prefix: String,
    /// That the storage's id means this place still. The commit expects it.
    pub(super) registered: Expect,
}

impl Place {
    /// The full path of a part within the storage. `tried` counts the uploads of this part before in this claim.
    pub(super) fn path(&self, shared: &Shared, part: u32, tried: u32) -> String {
        let name = path::file_name(shared.cut.stamp, part, shared.epoch, shared.tries_before + tried);
        format!("{}/{name}", self.prefix)
    }
}

/// Puts the bytes of a whole file, trying again under the next name while it may help.
pub(super) async fn put(
    shared: &Shared,
    place: &Place,
    part: u32,
    bytes: Bytes,
) -> Result<(String, cold::Stored), String> {
    let mut tried = 0;
    loop {
        let path = place.path(shared, part, tried);
        let _turn = match place.objects.queues() {
            true => None,
            false => Some(shared.resources.uploads.acquire().await.expect("the semaphore is never closed")),
        };
        // It may have failed others while this part waited for its turn, or failed itself.
        shared.resources.health.check(&place.storage)?;
        match place.objects.put_small(&path, bytes.clone()).await {
            Ok(stored) => return Ok((path, stored)),
            Err(error) => {
                tried += 1;
                if tried >= shared.resources.options().upload_attempts_max || shared.check().is_err() {
                    return Err(error.with_hint());
                }
                tracing::debug!(path, %error, tried, "an upload failed; trying the next name");
            }
        }
    }
}

/// Holds part of the flush's memory budget until dropped.
pub(super) async fn reserve(shared: Arc<Shared>, bytes: usize) -> OwnedSemaphorePermit {
    let permit = shared.resources.permit(bytes).await;
    shared.progress.reserve_memory(shared.resources.memory_reserved());
    permit
}

/// Removes an object that was never in any commit. Where that fails it is an orphan, for the sweep.
pub(super) async fn remove(objects: &Arc<dyn cold::Objects>, path: &str) {
    if let Err(error) = objects.delete(path).await {
        tracing::debug!(path, %error, "an object that nothing names could not be removed");
    }
}
