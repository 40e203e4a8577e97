//! Places for segments: made, changed, checked, dropped, and opened again after a start.
//!
//! | part | file | what it does |
//! | --- | --- | --- |
//! | statements | `mod.rs` | CREATE, ALTER, CHECK and DROP STORAGE, each of which asks the place itself first |
//! | attaching | `attach.rs` | a root of a database that is lost |
//! | opening | `open.rs` | roots are opened side by side when the store is, and again later where they could not be |
//! | probing | `probe.rs` | write, read, list, delete |
//! | multipart uploads | `multiparts.rs` | their ids, kept until somebody ends them |

mod attach; // roots of databases that are lost
mod multiparts; // ids of uploads that nobody ended
mod open; // roots, opened and kept open
mod probe; // does it do what a storage has to
#[cfg(test)]
mod tests;

pub use attach::Claim;
pub use probe::{Probe, ProbeStep};

pub(crate) use open::Storages;

use crate::catalog::{NewStorage, Storage, StorageChange};
use crate::cold::cloud;
use crate::secrets::Secret;
use crate::{Error, MULTIPARTS, QUARANTINE, StorageId, Store, cold, deletions, keys, manifest, users};
use ebbtide_engine::{Expect, KeyRange, Snapshot, Write};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Users that an error names, at most.
const NAMED_MAX: usize = 10;

/// What there is to know of a storage before its root is opened.
#[derive(Debug)]
pub(crate) enum Place {
    Folder(PathBuf),
    Cloud(Box<cloud::Location>),
}

impl Place {
    /// Whether both are the same place, however it is reached.
    fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(root), Self::Folder(other)) => root == other,
            (Self::Cloud(one), Self::Cloud(other)) => {
                let place = |location: &cloud::Location| {
                    let cloud::Location { address, settings, .. } = location;
                    (address.clone(), settings.endpoint.clone(), settings.account.clone())
                };
                place(one) == place(other)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(root) => root.display().fmt(f),
            Self::Cloud(location) => location.address.fmt(f),
        }
    }
}

impl Store {
    /// Opens a storage's root, makes sure that it does what a storage has to, then registers it.
    ///
    /// # Errors
    /// [`Error::StorageExists`]; [`Error::Conflict`] while another statement is at it; [`Error::Invalid`] and [`Error::Path`] for an address, settings, credentials or templates
    /// that cannot be; [`Error::StorageUnusable`] for a root that cannot be opened, is another's, or does not do what a
    /// storage has to. Nothing is registered then.
    pub async fn create_storage(self: &Arc<Self>, new: NewStorage) -> Result<Arc<Storage>, Error> {
        let _busy = self.storages().busy(&new.id)?;
        self.register(new, false).await
    }

    /// Registers a storage; one that is being attached keeps its mark whatever happens.
    async fn register(self: &Arc<Self>, new: NewStorage, attaching: bool) -> Result<Arc<Storage>, Error> {
        let id = new.id.clone();
        if self.catalog().storage(&self.snapshot(), &id)?.is_some() {
            return Err(Error::StorageExists { id });
        }
        let credentials = new.credentials.clone();
        let mut storage = Storage { attaching, ..self.catalog().check_storage(new)? };
        let place = self.place(&storage, credentials.as_ref())?;
        let opened = match self.open_root(&id, &place).await {
            // A storage of ours that was dropped, and whose owner object survived it.
            Err(cold::Error::Owned { found, .. }) if self.is_forsaken(&found)? => {
                self.open_forsaken(&id, &place, &found).await
            }
            opened => opened,
        };
        let opened = opened.map_err(|error| unusable(&id, &error))?;
        let registered = match self.probe(&id, &opened).await {
            Ok(()) => {
                storage.credentials = credentials.map(|secret| self.seal(&id, &secret));
                self.catalog().register_storage(storage).await
            }
            Err(error) => Err(error),
        };
        if registered.is_err() && !attaching {
            self.give_back(&id, &opened).await;
        }
        let storage = registered?;
        self.remember(id, Ok(opened));
        Ok(storage)
    }

