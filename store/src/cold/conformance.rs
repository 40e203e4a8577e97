//! What every storage must do, whatever is behind it. One suite, run against each.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future};
use object_store::{ObjectStoreExt, path::Path};

use super::{Error, Objects, Stored};
use crate::path::escape::escape;

/// Runs the whole suite on an empty storage, and leaves it empty. Panics with a sentence when a promise is broken.
///
/// Needs a runtime with a worker to spare: the suite also writes from threads that block.
pub async fn conformance(objects: Arc<dyn Objects>) {
    let objects = &objects;
    expect_listing(objects, "", &[]).await;
    an_object_reads_back(objects).await;
    a_stream_reads_back(objects).await;
    threads_write_too(objects).await;
    nothing_is_overwritten(objects).await;
    one_of_many_writers_wins(objects).await;
    nothing_is_seen_of_an_unfinished_upload(objects).await;
    every_user_id_has_a_place(objects).await;
    many_at_once(objects).await;
    listings_go_by_folder(objects).await;
    deleting_is_repeatable(objects).await;
    bad_paths_are_refused(objects).await;
    clean(objects).await;
    expect_listing(objects, "", &[]).await;
}

async fn an_object_reads_back(objects: &Arc<dyn Objects>) {
    for (path, bytes) in [("one/object", pattern(1_000, 1)), ("one/empty", Bytes::new()), ("top", pattern(1, 2))] {
        let stored = objects.put_small(path, bytes.clone()).await.expect("a new object is written");
        expect_object(objects, path, &bytes, stored).await;
    }
}

async fn a_stream_reads_back(objects: &Arc<dyn Objects>) {
    for (name, sizes) in [
        ("none", &[][..]),
        ("empty", &[0, 0]),
        ("small", &[1, 0, 2, 700]),
        ("large", &[100_000, 1, 0, 3_000_000, 65_536, 17]),
    ] {
        let path = format!("streams/{name}");
        let mut upload = objects.begin(&path).await.expect("an upload begins");
        let mut all = Vec::new();
        for (seed, size) in sizes.iter().enumerate() {
            let bytes = pattern(*size, seed as u64);
            all.extend_from_slice(&bytes);
            upload.write(bytes).await.expect("an upload takes bytes");
        }
        let stored = upload.finish().await.expect("an upload finishes");
        expect_object(objects, &path, &all, stored).await;
    }
}

async fn threads_write_too(objects: &Arc<dyn Objects>) {
    let (small, large) = (pattern(5_000, 3), pattern(400_000, 4));
    let work = {
        let (objects, small, large) = (Arc::clone(objects), small.clone(), large.clone());
        move || {
            let first = objects.put_small_blocking("threads/small", small)?;
            let mut upload = objects.begin_blocking("threads/large")?;
            upload.write_blocking(large.slice(..150_000))?;
            upload.write_blocking(large.slice(150_000..))?;
            Ok::<_, Error>((first, upload.finish_blocking()?))
        }
    };
    let (first, second) = tokio::task::spawn_blocking(work)
        .await
        .expect("the thread does not panic")
        .expect("a thread that may block writes objects");
    expect_object(objects, "threads/small", &small, first).await;
    expect_object(objects, "threads/large", &large, second).await;
}

async fn nothing_is_overwritten(objects: &Arc<dyn Objects>) {
    let first = pattern(100, 5);
    let stored = objects.put_small("taken", first.clone()).await.expect("a new object is written");
    let again = objects.put_small("taken", pattern(7, 6)).await;
    expect_taken(again, "a second object of one name");
    for size in [7, 3_000_000] {
        let streamed = async {
            let mut upload = objects.begin("taken").await?;
            upload.write(pattern(size, 7)).await?;
            upload.finish().await
        };
        expect_taken(streamed.await, "a second upload of one name");
    }
    expect_object(objects, "taken", &first, stored).await;
}

async fn one_of_many_writers_wins(objects: &Arc<dyn Objects>) {
    let writers = (0..16u64).map(|n| async move {
        let bytes = pattern(1_000, n);
        (objects.put_small("race/object", bytes.clone()).await, bytes)
    });
    let mut winner = None;
    for (result, bytes) in future::join_all(writers).await {
        match result {
            Ok(stored) => {
                assert!(winner.is_none(), "two writers of one name were both told that they wrote it");
                winner = Some((stored, bytes));
            }
            error => expect_taken(error, "the writer that came second"),
        }
    }
    let (stored, bytes) = winner.expect("of many writers of one name one succeeds");
    expect_object(objects, "race/object", &bytes, stored).await;
}

async fn nothing_is_seen_of_an_unfinished_upload(objects: &Arc<dyn Objects>) {
    for (folder, size) in [("unfinished-small", 10), ("unfinished-large", 3_000_000)] {
        let path = format!("{folder}/object");
        let mut upload = objects.begin(&path).await.expect("an upload begins");
        upload.write(pattern(size, 8)).await.expect("an upload takes bytes");
        expect_listing(objects, folder, &[]).await;
        upload.abort().await.expect("an upload can be given up");
        expect_listing(objects, folder, &[]).await;

        let mut dropped = objects.begin(&path).await.expect("a name whose upload was given up is free");
        dropped.write(pattern(size, 9)).await.expect("an upload takes bytes");
        drop(dropped);
        expect_listing(objects, folder, &[]).await;

        let bytes = pattern(20, 10);
        let stored = objects.put_small(&path, bytes.clone()).await.expect("the name is still free");
        expect_object(objects, &path, &bytes, stored).await;
    }
}

