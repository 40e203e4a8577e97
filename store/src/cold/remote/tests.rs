mod faulty; // whatever fails

use std::sync::Mutex;

use object_store::memory::InMemory;

use super::*;
use crate::cold::conformance::conformance;
use crate::cold::faults::{Fault, Faults, Faulty, Memory, Operation, Rule};

fn remote<S: Store>(store: &Arc<S>, prefix: &str, options: Options) -> Arc<Remote> {
    Remote::new(Arc::clone(store), prefix, "memory:", Handle::current(), options).unwrap()
}

fn small_parts() -> Options {
    Options { part_bytes: 64 * 1024, parts_max: 4, multiparts: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_conforms() {
    let store = Arc::new(Memory::default());
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
async fn until_closed(store: &Memory) {
    while store.open_uploads() > 0 {
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
    let (store, notes) = (Arc::new(Memory::default()), Arc::new(Notes::default()));
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
    assert!(open().is_empty() && store.open_uploads() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_recorded_is_not_begun() {
    let (store, notes) = (Arc::new(Memory::default()), Arc::new(Notes { refuse: true, ..Notes::default() }));
    let objects = remote(&store, "", Options { multiparts: Some(notes as _), ..small_parts() });
    let mut upload = objects.begin("a").await.unwrap();
    let error = upload.write(Bytes::from(vec![0; 200 * 1024])).await.unwrap_err();
    assert!(error.to_string().contains("the engine is read-only"), "{error}");
    assert_eq!(store.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_part_fails_fails_and_is_ended() {
    let (store, faults) = (Arc::new(Memory::default()), Arc::new(Faults::default()));
    let objects = remote(&Arc::new(Faulty::new(store.clone(), faults.clone())), "", small_parts());
    let mut upload = objects.begin("a").await.unwrap();
    faults.add(Rule::new(Operation::PutPart, Fault::Busy));
    let error = upload.write(Bytes::from(vec![0; 400 * 1024])).await.unwrap_err();
    assert!(error.to_string().contains("SlowDown"), "{error}");
    assert!(matches!(upload.write(Bytes::new()).await, Err(Error::Broken { .. })));
    assert!(matches!(upload.finish().await, Err(Error::Broken { .. })));
    until_closed(&store).await;
    assert!(store.head(&Path::parse("a").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_left_by_a_dead_process_can_be_ended_again_and_again() {
    let store = Arc::new(Memory::default());
    let objects = remote(&store, "p", small_parts());
    let id = store.create_multipart(&Path::parse("p/a").unwrap()).await.unwrap();
    objects.abort_multipart("a", &id).await.unwrap();
    assert_eq!(store.open_uploads(), 0);
    objects.abort_multipart("a", &id).await.unwrap();
}

#[tokio::test]
async fn a_prefix_that_leads_elsewhere_is_refused() {
    for prefix in ["a//b", "../a", "a/./b"] {
        let error = Remote::new(Arc::new(InMemory::new()), prefix, "memory:", Handle::current(), Options::default());
        assert!(matches!(error, Err(Error::Name { .. })), "{prefix}");
    }
}
