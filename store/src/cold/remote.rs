//! Objects in any object store: S3, GCS, Azure, or memory.
//!
//! A small object is one PUT that succeeds only if the name is free. A large one is a multipart upload; those know no such condition, so the
//! name is looked up before the upload is completed. That is enough, because names are never used twice and a root has one owner.

use std::{collections::VecDeque, fmt::Debug, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion, multipart::MultipartStore, path::Path,
    prefix::PrefixStore,
};
use tokio::runtime::Handle;

use super::{Error, Listed, Objects, Owner, Stored, Upload, local, objects::check_path, owner};

use entire::Entire;
use multipart::Multipart;

mod entire; // no read ends early
mod multipart;
#[cfg(test)]
mod tests;

/// How objects are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// The size of a part, and the largest object that is sent in one piece. Stores want 5 MiB at least.
    pub part_bytes: usize,
    /// Parts of one object on their way at a time, 1 at least. An upload holds one part more than this in memory.
    pub parts_max: usize,
    /// Told of multipart uploads.
    pub multiparts: Option<Arc<dyn Multiparts>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { part_bytes: 8 << 20, parts_max: 2, multiparts: None }
    }
}

/// Keeps the ids of open multipart uploads durably. A store keeps, and bills, the parts of one that nobody ends; after a crash
/// only its id can end it ([`Objects::abort_multipart`]).
#[async_trait]
pub trait Multiparts: Debug + Send + Sync {
    /// An upload got its id. No part is sent before this succeeds.
    async fn opened(&self, path: &str, id: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// The upload was completed or aborted: its id means nothing any more.
    async fn closed(&self, path: &str, id: &str);
}

/// What a store must be able to do.
pub trait Store: ObjectStore + MultipartStore {}
impl<S: ObjectStore + MultipartStore> Store for S {}

/// Objects under a prefix of an object store.
pub struct Remote {
    shared: Arc<Shared>,
    reader: Arc<dyn ObjectStore>,
    uri: String,
}

struct Shared {
    store: Arc<dyn Store>,
    /// The same store, to be read from.
    reads: Arc<dyn ObjectStore>,
    prefix: Path,
    options: Options,
    /// Where the store's requests run when a thread that may block asks for them.
    runtime: Handle,
}

impl Debug for Remote {
    /// Not the store: its client may hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Remote {
    /// Takes `store` below `prefix`, which may be empty. `uri` is shown to people: no credentials in it.
    pub fn new<S: Store>(
        store: Arc<S>,
        prefix: &str,
        uri: &str,
        runtime: Handle,
        options: Options,
    ) -> Result<Arc<Remote>, Error> {
        let prefix = Path::parse(prefix).map_err(|_| Error::Name {
            path: prefix.to_owned(),
            problem: "a prefix has plain components with one slash between them",
        })?;
        let reads: Arc<dyn ObjectStore> = Arc::new(Entire(Arc::clone(&store) as Arc<dyn ObjectStore>));
        let reader: Arc<dyn ObjectStore> = if prefix.is_root() {
            Arc::clone(&reads)
        } else {
            Arc::new(PrefixStore::new(Arc::clone(&reads), prefix.clone()))
        };
        let shared = Arc::new(Shared { store, reads, prefix, options, runtime });
        Ok(Arc::new(Remote { shared, reader, uri: uri.to_owned() }))
    }
}

/// What only the storage itself does: see `owner/remote.rs`.
impl Remote {
    /// The prefix in the bucket; empty for the whole of it.
    pub(super) fn prefix(&self) -> &str {
        self.shared.prefix.as_ref()
    }

    /// Where this is, for people.
    pub(super) fn root_uri(&self) -> String {
        self.uri.clone()
    }

