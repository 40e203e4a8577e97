//! One user's folders: what the manifest says of them now, under names that no object ever had.

use super::{Folder, Manifest, ObjectName, Published, note, of_user};
use crate::cold::{self, Objects};
use crate::deletions::{self, Deletion, Why};
use crate::{Error, PUBLISH_DUE, Segment, StorageId, Store, Table, TableId, UserId, keys, manifest, quarantine};
use bytes::Bytes;
use ebbtide_engine::{Commit, CommitError, Expect, KeyRange, Order, Snapshot, Sync, Write};
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// Users whose folders are published at the same time.
const USERS_AT_ONCE: usize = 16;
/// Names that are tried for one manifest. Each is one that a crash, or an answer that was lost, has used up.
const NAMES_MAX: u64 = 100;
/// How long a manifest stays that another one took the place of, for whoever copies the folder at this moment.
pub const GRACE: Duration = Duration::from_secs(60);

/// What [`publish_due`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Users whose folders say now what the manifest says.
    pub users: u64,
    /// Users some of whose folders do not.
    pub failed: u64,
}

/// Publishes the folders of up to `users_max` users who changed, of those after `after` in the order of keys. Gives the
/// last one looked at; none when there is none left.
///
/// Repeatable and safe to drop at any await: what was not noted as published is published again under the next name.
///
/// # Errors
/// The engine's. A storage that does not take a manifest is no error; its users are counted.
pub async fn publish_due(
    store: &Arc<Store>,
    after: Option<&[u8]>,
    users_max: usize,
) -> Result<(Outcome, Option<Vec<u8>>), Error> {
    let mut from = after.map(<[u8]>::to_vec).unwrap_or_default();
    if after.is_some() {
        from.push(0);
    }
    let snapshot = store.snapshot();
    let due = blocking(move || page(snapshot, from, users_max)).await?;
    let last = due.last().cloned();
    let results: Vec<Result<bool, Error>> = stream::iter(due)
        .map(|key| async move { user(store, &key).await })
        .buffer_unordered(USERS_AT_ONCE)
        .collect()
        .await;
    let mut outcome = Outcome::default();
    for published in results {
        match published {
            Ok(true) => outcome.users += 1,
            Ok(false) => outcome.failed += 1,
            Err(error) if error.is_final() => return Err(error),
            // One user's trouble; the others are not to wait for him.
            Err(error) => {
                tracing::error!(%error, "a user's folders could not be published; they are tried again");
                outcome.failed += 1;
            }
        }
    }
    Ok((outcome, last))
}

/// Publishes the folders of one user, if that is due. Gives whether they say now what the manifest says.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub async fn publish_user(store: &Arc<Store>, table: TableId, whom: &UserId) -> Result<bool, Error> {
    user(store, &keys::user(table, whom)).await
}

/// The keys of users who changed.
fn page(snapshot: Arc<dyn Snapshot>, from: Vec<u8>, limit: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut cursor = snapshot.scan(PUBLISH_DUE, KeyRange::new(from, []), Order::Ascending)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, _)) = cursor.next()?
    {
        found.push(key.to_vec());
    }
    Ok(found)
}

/// What there is to say of a user.
struct Look {
    /// How often he changed, as it stands; none if he is not due.
    times: Option<Vec<u8>>,
    table: Option<Arc<Table>>,
    watermark: manifest::Watermark,
    /// That the storages of these folders are the places that they were.
    registered: Vec<Expect>,
    /// Of each folder that has segments, or had some: those, what was published last, and the number that comes next.
    folders: BTreeMap<Folder, (Vec<Segment>, Option<Published>, u64)>,
}

