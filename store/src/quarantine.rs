//! Objects that the manifest does not name and that no job is going to: held back for a while before they go.
//!
//! The commit that puts an object here expects the manifest not to name it, and the commit that would attach a
//! segment expects its object not to be here. So an object is named or quarantined, never both, whoever is late.
//!
//! ```text
//! quarantine  storage | path  ->  what it was when it was found, JSON
//! ```

use crate::manifest::expect_unnamed;
use crate::{Error, QUARANTINE, StorageId, keys};
use ebbtide_engine::{Cursor, Expect, KeyRange, Order, Snapshot, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An object that nothing names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The storage it lies in.
    pub storage: StorageId,
    /// Relative to the storage's root.
    pub path: String,
    /// Its size when it was found.
    pub bytes: u64,
    /// When it had last been written then, microseconds since the Unix epoch, by the storage's clock.
    pub modified_at: i64,
    /// When it was found, microseconds since the Unix epoch.
    pub quarantined_at: i64,
    /// The job that found it.
    pub job_id: String,
}

impl Quarantined {
    /// What one commit must hold to quarantine the object.
    pub fn put(&self) -> (Expect, Write) {
        let value = serde_json::to_vec(self).expect("a plain struct of text and numbers has a JSON form");
        let write = Write::put(QUARANTINE, keys::object(&self.storage, &self.path), value);
        (expect_unnamed(&self.storage, &self.path), write)
    }

    /// Takes the object out again: it is gone, or it is not what was found.
    pub fn release(&self) -> Write {
        release(&self.storage, &self.path)
    }

    fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(value)
            .map_err(|error| Error::corrupt(format!("the quarantine's entry {}: {error}", key.escape_ascii())))
    }
}

/// Expects this object not to be quarantined.
pub(crate) fn expect_absent(storage: &StorageId, path: &str) -> Expect {
    Expect::absent(QUARANTINE, keys::object(storage, path))
}

pub(crate) fn release(storage: &StorageId, path: &str) -> Write {
    Write::delete(QUARANTINE, keys::object(storage, path))
}

/// The quarantined object of this path, if it is one.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn get(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<Option<Quarantined>, Error> {
    let key = keys::object(storage, path);
    snapshot.get(QUARANTINE, &key)?.map(|value| Quarantined::read(&key, &value)).transpose()
}

/// Quarantined objects by storage and path: all of them, or those after one.
///
/// # Errors
/// The engine's; each item may also be [`Error::Corrupt`].
pub fn scan(snapshot: Arc<dyn Snapshot>, after: Option<(&StorageId, &str)>) -> Result<Scan, Error> {
    let mut from = after.map_or_else(Vec::new, |(storage, path)| keys::object(storage, path));
    if after.is_some() {
        from.push(0);
    }
    Ok(Scan { cursor: snapshot.scan(QUARANTINE, KeyRange::new(from, []), Order::Ascending)? })
}

/// Reads quarantined objects as it goes.
pub struct Scan {
    cursor: Box<dyn Cursor>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}

impl Iterator for Scan {
    type Item = Result<Quarantined, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.next() {
            Ok(None) => None,
            Ok(Some((key, value))) => Some(Quarantined::read(key, value)),
            Err(error) => Some(Err(error.into())),
        }
    }
}
