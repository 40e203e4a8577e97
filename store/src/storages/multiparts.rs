//! The ids of multipart uploads, kept until somebody ends them.
//!
//! A store keeps, and bills, the parts of an upload that nobody ends, and after a crash only its id can end it. So the id is
//! durable before the first part is sent; whoever opens the storage next aborts what the last life left.
//!
//! ```text
//! multiparts  storage | upload id  ->  path and life, JSON
//! ```

use crate::cold::Objects;
use crate::cold::remote::Multiparts;
use crate::{Error, MULTIPARTS, StorageId, Store, keys};
use async_trait::async_trait;
use ebbtide_engine::{Commit, KeyRange, Order, SharedEngine, Sync, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type BoxError = Box<dyn std::error::Error + Send + std::marker::Sync>;

/// An upload that has begun.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    /// Of which object.
    path: String,
    /// Which life of the store began it: its own are not leftovers.
    life: String,
}

/// Writes ids down for one storage.
#[derive(Debug)]
pub(super) struct Recorder {
    engine: SharedEngine,
    storage: StorageId,
    life: String,
}

impl Recorder {
    pub(super) fn of(store: &Store, storage: &StorageId) -> Arc<dyn Multiparts> {
        Arc::new(Self { engine: store.engine().clone(), storage: storage.clone(), life: store.life().to_owned() })
    }
}

#[async_trait]
impl Multiparts for Recorder {
    async fn opened(&self, path: &str, id: &str) -> Result<(), BoxError> {
        let open = Open { path: path.to_owned(), life: self.life.clone() };
        let value = serde_json::to_vec(&open).expect("two texts have a JSON form");
        let writes = vec![Write::put(MULTIPARTS, keys::object(&self.storage, id), value)];
        self.engine.commit(Commit { writes, sync: Sync::Synced, ..Commit::default() }).await?;
        Ok(())
    }

    async fn closed(&self, _path: &str, id: &str) {
        let writes = vec![Write::delete(MULTIPARTS, keys::object(&self.storage, id))];
        // Lost in a crash or an error, it is aborted once more, which does nothing.
        if let Err(error) = self.engine.commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }).await {
            tracing::debug!(storage = %self.storage, %error, "an ended multipart upload stays written down");
        }
    }
}

/// Aborts what earlier lives left in a storage. What cannot be aborted now is at the next opening.
pub(super) async fn abort_leftovers(store: &Store, storage: &StorageId, objects: &Arc<dyn Objects>) {
    let leftovers = match leftovers(store, storage) {
        Ok(leftovers) => leftovers,
        Err(error) => {
            tracing::warn!(%storage, %error, "multipart uploads that were left open cannot be looked up");
            return;
        }
    };
    for (id, path) in leftovers {
        store.env().reached("storages.multipart.leftover");
        match objects.abort_multipart(&path, &id).await {
            Ok(()) => {
                tracing::info!(%storage, path, "a multipart upload that was left open is aborted");
                let writes = vec![Write::delete(MULTIPARTS, keys::object(storage, &id))];
                let forgotten = Commit { writes, sync: Sync::Unsynced, ..Commit::default() };
                if let Err(error) = store.engine().commit(forgotten).await {
                    tracing::debug!(%storage, %error, "an aborted multipart upload stays written down");
                }
            }
            Err(error) => tracing::warn!(%storage, path, %error, "a multipart upload is left open for now"),
        }
    }
}

fn leftovers(store: &Store, storage: &StorageId) -> Result<Vec<(String, String)>, Error> {
    open_uploads(store, storage, |open| open.life != store.life())
}

/// Id and path of each open upload of a storage that is wanted.
fn open_uploads(
    store: &Store,
    storage: &StorageId,
    wanted: impl Fn(&Open) -> bool,
) -> Result<Vec<(String, String)>, Error> {
    let prefix = keys::object(storage, "");
    let mut cursor = store.snapshot().scan(MULTIPARTS, KeyRange::prefix(&prefix), Order::Ascending)?;
    let mut found = Vec::new();
    while let Some((key, value)) = cursor.next()? {
        let id = std::str::from_utf8(&key[prefix.len()..]);
        match (id, serde_json::from_slice::<Open>(value)) {
            (Ok(id), Ok(open)) if wanted(&open) => found.push((id.to_owned(), open.path)),
            (Ok(_), Ok(_)) => {}
            _ => return Err(Error::corrupt(format!("the multipart upload {}", key.escape_ascii()))),
        }
    }
    Ok(found)
}

impl Store {
    /// The multipart uploads that are open in a folder, each with its object's path.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn open_uploads_in(&self, storage: &StorageId, folder: &str) -> Result<Vec<(String, String)>, Error> {
        open_uploads(self, storage, |open| open.path.rsplit_once('/').map_or("", |(folder, _)| folder) == folder)
    }

    /// Aborts a multipart upload that nobody is at any more, unless it has been ended meanwhile.
    ///
    /// # Errors
    /// The engine's; the storage's, and then it is still open.
    pub async fn abort_upload(&self, storage: &StorageId, id: &str, path: &str) -> Result<(), Error> {
        let key = keys::object(storage, id);
        if self.snapshot().get(MULTIPARTS, &key)?.is_none() {
            return Ok(());
        }
        self.objects(storage)?.abort_multipart(path, id).await?;
        let writes = vec![Write::delete(MULTIPARTS, key)];
        self.engine().commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }).await?;
        Ok(())
    }
}