/// Publishes one user's folders. Gives whether all of them say now what the manifest said when it was looked at.
async fn user(store: &Arc<Store>, key: &[u8]) -> Result<bool, Error> {
    let (table_id, (user, _)) = (keys::table_of(key)?, keys::split_user(key)?);
    let _turn = store.turns().enter(key).await;
    // A manifest says much of the rows that it names; who erases them waits for those that are being written.
    let writing = Arc::new(store.writers().register());
    let (looking, whom) = (store.clone(), user.clone());
    let Look { times, table, watermark, registered, folders } =
        blocking(move || look(&looking, table_id, &whom)).await?;
    let Some(times) = times else { return Ok(true) };
    let Some(table) = table else {
        // What a dropped table has published goes with its segments.
        let writes = vec![Write::delete_if(PUBLISH_DUE, key, times)];
        commit(store, Vec::new(), writes).await?;
        return Ok(true);
    };
    let (mut expect, mut writes) = (registered, vec![]);
    expect.push(table.expect_present());
    let mut whole = true;
    let mut put_now: Vec<(Arc<dyn Objects>, String)> = Vec::new();
    for (folder, (segments, before, generation)) in folders {
        let manifest = Manifest {
            ebbtide_manifest: Manifest::form(),
            generation,
            written_at: store.env().now(),
            database_id: store.database_id().to_owned(),
            table: Table::clone(&table),
            user: user.clone(),
            storage: folder.storage.clone(),
            folder: folder.folder.clone(),
            watermark: watermark.seq,
            erase_generation: watermark.erase_generation,
            segments,
        };
        let content_crc32c = crc32c::crc32c(&manifest.content());
        if before.as_ref().is_some_and(|before| before.content_crc32c == content_crc32c) {
            continue;
        }
        let put = match store.objects(&folder.storage) {
            // Dropped, so it holds no segment; the record stays, for names are never given twice.
            Err(Error::StorageNotFound { .. }) if manifest.segments.is_empty() => continue,
            Ok(objects) => {
                // It may come to be there though this is dropped meanwhile: until that is over, somebody is writing.
                let (to, place, writing) = (objects.clone(), folder.clone(), writing.clone());
                let putting = tokio::spawn(async move {
                    let put = put(&*to, &place, manifest).await;
                    drop(writing);
                    put
                });
                over(putting.await)?.map(|put| (objects, put)).map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        let (generation, path, bytes) = match put {
            Ok((objects, put)) => {
                put_now.push((objects, put.1.clone()));
                put
            }
            Err(error) => {
                tracing::warn!(
                    table = %table.qualified_name(), %user, storage = %folder.storage, %error,
                    "a manifest could not be published; it is tried again"
                );
                // His other folders may be on storages that are well.
                whole = false;
                continue;
            }
        };
        store.env().reached("published.put");
        let attached = before.as_ref().is_some_and(|before| before.attached);
        let now = Published { generation, path, bytes, content_crc32c, attached };
        let (expected, noted) = note(table_id, &user, &folder, before.as_ref(), &now);
        let held_back = quarantine::expect_absent(&folder.storage, &now.path);
        expect.extend([expected, held_back, deletions::expect_absent(&folder.storage, &now.path)]);
        writes.extend(noted);
        if let Some(Published { path, bytes, .. }) = before.filter(|before| !before.path.is_empty()) {
            let not_before = store.env().now().saturating_add(i64::try_from(GRACE.as_micros()).unwrap_or(i64::MAX));
            let (storage, why) = (folder.storage, Why::Superseded);
            let gone = Deletion { storage, path, bytes, not_before, why, whose: None, failures: 0, error: None };
            writes.extend(gone.put());
        }
    }
    if whole {
        // Not if he changed meanwhile: then he is published once more.
        writes.push(Write::delete_if(PUBLISH_DUE, key, times));
    }
    if commit(store, expect, writes).await? {
        return Ok(whole);
    }
    // Nobody has heard of them. What stays of them is found by the sweep.
    for (objects, path) in put_now {
        if let Err(error) = objects.delete(&path).await {
            tracing::debug!(path, %error, "a manifest that was not noted could not be removed");
        }
    }
    Ok(false)
}

/// The first number in a folder. An erasure forgets which were given; those after it are greater than all before it, so
/// that no name comes up twice and the greatest is the last.
fn first(erase_generation: u64) -> u64 {
    erase_generation.min(u64::from(u32::MAX)) << 32 | 1
}

/// Whether it was committed; a mismatch says that somebody else published him, or that the table was dropped.
async fn commit(store: &Store, expect: Vec<Expect>, writes: Vec<Write>) -> Result<bool, Error> {
    match store.engine().commit(Commit { expect, writes, sync: Sync::Unsynced }).await {
        Ok(_) => Ok(true),
        Err(CommitError::Mismatch { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn look(store: &Store, table: TableId, user: &UserId) -> Result<Look, Error> {
    let snapshot = store.snapshot();
    let mut published: HashMap<Folder, Published> = of_user(&snapshot, table, user)?.into_iter().collect();
    let mut folders: BTreeMap<Folder, (Vec<Segment>, Option<Published>)> = BTreeMap::new();
    for segment in manifest::scan_segments(snapshot.clone(), table, Some(user))? {
        let segment = segment?;
        let folder = segment.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let folder = Folder { storage: segment.storage.clone(), folder };
        let before = published.remove(&folder);
        let (segments, known) = folders.entry(folder).or_default();
        segments.push(segment);
        *known = known.take().or(before);
    }
    // A folder that has no segment any more says so: what was in it must not come back.
    folders.extend(published.into_iter().map(|(folder, before)| (folder, (Vec::new(), Some(before)))));
    let watermark = manifest::watermark(&*snapshot, table, user)?;
    let numbered = |(folder, (segments, before)): (Folder, (Vec<Segment>, Option<Published>))| {
        let from = before.as_ref().map_or_else(|| first(watermark.erase_generation), |before| before.generation + 1);
        let generation = next_free(&*snapshot, &folder, from)?;
        Ok::<_, Error>((folder, (segments, before, generation)))
    };
    let storages: BTreeSet<&StorageId> = folders.keys().map(|folder| &folder.storage).collect();
    let registered = storages.into_iter().map(|id| store.catalog().expect_registered(&*snapshot, id));
    Ok(Look {
        registered: registered.collect::<Result<_, _>>()?,
        times: snapshot.get(PUBLISH_DUE, &keys::user(table, user))?,
        table: store.catalog().table_by_id(&snapshot, table)?,
        folders: folders.into_iter().map(numbered).collect::<Result<_, _>>()?,
        watermark,
    })
}

/// The next number but for those whose objects are on their way out, which a dropped table of the same name may have left: a
/// delete that is done again would take the new one.
fn next_free(snapshot: &dyn Snapshot, folder: &Folder, mut generation: u64) -> Result<u64, Error> {
    while deletions::is_pending(snapshot, &folder.storage, &path(folder, generation))? {
        generation += 1;
    }
    Ok(generation)
}

fn path(Folder { folder, .. }: &Folder, generation: u64) -> String {
    let name = ObjectName { generation };
    if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") }
}

/// Puts a manifest under the first name that is free.
async fn put(
    objects: &dyn Objects,
    folder: &Folder,
    mut manifest: Manifest,
) -> Result<(u64, String, u64), cold::Error> {
    let last = manifest.generation + NAMES_MAX;
    loop {
        let path = path(folder, manifest.generation);
        match objects.put_small(&path, Bytes::from(manifest.to_text())).await {
            Ok(stored) => return Ok((manifest.generation, path, stored.bytes)),
            Err(error) if error.is_already_exists() && manifest.generation < last => manifest.generation += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reads of the engine block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    over(tokio::task::spawn_blocking(work).await)?
}

fn over<T>(task: Result<T, JoinError>) -> Result<T, Error> {
    match task {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::Conflict { message: format!("the process is ending: {error}") }),
    }
}
