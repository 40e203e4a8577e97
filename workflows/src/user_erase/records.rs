//! Objects that are to be gone when the erasure ends: each is looked for before the receipt says so.
//!
//! ```text
//! erased_objects  job id | table, u64 | what, u8 | storage | path  ->  nothing
//! ```
//! A job that runs to its end leaves none; what others leave goes when they are cleaned up.

use ebbtide_engine::keys::{Key, Parts};
use ebbtide_engine::{Cache, Cursor, KeyRange, Order, Snapshot, Space, Write};
use ebbtide_runtime::JobId;
use ebbtide_store::{Error, StorageId, TableId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Objects that an erasure has written down.
pub const ERASED_OBJECTS: Space = Space { name: "erased_objects", cache: Cache::Shared };

/// What an object is. The manifests that say which segments are gone go after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Segments,
    Manifests,
}

/// An object.
pub(super) type Object = (StorageId, String);

/// The first table of which a job has anything written down.
pub(super) fn first(snapshot: Arc<dyn Snapshot>, job: &JobId) -> Result<Option<TableId>, Error> {
    let mut cursor = snapshot.scan(ERASED_OBJECTS, KeyRange::prefix(job.as_bytes()), Order::Ascending)?;
    let Some((key, _)) = Cursor::next(&mut *cursor)? else { return Ok(None) };
    let table = key.get(job.as_bytes().len()..).and_then(|rest| Parts::of(rest).u64());
    let corrupt = || Error::corrupt(format!("the erased object {}", key.escape_ascii()));
    Ok(Some(TableId(table.ok_or_else(corrupt)?)))
}

/// Whose objects: of one job, and of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    pub(super) job: JobId,
    pub(super) table: TableId,
}

impl Whose {
    fn of_table(self) -> Key {
        Key::new().raw(self.job.as_bytes()).u64(self.table.0)
    }

    fn of(self, what: What) -> Vec<u8> {
        let what = match what {
            What::Segments => 0,
            What::Manifests => 1,
        };
        self.of_table().u8(what).into_vec()
    }

    fn key(self, what: What, storage: &StorageId, path: &str) -> Vec<u8> {
        Key::new().raw(&self.of(what)).text(storage).raw(path.as_bytes()).into_vec()
    }

    pub(super) fn put(self, what: What, storage: &StorageId, path: &str) -> Write {
        Write::put(ERASED_OBJECTS, self.key(what, storage, path), [])
    }

    /// Whether the object was written down before.
    pub(super) fn has(
        self,
        snapshot: &dyn Snapshot,
        what: What,
        storage: &StorageId,
        path: &str,
    ) -> Result<bool, Error> {
        Ok(snapshot.get(ERASED_OBJECTS, &self.key(what, storage, path))?.is_some())
    }

    /// Some of what was written down, behind an object.
    pub(super) fn page(
        self,
        snapshot: Arc<dyn Snapshot>,
        what: What,
        after: Option<&Object>,
        limit: usize,
    ) -> Result<Vec<Object>, Error> {
        let mut objects = Vec::new();
        self.each(snapshot, what, after, |object| {
            objects.push(object);
            objects.len() < limit
        })?;
        Ok(objects)
    }

    /// All that was written down, as long as more is wanted.
    pub(super) fn each(
        self,
        snapshot: Arc<dyn Snapshot>,
        what: What,
        after: Option<&Object>,
        mut more: impl FnMut(Object) -> bool,
    ) -> Result<(), Error> {
        let prefix = self.of(what);
        let mut range = KeyRange::prefix(&prefix);
        if let Some((storage, path)) = after {
            range.from = self.key(what, storage, path);
            range.from.push(0);
        }
        let mut cursor = snapshot.scan(ERASED_OBJECTS, range, Order::Ascending)?;
        while let Some((key, _)) = Cursor::next(&mut *cursor)? {
            let corrupt = || Error::corrupt(format!("the erased object {}", key.escape_ascii()));
            let mut parts = Parts::of(key.get(prefix.len()..).ok_or_else(corrupt)?);
            let storage = StorageId::new(parts.text().ok_or_else(corrupt)?)?;
            let path = std::str::from_utf8(parts.rest()).map_err(|_| corrupt())?;
            if !more((storage, path.to_owned())) {
                break;
            }
        }
        Ok(())
    }

    /// The write that forgets all of them.
    pub(super) fn forget(self) -> Write {
        Write::delete_range(ERASED_OBJECTS, self.of_table().prefix_range())
    }
}
