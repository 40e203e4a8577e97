//! Objects that are to go, and the one place that removes them.
//!
//! Whoever takes an object out of the manifest writes a [`Deletion`] in the same commit, so a crash leaves no orphan.
//! [`delete_due`] removes the object once the grace has passed, the commit is durable, and every reader has gone that
//! registered before: such a one may have seen it named.
//!
//! ```text
//! deletions  d | not before, i64 | storage | path  ->  deletion, JSON
//!            o | storage | path                    ->  not before, i64
//! ```

mod due; // what is due goes
mod worker; // in the background

#[cfg(test)]
mod tests;

pub use due::{Deleted, delete_due};
pub use worker::start;

use crate::{DELETIONS, Error, StorageId, TableId, UserId, keys, quarantine};
use ebbtide_engine::{Expect, KeyRange, Order, Snapshot, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An object that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The storage it lies in.
    pub storage: StorageId,
    /// Relative to the storage's root.
    pub path: String,
    /// Its size, as far as known.
    pub bytes: u64,
    /// When it is to go at the earliest, microseconds since the Unix epoch.
    pub not_before: i64,
    /// Why it is to go.
    pub why: Why,
    /// Whose segment it was: it goes only once no published manifest names it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<(TableId, UserId)>,
    /// How often removing it failed.
    #[serde(default)]
    pub failures: u32,
    /// Why it failed the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why an object is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its table was dropped.
    Dropped,
    /// Its rows are older than they are to be kept.
    Retention,
    /// Nothing ever named it.
    Orphan,
    /// A manifest that a newer one took the place of.
    Superseded,
    /// Its rows were moved to another storage.
    Moved,
    /// Its user was erased.
    Erased,
}

impl Why {
    /// The name as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Retention => "retention",
            Self::Orphan => "orphan",
            Self::Superseded => "superseded",
            Self::Moved => "moved",
            Self::Erased => "erased",
        }
    }
}

impl Deletion {
    fn key(&self) -> Vec<u8> {
        [DUE, &time(self.not_before), &keys::object(&self.storage, &self.path)].concat()
    }

    /// The writes that have the object go. They belong into the commit from which on nothing names the object.
    pub fn put(&self) -> [Write; 2] {
        let value = serde_json::to_vec(self).expect("a plain struct of text and numbers has a JSON form");
        [
            Write::put(DELETIONS, self.key(), value),
            Write::put(DELETIONS, object_key(&self.storage, &self.path), time(self.not_before)),
        ]
    }

    fn forget(&self) -> [Write; 2] {
        [Write::delete(DELETIONS, self.key()), Write::delete(DELETIONS, object_key(&self.storage, &self.path))]
    }
}

const DUE: &[u8] = b"d";
const OBJECTS: &[u8] = b"o";

fn object_key(storage: &StorageId, path: &str) -> Vec<u8> {
    [OBJECTS, &keys::object(storage, path)].concat()
}

/// Whether this object is to go.
///
/// # Errors
/// The engine's.
pub fn is_pending(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<bool, Error> {
    Ok(snapshot.get(DELETIONS, &object_key(storage, path))?.is_some())
}

/// Expects this object not to be about to go.
pub(crate) fn expect_absent(storage: &StorageId, path: &str) -> Expect {
    Expect::absent(DELETIONS, object_key(storage, path))
}

/// The writes that forget that this object is to go: it is gone, or never was. With them it leaves the quarantine.
///
/// # Errors
/// The engine's.
pub fn forget_object(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<Vec<Write>, Error> {
    let key = object_key(storage, path);
    let mut writes = vec![quarantine::release(storage, path)];
    if let Some(time) = snapshot.get(DELETIONS, &key)? {
        writes.push(Write::delete(DELETIONS, [DUE, &time, &keys::object(storage, path)].concat()));
        writes.push(Write::delete(DELETIONS, key));
    }
    Ok(writes)
}

/// Bytes of a time that sort as the time does.
fn time(micros: i64) -> [u8; 8] {
    (micros.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Up to `limit` objects that are to go, the earliest first: all of them, or those that are due at `due_at`.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn pending(snapshot: Arc<dyn Snapshot>, due_at: Option<i64>, limit: usize) -> Result<Vec<Deletion>, Error> {
    let mut range = KeyRange::prefix(DUE);
    if let Some(at) = due_at {
        range.to = [DUE, &time(at.saturating_add(1))].concat();
    }
    let mut cursor = snapshot.scan(DELETIONS, range, Order::Ascending)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, value)) = cursor.next()?
    {
        found.push(read(key, value)?);
    }
    Ok(found)
}

/// The first object that is still to go and is looked for.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn find(
    snapshot: Arc<dyn Snapshot>,
    mut looked_for: impl FnMut(&Deletion) -> bool,
) -> Result<Option<Deletion>, Error> {
    let mut cursor = snapshot.scan(DELETIONS, KeyRange::prefix(DUE), Order::Ascending)?;
    while let Some((key, value)) = cursor.next()? {
        let deletion = read(key, value)?;
        if looked_for(&deletion) {
            return Ok(Some(deletion));
        }
    }
    Ok(None)
}

fn read(key: &[u8], value: &[u8]) -> Result<Deletion, Error> {
    serde_json::from_slice(value)
        .map_err(|error| Error::corrupt(format!("the deletion {}: {error}", key.escape_ascii())))
}

/// How many objects of this storage are still to go.
pub(crate) fn of_storage(snapshot: &Arc<dyn Snapshot>, storage: &StorageId) -> Result<usize, Error> {
    let prefix = object_key(storage, "");
    let mut cursor = snapshot.clone().scan(DELETIONS, KeyRange::prefix(&prefix), Order::Ascending)?;
    let mut count = 0;
    while cursor.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}