    /// An object of the bucket, whatever the prefix; none if there is none of this name.
    pub(super) async fn read_whole(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let location = Path::parse(path).map_err(|error| failed(path, error.into()))?;
        match self.shared.reads.get(&location).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|source| failed(path, source)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(path, source)),
        }
    }

    /// Makes an object of the storage's own folder, unless there is one of this name.
    pub(super) async fn create_own(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        let location = Path::parse(self.whole(path)).map_err(|error| failed(path, error.into()))?;
        self.shared.put(path, &location, bytes.into()).await
    }

    /// Replaces an object of the storage's own folder that is as expected, unless somebody else does so meanwhile.
    pub(super) async fn replace_own(
        &self,
        path: &str,
        expected: impl Fn(&[u8]) -> bool,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let location = Path::parse(self.whole(path)).map_err(|error| failed(path, error.into()))?;
        let changed =
            || Error::OwnerUnreadable { path: self.uri.clone(), problem: "it has changed just now".to_owned() };
        let found = self.shared.reads.get(&location).await.map_err(|source| failed(path, source))?;
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        if !expected(&found.bytes().await.map_err(|source| failed(path, source))?) {
            return Err(changed());
        }
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        match self.shared.store.put_opts(&location, bytes.into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::Precondition { .. }) => Err(changed()),
            Err(source) => Err(failed(path, source)),
        }
    }

    /// Removes an object of the storage's own folder. One that is not there is removed already.
    pub(super) async fn delete_own(&self, path: &str) -> Result<(), Error> {
        let location = Path::parse(self.whole(path)).map_err(|error| failed(path, error.into()))?;
        match self.shared.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(path, source)),
        }
    }

    /// A path of ours as the bucket has it.
    fn whole(&self, path: &str) -> String {
        if self.shared.prefix.is_root() { path.to_owned() } else { format!("{}/{path}", self.shared.prefix) }
    }

    /// Every object below the prefix by its whole path, the storage's own ones too.
    pub(super) fn list_whole(&self) -> BoxStream<'static, Result<String, Error>> {
        let prefix = (!self.shared.prefix.is_root()).then_some(&self.shared.prefix);
        let uri = self.uri.clone();
        let listed = self.shared.store.list(prefix).map_ok(|object| object.location.to_string());
        listed.map_err(move |source| failed(&uri, source)).boxed()
    }
}

impl Shared {
    fn location(&self, path: &str) -> Result<Path, Error> {
        check_path(path)?;
        let whole = if self.prefix.is_root() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(whole)
            .map_err(|_| Error::Name { path: path.to_owned(), problem: "an object store takes no such path" })
    }

    async fn put(&self, path: &str, location: &Path, payload: PutPayload) -> Result<(), Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(location, payload, options).await {
            Ok(_) => Ok(()),
            // Stores say one or the other of the same thing.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(Error::AlreadyExists { path: path.to_owned() })
            }
            Err(source) => Err(failed(path, source)),
        }
    }

    async fn refuse_taken(&self, path: &str, location: &Path) -> Result<(), Error> {
        match self.store.head(location).await {
            Ok(_) => Err(Error::AlreadyExists { path: path.to_owned() }),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(path, source)),
        }
    }
}

fn failed(path: &str, source: object_store::Error) -> Error {
    Error::Store { path: path.to_owned(), source: Arc::new(source) }
}

#[async_trait]
impl Objects for Remote {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn queues(&self) -> bool {
        // Every request waits at the gate of its own store, so that a slow store takes no place from the others.
        true
    }

    /// Parts on their way, and the one that is being filled.
    fn upload_bytes_held_max(&self) -> usize {
        let Options { part_bytes, parts_max, .. } = &self.shared.options;
        part_bytes.saturating_mul(parts_max.saturating_add(1))
    }

    async fn put_small(&self, path: &str, bytes: Bytes) -> Result<Stored, Error> {
        let location = self.shared.location(path)?;
        let stored = Stored { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(&bytes) };
        self.shared.put(path, &location, bytes.into()).await?;
        Ok(stored)
    }

    fn put_small_blocking(&self, path: &str, bytes: Bytes) -> Result<Stored, Error> {
        self.shared.runtime.block_on(self.put_small(path, bytes))
    }

