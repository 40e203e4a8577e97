//! A store whose requests the plan strikes.

use super::{Fault, Faults, Operation};
use crate::cold::remote::Store;
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::sync::Arc;

/// Any store, with faults. What the storages here never ask for (copies, listings by folder, object_store's own uploads)
/// passes as it is.
#[derive(Debug)]
pub struct Faulty<S> {
    store: Arc<S>,
    faults: Arc<Faults>,
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), faults: self.faults.clone() }
    }
}

impl<S> std::fmt::Display for Faulty<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl<S: Store> Faulty<S> {
    /// Puts `faults` before `store`.
    pub fn new(store: Arc<S>, faults: Arc<Faults>) -> Self {
        Self { store, faults }
    }

    /// Asks the store, unless the plan strikes. `done` is what one is told whose request was lost.
    async fn ask<T: Send + 'static>(
        &self,
        operation: Operation,
        path: &Path,
        request: impl FnOnce(Arc<S>) -> BoxFuture<'static, Result<T>> + Send,
        done: impl FnOnce() -> Option<T> + Send,
    ) -> Result<T> {
        self.answer(self.faults.strike(operation, path.as_ref()), path, request, done).await
    }

    async fn answer<T: Send + 'static>(
        &self,
        fault: Option<Fault>,
        path: &Path,
        request: impl FnOnce(Arc<S>) -> BoxFuture<'static, Result<T>> + Send,
        done: impl FnOnce() -> Option<T> + Send,
    ) -> Result<T> {
        let Some(fault) = fault else {
            return request(self.store.clone()).await;
        };
        let failed = || fault.error(path.as_ref());
        match fault {
            Fault::Slow(long) => {
                tokio::time::sleep(long).await;
                request(self.store.clone()).await
            }
            Fault::After => {
                request(self.store.clone()).await?;
                Err(failed())
            }
            Fault::Late => {
                self.faults.delay(request(self.store.clone()).map(drop).boxed());
                Err(failed())
            }
            Fault::Lost => done().ok_or_else(failed),
            Fault::Truncated(_) | Fault::Short(_) | Fault::WritesOver => request(self.store.clone()).await,
            Fault::Before | Fault::Timeout | Fault::Conflict | Fault::Precondition | Fault::Busy => Err(failed()),
        }
    }
}

#[async_trait]
impl<S: Store> MultipartStore for Faulty<S> {
    async fn create_multipart(&self, path: &Path) -> Result<String> {
        let at = path.clone();
        let request = |store: Arc<S>| async move { store.create_multipart(&at).await }.boxed();
        self.ask(Operation::CreateMultipart, path, request, || None).await
    }

    async fn put_part(&self, path: &Path, id: &String, part_idx: usize, data: PutPayload) -> Result<PartId> {
        let (at, id) = (path.clone(), id.clone());
        let request = move |store: Arc<S>| async move { store.put_part(&at, &id, part_idx, data).await }.boxed();
        self.ask(Operation::PutPart, path, request, || None).await
    }

    async fn complete_multipart(&self, path: &Path, id: &String, parts: Vec<PartId>) -> Result<PutResult> {
        let (at, id) = (path.clone(), id.clone());
        let request = move |store: Arc<S>| async move { store.complete_multipart(&at, &id, parts).await }.boxed();
        self.ask(Operation::Complete, path, request, || None).await
    }

    async fn abort_multipart(&self, path: &Path, id: &String) -> Result<()> {
        let (at, id) = (path.clone(), id.clone());
        let request = move |store: Arc<S>| async move { store.abort_multipart(&at, &id).await }.boxed();
        self.ask(Operation::Abort, path, request, || None).await
    }
}

#[async_trait]
impl<S: Store> ObjectStore for Faulty<S> {
    async fn put_opts(&self, path: &Path, data: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.faults.strike(Operation::Put, path.as_ref());
        let options = match fault {
            Some(Fault::WritesOver) => PutOptions { mode: PutMode::Overwrite, ..options },
            _ => options,
        };
        let at = path.clone();
        let request = move |store: Arc<S>| async move { store.put_opts(&at, data, options).await }.boxed();
        self.answer(fault, path, request, || None).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { Operation::Head } else { Operation::Get };
        let at = path.clone();
        match self.faults.strike(operation, path.as_ref()) {
            None => self.store.get_opts(&at, options).await,
            Some(Fault::Slow(long)) => {
                tokio::time::sleep(long).await;
                self.store.get_opts(&at, options).await
            }
            Some(Fault::Truncated(bytes)) => Ok(truncated(self.store.get_opts(&at, options).await?, bytes)),
            Some(fault) => Err(fault.error(path.as_ref())),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let faulty = self.clone();
        let delete = move |path: Path| {
            let faulty = faulty.clone();
            async move {
                let at = path.clone();
                let request = move |store: Arc<S>| async move { store.delete(&at).await }.boxed();
                faulty.ask(Operation::Delete, &path, request, || Some(())).await?;
                Ok(path)
            }
        };
        paths.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let path = prefix.map_or("", |prefix| prefix.as_ref());
        let listed = self.store.list(prefix);
        match self.faults.strike(Operation::List, path) {
            None => listed,
            Some(Fault::Slow(long)) => {
                let waited = futures::stream::once(tokio::time::sleep(long));
                waited.flat_map(|()| futures::stream::empty()).chain(listed).boxed()
            }
            Some(Fault::Short(objects)) => listed.take(objects).boxed(),
            Some(fault) => futures::stream::once(futures::future::ready(Err(fault.error(path)))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// The first bytes of what was read, as if that were all. What is said of the object stays.
fn truncated(read: GetResult, bytes: u64) -> GetResult {
    let GetResult { meta, range, attributes, .. } = &read;
    let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
    let mut left = bytes;
    let pieces = read.into_stream().map_ok(move |piece| {
        let len = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        left -= len as u64;
        piece.slice(..len)
    });
    GetResult { payload: GetResultPayload::Stream(pieces.boxed()), meta, range, attributes }
}
