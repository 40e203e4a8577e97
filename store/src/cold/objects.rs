//! The seam between the store and wherever its objects lie.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Error, OWN_FOLDER, Owner};

/// What an acknowledged object is made of, for the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// CRC-32C of all its bytes.
    pub crc32c: u32,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Relative to the root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, in microseconds since 1970, by the storage's clock.
    pub modified_at: i64,
}

/// A place for objects. Paths are relative to its root, with `/` between components.
///
/// An object is whole and durable when it is acknowledged, and not seen before. No object is ever overwritten: a name that exists is
/// [`Error::AlreadyExists`]. What happens between two writers of one large object is up to them: names are not used twice, see `design.md`.
///
/// Each way of writing is there for tasks and for threads that may block. A thread that encodes hands its bytes over without a hop.
#[async_trait]
pub trait Objects: Debug + Send + Sync + 'static {
    /// Where this is, for people: a directory, or a URL without credentials.
    fn uri(&self) -> &str;

    /// Whether objects wait in a queue of its own for a bounded number that are at work, so that callers need not hold any
    /// back: the more wait, the more it has to share.
    fn queues(&self) -> bool {
        false
    }

    /// What an upload that comes in pieces holds in memory, at most, beside the piece that is being written.
    fn upload_bytes_held_max(&self) -> usize {
        0
    }

    /// Writes an object that is in memory already. Many of these at a time share their waits for the disk.
    async fn put_small(&self, path: &str, bytes: Bytes) -> Result<Stored, Error>;

    /// [`Objects::put_small`] on a thread that may block. Not to be called from a task.
    fn put_small_blocking(&self, path: &str, bytes: Bytes) -> Result<Stored, Error>;

    /// Begins an object that comes in pieces.
    async fn begin(&self, path: &str) -> Result<Box<dyn Upload>, Error>;

    /// [`Objects::begin`] on a thread that may block. Not to be called from a task.
    fn begin_blocking(&self, path: &str) -> Result<Box<dyn Upload>, Error>;

    /// Removes an object. One that is not there is removed already.
    async fn delete(&self, path: &str) -> Result<(), Error>;

    /// All objects in this folder and below it, in no order; of the whole root for an empty prefix. Never used to plan a query.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Listed, Error>>;

    /// Removes temp files that were last written before this time (microseconds since 1970) and still lie there, or only counts
    /// them. A storage that keeps none has none.
    async fn sweep_temp(&self, written_before: i64, only_count: bool) -> Result<u64, Error> {
        let _ = (written_before, only_count);
        Ok(0)
    }

    /// Ends a multipart upload that an earlier process left open. One that is ended already is ended; a storage that knows
    /// none has none.
    async fn abort_multipart(&self, path: &str, id: &str) -> Result<(), Error> {
        let _ = (path, id);
        Ok(())
    }

    /// Whose the root is at this moment, if anybody's: another database may have taken it over.
    async fn owner(&self) -> Result<Option<Owner>, Error>;

    /// Gives up the root: its owner object goes, and others may have it. Nothing is to be written here afterwards.
    async fn release(&self) -> Result<(), Error>;

    /// For readers. Paths are to be made with [`object_store::path::Path::parse`], which takes them as they are.
    fn object_store(&self) -> Arc<dyn ObjectStore>;
}

/// An object on its way. Dropping it without [`Upload::finish`] leaves no object.
#[async_trait]
pub trait Upload: Debug + Send {
    /// Adds bytes at the end.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// [`Upload::write`] on a thread that may block. Not to be called from a task.
    fn write_blocking(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// Makes the object whole, durable and visible.
    async fn finish(self: Box<Self>) -> Result<Stored, Error>;

    /// [`Upload::finish`] on a thread that may block. Not to be called from a task.
    fn finish_blocking(self: Box<Self>) -> Result<Stored, Error>;

    /// Gives up, and waits until nothing is left of it.
    async fn abort(self: Box<Self>) -> Result<(), Error>;
}

/// Finishes an upload, and holds something until that is over, though the caller may be dropped before: the object may come to
/// be there all the same.
///
/// # Errors
/// As [`Upload::finish`].
///
/// # Panics
/// When finishing does.
pub async fn finish_holding(upload: Box<dyn Upload>, held: impl Send + 'static) -> Result<Stored, Error> {
    let finishing = tokio::spawn(async move {
        let stored = upload.finish().await;
        drop(held);
        stored
    });
    match finishing.await {
        Ok(stored) => stored,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::Contradiction(format!("the process is ending: {error}"))),
    }
}

/// Refuses what is not a plain relative path in every storage. Templates make none of these; whoever calls with one has a bug or a motive.
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Name { path: path.to_owned(), problem });
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.bytes().any(|b| b.is_ascii_control() || b == b'\\') {
        return refuse("it has a control character or a backslash");
    }
    if path.split('/').next() == Some(OWN_FOLDER) {
        return refuse("the folder .ebbtide is the storage's own");
    }
    for component in path.split('/') {
        match component {
            "" => return refuse("it starts or ends with a slash, or has two in a row"),
            "." | ".." => return refuse("it has a step to where it is, or up"),
            _ if component.len() > 255 => return refuse("a component has more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// A path as readers want it.
pub(super) fn location(path: &str) -> Result<object_store::path::Path, Error> {
    check_path(path)?;
    object_store::path::Path::parse(path)
        .map_err(|_| Error::Name { path: path.to_owned(), problem: "an object store takes no such path" })
}

/// All bytes of an object as they are now, counted and summed up; no object of this name is `None`. They are read in
/// pieces, so memory does not grow with the object.
///
/// # Errors
/// [`Error::Store`] when it cannot be read.
pub async fn checksum(objects: &dyn Objects, path: &str) -> Result<Option<Stored>, Error> {
    let failed = |source| Error::Store { path: path.to_owned(), source: Arc::new(source) };
    let mut bytes = match objects.object_store().get(&location(path)?).await {
        Ok(found) => found.into_stream(),
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut stored = Stored { bytes: 0, crc32c: 0 };
    while let Some(piece) = bytes.try_next().await.map_err(failed)? {
        stored.bytes += piece.len() as u64;
        stored.crc32c = crc32c::crc32c_append(stored.crc32c, &piece);
    }
    Ok(Some(stored))
}

/// All bytes of a small object; no object of this name is `None`.
///
/// # Errors
/// [`Error::Store`] when it cannot be read.
pub async fn read(objects: &dyn Objects, path: &str) -> Result<Option<Bytes>, Error> {
    let failed = |source| Error::Store { path: path.to_owned(), source: Arc::new(source) };
    match objects.object_store().get(&location(path)?).await {
        Ok(found) => found.bytes().await.map(Some).map_err(failed),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(failed(source)),
    }
}

/// What is known of an object without reading it; `None` when there is none of this name.
///
/// # Errors
/// [`Error::Store`] when it cannot be looked up.
pub async fn head(objects: &dyn Objects, path: &str) -> Result<Option<Listed>, Error> {
    match objects.object_store().head(&location(path)?).await {
        Ok(found) => Ok(Some(Listed {
            path: path.to_owned(),
            bytes: found.size,
            modified_at: found.last_modified.timestamp_micros(),
        })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(Error::Store { path: path.to_owned(), source: Arc::new(source) }),
    }
}

/// A prefix is a path or nothing at all.
pub(super) fn check_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.is_empty() { Ok(()) } else { check_path(prefix) }
}
