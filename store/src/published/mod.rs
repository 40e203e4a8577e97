//! Published manifests: beside the segments of a user lies a small object that says what they are.
//!
//! It is a copy, made after the fact: the manifest in the engine is the truth, and nothing reads a published one as long as
//! there is an engine. With it a folder can be understood, copied and attached to another database when the disk of its own
//! is lost.
//!
//! ```text
//! chat/users/messages/a/ana/2026-11-22T10-00-00.parquet
//!                           2026-11-22T11-00-00.parquet
//!                           _ebbtide-0000000002.json     both, the table's definition, the watermark
//! ```
//!
//! Whoever changes what the manifest says of a user notes in the same commit that his folders are to be published; a worker
//! comes by. Of two published manifests in a folder the one with the greater number counts, and no number is used twice.
//!
//! ```text
//! publish_due      table | user                     ->  how often he changed, i64 LE
//! published        table | user | storage | folder  ->  the last one that is whole, JSON
//! published_paths  storage | path                  ->  nothing: the objects of those
//! ```
//!
//! A segment counts as removed once a manifest is published without it. So objects that are to go wait for that: see
//! [`crate::deletions`].

mod content; // what such an object says
mod publish; // one user's folders
mod turns; // who is at it
mod worker; // in the background

#[cfg(test)]
mod tests;

pub use content::{Manifest, ObjectName};
pub use publish::{GRACE, Outcome, publish_due, publish_user};
pub use worker::start;

pub(crate) use turns::Turns;

use crate::{Error, PUBLISH_DUE, PUBLISHED, PUBLISHED_PATHS, StorageId, TableId, UserId, keys};
use ebbtide_engine::keys::{Key, Parts};
use ebbtide_engine::{Cursor, Expect, KeyRange, Order, Snapshot, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The last manifest published in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its number, which is in its name.
    pub generation: u64,
    /// The object, relative to the storage's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// CRC-32C of what it says, apart from when and under which number.
    pub content_crc32c: u32,
    /// Whether the folder was a lost database's, and was taken in whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attached: bool,
}

impl Published {
    /// One that somebody else published; an empty path where nobody did.
    pub(crate) fn found(generation: u64, path: String, bytes: u64) -> Self {
        Self { generation, path, bytes, content_crc32c: 0, attached: false }
    }
}

/// One folder of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder {
    /// In which storage.
    pub storage: StorageId,
    /// Relative to the storage's root.
    pub folder: String,
}

/// The write that has a user's folders published soon. It belongs into every commit that changes his manifest.
pub(crate) fn due(table: TableId, user: &UserId) -> Write {
    Write::add(PUBLISH_DUE, keys::user(table, user), 1)
}

/// Whether what was last published of a user may not be what the manifest says.
///
/// # Errors
/// The engine's.
pub fn is_due(snapshot: &dyn Snapshot, table: TableId, user: &UserId) -> Result<bool, Error> {
    Ok(snapshot.get(PUBLISH_DUE, &keys::user(table, user))?.is_some())
}

fn key(table: TableId, user: &UserId, folder: &Folder) -> Vec<u8> {
    Key::new().raw(&keys::user(table, user)).text(folder.storage.as_str()).raw(folder.folder.as_bytes()).into_vec()
}

/// What is published of a user, by folder.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn of_user(snapshot: &Arc<dyn Snapshot>, table: TableId, user: &UserId) -> Result<Vec<(Folder, Published)>, Error> {
    let found = scan(snapshot, &keys::user(table, user), usize::MAX)?;
    Ok(found.into_iter().map(|(_, folder, published)| (folder, published)).collect())
}

/// A folder, whose it is and what is published in it.
type Entry = (UserId, Folder, Published);

/// Some of what is published of a table.
pub(crate) fn of_table(snapshot: &Arc<dyn Snapshot>, table: TableId, limit: usize) -> Result<Vec<Entry>, Error> {
    scan(snapshot, &keys::table(table), limit)
}

fn scan(snapshot: &Arc<dyn Snapshot>, prefix: &[u8], limit: usize) -> Result<Vec<Entry>, Error> {
    let mut cursor = snapshot.clone().scan(PUBLISHED, KeyRange::prefix(prefix), Order::Ascending)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, value)) = Cursor::next(&mut *cursor)?
    {
        let corrupt = |what: String| Error::corrupt(format!("the published manifest {}: {what}", key.escape_ascii()));
        let (user, rest) = keys::split_user(key)?;
        let mut parts = Parts::of(rest);
        let storage = parts.text().ok_or_else(|| corrupt("its key names no storage".to_owned()))?;
        let folder = std::str::from_utf8(parts.rest()).map_err(|error| corrupt(error.to_string()))?;
        let folder = Folder { storage: StorageId::new(storage)?, folder: folder.to_owned() };
        found.push((user, folder, serde_json::from_slice(value).map_err(|error| corrupt(error.to_string()))?));
    }
    Ok(found)
}

/// What one commit must hold to note what is published in a folder, in the place of what was.
pub(crate) fn note(
    table: TableId,
    user: &UserId,
    folder: &Folder,
    before: Option<&Published>,
    now: &Published,
) -> (Expect, Vec<Write>) {
    let key = key(table, user, folder);
    let mut writes = vec![Write::put(PUBLISHED, key.clone(), value(now))];
    writes.extend(before.map(|before| Write::delete(PUBLISHED_PATHS, path_key(folder, before))));
    if !now.path.is_empty() {
        writes.push(Write::put(PUBLISHED_PATHS, path_key(folder, now), []));
    }
    (Expect::as_read(PUBLISHED, key, before.map(value)), writes)
}

fn path_key(folder: &Folder, published: &Published) -> Vec<u8> {
    keys::object(&folder.storage, &published.path)
}

/// Whether this object is the last manifest published in its folder.
///
/// # Errors
/// The engine's.
pub fn is_last(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<bool, Error> {
    Ok(snapshot.get(PUBLISHED_PATHS, &keys::object(storage, path))?.is_some())
}

/// Whether anything is published in this folder, or below it.
///
/// # Errors
/// The engine's.
pub fn any_in(snapshot: &Arc<dyn Snapshot>, storage: &StorageId, folder: &str) -> Result<bool, Error> {
    let prefix = keys::object(storage, &format!("{folder}/"));
    let mut cursor = snapshot.clone().scan(PUBLISHED_PATHS, KeyRange::prefix(&prefix), Order::Ascending)?;
    Ok(Cursor::next(&mut *cursor)?.is_some())
}

/// The writes that forget what is published in a folder; its object is to go as well.
pub fn forget(table: TableId, user: &UserId, folder: &Folder, published: &Published) -> [Write; 2] {
    [Write::delete(PUBLISHED, key(table, user, folder)), Write::delete(PUBLISHED_PATHS, path_key(folder, published))]
}

/// The write by which a user is not to be published any more.
pub fn not_due(table: TableId, user: &UserId) -> Write {
    Write::delete(PUBLISH_DUE, keys::user(table, user))
}

/// The writes that forget what is left of a table once everything published in it is forgotten.
pub(crate) fn reclaim(table: TableId) -> impl Iterator<Item = Write> {
    [PUBLISHED, PUBLISH_DUE]
        .into_iter()
        .map(move |space| Write::delete_range(space, KeyRange::prefix(&keys::table(table))))
}

fn value(published: &Published) -> Vec<u8> {
    serde_json::to_vec(published).expect("a plain struct of text and numbers has a JSON form")
}
