//! Which objects are ours to judge, by their names, and what names them.

use ebbtide_engine::Snapshot;
use ebbtide_store::path::FileName;
use ebbtide_store::published::{self, ObjectName};
use ebbtide_store::{Error, StorageId, manifest};

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
}

/// Whether anything names the object: the manifest, or the record of what is published.
pub(super) fn is_named(snapshot: &dyn Snapshot, storage: &StorageId, path: &str) -> Result<bool, Error> {
    Ok(manifest::named(snapshot, storage, path)?.is_some() || published::is_last(snapshot, storage, path)?)
}
