//! Objects as local files that survive a power cut once they are acknowledged.
//!
//! temp file → write → fsync → link under its name without replacing → fsync of its folder and of every folder made on the way.
//!
//! An fsync waits for the disk, and a disk takes many at once. So up to [`Options::fsyncs_max`] threads sync at a time, each a
//! group of the objects that wait (see `local/puts.rs`), and those in one folder share its fsync (see `local/dirs.rs`).

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use ebbtide_engine::env::SharedEnv;
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use object_store::{ObjectStore, local::LocalFileSystem};

use super::{
    Error, Listed, OWN_FOLDER, Objects, Owner, Stored, Upload,
    objects::{check_path, check_prefix},
    owner,
    power_cut::Witness,
};
use disk::{Disk, TempFile};
use puts::{Object, Puts};

pub(super) mod dirs;
mod disk;
mod puts;
#[cfg(test)]
mod tests;

/// The points at which tests stop a process that writes an object.
pub mod points {
    /// Half of the first bytes are in the temp file.
    pub const TEMP_HALF: &str = "object.temp.half";
    /// All bytes are in the temp file, and nothing is synced.
    pub const WRITTEN: &str = "object.written";
    /// The temp file is synced.
    pub const SYNCED: &str = "object.synced";
    /// The object has its name, and its folder is not synced.
    pub const LINKED: &str = "object.linked";
    /// All is synced, and nobody knows it yet.
    pub const DURABLE: &str = "object.durable";
    /// All of them, in the order they are reached.
    pub const ALL: [&str; 5] = [TEMP_HALF, WRITTEN, SYNCED, LINKED, DURABLE];
}

/// How a local storage writes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that may wait for the disk at a time, 1 at least.
    pub fsyncs_max: usize,
    /// Told of every step that decides what a power cut would leave. For tests.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { fsyncs_max: 16, witness: None }
    }
}

/// A directory that holds objects, owned for as long as this lives.
#[derive(Debug)]
pub struct Local {
    disk: Arc<Disk>,
    puts: Arc<Puts>,
    reader: Arc<LocalFileSystem>,
    uri: String,
    /// Closing it ends the claim.
    _claim: File,
}

impl Local {
    /// Opens the directory for its owner, making it if need be, and removes the temp files that a crash left.
    ///
    /// # Errors
    /// [`Error::Owned`] and [`Error::Nested`] when the directory, one above it or one below it belongs to somebody else; [`Error::InUse`] when
    /// another process has it open.
    pub async fn open(root: &Path, owner: Owner, env: SharedEnv) -> Result<Local, Error> {
        Local::open_with(root, owner, env, Options::default()).await
    }

    /// [`Local::open`] with other options than the default ones.
    pub async fn open_with(root: &Path, owner: Owner, env: SharedEnv, options: Options) -> Result<Local, Error> {
        let path = root.to_owned();
        blocking(OWN_FOLDER, move || Local::open_blocking(&path, &owner, env, options)).await
    }

    /// [`Local::open_with`] on a thread that may block.
    pub fn open_blocking(root: &Path, owner: &Owner, env: SharedEnv, options: Options) -> Result<Local, Error> {
        let root = make_root(root)?;
        let disk = Arc::new(Disk::new(root.clone(), env, options.witness));
        let claim = owner::claim(&root, owner, |path, bytes| {
            disk.make_temp()?;
            disk.put(path, bytes)
        })?;
        disk.make_temp()?;
        disk.sweep_temp()?;
        let reader = LocalFileSystem::new_with_prefix(&root)
            .map_err(|source| Error::Store { path: root.display().to_string(), source: Arc::new(source) })?;
        Ok(Local {
            puts: Puts::new(Arc::clone(&disk), options.fsyncs_max),
            disk,
            reader: Arc::new(reader),
            uri: root.display().to_string(),
            _claim: claim,
        })
    }

    /// The directory, without symbolic links.
    pub fn root(&self) -> &Path {
        self.disk.root()
    }
}

/// Makes the root and whatever is missing above it, so that it lasts.
fn make_root(root: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(root).map_err(Error::io("find the storage root", root))?;
    let missing: Vec<&Path> = absolute.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.iter().rev() {
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create the directory", dir)(error));
            }
            _ => {}
        }
    }
    // The root's own entry too when it was there: a process that made it may have died before this line.
    for dir in absolute.ancestors().take(missing.len().max(1)) {
        let Some(parent) = dir.parent() else { break };
        match dirs::sync_dir(parent) {
            // A directory that we may not open is not one that we made something in.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(source) => {
                return Err(Error::Sync { path: parent.to_owned(), source: Arc::new(source) });
            }
            Ok(()) => {}
        }
    }
    std::fs::canonicalize(&absolute).map_err(Error::io("open the storage root", &absolute))
}