    /// Changes a storage, after making sure that it does what a storage has to as it is going to be. New files follow the
    /// change; those that are there stay where they are.
    ///
    /// # Errors
    /// [`Error::StorageNotFound`]; as [`Store::create_storage`]. Nothing is changed then.
    pub async fn alter_storage(self: &Arc<Self>, id: &StorageId, change: StorageChange) -> Result<Arc<Storage>, Error> {
        let _busy = self.storages().busy(id)?;
        let before = self.catalog().storage(&self.snapshot(), id)?;
        let before = before.ok_or_else(|| Error::StorageNotFound { id: id.to_string() })?;
        let mut storage = Storage::clone(&before);
        storage.updated_at = self.env().now();
        storage.name = change.name.unwrap_or(storage.name);
        storage.description = change.description.unwrap_or(storage.description);
        storage.config_json = change.config_json.unwrap_or(storage.config_json);
        storage.set_templates(change.shared_tables_template, change.user_tables_template);
        storage.check_templates()?;
        let credentials = match change.credentials {
            Some(credentials) => {
                storage.credentials = credentials.as_ref().map(|secret| self.seal(id, secret));
                credentials
            }
            None => self.credentials(&storage)?,
        };
        let place = self.place(&storage, credentials.as_ref())?;
        if !place.is_where(&self.place(&before, self.credentials(&before)?.as_ref())?)
            && self.owner_of(id, &place).await.map_err(|error| unusable(id, &error))? != Some(self.owner(id))
        {
            return Err(Error::StorageUnusable {
                id: id.clone(),
                message: "under this CONFIG it would be another place, which does not bear its mark".to_owned(),
                hint: Some(
                    "a storage stays where it is; CREATE STORAGE makes another one, and MOVE TABLE copies".to_owned(),
                ),
            });
        }
        let opened = match &place {
            // A folder that is open is locked; what of it could change needs no new look at it.
            Place::Folder(_) if self.objects(id).is_ok() => self.objects(id)?,
            _ => self.open_root(id, &place).await.map_err(|error| unusable(id, &error))?,
        };
        self.probe(id, &opened).await?;
        let storage = self.catalog().replace_storage(&before, storage).await?;
        self.remember(id.clone(), Ok(opened));
        Ok(storage)
    }

    /// Writes, reads, lists and deletes an object, each with the time that it took.
    ///
    /// # Errors
    /// [`Error::StorageNotFound`]; the engine's. What the storage does not do is in the answer, not an error.
    pub async fn check_storage(self: &Arc<Self>, id: &StorageId) -> Result<Probe, Error> {
        let storage = self.catalog().storage(&self.snapshot(), id)?;
        let storage = storage.ok_or_else(|| Error::StorageNotFound { id: id.to_string() })?;
        let objects = match self.objects(id) {
            Ok(objects) => objects,
            // Perhaps it can be by now.
            Err(_) => match self.open_stored(&storage).await {
                Ok(opened) => self.remember_unless_open(id, opened),
                Err(error) => return Ok(Probe::unopened(error.to_string())),
            },
        };
        Ok(probe::probe(&*objects, self.env()).await)
    }

    /// Removes a storage that no table, no user and no segment refers to. Its root is free for others then.
    ///
    /// # Errors
    /// [`Error::StorageNotFound`]; [`Error::StorageInUse`] with who refers to it; [`Error::StorageProtected`] for `local`;
    /// the engine's. Nothing is changed then.
    pub async fn drop_storage(self: &Arc<Self>, id: &StorageId) -> Result<(), Error> {
        let _busy = self.storages().busy(id)?;
        self.catalog().drop_storage(id, |snapshot| expect_unused(snapshot, id)).await?;
        if let Some(Ok(opened)) = self.forget(id) {
            self.give_back(id, &opened).await;
        }
        Ok(())
    }

    /// Seals every storage's credentials with the first key of the ring. Gives how many were sealed anew.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the ring has not the key of one; the engine's. Those before it are sealed anew then.
    pub async fn rotate_secrets(&self) -> Result<usize, Error> {
        let mut sealed_anew = 0;
        for before in self.catalog().storages(&self.snapshot())? {
            let Some(sealed) = &before.credentials else { continue };
            let whose = Storage::whose(&before.id);
            let Some(sealed) = self.options().keyring.rewrap(sealed, &whose, &**self.env())? else { continue };
            let storage = Storage { credentials: Some(sealed), ..Storage::clone(&before) };
            self.catalog().replace_storage(&before, storage).await?;
            sealed_anew += 1;
        }
        Ok(sealed_anew)
    }