async fn every_user_id_has_a_place(objects: &Arc<dyn Objects>) {
    let long = "ü".repeat(127);
    let ids = [
        "ann",
        "Ann",
        "ANN",
        "..",
        "../../etc",
        "a/b",
        "a\\b",
        "a\0b",
        "x.",
        "x ",
        "😀",
        "nul",
        "@41nn",
        "%41nn",
        "#1",
        &long,
    ];
    for (n, id) in ids.iter().enumerate() {
        let path = format!("ids/{}/object", escape(id));
        let bytes = pattern(n + 1, n as u64);
        let stored = objects.put_small(&path, bytes.clone()).await.expect("an escaped id is a folder");
        expect_object(objects, &path, &bytes, stored).await;
    }
    let listed = listing(objects, "ids").await;
    assert_eq!(listed.len(), ids.len(), "two ids share a folder, or one is missing: {listed:?}");
}

async fn many_at_once(objects: &Arc<dyn Objects>) {
    let puts = (0..96usize).map(|n| async move {
        // Some in one folder, some in folders of their own, some with a new chain of them.
        let path = match n % 3 {
            0 => format!("many/{n}"),
            1 => format!("many/folder-{n}/object"),
            _ => format!("many/{n}/a/b/c/object"),
        };
        let bytes = pattern(n * 40, n as u64);
        let stored = objects.put_small(&path, bytes.clone()).await.expect("many objects are written at once");
        (path, bytes, stored)
    });
    for (path, bytes, stored) in future::join_all(puts).await {
        expect_object(objects, &path, &bytes, stored).await;
    }
}

async fn listings_go_by_folder(objects: &Arc<dyn Objects>) {
    for path in ["list/a/1", "list/a/b/2", "list/ab/3", "list/a.b"] {
        objects.put_small(path, pattern(3, 11)).await.expect("a new object is written");
    }
    expect_listing(objects, "list/a", &["list/a/1", "list/a/b/2"]).await;
    expect_listing(objects, "list", &["list/a/1", "list/a/b/2", "list/ab/3", "list/a.b"]).await;
    expect_listing(objects, "list/none", &[]).await;
}

async fn deleting_is_repeatable(objects: &Arc<dyn Objects>) {
    objects.put_small("delete/a/b", pattern(1, 12)).await.expect("a new object is written");
    for _ in 0..2 {
        objects.delete("delete/a/b").await.expect("deleting what is gone succeeds");
    }
    objects.delete("delete/never/there").await.expect("deleting what never was succeeds");
    expect_listing(objects, "delete", &[]).await;
    let bytes = pattern(2, 13);
    let stored = objects.put_small("delete/a/c", bytes.clone()).await.expect("the folder can be used again");
    expect_object(objects, "delete/a/c", &bytes, stored).await;
}

async fn bad_paths_are_refused(objects: &Arc<dyn Objects>) {
    let long = "x".repeat(256);
    for path in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a\\b",
        "a\0b",
        "a\nb",
        ".ebbtide/owner.json",
        ".ebbtide",
        &long,
    ] {
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::Name { .. })), "{path:?} was not refused: {result:?}");
        };
        refused(objects.put_small(path, Bytes::new()).await.map(drop));
        refused(objects.begin(path).await.map(drop));
        refused(objects.delete(path).await);
        if !path.is_empty() {
            refused(objects.list(path).try_collect::<Vec<_>>().await.map(drop));
        }
    }
}

async fn clean(objects: &Arc<dyn Objects>) {
    for path in listing(objects, "").await {
        objects.delete(&path).await.expect("an object that is listed can be deleted");
    }
}

async fn expect_object(objects: &Arc<dyn Objects>, path: &str, bytes: &[u8], stored: Stored) {
    let expected = Stored { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
    assert_eq!(stored, expected, "{path} was acknowledged with another size or checksum than its bytes have");
    let location = Path::parse(path).expect("a path of ours is a path of object_store's");
    let read = objects.object_store().get(&location).await;
    let read = read.unwrap_or_else(|error| panic!("{path} was acknowledged and cannot be read: {error}"));
    let read = read.bytes().await.expect("an object that opens can be read");
    assert!(read == bytes, "{path} does not read back as it was written");
    let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
    let listed = objects.list(folder).try_collect::<Vec<_>>().await.expect("a folder can be listed");
    let found = listed.iter().find(|listed| listed.path == path);
    let found = found.unwrap_or_else(|| panic!("{path} was acknowledged and is not listed"));
    assert_eq!(found.bytes, expected.bytes, "{path} is listed with another size than it has");
}

fn expect_taken(result: Result<Stored, Error>, who: &str) {
    match result {
        Err(error) if error.is_already_exists() => {}
        other => panic!("{who} was not told that the name is taken: {other:?}"),
    }
}

async fn expect_listing(objects: &Arc<dyn Objects>, prefix: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(listing(objects, prefix).await, expected, "the listing of {prefix:?} is wrong");
}

async fn listing(objects: &Arc<dyn Objects>, prefix: &str) -> BTreeSet<String> {
    objects.list(prefix).map(|listed| listed.expect("a folder can be listed").path).collect().await
}

/// Bytes that repeat at no power of two, so that a piece in the wrong place shows.
fn pattern(len: usize, seed: u64) -> Bytes {
    (0..len as u64).map(|n| ((n.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(97)) >> 7) as u8).collect()
}
