//! ATTACH STORAGE: a root of a database that is lost becomes a storage of this one.

use super::{Place, unusable};
use crate::catalog::{NewStorage, Storage};
use crate::cold::{self, Owner, cloud, owner};
use crate::{Error, StorageId, Store};
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
    /// afterwards, by a job.
    ///
    /// # Errors
    /// As [`Store::create_storage`]; [`Error::StorageUnusable`] for a root whose owner is not to be taken over, or who is
    /// there still.
    pub async fn attach_storage(self: &Arc<Self>, new: NewStorage, claim: Claim) -> Result<Arc<Storage>, Error> {
        let id = new.id.clone();
        if self.catalog().storage(&self.snapshot(), &id)?.is_some() {
            return Err(Error::StorageExists { id });
        }
        let storage = self.catalog().check_storage(new.clone())?;
        let place = self.place(&storage, new.credentials.as_ref())?;
        let found = self.owner_of(&id, &place).await.map_err(|error| unusable(&id, &error))?;
        let wanted = self.owner(&id);
        match found {
            // Nobody's, ours since an attempt that did not come to its end, or that of a storage that we dropped.
            None => {}
            Some(found) if found == wanted || self.is_forsaken(&found)? => {}
            Some(found) if claim == Claim::TakeOver && found.database_id != self.database_id() => {
                self.take_over(&id, &place, &found, &wanted).await.map_err(|error| unusable(&id, &error))?;
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
        self.create_storage(new).await
    }

    /// Whose a place is, if anybody's.
    pub(super) async fn owner_of(&self, id: &StorageId, place: &Place) -> Result<Option<Owner>, cold::Error> {
        match place {
            Place::Folder(root) => owner::read(root),
            Place::Cloud(location) => {
                let remote = cloud::connect(location, id.as_str(), None, self.env()).await?;
                owner::remote::owner_of(&remote).await
            }
        }
    }

    async fn take_over(&self, id: &StorageId, place: &Place, found: &Owner, wanted: &Owner) -> Result<(), cold::Error> {
        match place {
            Place::Folder(root) => owner::take_over(root, found, wanted),
            Place::Cloud(location) => {
                let remote = cloud::connect(location, id.as_str(), None, self.env()).await?;
                owner::remote::take_over(&remote, found, wanted).await
            }
        }
    }
}