    async fn begin(&self, path: &str) -> Result<Box<dyn Upload>, Error> {
        self.begin_blocking(path)
    }

    fn begin_blocking(&self, path: &str) -> Result<Box<dyn Upload>, Error> {
        let location = self.shared.location(path)?;
        Ok(Box::new(RemoteUpload {
            shared: Arc::clone(&self.shared),
            path: path.to_owned(),
            location,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            stored: Stored { bytes: 0, crc32c: 0 },
            multipart: None,
            broken: false,
        }))
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        let location = self.shared.location(path)?;
        match self.shared.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(path, source)),
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Listed, Error>> {
        local::list(&self.reader, prefix)
    }

    async fn abort_multipart(&self, path: &str, id: &str) -> Result<(), Error> {
        let location = self.shared.location(path)?;
        match self.shared.store.abort_multipart(&location, &id.to_owned()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed(path, source)),
        }
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        owner::remote::owner_of(self).await
    }

    async fn release(&self) -> Result<(), Error> {
        owner::remote::remove(self).await
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.reader)
    }
}

/// Gathers bytes, and turns into a multipart upload once they are more than one part.
#[derive(Debug)]
struct RemoteUpload {
    shared: Arc<Shared>,
    path: String,
    location: Path,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    stored: Stored,
    multipart: Option<Multipart>,
    /// A write failed or was cancelled: what was to come between its bytes and the next is missing.
    broken: bool,
}

impl RemoteUpload {
    async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.refuse_broken()?;
        self.broken = true;
        self.try_push(bytes).await?;
        self.broken = false;
        Ok(())
    }

    fn refuse_broken(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken { path: self.path.clone() }) } else { Ok(()) }
    }

    async fn try_push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.stored.crc32c = crc32c::crc32c_append(self.stored.crc32c, &bytes);
        self.stored.bytes += bytes.len() as u64;
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(bytes);
        // What is exactly one part may be all there is, and then one PUT does.
        while self.waiting_bytes > self.shared.options.part_bytes {
            let part = self.take(self.shared.options.part_bytes);
            if self.multipart.is_none() {
                self.multipart = Some(Multipart::open(&self.shared, &self.path, &self.location).await?);
            }
            let multipart = self.multipart.as_mut().expect("opened above");
            multipart.send(part).await?;
        }
        Ok(())
    }

    /// The first `len` waiting bytes. Parts are of one size, which some stores insist on.
    fn take(&mut self, len: usize) -> PutPayload {
        let mut part = Vec::new();
        let mut missing = len;
        while missing > 0 {
            let Some(mut bytes) = self.waiting.pop_front() else { break };
            if bytes.len() > missing {
                self.waiting.push_front(bytes.split_off(missing));
            }
            missing -= bytes.len();
            part.push(bytes);
        }
        self.waiting_bytes -= len - missing;
        part.into_iter().collect()
    }

    async fn complete(mut self) -> Result<Stored, Error> {
        self.refuse_broken()?;
        let rest = self.take(self.waiting_bytes);
        match self.multipart.take() {
            None => self.shared.put(&self.path, &self.location, rest).await?,
            Some(mut multipart) => {
                multipart.send(rest).await?;
                multipart.complete().await?;
            }
        }
        Ok(self.stored)
    }
}

#[async_trait]
impl Upload for RemoteUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.push(bytes).await
    }

    fn write_blocking(&mut self, bytes: Bytes) -> Result<(), Error> {
        let runtime = self.shared.runtime.clone();
        runtime.block_on(self.push(bytes))
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Error> {
        self.complete().await
    }

    fn finish_blocking(self: Box<Self>) -> Result<Stored, Error> {
        let runtime = self.shared.runtime.clone();
        runtime.block_on(self.complete())
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        match self.multipart.take() {
            Some(multipart) => multipart.abort().await,
            None => Ok(()),
        }
    }
}
