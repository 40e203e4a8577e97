use super::*;
use crate::testing::{TestEnv, open_store};
use crate::{Store, manifest};
use bytes::Bytes;
use ebbtide_engine::Commit;
use std::sync::atomic::Ordering;

async fn object(store: &Store, path: &str) -> Deletion {
    let objects = store.objects(&StorageId::local()).unwrap();
    objects.put_small(path, Bytes::from_static(b"bytes")).await.unwrap();
    Deletion {
        storage: StorageId::local(),
        path: path.to_owned(),
        bytes: 5,
        not_before: store.env().now() + 1_000_000,
        why: Why::Retention,
        whose: None,
        failures: 0,
        error: None,
    }
}

async fn write(store: &Store, writes: Vec<Write>) {
    store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
}

#[tokio::test]
async fn an_object_goes_after_its_grace_and_its_readers() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let deletion = object(&store, "a/b/one.parquet").await;
    let file = dir.path().join("storage/a/b/one.parquet");
    write(&store, deletion.put().into()).await;
    assert_eq!(delete_due(&store, 10).await.unwrap(), Deleted::default(), "the grace has not passed");
    assert!(is_pending(&*store.snapshot(), &deletion.storage, &deletion.path).unwrap());
    assert_eq!(pending(store.snapshot(), None, 10).unwrap(), std::slice::from_ref(&deletion));

    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    let reader = store.readers().register();
    let deleting = tokio::spawn({
        let store = store.clone();
        async move { delete_due(&store, 10).await.unwrap() }
    });
    // A reader that comes later is no reason to wait for him.
    tokio::task::yield_now().await;
    assert!(file.exists() && !deleting.is_finished(), "somebody may still read it");
    drop(reader);
    let deleted = deleting.await.unwrap();
    assert_eq!((deleted.objects, deleted.bytes, deleted.failed), (1, 5, 0));
    assert!(!file.exists());
    assert!(!is_pending(&*store.snapshot(), &deletion.storage, &deletion.path).unwrap());
    assert_eq!(pending(store.snapshot(), None, 10).unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_removed_is_tried_again_later_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let good = object(&store, "good.parquet").await;
    // A folder is no object, and is not removed like one.
    object(&store, "folder/of/another.parquet").await;
    let bad = Deletion { path: "folder".to_owned(), not_before: good.not_before - 1, ..good.clone() };
    write(&store, [good.put(), bad.put()].concat()).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    let first = delete_due(&store, 1).await.unwrap();
    assert_eq!((first.objects, first.failed, first.more), (0, 1, true));
    assert_eq!(delete_due(&store, 1).await.unwrap().objects, 1, "the one behind it is not held up");
    let left = pending(store.snapshot(), None, 10).unwrap();
    assert_eq!((left.len(), left[0].failures), (1, 1));
    assert!(left[0].error.as_ref().unwrap().contains("folder"));
    assert!(left[0].not_before > env.now.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_object_that_the_manifest_names_stays() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let deletion = object(&store, "named.parquet").await;
    let named = manifest::tests::segment_at(&deletion.path);
    write(&store, manifest::tests::attach(&named)).await;
    write(&store, deletion.put().into()).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    delete_due(&store, 10).await.unwrap();
    assert!(dir.path().join("storage/named.parquet").exists());
}

#[tokio::test]
async fn the_worker_removes_what_is_due_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let deletion = object(&store, "one.parquet").await;
    write(&store, deletion.put().into()).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    let worker = start(store.clone());
    let gone = async {
        while !pending(store.snapshot(), None, 1).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
    worker.stop().await;
    assert!(!dir.path().join("storage/one.parquet").exists());
    drop(worker);
    assert_eq!(Arc::strong_count(&store), 1, "a stopped worker keeps nothing open");
}

#[tokio::test]
async fn what_a_dropped_table_leaves_is_written_down_before_it_goes() {
    use crate::catalog::Kind;
    use crate::testing::{name, new_table};
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    store.catalog().create_namespace(&name("chat")).await.unwrap();
    let columns = [("id", crate::ColumnType::BigInt, false)];
    let table = store.catalog().create_table(new_table("messages", Kind::User, &columns)).await.unwrap();
    for number in 0..3 {
        let deletion = object(&store, &format!("{number}.parquet")).await;
        let segment = manifest::tests::segment_at(&deletion.path);
        let segment =
            manifest::Segment { table_id: table.id, from_seq: 1 + number, to_seq: 1 + number, rows: 1, ..segment };
        write(&store, manifest::tests::attach(&segment)).await;
    }
    store.catalog().drop_table("chat", "messages").await.unwrap();
    assert_eq!(crate::reclaim::reclaim(&store, table.id, 1_000_000).await.unwrap(), 3);
    assert!(store.catalog().dropped(&store.snapshot()).unwrap().is_empty(), "no trace of the table");
    assert_eq!(manifest::segments(store.snapshot(), table.id, None).unwrap(), []);
    assert_eq!(pending(store.snapshot(), None, 10).unwrap().len(), 3);
    assert!(dir.path().join("storage/0.parquet").exists(), "within the grace");
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    assert_eq!(delete_due(&store, 10).await.unwrap().objects, 3);
    assert!(!dir.path().join("storage/0.parquet").exists());
    assert_eq!(crate::reclaim::reclaim(&store, table.id, 0).await.unwrap(), 0, "again is no harm");
}

#[tokio::test]
async fn what_lay_in_a_storage_that_is_no_more_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let lost = Deletion { storage: StorageId::new("gone").unwrap(), ..object(&store, "one.parquet").await };
    write(&store, lost.put().into()).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    assert_eq!(delete_due(&store, 10).await.unwrap().failed, 0, "nobody has a way to it any more");
    assert_eq!(pending(store.snapshot(), None, 10).unwrap(), []);
}

