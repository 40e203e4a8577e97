//! What is due goes.

use super::{Deletion, pending};
use crate::{Error, Store, TableId, UserId, manifest, published, quarantine};
use ebbtide_engine::{Commit, Sync, Write};
use futures::{StreamExt, stream};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Objects removed at the same time.
const OBJECTS_AT_ONCE: usize = 16;
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
    let mut named_still = HashSet::new();
    for (table, user) in users {
        if !published::publish_user(store, table, &user).await? {
            named_still.insert((table, user));
        }
    }
    let named_still = &named_still;
    let results: Vec<(Deletion, Result<Removed, Error>)> = stream::iter(due)
        .map(|deletion| async {
            if deletion.whose.as_ref().is_some_and(|whose| named_still.contains(whose)) {
                return (deletion, Ok(Removed::NotYet));
            }
            let removed = remove(store, &deletion).await;
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
            Ok(Removed::NotYet) => {
                let wait = i64::try_from(PUBLISH_WAIT.as_micros()).unwrap_or(i64::MAX);
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
                writes.extend(later(deletion, &error, now).put());
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
    /// A published manifest may still name it.
    NotYet,
}

/// Removes one object, unless the manifest names it, which would be a bug: then it stays.
async fn remove(store: &Arc<Store>, deletion: &Deletion) -> Result<Removed, Error> {
    let (snapshot, asked) = (store.snapshot(), deletion.clone());
    if blocking(move || manifest::named(&*snapshot, &asked.storage, &asked.path)).await?.is_some() {
        tracing::error!(
            storage = %deletion.storage, path = deletion.path,
            "an object was to go that the manifest names; it stays, please report this"
        );
        return Ok(Removed::Gone);
    }
    match store.objects(&deletion.storage) {
        // Nobody has a way to the object any more.
        Err(Error::StorageNotFound { .. }) => {}
        objects => objects?.delete(&deletion.path).await?,
    }
    Ok(Removed::Gone)
}

fn later(deletion: Deletion, error: &Error, now: i64) -> Deletion {
    let wait = RETRY_MIN.saturating_mul(1 << deletion.failures.min(10)).min(RETRY_MAX);
    let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Deletion {
        not_before: now.saturating_add(wait),
        failures: deletion.failures.saturating_add(1),
        error: Some(error.to_string()),
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
