//! ATTACH STORAGE: a root of a database that is lost becomes a storage of this one.

use super::{Place, unusable};
use crate::catalog::{NewStorage, Storage};
use crate::cold::{self, Objects, Owner, owner};
use crate::{Error, StorageId, Store};
use futures::TryStreamExt;
use std::sync::Arc;

/// What becomes of the claim that another database has on a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It stands: the root is not attached.
    Respect,
    /// It ends: that database is gone for good.
    TakeOver,
}

impl Store {
    /// Opens a root that may be another database's, and registers it as a storage of this one. What lies there is taken in
    /// afterwards, by a job; until [`Self::end_attaching`] nothing in it counts as an orphan. Repeatable: a storage that is
    /// registered at this very place is attached once more.
    ///
    /// # Errors
    /// As [`Store::create_storage`]; [`Error::StorageUnusable`] for a root whose owner is not to be taken over, or who is
    /// there still. A root that was taken over stays so.
    pub async fn attach_storage(self: &Arc<Self>, new: NewStorage, claim: Claim) -> Result<Arc<Storage>, Error> {
        let id = new.id.clone();
        let _busy = self.storages().busy(&id)?;
        let storage = self.catalog().check_storage(new.clone())?;
        let place = self.place(&storage, new.credentials.as_ref())?;
        if let Some(known) = self.catalog().storage(&self.snapshot(), &id)? {
            return match self.place(&known, self.credentials(&known)?.as_ref())?.is_where(&place) {
                true => self.attach_again(known).await,
                false => Err(Error::StorageExists { id }),
            };
        }
        let found = self.owner_of(&id, &place).await.map_err(|error| unusable(&id, &error))?;
        let wanted = self.owner(&id);
        match found {
            None if self.is_bare(&id, &place).await? => {
                return Err(Error::StorageUnusable {
                    id,
                    message: format!("there is nothing to attach at {place}: no mark of a database, and no object"),
                    hint: Some("look at the address; CREATE STORAGE makes a new storage".to_owned()),
                });
            }
            // Nobody's. It holds a lost database's objects, so there may be many.
            None => {
                if let Place::Cloud(location) = &place {
                    let remote = self.connect(location, &id, None).await.map_err(|error| unusable(&id, &error))?;
                    owner::remote::claim(&remote, &wanted, usize::MAX).await.map_err(|error| unusable(&id, &error))?;
                }
            }
            // Ours since an attempt that did not come to its end, or that of a storage that we dropped.
            Some(found) if found == wanted || self.is_forsaken(&found)? => {}
            Some(found) if claim == Claim::TakeOver && found.database_id != self.database_id() => {
                self.take_over(&id, &place, &found, &wanted).await?;
                tracing::info!(storage = %id, from = found.database_id, "the root of another database is taken over");
            }
            Some(found) => {
                return Err(Error::StorageUnusable {
                    id,
                    message: format!("its root belongs to storage '{}' of database {}", found.storage_id, found.database_id),
                    hint: (found.database_id != self.database_id()).then(|| {
                        "if that database is gone for good, add TAKE OVER; two that write into one root destroy each other's data"
                            .to_owned()
                    }),
                });
            }
        }
        self.register(new, true).await
    }

    async fn attach_again(&self, known: Arc<Storage>) -> Result<Arc<Storage>, Error> {
        if known.attaching {
            return Ok(known);
        }
        let attaching = Storage { attaching: true, ..Storage::clone(&known) };
        self.catalog().replace_storage(&known, attaching).await
    }

    /// All that lies in a storage is taken in: what nothing names is an orphan from now on. Repeatable.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is being changed at this moment; the engine's.
    pub async fn end_attaching(&self, id: &StorageId) -> Result<(), Error> {
        match self.catalog().storage(&self.snapshot(), id)? {
            Some(known) if known.attaching => {
                let attached = Storage { attaching: false, ..Storage::clone(&known) };
                self.catalog().replace_storage(&known, attached).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing lies in a place.
    async fn is_bare(&self, id: &StorageId, place: &Place) -> Result<bool, Error> {
        let bare = match place {
            Place::Folder(root) => {
                let root = root.clone();
                blocking(move || match std::fs::read_dir(&root) {
                    Ok(mut entries) => Ok(entries.next().is_none()),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
                    Err(error) => Err(cold::Error::io("look into the storage root", &root)(error)),
                })
                .await
            }
            Place::Cloud(location) => match self.connect(location, id, None).await {
                Ok(remote) => remote.list("").try_next().await.map(|first| first.is_none()),
                Err(error) => Err(error),
            },
        };
        bare.map_err(|error| unusable(id, &error))
    }

    /// Whose a place is, if anybody's.
    pub(super) async fn owner_of(&self, id: &StorageId, place: &Place) -> Result<Option<Owner>, cold::Error> {
        match place {
            Place::Folder(root) => {
                let root = root.clone();
                blocking(move || owner::read(&root)).await
            }
            Place::Cloud(location) => owner::remote::owner_of(&*self.connect(location, id, None).await?).await,
        }
    }

    /// Gives a root to this database, if it does what a storage has to: who has it now keeps it otherwise.
    async fn take_over(&self, id: &StorageId, place: &Place, found: &Owner, wanted: &Owner) -> Result<(), Error> {
        let taken = match place {
            Place::Folder(root) => {
                let (root, found, wanted) = (root.clone(), found.clone(), wanted.clone());
                blocking(move || owner::take_over(&root, &found, &wanted)).await
            }
            Place::Cloud(location) => {
                let remote = self.connect(location, id, None).await.map_err(|error| unusable(id, &error))?;
                let objects: Arc<dyn Objects> = remote.clone();
                self.probe(id, &objects).await?;
                owner::remote::take_over(&remote, found, wanted).await
            }
        };
        taken.map_err(|error| unusable(id, &error))
    }
}

/// A folder may be a mount that does not answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, cold::Error> + Send + 'static,
) -> Result<T, cold::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
