use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutResult,
    memory::InMemory, multipart::PartId,
};

use super::*;
use crate::cold::conformance::conformance;

/// Memory with multipart uploads as S3 has them: parts come in any order, and an upload takes what has the name.
#[derive(Debug, Default)]
struct Parts {
    objects: InMemory,
    open: Mutex<HashMap<String, BTreeMap<usize, PutPayload>>>,
    ids: AtomicUsize,
    refuse_parts: AtomicBool,
}

impl std::fmt::Display for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

impl Parts {
    fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }
}

fn refused(path: &Path) -> object_store::Error {
    object_store::Error::NotFound { path: path.to_string(), source: "no such upload".into() }
}

#[async_trait]
impl MultipartStore for Parts {
    async fn create_multipart(&self, _path: &Path) -> object_store::Result<String> {
        let id = self.ids.fetch_add(1, Ordering::SeqCst).to_string();
        self.open.lock().unwrap().insert(id.clone(), BTreeMap::new());
        Ok(id)
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &String,
        part_idx: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        // Even parts arrive after the odd ones that were sent later.
        if part_idx.is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        if self.refuse_parts.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic { store: "Parts", source: "503 slow down".into() });
        }
        let mut open = self.open.lock().unwrap();
        open.get_mut(id).ok_or_else(|| refused(path))?.insert(part_idx, data);
        Ok(PartId { content_id: part_idx.to_string() })
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &String,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        let sent = self.open.lock().unwrap().remove(id).ok_or_else(|| refused(path))?;
        let ids: Vec<String> = parts.into_iter().map(|part| part.content_id).collect();
        assert_eq!(ids, sent.keys().map(usize::to_string).collect::<Vec<_>>(), "parts are completed in their order");
        let sizes: Vec<usize> = sent.values().map(PutPayload::content_length).collect();
        assert!(sizes.windows(2).all(|pair| pair[0] == sizes[0]), "all parts but the last have one size: {sizes:?}");
        let whole: PutPayload = sent.values().flat_map(|part| part.iter().cloned()).collect();
        self.objects.put(path, whole).await
    }

    async fn abort_multipart(&self, path: &Path, id: &String) -> object_store::Result<()> {
        self.open.lock().unwrap().remove(id).map(drop).ok_or_else(|| refused(path))
    }
}

#[async_trait]
impl ObjectStore for Parts {
    async fn put_opts(&self, at: &Path, data: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.objects.put_opts(at, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.objects.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

fn remote<S: Store>(store: &Arc<S>, prefix: &str, options: Options) -> Arc<Remote> {
    Remote::new(Arc::clone(store), prefix, "memory:", Handle::current(), options).unwrap()
}

fn small_parts() -> Options {
    Options { part_bytes: 64 * 1024, parts_max: 4, multiparts: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_conforms() {
    let store = Arc::new(Parts::default());
    conformance(remote(&store, "", small_parts())).await;
    until_closed(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_an_object_store_conforms() {
    // This store wants its parts one after the other.
    let store = Arc::new(InMemory::new());
    conformance(remote(&store, "a/b", Options { parts_max: 1, ..small_parts() })).await;
}

/// Dropped uploads are ended in the background.
async fn until_closed(store: &Parts) {
    while store.open() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Notes what it is told, and refuses on request.
#[derive(Debug, Default)]
struct Notes {
    open: Mutex<Vec<String>>,
    refuse: bool,
}

#[async_trait]
impl Multiparts for Notes {
    async fn opened(&self, path: &str, _id: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.refuse {
            return Err("the engine is read-only".into());
        }
        self.open.lock().unwrap().push(path.to_owned());
        Ok(())
    }

    async fn closed(&self, path: &str, _id: &str) {
        self.open.lock().unwrap().retain(|open| open != path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_is_recorded_before_its_first_part_and_until_it_ends() {
    let (store, notes) = (Arc::new(Parts::default()), Arc::new(Notes::default()));
    let objects = remote(&store, "", Options { multiparts: Some(Arc::clone(&notes) as _), ..small_parts() });
    let open = || notes.open.lock().unwrap().clone();

    let mut upload = objects.begin("a").await.unwrap();
    upload.write(Bytes::from(vec![0; 64 * 1024])).await.unwrap();
    assert!(open().is_empty(), "one part is no multipart upload yet");
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(open(), ["a"]);
    upload.finish().await.unwrap();
    assert!(open().is_empty());

    let mut upload = objects.begin("b").await.unwrap();
    upload.write(Bytes::from(vec![0; 200 * 1024])).await.unwrap();
    assert_eq!(open(), ["b"]);
    upload.abort().await.unwrap();
    assert!(open().is_empty() && store.open() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_recorded_is_not_begun() {
    let (store, notes) = (Arc::new(Parts::default()), Arc::new(Notes { refuse: true, ..Notes::default() }));
    let objects = remote(&store, "", Options { multiparts: Some(notes as _), ..small_parts() });
    let mut upload = objects.begin("a").await.unwrap();
    let error = upload.write(Bytes::from(vec![0; 200 * 1024])).await.unwrap_err();
    assert!(error.to_string().contains("the engine is read-only"), "{error}");
    assert_eq!(store.open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_part_fails_fails_and_is_ended() {
    let store = Arc::new(Parts::default());
    let objects = remote(&store, "", small_parts());
    let mut upload = objects.begin("a").await.unwrap();
    store.refuse_parts.store(true, Ordering::SeqCst);
    let error = upload.write(Bytes::from(vec![0; 400 * 1024])).await.unwrap_err();
    assert!(error.to_string().contains("503 slow down"), "{error}");
    assert!(matches!(upload.write(Bytes::new()).await, Err(Error::Broken { .. })));
    assert!(matches!(upload.finish().await, Err(Error::Broken { .. })));
    until_closed(&store).await;
    assert!(store.head(&Path::parse("a").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_left_by_a_dead_process_can_be_ended_again_and_again() {
    let store = Arc::new(Parts::default());
    let objects = remote(&store, "p", small_parts());
    let id = store.create_multipart(&Path::parse("p/a").unwrap()).await.unwrap();
    objects.abort_multipart("a", &id).await.unwrap();
    assert_eq!(store.open(), 0);
    objects.abort_multipart("a", &id).await.unwrap();
}

#[tokio::test]
async fn a_prefix_that_leads_elsewhere_is_refused() {
    for prefix in ["a//b", "../a", "a/./b"] {
        let error = Remote::new(Arc::new(InMemory::new()), prefix, "memory:", Handle::current(), Options::default());
        assert!(matches!(error, Err(Error::Name { .. })), "{prefix}");
    }
}