#[async_trait]
impl Objects for Local {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn queues(&self) -> bool {
        true
    }

    async fn put_small(&self, path: &str, bytes: Bytes) -> Result<Stored, Error> {
        check_path(path)?;
        put(&self.puts, path, Object::Whole { path: path.to_owned(), bytes }).await
    }

    fn put_small_blocking(&self, path: &str, bytes: Bytes) -> Result<Stored, Error> {
        check_path(path)?;
        self.disk.put(path, &bytes)
    }

    async fn begin(&self, path: &str) -> Result<Box<dyn Upload>, Error> {
        check_path(path)?;
        let (disk, owned) = (Arc::clone(&self.disk), path.to_owned());
        let file = blocking(path, move || disk.create(&owned)).await?;
        Ok(self.upload(file))
    }

    fn begin_blocking(&self, path: &str) -> Result<Box<dyn Upload>, Error> {
        check_path(path)?;
        Ok(self.upload(self.disk.create(path)?))
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        check_path(path)?;
        let (disk, owned) = (Arc::clone(&self.disk), path.to_owned());
        blocking(path, move || disk.delete(&owned)).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Listed, Error>> {
        list(&(Arc::clone(&self.reader) as Arc<dyn ObjectStore>), prefix)
    }

    async fn sweep_temp(&self, written_before: i64, only_count: bool) -> Result<u64, Error> {
        let disk = Arc::clone(&self.disk);
        blocking(OWN_FOLDER, move || disk.sweep_old_temp(written_before, only_count)).await
    }

    async fn owner(&self) -> Result<Option<Owner>, Error> {
        let root = self.disk.root().to_owned();
        blocking(OWN_FOLDER, move || owner::read(&root)).await
    }

    async fn release(&self) -> Result<(), Error> {
        let root = self.disk.root().to_owned();
        blocking(OWN_FOLDER, move || owner::remove(&root)).await
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.reader) as Arc<dyn ObjectStore>
    }
}

impl Local {
    fn upload(&self, file: TempFile) -> Box<dyn Upload> {
        Box::new(LocalUpload { path: file.path().to_owned(), file: Some(file), puts: Arc::clone(&self.puts) })
    }
}

/// A temp file that grows. It waits for its turn when it is finished: growing is only memory.
#[derive(Debug)]
struct LocalUpload {
    path: String,
    /// Gone after a write that failed or was cancelled: what is in the file then is anybody's guess.
    file: Option<TempFile>,
    puts: Arc<Puts>,
}

impl LocalUpload {
    fn take(&mut self) -> Result<TempFile, Error> {
        self.file.take().ok_or_else(|| Error::Broken { path: self.path.clone() })
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let mut file = self.take()?;
        let written = blocking(&self.path, move || {
            file.write(&bytes)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    fn write_blocking(&mut self, bytes: Bytes) -> Result<(), Error> {
        let mut file = self.take()?;
        file.write(&bytes)?;
        self.file = Some(file);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Error> {
        let file = self.take()?;
        put(&self.puts, &self.path, Object::Written(file)).await
    }

    fn finish_blocking(mut self: Box<Self>) -> Result<Stored, Error> {
        let file = self.take()?;
        file.finish()
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        let file = self.file.take();
        blocking(&self.path, move || {
            drop(file);
            Ok(())
        })
        .await
    }
}

async fn put(puts: &Arc<Puts>, path: &str, object: Object) -> Result<Stored, Error> {
    puts.put(object).await.unwrap_or_else(|| Err(Error::Stopped { path: path.to_owned() }))
}

async fn blocking<T: Send + 'static>(
    path: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Stopped { path: path.to_owned() }),
    }
}

/// Lists through `object_store`, leaving out what is the storage's own.
pub(super) fn list(store: &Arc<dyn ObjectStore>, prefix: &str) -> BoxStream<'static, Result<Listed, Error>> {
    let failed = |prefix: &str, source| Error::Store { path: prefix.to_owned(), source: Arc::new(source) };
    if let Err(error) = check_prefix(prefix) {
        return futures::stream::once(future::ready(Err(error))).boxed();
    }
    let folder = match object_store::path::Path::parse(prefix) {
        Ok(folder) => folder,
        Err(error) => {
            let error = failed(prefix, error.into());
            return futures::stream::once(future::ready(Err(error))).boxed();
        }
    };
    let prefix = prefix.to_owned();
    store
        .list(Some(&folder))
        .map_err(move |source| failed(&prefix, source))
        .try_filter(|object| {
            let own = object.location.as_ref().split('/').next() == Some(OWN_FOLDER);
            future::ready(!own)
        })
        .map_ok(|object| Listed {
            path: object.location.to_string(),
            bytes: object.size,
            modified_at: object.last_modified.timestamp_micros(),
        })
        .boxed()
}