#[tokio::test]
async fn nothing_goes_from_a_root_that_another_database_has_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let deletion = object(&store, "a/one.parquet").await;
    write(&store, deletion.put().into()).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    let owner = dir.path().join("storage/.ebbtide/owner.json");
    let ours = std::fs::read(&owner).unwrap();
    for (mark, told) in [
        (
            Some(r#"{"database_id":"the next one","storage_id":"old"}"#),
            "belongs to storage \"old\" of database the next one",
        ),
        (None, "does not bear the mark of its owner any more"),
    ] {
        match mark {
            Some(mark) => std::fs::write(&owner, mark).unwrap(),
            None => std::fs::remove_file(&owner).unwrap(),
        }
        assert_eq!(delete_due(&store, 10).await.unwrap(), Deleted { failed: 1, ..Deleted::default() });
        let left = pending(store.snapshot(), None, 10).unwrap();
        let error = left[0].error.as_ref().unwrap();
        assert!(error.contains(told), "{error}");
        assert!(dir.path().join("storage/a/one.parquet").exists());
        env.now.fetch_add(3_600_000_000, Ordering::SeqCst);
    }
    std::fs::write(&owner, ours).unwrap();
    assert_eq!(delete_due(&store, 10).await.unwrap().objects, 1);
}

#[tokio::test]
async fn a_storage_that_removes_nothing_is_not_asked_for_every_object() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let store = open_store(dir.path(), &env).await;
    let mut writes = Vec::new();
    for number in 0..100 {
        let deletion = object(&store, &format!("folder{number}/of/another.parquet")).await;
        // A folder is no object, and is not removed like one.
        writes.extend(Deletion { path: format!("folder{number}"), ..deletion }.put());
    }
    write(&store, writes).await;
    env.now.fetch_add(1_000_000, Ordering::SeqCst);
    let deleted = delete_due(&store, 100).await.unwrap();
    assert!((3..50).contains(&deleted.failed), "{deleted:?}");
    let left = pending(store.snapshot(), None, 200).unwrap();
    assert_eq!(left.len(), 100, "each is tried again");
    assert!(left.iter().all(|deletion| deletion.not_before > env.now.load(Ordering::SeqCst)));
}