    fn seal(&self, id: &StorageId, secret: &Secret) -> crate::secrets::Sealed {
        self.options().keyring.seal(secret, &Storage::whose(id), &**self.env())
    }

    /// A storage's credentials, to be used.
    pub(crate) fn credentials(&self, storage: &Storage) -> Result<Option<Secret>, Error> {
        let sealed = storage.credentials.as_ref();
        sealed.map(|sealed| self.options().keyring.open(sealed, &Storage::whose(&storage.id))).transpose()
    }

    /// Where a storage is and how it is reached, if that can be.
    pub(crate) fn place(&self, storage: &Storage, credentials: Option<&Secret>) -> Result<Place, Error> {
        let Some(provider) = storage.storage_type.provider() else {
            if credentials.is_some() {
                return Err(Error::invalid("a storage of type filesystem takes no CREDENTIALS"));
            }
            return folder(storage, &self.options().default_storage_path).map(Place::Folder);
        };
        let config = storage.config_json.as_deref();
        let location = cloud::Location::parse(provider, &storage.base_directory, config, credentials)?;
        Ok(Place::Cloud(Box::new(location)))
    }

    async fn probe(&self, id: &StorageId, objects: &Arc<dyn cold::Objects>) -> Result<(), Error> {
        let probe = probe::probe(&**objects, self.env()).await;
        match probe.failure() {
            None => Ok(()),
            Some((message, hint)) => Err(Error::StorageUnusable { id: id.clone(), message, hint }),
        }
    }
}

/// The folder of a storage.
fn folder(storage: &Storage, default: &std::path::Path) -> Result<PathBuf, Error> {
    if storage.config_json.as_deref().is_some_and(|config| config.trim() != "{}") {
        return Err(Error::invalid("a storage of type filesystem takes no CONFIG"));
    }
    let directory = storage.base_directory.strip_prefix("file://").unwrap_or(&storage.base_directory);
    if directory.is_empty() {
        if storage.id == StorageId::local() {
            return Ok(default.to_owned());
        }
        return Err(Error::Invalid {
            message: format!("storage '{}' needs a base directory", storage.id),
            hint: Some("name it with PATH '/var/lib/…'".to_owned()),
        });
    }
    if directory.contains("://") {
        return Err(Error::Invalid {
            message: "a storage of type filesystem is at a path, not at an address".to_owned(),
            hint: Some("TYPE s3, gcs or azure is for buckets".to_owned()),
        });
    }
    Ok(PathBuf::from(directory))
}

/// What a commit is to hold so that a storage which nothing beside the catalog refers to stays like that, and goes whole.
fn expect_unused(snapshot: &Arc<dyn Snapshot>, id: &StorageId) -> Result<(Vec<Expect>, Vec<Write>), Error> {
    let in_use = |what: String| Err(Error::StorageInUse { id: id.clone(), what });
    let (users, more) = users::of_storage(snapshot, id, NAMED_MAX)?;
    if !users.is_empty() {
        let named = users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (count, named) = if more {
            (format!("more than {NAMED_MAX}"), format!("{named}, …"))
        } else {
            (users.len().to_string(), named)
        };
        return in_use(format!("{count} user(s) still reference it: {named}"));
    }
    let (any, expect) = manifest::any_on(snapshot, id)?;
    if any {
        return in_use("segments still lie in it; MOVE them to another storage, or drop their tables".to_owned());
    }
    let waiting = deletions::of_storage(snapshot, id)?;
    if waiting > 0 {
        return in_use(format!(
            "{waiting} object(s) in it are still to be removed; they go by themselves, try again then"
        ));
    }
    // Nothing else is kept about a storage than what names its objects.
    let prefix = KeyRange::prefix(&keys::object(id, ""));
    let writes = [QUARANTINE, MULTIPARTS].map(|space| Write::delete_range(space, prefix.clone())).to_vec();
    Ok((vec![expect], writes))
}

fn unusable(id: &StorageId, error: &cold::Error) -> Error {
    Error::StorageUnusable { id: id.clone(), message: error.to_string(), hint: error.hint().map(str::to_owned) }
}
