//! What a dropped table left behind, cleared away in the background: hot rows at once, files once nobody reads them.

use crate::database::Inner;
use crate::error::Result;
use ebbtide_engine::{Commit, Sync};
use ebbtide_store::{Dropped, reclaim};
use std::sync::Arc;

/// Takes up what earlier runs did not get done.
pub(crate) fn leftovers(database: &Arc<Inner>) -> Result<()> {
    let snapshot = database.store.snapshot();
    for dropped in database.store.catalog().dropped(&snapshot)? {
        begin(database, dropped);
    }
    Ok(())
}

/// Clears a dropped table away, in the background. What is not done when the database closes is done after it opens.
pub(crate) fn begin(database: &Arc<Inner>, dropped: Dropped) {
    let database_ = database.clone();
    database.reclaiming.spawn(async move {
        let name = dropped.table.qualified_name();
        tokio::select! {
            () = database_.stop.cancelled() => {}
            done = clear(&database_, &dropped) => match done {
                Ok(files) => tracing::info!(table = %name, files, "what a dropped table left behind is gone"),
                Err(error) => {
                    tracing::warn!(table = %name, %error, "a dropped table is not cleared away; it is after the next start");
                }
            },
        }
    });
}

/// In this order, each step of it repeatable: see [`reclaim`].
async fn clear(database: &Inner, dropped: &Dropped) -> Result<usize> {
    let id = dropped.table.id;
    let commit = |writes| Commit { writes, sync: Sync::Unsynced, ..Commit::default() };
    database.engine.commit(commit(reclaim::hot(id))).await?;
    let store = &database.store;
    // Whoever registered before this moment may still have the table in his snapshot.
    let moment = store.readers().now();
    store.readers().wait_passed(moment).await;
    let snapshot = store.snapshot();
    let segments = tokio::task::spawn_blocking(move || reclaim::segments(snapshot, id, None))
        .await
        .map_err(|error| crate::Error::internal(error.to_string()))??;
    for segment in &segments {
        store.objects(&segment.storage)?.delete(&segment.path).await.map_err(ebbtide_store::Error::from)?;
    }
    // The objects are gone only now, so this may be lost and done again, but not come before.
    database.engine.commit(commit(reclaim::done(id))).await?;
    Ok(segments.len())
}
