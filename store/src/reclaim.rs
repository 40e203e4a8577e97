//! What a dropped table leaves behind, and how it goes.
//!
//! In this order, each step of it repeatable: the hot tier at once, because snapshots keep what their readers see;
//! the objects that [`segments`] names, and what is published of them, once no older reader is registered (see [`crate::Readers`]) and the grace
//! has passed; the manifest and the [`Dropped`](crate::Dropped) record last, because they name what is left.
//! [`reclaim`] does all of it, and leaves the objects to [`crate::deletions`].

use crate::catalog::forget_dropped;
use crate::deletions::{Deletion, Why};
use crate::manifest::Entry;
use crate::{Error, StorageId, Store, TableId, hot, keys, manifest, published};
use ebbtide_engine::{Commit, Snapshot, Sync, Write};
use std::sync::Arc;

pub use crate::manifest::segments;

/// The writes that remove a dropped table's rows, index and counters from the hot tier.
pub fn hot(table: TableId) -> Vec<Write> {
    hot::reclaim(table).collect()
}

/// The writes that remove the rest of a dropped table, once its objects are gone: from here on there is no trace.
pub fn done(table: TableId) -> Vec<Write> {
    manifest::reclaim(table).chain(published::reclaim(table)).chain([forget_dropped(table)]).collect()
}

/// Segments that one commit of [`reclaim`] takes out of the manifest.
const SEGMENTS_PER_COMMIT: usize = 1024;

/// Clears away a dropped table: hot rows at once, then page by page its segments, each page in one commit that also
/// writes down which objects are to go. Gives the number of those objects. Repeatable and safe to drop at any await.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub async fn reclaim(store: &Arc<Store>, table: TableId, grace_micros: i64) -> Result<u64, Error> {
    let commit = |writes| store.engine().commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() });
    store.env().reached("reclaim.begin");
    commit(hot(table)).await?;
    let mut objects = 0;
    loop {
        let snapshot = store.snapshot();
        let page = tokio::task::spawn_blocking(move || page(snapshot, table))
            .await
            .map_err(|error| Error::Conflict { message: format!("the process is ending: {error}") })??;
        if page.is_empty() {
            break;
        }
        let not_before = store.env().now().saturating_add(grace_micros);
        // Nobody adds to the manifest of a table that is gone, so nothing is to be expected of it.
        let (_, mut writes) = manifest::detach(&page);
        objects += page.len() as u64;
        writes.extend(page.into_iter().flat_map(|entry| {
            let crate::Segment { storage, path, bytes, .. } = entry.segment;
            dropped(storage, path, bytes, not_before).put()
        }));
        commit(writes).await?;
        store.env().reached("reclaim.page");
    }
    // What is published of it goes after what it describes. Whoever begins now finds the table gone; the others end first.
    store.turns().wait_without(&keys::table(table)).await;
    loop {
        let snapshot = store.snapshot();
        let page = tokio::task::spawn_blocking(move || published::of_table(&snapshot, table, SEGMENTS_PER_COMMIT));
        let page =
            page.await.map_err(|error| Error::Conflict { message: format!("the process is ending: {error}") })??;
        if page.is_empty() {
            break;
        }
        let not_before = store.env().now().saturating_add(grace_micros);
        objects += page.len() as u64;
        let mut writes = Vec::new();
        for (user, folder, published) in page {
            writes.extend(published::forget(table, &user, &folder, &published));
            if !published.path.is_empty() {
                writes.extend(dropped(folder.storage, published.path, published.bytes, not_before).put());
            }
        }
        commit(writes).await?;
    }
    commit(done(table)).await?;
    Ok(objects)
}

fn dropped(storage: StorageId, path: String, bytes: u64, not_before: i64) -> Deletion {
    Deletion { storage, path, bytes, not_before, why: Why::Dropped, whose: None, failures: 0, error: None }
}

fn page(snapshot: Arc<dyn Snapshot>, table: TableId) -> Result<Vec<Entry>, Error> {
    manifest::entries(snapshot, table, manifest::Start::Beginning)?.take(SEGMENTS_PER_COMMIT).collect()
}
