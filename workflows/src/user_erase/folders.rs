//! Where objects of his may lie, and which of those that do lie there are to go.
//!
//! His folders of a table: those that the templates of every storage give, now and before, those of the segments that were
//! erased, and those in which something is published. An object in one of them that carries a name of ours is his.

use super::records::{What, Whose};
use crate::kinds::{read, wait};
use crate::naming::{folder_of, name_of};
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::{Listed, Objects};
use ebbtide_store::path::FileName;
use ebbtide_store::published::{self, Folder, ObjectName};
use ebbtide_store::{Error, StorageId, Store, Table, UserId, manifest};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Objects judged against one snapshot.
const OBJECTS_PER_LOOK: usize = 1024;

/// An object that is to go and is not written down yet.
pub(super) struct Found {
    pub(super) storage: StorageId,
    pub(super) object: Listed,
}

/// The objects of storages whose roots are ours; none of one that was dropped, in which nothing is ours any more.
pub(super) async fn owned(
    store: &Store,
    storages: impl Iterator<Item = &StorageId>,
    cx: &Step,
) -> Result<BTreeMap<StorageId, Option<Arc<dyn Objects>>>, StepError> {
    let mut owned = BTreeMap::new();
    for storage in storages.collect::<BTreeSet<_>>() {
        let objects = match wait(cx, store.owned_objects(storage)).await? {
            Ok(objects) => Some(objects),
            Err(Error::StorageNotFound { .. }) => None,
            Err(error) => return Err(not_asked(storage, error)),
        };
        owned.insert(storage.clone(), objects);
    }
    Ok(owned)
}

/// His folders of a table.
pub(super) async fn folders(table: &Arc<Table>, user: &UserId, cx: &Step) -> Result<BTreeSet<Folder>, StepError> {
    let store = cx.get::<Store>()?;
    let (table, user, whose) = (table.clone(), user.clone(), Whose { job: *cx.job_id(), table: table.id });
    read("looking for his folders", cx, move |snapshot| {
        let mut folders = BTreeSet::new();
        for storage in store.catalog().storages(&snapshot)? {
            for folder in store.prefixes_in(&storage, &table, &user)? {
                folders.insert(Folder { storage: storage.id.clone(), folder });
            }
        }
        folders.extend(published::of_user(&snapshot, table.id, &user)?.into_iter().map(|(folder, _)| folder));
        whose.each(snapshot, What::Segments, None, |(storage, path)| {
            folders.insert(Folder { storage, folder: folder_of(&path).to_owned() });
            true
        })?;
        Ok::<_, Error>(folders)
    })
    .await
}

/// What lies in his folders, is to go, and is not written down yet: no more than `limit` objects.
///
/// Everything is listed after all those have ended who may have been writing when the fence was made, so nothing comes up
/// later that was made of what they had read. And it is judged after all those have ended who may have been writing when it
/// was listed, so that a published manifest which counts is known by then.
pub(super) async fn unwritten(
    table: &Arc<Table>,
    user: &UserId,
    what: What,
    limit: usize,
    cx: &Step,
) -> Result<Vec<Found>, StepError> {
    let store = cx.get::<Store>()?;
    let folders = folders(table, user, cx).await?;
    let mut uploads = Vec::new();
    for folder in &folders {
        let open = store.open_uploads_in(&folder.storage, &folder.folder);
        let open = open.map_err(|error| StepError::retry_because("looking for uploads failed", error))?;
        uploads.extend(open.into_iter().map(|(id, path)| (&folder.storage, id, path)));
    }
    writers_passed(&store, cx).await?;
    // Who began them has ended, or is of an earlier life.
    for (storage, id, path) in uploads {
        let aborted = store.abort_upload(storage, &id, &path).await;
        aborted.map_err(|error| not_asked(storage, error))?;
    }
    let storages = owned(&store, folders.iter().map(|folder| &folder.storage), cx).await?;
    let mut found = Vec::new();
    for folder in folders {
        let Some(objects) = &storages[&folder.storage] else { continue };
        let mut listing = objects.list(&folder.folder);
        loop {
            let mut look = Vec::with_capacity(OBJECTS_PER_LOOK);
            let end = loop {
                if look.len() >= OBJECTS_PER_LOOK {
                    break false;
                }
                match wait(cx, listing.next()).await? {
                    // A folder below it is somebody else's.
                    Some(Ok(object)) if folder_of(&object.path) == folder.folder => {
                        if of_ours(what, name_of(&object.path)) {
                            look.push(object);
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(not_asked(&folder.storage, error)),
                    None => break true,
                }
            };
            if !look.is_empty() {
                writers_passed(&store, cx).await?;
                let judge = Judge {
                    whose: Whose { job: *cx.job_id(), table: table.id },
                    user: user.clone(),
                    folder: folder.clone(),
                    what,
                };
                let go = read("reading the manifest", cx, move |snapshot| judge.page(&snapshot, look)).await?;
                found.extend(go.into_iter().map(|object| Found { storage: folder.storage.clone(), object }));
            }
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
            if end {
                break;
            }
        }
    }
    Ok(found)
}

/// Waits for all who may be writing an object at this moment.
async fn writers_passed(store: &Store, cx: &Step) -> Result<(), StepError> {
    wait(cx, store.writers().wait_passed(store.writers().now())).await
}

fn of_ours(what: What, name: &str) -> bool {
    match what {
        What::Segments => FileName::parse(name).is_some(),
        What::Manifests => ObjectName::parse(name).is_some(),
    }
}

pub(super) fn not_asked(storage: &StorageId, error: impl std::error::Error + Send + Sync + 'static) -> StepError {
    StepError::retry_because(format!("storage {storage} may still hold something of his"), error)
}

/// What is to be known to judge an object.
struct Judge {
    whose: Whose,
    user: UserId,
    folder: Folder,
    what: What,
}

impl Judge {
    fn page(self, snapshot: &Arc<dyn Snapshot>, objects: Vec<Listed>) -> Result<Vec<Listed>, Error> {
        let published: BTreeMap<Folder, u64> = published::of_user(snapshot, self.whose.table, &self.user)?
            .into_iter()
            .map(|(folder, published)| (folder, published.generation))
            .collect();
        let current = published.get(&self.folder).copied();
        let mut go = Vec::new();
        for object in objects {
            let counts = match self.what {
                What::Segments => manifest::named(&**snapshot, &self.folder.storage, &object.path)?.is_some(),
                // The one that counts in this folder, and what may be about to take its place.
                What::Manifests => ObjectName::parse(name_of(&object.path))
                    .is_some_and(|name| current.is_some_and(|current| name.generation >= current)),
            };
            if !counts && !self.whose.has(&**snapshot, self.what, &self.folder.storage, &object.path)? {
                go.push(object);
            }
        }
        Ok(go)
    }
}
