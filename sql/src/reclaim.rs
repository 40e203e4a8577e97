//! What a dropped table left behind, cleared away in the background: hot rows at once, files once nobody reads them.
//! The files are left to the store's own worker, which removes what is due.

use crate::database::Inner;
use crate::error::Result;
use ebbtide_store::{Dropped, reclaim};
use std::sync::Arc;

/// Files of a dropped table go as soon as no reader may have them.
const GRACE_MICROS: i64 = 0;

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
            done = reclaim::reclaim(&database_.store, dropped.table.id, GRACE_MICROS) => match done {
                Ok(files) => tracing::info!(table = %name, files, "a dropped table is cleared away; its files go when nobody reads them any more"),
                Err(error) => {
                    tracing::warn!(table = %name, %error, "a dropped table is not cleared away; it is after the next start");
                }
            },
        }
    });
}
