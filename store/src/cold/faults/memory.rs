//! A store in memory, to put faults before.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Memory with multipart uploads as S3 has them: parts come in any order, a completed upload takes what has the name, and
/// one that is ended is not found any more. It is stricter where S3 lets things pass: all parts but the last are of one size,
/// and no part is left out.
#[derive(Debug, Default)]
pub struct Memory {
    objects: InMemory,
    open: Mutex<HashMap<String, Parts>>,
    ids: AtomicUsize,
}

type Parts = BTreeMap<usize, PutPayload>;

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

fn unknown(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "no such upload".into() }
}

fn refuse_unfit(sent: &Parts, named: &[PartId]) -> Result<()> {
    let sizes: Vec<usize> = sent.values().map(PutPayload::content_length).collect();
    let all = sent.keys().map(usize::to_string).eq(named.iter().map(|part| part.content_id.clone()));
    if all && sizes.windows(2).all(|pair| pair[0] == sizes[0] && pair[1] <= sizes[0]) {
        return Ok(());
    }
    let source = format!("InvalidPart: parts {named:?} of sizes {sizes:?} are no whole object").into();
    Err(Error::Generic { store: "Memory", source })
}

impl Memory {
    /// Multipart uploads that nobody has ended.
    pub fn open_uploads(&self) -> usize {
        self.open().len()
    }

    /// Their parts, which is what a store bills.
    pub fn open_parts(&self) -> usize {
        self.open().values().map(BTreeMap::len).sum()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Parts>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MultipartStore for Memory {
    async fn create_multipart(&self, _path: &Path) -> Result<String> {
        let id = self.ids.fetch_add(1, Ordering::SeqCst).to_string();
        self.open().insert(id.clone(), BTreeMap::new());
        Ok(id)
    }

    async fn put_part(&self, path: &Path, id: &String, part_idx: usize, data: PutPayload) -> Result<PartId> {
        // Even parts arrive after the odd ones that were sent later.
        if part_idx.is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        self.open().get_mut(id).ok_or_else(|| unknown(path))?.insert(part_idx, data);
        Ok(PartId { content_id: part_idx.to_string() })
    }

    async fn complete_multipart(&self, path: &Path, id: &String, parts: Vec<PartId>) -> Result<PutResult> {
        let whole = {
            let mut open = self.open();
            let sent = open.get(id).ok_or_else(|| unknown(path))?;
            refuse_unfit(sent, &parts)?;
            let whole: PutPayload = sent.values().flat_map(|part| part.iter().cloned()).collect();
            open.remove(id);
            whole
        };
        self.objects.put(path, whole).await
    }

    async fn abort_multipart(&self, path: &Path, id: &String) -> Result<()> {
        self.open().remove(id).map(drop).ok_or_else(|| unknown(path))
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_opts(&self, at: &Path, data: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.objects.put_opts(at, data, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(at, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
