//! What is due goes.

use super::{Deletion, pending};
use crate::cold::Objects;
use crate::{Error, StorageId, Store, TableId, UserId, manifest, published, quarantine};
use ebbtide_engine::{Commit, Sync, Write};
use futures::{StreamExt, TryStreamExt, future, stream};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Objects removed at the same time.
const OBJECTS_AT_ONCE: usize = 16;
/// Objects that a storage may fail to remove before the others of a round are put off.
const FAILED_MAX: u32 = 3;
/// How long an object that could not be removed is left alone; doubled with each failure.
const RETRY_MIN: Duration = Duration::from_secs(60);
/// The upper end of that doubling.
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// How long an object is left alone that a published manifest may still name.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);

/// What [`delete_due`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Objects that are gone.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that could not be removed; they are tried again later.
    pub failed: u64,
    /// Whether more may be due.
    pub more: bool,
}

/// Removes up to `objects_max` objects that are due, after waiting for every reader that may have seen them named.
///
/// Repeatable and safe to drop at any await: what was not noted as gone is removed again, which does nothing.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`]. An object that its storage does not remove is no error; it is counted.
pub async fn delete_due(store: &Arc<Store>, objects_max: usize) -> Result<Deleted, Error> {
    let (snapshot, now) = (store.snapshot(), store.env().now());
    let due = blocking(move || pending(snapshot, Some(now), objects_max)).await?;
    if due.is_empty() {
        return Ok(Deleted::default());
    }
    let more = due.len() == objects_max;
    // What stopped naming these objects must not be lost in a power cut that comes after they are gone.
    store.engine().commit(Commit { sync: Sync::Synced, ..Commit::default() }).await?;
    // Readers that register from now on take their snapshots after those commits.
    let moment = store.readers().now();
    store.readers().wait_passed(moment).await;
    store.env().reached("deletions.due");

    // Each user once, however many of his objects are due.
    let users: BTreeSet<(TableId, UserId)> = due.iter().filter_map(|deletion| deletion.whose.clone()).collect();
    let published = stream::iter(users)
        .map(|(table, user)| async move {
            match published::publish_user(store, table, &user).await {
                Ok(true) => None,
                Ok(false) => Some(Ok((table, user))),
                Err(error) => Some(Err(error)),
            }
        })
        .buffer_unordered(OBJECTS_AT_ONCE);
    let named_still = published.filter_map(future::ready).try_collect::<HashSet<_>>().await?;
    let storages: BTreeSet<StorageId> = due.iter().map(|deletion| deletion.storage.clone()).collect();
    let storages =
        future::join_all(storages.into_iter().map(|id| async move { (id.clone(), Storage::of(store, &id).await) }));
    let storages: HashMap<StorageId, Storage> = storages.await.into_iter().collect();
    let (named_still, storages) = (&named_still, &storages);
    let results: Vec<(Deletion, Result<Removed, String>)> = stream::iter(due)
        .map(|deletion| async {
            if deletion.whose.as_ref().is_some_and(|whose| named_still.contains(whose)) {
                return (deletion, Ok(Removed::NotYet(PUBLISH_WAIT)));
            }
            let removed = storages[&deletion.storage].remove(store, &deletion).await;
            (deletion, removed)
        })
        .buffer_unordered(OBJECTS_AT_ONCE)
        .collect()
        .await;
    let mut deleted = Deleted { more, ..Deleted::default() };
    let mut writes: Vec<Write> = Vec::new();
    for (deletion, removed) in results {
        writes.extend(deletion.forget());
        match removed {
            Ok(Removed::NotYet(wait)) => {
                let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
                writes.extend(Deletion { not_before: now.saturating_add(wait), ..deletion }.put());
            }
            Ok(Removed::Gone) => {
                writes.push(quarantine::release(&deletion.storage, &deletion.path));
                deleted.objects += 1;
                deleted.bytes += deletion.bytes;
            }
            Err(error) => {
                tracing::warn!(storage = %deletion.storage, path = deletion.path, %error, "an object could not be removed");
                deleted.failed += 1;
                writes.extend(later(deletion, error, now).put());
            }
        }
    }
    store.env().reached("deletions.removed");
    // The objects are gone, so this may be lost in a crash and done again.
    store.engine().commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }).await?;
    Ok(deleted)
}

enum Removed {
    Gone,
    /// A published manifest may still name it, or its storage does not answer: it is looked at again after this time.
    NotYet(Duration),
}

/// A storage in one round.
enum Storage {
    /// Nobody has a way to its objects any more.
    Dropped,
    /// It is not open, or not ours any more.
    Closed(String),
    Open {
        objects: Arc<dyn Objects>,
        /// Objects that it did not remove.
        failed: AtomicU32,
    },
}

impl Storage {
    async fn of(store: &Arc<Store>, id: &StorageId) -> Self {
        match store.owned_objects(id).await {
            Ok(objects) => Self::Open { objects, failed: AtomicU32::new(0) },
            Err(Error::StorageNotFound { .. }) => Self::Dropped,
            Err(error) => Self::Closed(error.to_string()),
        }
    }

    /// Removes one object, unless the manifest or the record of what is published names it, which would be a bug: then it stays.
    async fn remove(&self, store: &Arc<Store>, deletion: &Deletion) -> Result<Removed, String> {
        let (snapshot, asked) = (store.snapshot(), deletion.clone());
        let named = blocking(move || {
            let Deletion { storage, path, .. } = &asked;
            Ok(manifest::named(&*snapshot, storage, path)?.is_some() || published::is_last(&*snapshot, storage, path)?)
        });
        if named.await.map_err(|error| error.to_string())? {
            tracing::error!(
                storage = %deletion.storage, path = deletion.path,
                "an object was to go that the manifest names; it stays, please report this"
            );
            return Ok(Removed::Gone);
        }
        match self {
            Self::Dropped => Ok(Removed::Gone),
            Self::Closed(error) => Err(error.clone()),
            // It would cost a time-out for each.
            Self::Open { failed, .. } if failed.load(Ordering::Relaxed) >= FAILED_MAX => Ok(Removed::NotYet(RETRY_MIN)),
            Self::Open { objects, failed } => match objects.delete(&deletion.path).await {
                Ok(()) => Ok(Removed::Gone),
                Err(error) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    Err(error.to_string())
                }
            },
        }
    }
}

fn later(deletion: Deletion, error: String, now: i64) -> Deletion {
    let wait = RETRY_MIN.saturating_mul(1 << deletion.failures.min(10)).min(RETRY_MAX);
    let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Deletion {
        not_before: now.saturating_add(wait),
        failures: deletion.failures.saturating_add(1),
        error: Some(error),
        ..deletion
    }
}

/// Reads of the engine block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::Conflict { message: format!("the process is ending: {error}") }),
    }
}
