//! What can go wrong between a row group and a durable object.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Owner, refusal::refusal};

/// Why an object or a segment could not be written, listed or deleted.
///
/// After any of these a writer takes the next name (`-r1`): the object under the present one may or may not be there, and is never adopted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The name is taken. Nothing was changed.
    #[error("the object {path} already exists, and no name is written twice")]
    AlreadyExists {
        /// The object.
        path: String,
    },
    /// The path cannot name an object in any storage.
    #[error("{path:?} cannot name an object: {problem}")]
    Name {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create the directory`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An fsync failed. The system may have dropped the bytes and forgotten about it, so asking again proves nothing.
    #[error("fsync of {} failed: {source}; nothing it covers counts as written, and it is not tried again on the same file", path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The root belongs to another database, or to another storage of this one.
    #[error("the storage root {root} belongs to storage {:?} of database {}; give storage {:?} of database {} a directory of its own",
        found.storage_id, found.database_id, wanted.storage_id, wanted.database_id)]
    Owned {
        /// The root.
        root: String,
        /// Whose it is.
        found: Owner,
        /// Who asked for it.
        wanted: Owner,
    },
    /// The root lies inside another storage's, or around it.
    #[error("the storage root {root} lies {relation} {other}, which belongs to storage {:?} of database {}; roots must not contain one another",
        found.storage_id, found.database_id)]
    Nested {
        /// The root that was asked for.
        root: String,
        /// `inside` or `around`.
        relation: &'static str,
        /// The root of the other storage.
        other: String,
        /// Whose it is.
        found: Owner,
    },
    /// Another process has the root open.
    #[error("the storage root {} is open in another process; stop that one first", root.display())]
    InUse {
        /// The root.
        root: PathBuf,
    },
    /// The owner object is there and does not say who owns the root.
    #[error(
        "{path} does not say who owns this storage root: {problem}; if the root is yours, restore the file from a backup"
    )]
    OwnerUnreadable {
        /// The owner object.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The root of a storage of old has no owner object.
    #[error("the storage root {root} does not bear the mark of its owner any more (.ebbtide/owner.json)")]
    Unmarked {
        /// The root.
        root: String,
    },
    /// A root that nobody owns yet holds so much already that it cannot be looked through for others' roots.
    #[error(
        "{root} holds more than {objects_max} objects that are not this database's; give the storage a folder of its own"
    )]
    Crowded {
        /// The root.
        root: String,
        /// How many were looked at.
        objects_max: usize,
    },
    /// No client can be made for a storage.
    #[error("no client can be made for {uri}: {}", refusal(source).words)]
    Setup {
        /// The storage's address.
        uri: String,
        /// What was wrong.
        source: Arc<object_store::Error>,
    },
    /// An object store refused or could not be reached.
    #[error("object {path}: {}", refusal(source).words)]
    Store {
        /// The object.
        path: String,
        /// What the store said.
        source: Arc<object_store::Error>,
    },
    /// A storage says of a folder now this and now that.
    #[error(
        "the storage's answers about folder {folder} do not fit together: {path} is in one and not, or not like that, in another"
    )]
    Inconsistent {
        /// The folder.
        folder: String,
        /// An object that shows it.
        path: String,
    },
    /// The id of a multipart upload could not be stored, so no part was sent.
    #[error("object {path}: the multipart upload could not be recorded, so it was not begun: {reason}")]
    NotRecorded {
        /// The object.
        path: String,
        /// Why not.
        reason: String,
    },
    /// An upload goes on after one of its writes failed or was cancelled: some of its bytes are missing.
    #[error("object {path}: not written, because an earlier write of the same upload did not finish")]
    Broken {
        /// The object.
        path: String,
    },
    /// The work was dropped because the process is ending.
    #[error("object {path}: not written, because the process is ending")]
    Stopped {
        /// The object.
        path: String,
    },
    /// Rows could not be written as Parquet.
    #[error("rows cannot be written as Parquet: {source}")]
    Parquet {
        /// What the writer said.
        source: Arc<parquet::errors::ParquetError>,
    },
    /// What was written and what the file says of itself are not the same. The file must not be used.
    #[error("a segment contradicts itself: {0}; it is not used, and its rows stay hot")]
    Contradiction(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source: Arc::new(source) }
    }

    /// What to do about it, where there is more to say than the message does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Unmarked { .. } => {
                Some("mount or restore it; if it is to begin empty, an ALTER STORAGE such as SET NAME takes it again")
            }
            Error::Store { source, .. } | Error::Setup { source, .. } => refusal(source).hint,
            _ => None,
        }
    }

    /// The message and what to do about it, for where there is only one place for both.
    pub fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }

    /// The name is taken.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Error::AlreadyExists { .. })
    }

    /// The object is not there, or is not what it was said to be; not its storage being away.
    pub fn is_of_the_object(&self) -> bool {
        match self {
            Error::Contradiction(_) => true,
            Error::Store { source, .. } => matches!(&**source, object_store::Error::NotFound { .. }),
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// The disk or the quota is full: it helps to make room, and to try again later.
    pub fn is_disk_full(&self) -> bool {
        let (Error::Io { source, .. } | Error::Sync { source, .. }) = self else {
            return false;
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(source: parquet::errors::ParquetError) -> Error {
        Error::Parquet { source: Arc::new(source) }
    }
}
