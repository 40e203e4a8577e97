//! A user in both tiers, on two storages, with files beside his that nothing names: what is left of him, and of others.

use super::{KIND, UserErase};
use crate::flush::{self, Flush};
use crate::kinds::{Span, Tables};
use crate::segment_move::{self, SegmentMove};
use crate::testing::{Shore, flush as flush_table, run, user, wait_long_after_a_failure, world};
use bytes::Bytes;
use ebbtide_engine::{Commit, KeyRange, Order};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, JobId, NewJob, Status};
use ebbtide_store::{
    Claim, Kind, NewStorage, StorageId, StorageType, Table, UserId, deletions, hot, manifest, published, quarantine,
    reclaim, users,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is in ana's rows and in nobody else's.
const WORD: &str = "text 7";

struct Scene {
    shore: Shore,
    archive: StorageId,
    messages: Arc<Table>,
    likes: Arc<Table>,
    log: Arc<Table>,
}

fn job() -> NewJob {
    UserErase::job(user("ana"), None)
}

/// ana: 250 rows in three segments and 5 hot ones in `messages`, on two storages; 20 rows in one segment of `likes`. ben: 10
/// rows in each, cold, and 3 hot. SHARED: 30 rows, cold. All of it is published. In ana's folder lie a segment that nothing
/// names and a file that is not ours.
async fn scene() -> (World, Scene) {
    scene_of(250, true).await
}

/// The same with so many rows in segments of `messages`, and perhaps on one storage.
async fn scene_of(rows: i64, on_two_storages: bool) -> (World, Scene) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let archive = shore.storage("archive").await;
    let (messages, likes) = (shore.table("messages", Kind::User).await, shore.table("likes", Kind::User).await);
    let log = shore.table("log", Kind::Shared).await;
    shore.table("empty", Kind::User).await;
    shore.insert(&messages, &user("ana"), 0..rows).await;
    shore.insert(&messages, &user("ben"), 0..10).await;
    shore.insert(&likes, &user("ana"), 0..20).await;
    shore.insert(&likes, &user("ben"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 0..30).await;
    for table in [&messages, &likes, &log] {
        flush_table(&mut world, table).await;
    }
    publish(&shore).await;
    let moved = SegmentMove {
        tables: Tables::Table("chat.likes".to_owned()),
        user: Some(user("ana")),
        to: archive.clone(),
        grace: Span(Duration::from_secs(3600)),
    };
    if on_two_storages {
        run(&mut world, segment_move::KIND, Box::new(moved.job())).await;
        publish(&shore).await;
    }
    shore.insert(&messages, &user("ana"), rows..rows + 5).await;
    shore.insert(&messages, &user("ben"), 10..13).await;
    let objects = shore.store().objects(&StorageId::local()).unwrap();
    for name in ["2029-01-01T00-00-00.parquet", "notes.txt"] {
        let path = format!("chat/users/messages/ana/{name}");
        objects.put_small(&path, Bytes::from_static(b"bytes")).await.unwrap();
    }
    (world, Scene { shore, archive, messages, likes, log })
}

async fn publish(shore: &Shore) {
    published::publish_due(&shore.store(), None, 100).await.unwrap();
}

/// Everything that lies in a folder of ana's on any storage.
fn her_files(scene: &Scene) -> Vec<String> {
    let storages = [StorageId::local(), scene.archive.clone()];
    let all = storages.iter().flat_map(|storage| scene.shore.files_of(storage));
    all.filter(|path| path.contains("/ana/")).collect()
}

/// The keys with ana in them, by space, that may be there when she is erased.
fn her_keys(scene: &Scene) -> Vec<(&'static str, String)> {
    let snapshot = scene.shore.store().snapshot();
    let mut found = Vec::new();
    for space in [ebbtide_store::SPACES, crate::SPACES].concat() {
        let mut cursor = snapshot.clone().scan(space, KeyRange::all(), Order::Ascending).unwrap();
        while let Some((key, value)) = cursor.next().unwrap() {
            if [key, value].iter().any(|bytes| bytes.windows(3).any(|window| window == b"ana")) {
                found.push((space.name, key.escape_ascii().to_string()));
            }
        }
    }
    found
}

fn assert_nothing_of_ana(scene: &Scene) {
    assert_eq!(her_files(scene), ["chat/users/messages/ana/notes.txt"], "what is not ours is left alone");
    let spaces: Vec<&str> = her_keys(scene).into_iter().map(|(space, _)| space).collect();
    assert_eq!(spaces, ["watermarks", "watermarks", "users"], "{:?}", her_keys(scene));
    let snapshot = scene.shore.store().snapshot();
    for table in [&scene.messages, &scene.likes] {
        assert_eq!(hot::count_rows(&snapshot, table.id, &user("ana"), 0, u64::MAX).unwrap().rows, 0);
    }
    assert!(users::get(&*snapshot, &user("ana")).unwrap().is_some(), "the user himself stays");
}

async fn assert_others(scene: &Scene) {
    let Scene { shore, messages, likes, log, .. } = scene;
    let rows = shore.rows(messages).await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["ben"]);
    assert_eq!(rows["ben"], (0..13).collect::<Vec<_>>());
    assert_eq!(shore.rows(likes).await["ben"], (0..10).collect::<Vec<_>>());
    assert_eq!(shore.rows(log).await[""], (0..30).collect::<Vec<_>>());
    let counters = hot::counters(&*shore.store().snapshot(), messages.id).unwrap();
    let ben = hot::count_rows(&shore.store().snapshot(), messages.id, &user("ben"), 0, u64::MAX).unwrap();
    assert!(counters.rows == 3 && counters.bytes > 0 && ben.rows >= 3, "{counters:?}");
}

