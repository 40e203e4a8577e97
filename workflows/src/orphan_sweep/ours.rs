//! Which objects are ours to judge, by their names, and what names them.

use ebbtide_engine::Snapshot;
use ebbtide_store::cold::Listed;
use ebbtide_store::path::FileName;
use ebbtide_store::published::{self, ObjectName};
use ebbtide_store::{Error, Storage, StorageId, manifest};
use std::sync::Arc;

/// An object with a name that this database gives.
pub(super) enum Ours {
    /// A segment, or what was to be one.
    Segment(FileName),
    /// A manifest published beside segments.
    Manifest,
}

impl Ours {
    /// What the object at this path is; none if it is somebody else's.
    pub(super) fn at(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let manifest = || ObjectName::parse(name).map(|_| Self::Manifest);
        FileName::parse(name).map(Self::Segment).or_else(manifest)
    }

    /// The file timestamp by which a job that is not over may still need it.
    pub(super) fn stamp_secs(&self) -> Option<i64> {
        match self {
            Self::Segment(name) => Some(name.stamp_secs),
            Self::Manifest => None,
        }
    }

    /// Whether the object was there before the storage was registered here, in a folder of which nothing is named: then it
    /// is of a database that is lost. Attaching takes such a folder in, or has yet to: nobody else is to judge it.
    pub(super) fn is_of_another(
        &self,
        object: &Listed,
        snapshot: &Arc<dyn Snapshot>,
        storage: &Storage,
    ) -> Result<bool, Error> {
        const SECOND: i64 = 1_000_000;
        let written_secs = self.stamp_secs().unwrap_or(object.modified_at.div_euclid(SECOND));
        if written_secs >= storage.created_at.div_euclid(SECOND) {
            return Ok(false);
        }
        let folder = object.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok(!manifest::any_in(snapshot, &storage.id, folder)? && !published::any_in(snapshot, &storage.id, folder)?)
    }
}

/// Whether anything names the object: the manifest, or the record of what is published.
pub(super) fn is_named(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<bool, Error> {
    Ok(manifest::named(snapshot, storage, path)?.is_some() || published::is_last(snapshot, storage, path)?)
}
