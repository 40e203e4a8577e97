//! Segments on two storages: which of them move, what readers find meanwhile, and what stays when one is broken.

use super::{KIND, SegmentMove};
use crate::flush::{self, Flush};
use crate::kinds::{Span, Tables};
use crate::testing::{Shore, flush as flush_table, run, user, world};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, NewJob, Status};
use ebbtide_store::path::FileName;
use ebbtide_store::{Kind, Segment, StorageId, Table, UserId, cold, deletions, hot, manifest};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn to(storage: &StorageId) -> SegmentMove {
    SegmentMove { tables: Tables::All, user: None, to: storage.clone(), grace: Span(Duration::from_secs(3600)) }
}

/// ana: 250 rows in three segments, 10 in one more, 5 hot. ben: 20 rows in two segments. SHARED: 30 rows in one.
async fn two_storages() -> (World, Shore, StorageId, Arc<Table>, Arc<Table>) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let archive = shore.storage("archive").await;
    let (messages, log) = (shore.table("messages", Kind::User).await, shore.table("log", Kind::Shared).await);
    shore.insert(&messages, &user("ana"), 0..250).await;
    shore.insert(&messages, &user("ben"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 0..30).await;
    flush_table(&mut world, &messages).await;
    flush_table(&mut world, &log).await;
    shore.insert(&messages, &user("ana"), 250..260).await;
    shore.insert(&messages, &user("ben"), 10..20).await;
    flush_table(&mut world, &messages).await;
    shore.insert(&messages, &user("ana"), 260..265).await;
    (world, shore, archive, messages, log)
}

