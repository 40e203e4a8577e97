//! Roots, opened when the store is and again later where they could not be.
//!
//! A storage that cannot be reached keeps no server from starting: after a while it is left to a task that asks it again
//! and again. Until then it fails for itself alone, with the reason.

use super::{Place, multiparts};
use crate::cold::local::Local;
use crate::cold::remote::{Multiparts, Remote};
use crate::cold::{self, Objects, Owner, cloud, owner};
use crate::{Error, Storage, StorageId, Store};
use futures::{StreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// A storage's objects, or why they cannot be had.
pub(crate) type Opened = Result<Arc<dyn Objects>, Error>;

/// Roots opened at the same time.
const OPENED_AT_ONCE: usize = 16;
/// How long a start waits for roots other than that of `local`; a healthy one answers in a fraction of it.
const START_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a storage that could not be opened is left alone; doubled each time.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// The upper end of that doubling.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// The storages of a store, by id, and what ends the tasks that look after them.
#[derive(Debug, Default)]
pub(crate) struct Storages {
    opened: std::sync::RwLock<HashMap<StorageId, Opened>>,
    /// Those that a statement is making, changing or dropping: their marks may not agree with the catalog.
    busy: Mutex<HashSet<StorageId>>,
}

/// Nobody else changes this storage.
pub(super) struct Busy<'a> {
    storages: &'a Storages,
    id: StorageId,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.storages.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Storages {
    pub(crate) fn get(&self, id: &StorageId) -> Option<Opened> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).get(id).map(|opened| match opened {
            Ok(objects) => Ok(objects.clone()),
            Err(error) => Err(again(id, error)),
        })
    }

    /// Keeps others from changing a storage until what is given is dropped.
    pub(super) fn busy(&self, id: &StorageId) -> Result<Busy<'_>, Error> {
        match self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
            true => Ok(Busy { storages: self, id: id.clone() }),
            false => Err(Error::Conflict { message: format!("storage '{id}' is being changed by another statement") }),
        }
    }

    fn is_busy(&self, id: &str) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|busy| busy.as_str() == id)
    }

    fn set(&self, id: StorageId, opened: Opened) {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).insert(id, opened);
    }

    fn take(&self, id: &StorageId) -> Option<Opened> {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

/// Why a storage could not be opened, for everybody who asks.
fn again(id: &StorageId, error: &Error) -> Error {
    let message = match error {
        Error::StorageUnusable { message, .. } => message.clone(),
        other => other.to_string(),
    };
    Error::StorageUnusable { id: id.clone(), message, hint: error.hint().map(str::to_owned) }
}

impl Store {
    /// Opens the roots of all storages: `local` must be there, the others have a while and are asked again after it.
    pub(crate) async fn open_storages(self: &Arc<Self>, storages: Vec<Arc<Storage>>) -> Result<(), Error> {
        let (local, others): (Vec<_>, Vec<_>) =
            storages.into_iter().partition(|storage| storage.id == StorageId::local());
        for storage in local {
            let opened = self.open_stored(&storage).await?;
            self.remember(storage.id.clone(), Ok(opened));
        }
        for storage in &others {
            let waiting = Error::StorageUnusable {
                id: storage.id.clone(),
                message: "it is being opened".to_owned(),
                hint: Some("try again in a moment; CHECK STORAGE says what it waits for".to_owned()),
            };
            self.remember(storage.id.clone(), Err(waiting));
        }
        let opening = stream::iter(others.clone()).for_each_concurrent(OPENED_AT_ONCE, |storage| async move {
            let opened = self.open_stored(&storage).await;
            self.remember(storage.id.clone(), opened);
        });
        // Those that are not open by then are opened by the tasks below.
        let _ = tokio::time::timeout(START_WAIT_MAX, opening).await;
        for storage in others {
            if let Err(error) = self.objects(&storage.id) {
                tracing::error!(storage = %storage.id, %error, "a storage cannot be opened; it is tried again");
                tokio::spawn(open_later(Arc::downgrade(self), storage.id.clone()));
            }
        }
        Ok(())
    }

    /// Opens the root of a storage as the catalog has it. It was marked as this storage's before it was registered: what bears
    /// no mark is a mount point with nothing mounted, or a bucket that was emptied, and is not written to.
    pub(crate) async fn open_stored(self: &Arc<Self>, storage: &Storage) -> Opened {
        let place = self.place_of(storage)?;
        if self.owner_of(&storage.id, &place).await?.is_none() {
            return Err(cold::Error::Unmarked { root: place.to_string() }.into());
        }
        self.open_place(&storage.id, &place).await
    }

    /// The same for a storage that is new, and bears no mark yet.
    pub(crate) async fn open_new(self: &Arc<Self>, storage: &Storage) -> Opened {
        self.open_place(&storage.id, &self.place_of(storage)?).await
    }

    fn place_of(&self, storage: &Storage) -> Result<Place, Error> {
        let credentials = self.credentials(storage)?;
        self.place(storage, credentials.as_ref())
    }

    async fn open_place(self: &Arc<Self>, id: &StorageId, place: &Place) -> Opened {
        let opened = self.open_root(id, place).await?;
        multiparts::abort_leftovers(self, id, &opened).await;
        Ok(opened)
    }

    pub(super) async fn open_root(&self, id: &StorageId, place: &Place) -> Result<Arc<dyn Objects>, cold::Error> {
        let owner = self.owner(id);
        match place {
            Place::Folder(root) => {
                let options = self.options().local.clone();
                Ok(Arc::new(Local::open_with(root, owner, self.env().clone(), options).await?))
            }
            Place::Cloud(location) => {
                let multiparts = multiparts::Recorder::of(self, id);
                Ok(cloud::open(&*self.options().clouds, location, &owner, Some(multiparts), self.env()).await?)
            }
        }
    }

    /// The objects of a place in a cloud, whoever owns it.
    pub(super) async fn connect(
        &self,
        location: &cloud::Location,
        id: &StorageId,
        multiparts: Option<Arc<dyn Multiparts>>,
    ) -> Result<Arc<Remote>, cold::Error> {
        self.options().clouds.connect(location, id.as_str(), multiparts, self.env()).await
    }

    /// Takes over the root of a storage of this database that is no more.
    pub(super) async fn open_forsaken(
        &self,
        id: &StorageId,
        place: &Place,
        found: &Owner,
    ) -> Result<Arc<dyn Objects>, cold::Error> {
        match place {
            Place::Folder(root) => owner::abandon(Path::new(root), found)?,
            Place::Cloud(location) => {
                let remote = self.connect(location, id, None).await?;
                owner::remote::abandon(&remote, found).await?;
            }
        }
        self.open_root(id, place).await
    }

    pub(super) fn is_forsaken(&self, found: &Owner) -> Result<bool, Error> {
        Ok(found.database_id == self.database_id()
            && !self.storages().is_busy(&found.storage_id)
            && self.catalog().storage(&self.snapshot(), &found.storage_id)?.is_none())
    }

    /// Frees the root of a storage that is not registered, or not any more.
    pub(super) async fn give_back(&self, id: &StorageId, objects: &Arc<dyn Objects>) {
        // Of two that registered it at once, one did.
        if self.catalog().storage(&self.snapshot(), id).is_ok_and(|storage| storage.is_none())
            && let Err(error) = objects.release().await
        {
            tracing::warn!(storage = %id, %error, "the owner object of a storage that is no more could not be removed");
        }
    }

    /// A storage's objects, if its root still bears our mark: a database that took it over has become the one to say what of it
    /// may go.
    ///
    /// # Errors
    /// As [`Store::objects`]; [`Error::Cold`] when the mark is another's, is not there or cannot be read.
    pub async fn owned_objects(&self, id: &StorageId) -> Result<Arc<dyn Objects>, Error> {
        let (objects, wanted) = (self.objects(id)?, self.owner(id));
        let root = || objects.uri().to_owned();
        match objects.owner().await? {
            Some(found) if found == wanted => Ok(objects),
            Some(found) => Err(cold::Error::Owned { root: root(), found, wanted }.into()),
            None => Err(cold::Error::Unmarked { root: root() }.into()),
        }
    }

    pub(super) fn owner(&self, id: &StorageId) -> Owner {
        Owner { database_id: self.database_id().to_owned(), storage_id: id.to_string() }
    }

    pub(crate) fn remember(&self, id: StorageId, opened: Opened) {
        self.storages().set(id, opened);
    }

    fn still_closed(&self, id: &StorageId, error: Error) {
        let mut known = self.storages().opened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting @ Err(_)) = known.get_mut(id) {
            *waiting = Err(error);
        }
    }

    /// Remembers a root that was opened again, unless somebody else was quicker or nobody wants it any more. Gives the one to use.
    pub(super) fn remember_unless_open(&self, id: &StorageId, opened: Arc<dyn Objects>) -> Arc<dyn Objects> {
        let mut known = self.storages().opened.write().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(id) {
            Some(Ok(other)) => other.clone(),
            Some(waiting) => {
                *waiting = Ok(opened.clone());
                opened
            }
            // Dropped meanwhile.
            None => opened,
        }
    }

    pub(super) fn forget(&self, id: &StorageId) -> Option<Opened> {
        self.storages().take(id)
    }
}

/// Asks a storage again and again until it is open, somebody else has opened it, or nobody wants it any more.
async fn open_later(store: Weak<Store>, id: StorageId) {
    let mut wait = AGAIN_MIN;
    loop {
        let mut tick = tokio::time::interval(wait);
        // The first tick is now.
        tick.tick().await;
        tick.tick().await;
        wait = (wait * 2).min(AGAIN_MAX);
        let Some(store) = store.upgrade() else { return };
        if !matches!(store.storages().get(&id), Some(Err(_))) {
            return;
        }
        let Ok(Some(storage)) = store.catalog().storage(&store.snapshot(), &id) else { return };
        match store.open_stored(&storage).await {
            Ok(opened) => {
                tracing::info!(storage = %id, "the storage is open");
                // Not over what ALTER STORAGE has opened meanwhile.
                store.remember_unless_open(&id, opened);
            }
            Err(error) => store.still_closed(&id, error),
        }
    }
}
