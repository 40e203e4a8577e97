//! Objects that are to go, and the one place that removes them.
//!
//! Whoever takes an object out of the manifest writes a [`Deletion`] in the same commit, so a crash leaves no orphan.
//! [`delete_due`] removes the object once the grace has passed, the commit is durable, and every reader has gone that
//! registered before: such a one may have seen it named.
//!
//! ```text
//! deletions  not before, i64 | storage | path  ->  deletion, JSON
//! ```

mod due; // what is due goes
mod worker; // in the background

#[cfg(test)]
mod tests;

pub use due::{Deleted, delete_due};
pub use worker::Worker;

use crate::{DELETIONS, Error, StorageId, keys};
use ebbtide_engine::{KeyRange, Order, Snapshot, Write};
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
}

impl Why {
    /// The name as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Retention => "retention",
            Self::Orphan => "orphan",
        }
    }
}

impl Deletion {
    fn key(&self) -> Vec<u8> {
        let mut key = time(self.not_before).to_vec();
        key.extend(keys::object(&self.storage, &self.path));
        key
    }

    /// The write that has the object go. It belongs into the commit from which on nothing names the object.
    pub fn put(&self) -> Write {
        let value = serde_json::to_vec(self).expect("a plain struct of text and numbers has a JSON form");
        Write::put(DELETIONS, self.key(), value)
    }

    fn forget(&self) -> Write {
        Write::delete(DELETIONS, self.key())
    }
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
    let to = due_at.map_or_else(Vec::new, |at| time(at.saturating_add(1)).to_vec());
    let mut cursor = snapshot.scan(DELETIONS, KeyRange::new([], to), Order::Ascending)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, value)) = cursor.next()?
    {
        let deletion = serde_json::from_slice(value)
            .map_err(|error| Error::corrupt(format!("the deletion {}: {error}", key.escape_ascii())))?;
        found.push(deletion);
    }
    Ok(found)
}