async fn erased(world: &mut World, new: NewJob) -> serde_json::Value {
    let id = world.submit(new).await.unwrap();
    world.run_to_end().await;
    let job = world.job(&id);
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(world.path(&id), ["Queued", "Fencing", "Erasing", "Removing", "Purging", "Done"]);
    job.result.unwrap()
}

/// Whether any file below the folder holds these bytes.
fn on_disk(folder: &std::path::Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return on_disk(&path, bytes);
        }
        // One that went between the listing and now holds nothing.
        let content = std::fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_nowhere_and_the_receipt_says_so() {
    let (mut world, scene) = scene().await;
    let receipt = erased(&mut world, job()).await;
    for (what, count) in
        [("tables", 2), ("rows_hot", 5), ("rows_cold", 270), ("segments", 4), ("segments_rewritten", 0)]
    {
        assert_eq!(receipt[what], count, "{what} of {receipt}");
    }
    assert_eq!(receipt["objects_deleted"], receipt["objects_verified_gone"], "{receipt}");
    assert!(receipt["objects_deleted"].as_u64().unwrap() >= 4 + 1 + 2, "segments, what nothing named, manifests");
    assert_eq!((&receipt["hot_range_compacted"], &receipt["log_turned_over"]), (&true.into(), &true.into()));
    assert_eq!(receipt["storages"], serde_json::json!(["archive", "local"]));
    assert_nothing_of_ana(&scene);
    assert_others(&scene).await;
    let store = scene.shore.store();
    assert_eq!(quarantine::scan(store.snapshot(), None).unwrap().count(), 0);
    // A watermark stands where nothing of before can be named.
    let watermark = manifest::watermark(&*store.snapshot(), scene.messages.id, &user("ana")).unwrap();
    assert_eq!((watermark.erase_generation, watermark.seq), (1, receipt["cut"].as_u64().unwrap()));
    store.drop_user(&user("ana")).await.unwrap();

    let again = erased(&mut world, job()).await;
    assert_eq!((&again["rows_hot"], &again["rows_cold"], &again["objects_deleted"]), (&0.into(), &0.into(), &0.into()));
    let nobody = erased(&mut world, UserErase::job(user("nobody"), None)).await;
    assert_eq!((&nobody["tables"], &nobody["objects_deleted"]), (&0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_keeps_no_bytes_of_his() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let table = shore.table("messages", Kind::User).await;
    shore.insert(&table, &user("ana"), 0..100).await;
    shore.insert(&table, &user("ben"), 1..3).await;
    flush_table(&mut world, &table).await;
    shore.insert(&table, &user("ana"), 100..150).await;
    let engine = world.directory().to_owned();
    assert!(on_disk(&engine, WORD.as_bytes()), "in the log at least");
    let reader = shore.store().readers().register();
    let id = world.submit(job()).await.unwrap();
    let runtime = world.runtime().await;
    let ended = async { runtime.wait(&id).await };
    tokio::select! {
        _ = ended => panic!("somebody still reads"),
        () = until(|| world.job(&id).state == "Removing") => {}
    }
    assert!(!shore.files().is_empty(), "what he reads is still there");
    drop((reader, runtime));
    world.run_to_end().await;
    assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
    assert!(!on_disk(&engine, WORD.as_bytes()), "neither rows, nor the bounds of their values, nor the log");
    assert!(on_disk(&engine, b"text 2") || !shore.rows(&table).await.is_empty(), "ben is there");
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_after_the_cut_stay() {
    let (mut world, scene) = scene().await;
    let Scene { shore, messages, .. } = &scene;
    // The cut is fixed, and the fence fails once; by the time it is tried again there are newer rows, handed over in one
    // segment with older ones, and hot ones.
    wait_long_after_a_failure(&mut world).await;
    world.env.crash_at("user_erase.fencing.fence", 0);
    let id = world.submit(job()).await.unwrap();
    world.run_to_idle().await;
    assert_eq!((world.job(&id).status, world.job(&id).state.as_str()), (Status::Retrying, "Fencing"));
    let cut = world.job(&id).parameters.unwrap()["cut"].as_u64().unwrap();
    shore.insert(messages, &user("ana"), 300..310).await;
    flush_table(&mut world, messages).await;
    shore.insert(messages, &user("ana"), 310..315).await;
    let across = shore.segments(messages).into_iter().filter(|one| one.from_seq <= cut && cut < one.to_seq).count();
    assert_eq!(across, 1, "one segment has rows of both sides");
    world.run_to_end().await;
    let job = world.job(&id);
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let receipt = job.result.unwrap();
    assert_eq!((&receipt["segments_rewritten"], &receipt["rows_cold"]), (&1.into(), &275.into()), "{receipt}");
    assert_eq!(shore.rows(messages).await["ana"], (300..315).collect::<Vec<_>>());
    publish(shore).await;
    flush_table(&mut world, messages).await;
    publish(shore).await;
    assert_eq!(shore.rows(messages).await["ana"], (300..315).collect::<Vec<_>>());
    for (folder, published) in published::of_user(&shore.store().snapshot(), messages.id, &user("ana")).unwrap() {
        let text = std::fs::read(shore.root_of(&folder.storage).join(&published.path)).unwrap();
        let manifest = published::Manifest::read(&text).unwrap();
        assert_eq!((manifest.erase_generation, manifest.segments.len()), (1, 2), "{manifest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_written_at_that_moment_is_waited_for() {
    let (mut world, scene) = scene().await;
    let store = scene.shore.store();
    // Somebody who has read her rows and has not put his object yet.
    let writing = store.writers().register();
    let id = world.submit(job()).await.unwrap();
    until(|| world.job(&id).state == "Removing").await;
    let objects = store.objects(&scene.archive).unwrap();
    let late = "chat/users/messages/ana/2029-02-02T00-00-00-a2.parquet";
    objects.put_small(late, Bytes::from_static(b"her rows")).await.unwrap();
    drop(writing);
    drop((store, objects));
    world.run_to_end().await;
    assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
    assert_nothing_of_ana(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_runs_at_the_same_time_brings_nothing_back() {
    for round in 0..12 {
        let (mut world, shore) = world(Env::held_at(START)).await;
        let archive = shore.storage("archive").await;
        let table = shore.table("messages", Kind::User).await;
        let names: Vec<String> = (0..8).map(|number| format!("u{number}")).chain(["ana".to_owned()]).collect();
        for name in &names {
            shore.insert(&table, &user(name), 0..120).await;
        }
        flush_table(&mut world, &table).await;
        for name in &names {
            shore.insert(&table, &user(name), 120..240).await;
        }
        world.advance(Duration::from_secs(1));
        let flush = NewJob::new(flush::KIND, Box::new(Flush::new(&table)));
        let parameters =
            SegmentMove { tables: Tables::All, user: None, to: archive.clone(), grace: Span(Duration::ZERO) };
        let moving = NewJob::new(segment_move::KIND, Box::new(parameters.job()));
        let mut jobs = vec![flush, moving, job()];
        jobs.rotate_left(round % 3);
        let mut ids = Vec::new();
        for new in jobs {
            ids.push(world.submit(new).await.unwrap());
        }
        world.run_to_end().await;
        for id in ids {
            assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
        }
        flush_table(&mut world, &table).await;
        let rows = shore.rows(&table).await;
        assert!(!rows.contains_key("ana"), "round {round}");
        for name in &names[..8] {
            assert_eq!(rows[name], (0..240).collect::<Vec<_>>(), "{name}, round {round}");
        }
        let scene = Scene { shore, archive, messages: table.clone(), likes: table.clone(), log: table };
        assert_eq!(her_files(&scene), [""; 0], "round {round}");
        let counters = hot::counters(&*scene.shore.store().snapshot(), scene.messages.id).unwrap();
        assert_eq!(counters, hot::Counters::default(), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_down_keeps_the_receipt_back() {
    let (mut world, scene) = scene().await;
    let (root, away) =
        (scene.shore.root_of(&scene.archive), scene.shore.root_of(&scene.archive).with_extension("away"));
    std::fs::rename(&root, &away).unwrap();
    std::fs::write(&root, "a file where the folder was").unwrap();
    // The wait before another try is as long as it may be, not none at all.
    world.env.set_chance(u64::MAX);
    let id = world.submit(job()).await.unwrap();
    world.run_to_idle().await;
    for _ in 0..10 {
        world.advance(Duration::from_secs(300));
        world.run_to_idle().await;
    }
    let job = world.job(&id);
    assert_eq!((job.status, job.state.as_str()), (Status::Retrying, "Removing"), "{:?}", job.error);
    assert!(job.error.as_ref().unwrap().contains("archive"), "{:?}", job.error);
    assert!(!scene.shore.rows(&scene.messages).await.contains_key("ana"), "nobody reads her rows any more");
    std::fs::remove_file(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    world.run_to_end().await;
    assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
    assert_nothing_of_ana(&scene);
}

/// Has the job fail until it is held up by what `error` says.
async fn held_up(world: &mut World, new: NewJob, error: &str) -> JobId {
    wait_long_after_a_failure(world).await;
    let id = world.submit(new).await.unwrap();
    world.run_to_idle().await;
    let job = world.job(&id);
    assert_eq!(job.status, Status::Retrying, "{:?}", job.error);
    assert!(job.error.as_ref().unwrap().contains(error), "{:?}", job.error);
    id
}

async fn goes_on(world: &mut World, id: &JobId) {
    world.run_to_end().await;
    assert_eq!(world.job(id).status, Status::Completed, "{:?}", world.job(id).error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_being_attached_is_waited_for() {
    let (mut world, scene) = scene().await;
    let lost = StorageId::new("lost").unwrap();
    let root = scene.shore.root_of(&lost);
    std::fs::create_dir_all(root.join("chat/users/messages/cleo")).unwrap();
    scene.shore.store().attach_storage(folder(&lost, &root), Claim::Respect).await.unwrap();
    let id = held_up(&mut world, job(), "storage lost is being attached").await;
    assert!(!her_files(&scene).is_empty());
    scene.shore.store().end_attaching(&lost).await.unwrap();
    goes_on(&mut world, &id).await;
    assert_nothing_of_ana(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_was_dropped_holds_nothing_of_his() {
    let (mut world, scene) = scene().await;
    let back = SegmentMove { user: Some(user("ana")), ..SegmentMove::to(StorageId::local()) };
    let back = SegmentMove { tables: Tables::All, grace: Span(Duration::ZERO), ..back };
    run(&mut world, segment_move::KIND, Box::new(back.job())).await;
    publish(&scene.shore).await;
    world.advance(Duration::from_secs(3600));
    deletions::delete_due(&scene.shore.store(), 100).await.unwrap();
    scene.shore.store().drop_storage(&scene.archive).await.unwrap();
    let published = published::of_user(&scene.shore.store().snapshot(), scene.likes.id, &user("ana")).unwrap();
    assert!(published.iter().any(|(folder, _)| folder.storage == scene.archive), "{published:?}");
    erased(&mut world, job()).await;
    assert!(scene.shore.files().iter().all(|path| !path.contains("/ana/") || path.ends_with("notes.txt")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_dropped_table_is_waited_for() {
    let (mut world, scene) = scene().await;
    scene.shore.store().catalog().drop_table("chat", "likes").await.unwrap();
    let id = held_up(&mut world, job(), "table chat.likes, which was dropped, is not cleared away yet").await;
    let store = scene.shore.store();
    reclaim::reclaim(&store, scene.likes.id, 0).await.unwrap();
    world.advance(Duration::from_secs(300));
    world.run_to_idle().await;
    let error = world.job(&id).error.unwrap();
    assert!(error.contains("of a dropped table is still to go from storage"), "{error}");
    while deletions::delete_due(&store, 100).await.unwrap().objects > 0 {}
    // What she had before it was moved to the other storage goes an hour after that.
    world.advance(Duration::from_secs(300));
    world.run_to_idle().await;
    assert_eq!(world.job(&id).status, Status::Retrying);
    world.advance(Duration::from_secs(3600));
    while deletions::delete_due(&store, 100).await.unwrap().objects > 0 {}
    drop(store);
    goes_on(&mut world, &id).await;
    assert_eq!(her_files(&scene), ["chat/users/messages/ana/notes.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_meanwhile_leaves_nothing_that_was_written_down() {
    // That whose turn it is, and one that comes after it.
    for dropped in ["messages", "likes"] {
        a_table_is_dropped(dropped).await;
    }
}

async fn a_table_is_dropped(name: &str) {
    let (mut world, scene) = scene().await;
    wait_long_after_a_failure(&mut world).await;
    world.env.crash_at("user_erase.removing.page", 0);
    let id = world.submit(job()).await.unwrap();
    world.run_to_idle().await;
    assert_eq!((world.job(&id).status, world.job(&id).state.as_str()), (Status::Retrying, "Removing"));
    let store = scene.shore.store();
    let dropped = store.catalog().drop_table("chat", name).await.unwrap();
    reclaim::reclaim(&store, dropped.table.id, 0).await.unwrap();
    // What was moved from there, and manifests that others took the place of, have their time.
    world.advance(Duration::from_secs(3600));
    while deletions::delete_due(&store, 100).await.unwrap().objects > 0 {}
    drop(store);
    goes_on(&mut world, &id).await;
    let receipt = world.job(&id).result.unwrap();
    assert_eq!(receipt["objects_deleted"], receipt["objects_verified_gone"], "{receipt}");
    assert!(her_keys(&scene).iter().all(|(space, _)| *space != "erased_objects"), "{:?}", her_keys(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_while_one_runs_comes_after_it() {
    let (mut world, scene) = scene().await;
    wait_long_after_a_failure(&mut world).await;
    world.env.crash_at("user_erase.removing.page", 0);
    let first = world.submit(job()).await.unwrap();
    world.run_to_idle().await;
    assert_eq!(world.job(&first).status, Status::Retrying);
    scene.shore.insert(&scene.messages, &user("ana"), 300..310).await;
    assert_eq!(world.submit(job()).await.unwrap(), first);
    world.run_to_end().await;
    assert_eq!(world.job(&first).status, Status::Completed);
    assert_nothing_of_ana(&scene);
}

fn folder(id: &StorageId, root: &std::path::Path) -> NewStorage {
    NewStorage {
        id: id.clone(),
        name: None,
        description: None,
        storage_type: StorageType::Filesystem,
        base_directory: root.to_str().unwrap().to_owned(),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_namespace_alone() {
    let (mut world, scene) = scene().await;
    let chat = ebbtide_store::Name::new("chat").unwrap();
    let other = ebbtide_store::Name::new("other").unwrap();
    let missing = world.submit(UserErase::job(user("ana"), Some(other.clone()))).await.unwrap();
    world.run_to_end().await;
    assert_eq!(world.job(&missing).error.as_deref(), Some("Namespace other not found"));
    scene.shore.store().catalog().create_namespace(&other).await.unwrap();
    let receipt = erased(&mut world, UserErase::job(user("ana"), Some(other))).await;
    assert_eq!(receipt["tables"], 0);
    assert_eq!(scene.shore.rows(&scene.messages).await["ana"].len(), 255);
    let receipt = erased(&mut world, UserErase::job(user("ana"), Some(chat))).await;
    assert_eq!(receipt["tables"], 2);
    assert_nothing_of_ana(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_an_erasure_leaves_nothing() {
    let present: Mutex<Option<Arc<Scene>>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, scene) = scene_of(150, false).await;
            *present.lock().unwrap() = Some(Arc::new(scene));
            world
        },
        |_| job(),
        async |_: &World, job: &Job| {
            let scene = present.lock().unwrap().clone().unwrap();
            let receipt = job.result.as_ref().unwrap();
            assert_eq!((&receipt["rows_hot"], &receipt["rows_cold"]), (&5.into(), &170.into()), "{receipt}");
            assert_eq!(receipt["objects_deleted"], receipt["objects_verified_gone"], "{receipt}");
            assert_nothing_of_ana(&scene);
            assert_others(&scene).await;
            let store = scene.shore.store();
            // Nothing that is still to go is hers.
            let left = deletions::pending(store.snapshot(), None, 100).unwrap();
            assert!(left.iter().all(|deletion| !deletion.path.contains("/ana/")), "{left:?}");
            store.engine().commit(Commit::default()).await.unwrap();
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Fencing", "Erasing", "Removing", "Purging", "Done"]);
    assert_eq!(deaths.unreached, 0);
}

#[test]
fn two_of_the_same_do_not_run_at_once() {
    let key = |namespace: Option<&str>| {
        UserErase::job(user("ana"), namespace.map(|name| ebbtide_store::Name::new(name).unwrap())).unique.unwrap()
    };
    assert_eq!(key(None), key(None));
    assert_ne!(key(None), key(Some("chat")));
    assert_eq!(KIND, "user_erase");
}