async fn moved(world: &mut World, parameters: &SegmentMove) -> serde_json::Value {
    let job = run(world, KIND, Box::new(parameters.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(world.path(&job.job_id), ["Queued", "Snapshotting", "Copying", "Deleting", "Done"]);
    job.result.unwrap()
}

async fn assert_rows(shore: &Shore, messages: &Arc<Table>, log: &Arc<Table>) {
    let rows = shore.rows(messages).await;
    assert_eq!(rows["ana"], (0..265).collect::<Vec<_>>());
    assert_eq!(rows["ben"], (0..20).collect::<Vec<_>>());
    assert_eq!(shore.rows(log).await[""], (0..30).collect::<Vec<_>>());
}

/// The segments that a storage holds, each of which is there as its entry says. No other segment's file is there.
async fn assert_exactly(shore: &Shore, storage: &StorageId, tables: [&Table; 2]) -> Vec<Segment> {
    let all = tables.into_iter().flat_map(|table| shore.segments(table));
    let segments: Vec<Segment> = all.filter(|segment| segment.storage == *storage).collect();
    let objects = shore.store().objects(storage).unwrap();
    for segment in &segments {
        let stored = cold::checksum(&*objects, &segment.path).await.unwrap().expect("its object is there");
        assert_eq!((stored.bytes, stored.crc32c), (segment.bytes, segment.crc32c), "{}", segment.path);
    }
    let named: BTreeSet<&str> = segments.iter().map(|segment| segment.path.as_str()).collect();
    assert_eq!(named.len(), segments.len(), "no two entries name one object");
    let files = segment_files(shore, storage);
    assert_eq!(files.iter().map(String::as_str).collect::<BTreeSet<_>>(), named, "{storage}");
    segments
}

fn segment_files(shore: &Shore, storage: &StorageId) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().and_then(FileName::parse).is_some();
    shore.files_of(storage).into_iter().filter(|path| name(path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_move_as_they_are_and_the_originals_go_later() {
    let (mut world, shore, archive, messages, log) = two_storages().await;
    let before: Vec<Segment> = shore.segments(&messages).into_iter().chain(shore.segments(&log)).collect();
    let watermark = manifest::watermark(&*shore.store().snapshot(), messages.id, &user("ana")).unwrap();

    let reader = shore.store().readers().register();
    let snapshot = shore.store().snapshot();
    let result = moved(&mut world, &to(&archive)).await;
    assert_eq!(
        (&result["segments_moved"], &result["rows"], &result["segments_failed"]),
        (&7.into(), &310.into(), &0.into()),
        "{result}"
    );
    let after = assert_exactly(&shore, &archive, [&messages, &log]).await;
    let mut sorted = before.clone();
    sorted.sort_by_key(|segment| (segment.table_id, segment.user.clone(), segment.from_seq));
    for (old, new) in sorted.iter().zip(&after) {
        let same = Segment {
            storage: archive.clone(),
            path: new.path.clone(),
            job_id: new.job_id.clone(),
            created_at: new.created_at,
            ..old.clone()
        };
        assert_eq!(*new, same, "nothing else is different");
        assert_eq!(new.path.rsplit_once('/').unwrap().0, old.path.rsplit_once('/').unwrap().0);
    }
    assert_rows(&shore, &messages, &log).await;
    let now = manifest::watermark(&*shore.store().snapshot(), messages.id, &user("ana")).unwrap();
    assert_eq!(now, watermark);
    assert_eq!(hot::counters(&*shore.store().snapshot(), messages.id).unwrap().rows, 5, "hot rows are not touched");

    // A statement that began before still finds every file that its snapshot names.
    world.advance(Duration::from_secs(1800));
    deletions::delete_due(&shore.store(), 100).await.unwrap();
    for segment in manifest::segments(snapshot, messages.id, None).unwrap() {
        assert!(shore.root().join(&segment.path).exists(), "{}", segment.path);
    }
    drop(reader);
    assert_eq!(segment_files(&shore, &StorageId::local()).len(), 7, "within the grace nothing goes");
    world.advance(Duration::from_secs(1800));
    let again = moved(&mut world, &to(&archive)).await;
    assert_eq!((&again["segments_moved"], &again["segments_there_before"]), (&0.into(), &7.into()), "{again}");
    assert_eq!(segment_files(&shore, &StorageId::local()), [""; 0]);
    assert_rows(&shore, &messages, &log).await;

    // What comes next goes where the table says.
    flush_table(&mut world, &messages).await;
    assert_eq!(assert_exactly(&shore, &StorageId::local(), [&messages, &log]).await.len(), 1);
    let back = moved(&mut world, &SegmentMove { tables: Tables::All, ..to(&StorageId::local()) }).await;
    assert_eq!((&back["segments_moved"], &back["segments_there_before"]), (&7.into(), &1.into()), "{back}");
    assert_rows(&shore, &messages, &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_or_one_table_moves_alone() {
    let (mut world, shore, archive, messages, log) = two_storages().await;
    let ben = SegmentMove { user: Some(user("ben")), ..to(&archive) };
    let result = moved(&mut world, &ben).await;
    assert_eq!((&result["segments_moved"], &result["rows"]), (&2.into(), &20.into()), "{result}");
    let there = assert_exactly(&shore, &archive, [&messages, &log]).await;
    assert!(there.iter().all(|segment| segment.user == user("ben")));
    let table = SegmentMove { tables: Tables::Table("chat.log".to_owned()), ..to(&archive) };
    assert_eq!(moved(&mut world, &table).await["segments_moved"], 1);
    let nobody = SegmentMove { user: Some(user("nobody")), ..to(&archive) };
    assert_eq!(moved(&mut world, &nobody).await["segments_moved"], 0);
    assert_rows(&shore, &messages, &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_not_as_the_manifest_says_stays() {
    let (mut world, shore, archive, messages, log) = two_storages().await;
    let segments = shore.segments(&messages);
    let (torn, gone) = (&segments[1], &segments[4]);
    let mut bytes = std::fs::read(shore.root().join(&torn.path)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(shore.root().join(&torn.path), bytes).unwrap();
    std::fs::remove_file(shore.root().join(&gone.path)).unwrap();
    let result = moved(&mut world, &to(&archive)).await;
    assert_eq!((&result["segments_moved"], &result["segments_failed"]), (&5.into(), &2.into()), "{result}");
    let failures = result["failures"].to_string();
    assert!(failures.contains("the manifest says") && failures.contains(&gone.path), "{failures}");
    assert_eq!(assert_exactly(&shore, &archive, [&messages, &log]).await.len(), 5);
    let stayed: Vec<Segment> =
        shore.segments(&messages).into_iter().filter(|segment| segment.storage == StorageId::local()).collect();
    assert_eq!(stayed, [torn.clone(), gone.clone()]);

    let only = SegmentMove { user: Some(user("nobody")), ..to(&archive) };
    moved(&mut world, &only).await;
    let all = run(&mut world, KIND, Box::new(to(&archive).job())).await;
    assert_eq!(all.status, Status::Failed);
    assert!(all.error.as_ref().unwrap().starts_with("all 2 segments stay where they are"), "{:?}", all.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_at_all_is_said() {
    let (mut world, shore, archive, ..) = two_storages().await;
    for (parameters, said) in [
        (to(&StorageId::new("nowhere").unwrap()), "Storage 'nowhere' does not exist"),
        (SegmentMove { tables: Tables::Table("chat.no".to_owned()), ..to(&archive) }, "Table chat.no not found"),
    ] {
        let job = run(&mut world, KIND, Box::new(parameters.job())).await;
        assert_eq!((job.status, job.error.as_deref()), (Status::Failed, Some(said)));
    }
    // A storage that takes nothing is tried again, and then its job fails where it stands.
    std::fs::remove_dir_all(shore.root_of(&archive)).unwrap();
    std::fs::write(shore.root_of(&archive), "a file where the folder was").unwrap();
    let id = world.submit(NewJob::new(KIND, Box::new(to(&archive).job()))).await.unwrap();
    world.run_to_end().await;
    let job = world.job(&id);
    assert_eq!((job.status, job.state.as_str(), job.attempt), (Status::Failed, "Copying", 5));
    assert!(job.error.as_ref().unwrap().starts_with("the storage to move to takes nothing"), "{:?}", job.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_of_the_same_table_go_on_beside_it() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let archive = shore.storage("archive").await;
    let table = shore.table("messages", Kind::User).await;
    let names: Vec<String> = (0..10).map(|number| format!("u{number}")).collect();
    for round in 0..5 {
        for name in &names {
            shore.insert(&table, &user(name), round * 10..round * 10 + 10).await;
        }
        world.advance(Duration::from_secs(1));
        let flush = world.submit(NewJob::new(flush::KIND, Box::new(Flush::new(&table)))).await.unwrap();
        let moves = world.submit(NewJob::new(KIND, Box::new(to(&archive).job()))).await.unwrap();
        world.run_to_idle().await;
        for id in [flush, moves] {
            assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
        }
    }
    moved(&mut world, &to(&archive)).await;
    let rows = shore.rows(&table).await;
    for name in &names {
        assert_eq!(rows[name], (0..50).collect::<Vec<_>>(), "{name}");
    }
    assert!(shore.segments(&table).iter().all(|segment| segment.storage == archive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_move_loses_and_doubles_nothing() {
    type Present = (Shore, StorageId, Arc<Table>, Arc<Table>);
    let present: Mutex<Option<Present>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, shore, archive, messages, log) = two_storages().await;
            *present.lock().unwrap() = Some((shore, archive, messages, log));
            world
        },
        |_| {
            let (_, archive, ..) = present.lock().unwrap().clone().unwrap();
            NewJob::new(KIND, Box::new(to(&archive).job()))
        },
        async |world: &World, job: &Job| {
            let (shore, archive, messages, log) = present.lock().unwrap().clone().unwrap();
            let result = job.result.as_ref().unwrap();
            assert_eq!((&result["segments_moved"], &result["rows"]), (&7.into(), &310.into()), "{result}");
            assert_rows(&shore, &messages, &log).await;
            world.env.advance(3_600_000_000);
            deletions::delete_due(&shore.store(), 100).await.unwrap();
            assert_eq!(segment_files(&shore, &StorageId::local()), [""; 0], "every original is gone");
            // Copies that were made before the death and never named are the sweep's; they have this job's timestamp.
            let all = shore.segments(&messages).into_iter().chain(shore.segments(&log));
            let named: Vec<String> = all.map(|segment| segment.path).collect();
            assert_eq!(named.len(), 7);
            let files = segment_files(&shore, &archive);
            assert!(named.iter().all(|path| files.contains(path)));
            let left_over: Vec<_> = files.iter().filter(|path| !named.contains(path)).collect();
            assert!(left_over.len() <= 4, "no more than two steps' copies: {left_over:?}");
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Copying", "Deleting", "Done"]);
    assert_eq!(deaths.unreached, 0);
}
