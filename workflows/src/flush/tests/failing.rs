//! What a flush makes of panics, of storages that break half way, and of what an earlier claim left behind.

use super::super::records;
use super::{MANUAL, World, user};
use crate::flush::Options;
use ebbtide_engine::env::Env;
use ebbtide_engine::{Snapshot, SystemEnv};
use ebbtide_runtime::{Status, Trigger};
use ebbtide_store::path::shard::{Registry, ShardStrategy};
use ebbtide_store::{
    Kind, NewStorage, NewTable, NewUser, StorageId, StorageMode, StorageType, Store, StoreOptions, Table, TableId,
    UserChange, hot,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use tokio::runtime::Handle;

/// The system's environment, and something that is done when a point is reached.
struct Spoiler<F>(F);

impl<F> std::fmt::Debug for Spoiler<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spoiler")
    }
}

impl<F: Fn(&'static str) + Send + Sync + 'static> Env for Spoiler<F> {
    fn now(&self) -> i64 {
        SystemEnv.now()
    }

    fn id(&self) -> uuid::Uuid {
        SystemEnv.id()
    }

    fn random(&self) -> u64 {
        SystemEnv.random()
    }

    fn reached(&self, point: &'static str) {
        (self.0)(point);
    }
}

async fn spoiled(options: Options, spoil: impl Fn(&'static str) + Send + Sync + 'static) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreOptions::at(folder.path().join("storage"));
    World::open_in(Arc::new(Spoiler(spoil)), folder, options, store).await
}

fn failures(world: &World, table: TableId) -> Vec<(String, u32)> {
    let found = records::failures(world.store.snapshot(), table).unwrap();
    found.into_iter().map(|(user, failure)| (user.to_string(), failure.failures)).collect()
}

fn hot_rows(world: &World, table: &Table) -> u64 {
    let snapshot: Arc<dyn Snapshot> = world.store.snapshot();
    hot::counters(&*snapshot, table.id).unwrap().rows
}

/// Every file that the manifest names is there, and holds as many bytes as it says.
fn files_are_there(world: &World, table: &Table) {
    for segment in world.segments(table) {
        let path = world.folder.path().join("storage").join(&segment.path);
        let about = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(about.len(), segment.bytes, "{}", path.display());
    }
}

/// Where a panic strikes: in an encoder's thread while it streams, and in an upload's task.
const STRIKES: [(&str, usize); 2] = [("object.temp.half", 1), ("object.written", usize::MAX)];

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_tried_again_and_the_flush_completes() {
    for (point, row_group_bytes_max) in STRIKES {
        let struck = AtomicUsize::new(0);
        let options = Options { row_group_bytes_max: row_group_bytes_max.min(4 << 20), ..Options::default() };
        let world = spoiled(options, move |reached| {
            // Opening the storage writes an object too: its owner.
            assert!(reached != point || struck.fetch_add(1, Ordering::Relaxed) != 1, "struck at {point}");
        })
        .await;
        let table = world.table(Kind::User, MANUAL).await;
        for name in ["ana", "ben", "cy"] {
            world.insert(&table, &user(name), 0..10).await;
        }
        let job = world.flush(Trigger::Manual).await;
        assert_eq!(job.status, Status::Completed, "{point}: {:?}", job.error);
        assert_eq!(hot_rows(&world, &table), 0, "{point}");
        assert_eq!(world.segments(&table).iter().map(|segment| segment.rows).sum::<u64>(), 30, "{point}");
        files_are_there(&world, &table);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_that_do_not_end_end_the_job_and_not_the_next_one() {
    for (point, row_group_bytes_max) in STRIKES {
        let strikes = Arc::new(AtomicBool::new(false));
        let armed = strikes.clone();
        let options = Options { row_group_bytes_max: row_group_bytes_max.min(4 << 20), ..Options::default() };
        let world = spoiled(options, move |reached| {
            assert!(reached != point || !armed.load(Ordering::Relaxed), "struck at {point}");
        })
        .await;
        let table = world.table(Kind::User, MANUAL).await;
        for name in ["ana", "ben", "cy"] {
            world.insert(&table, &user(name), 0..10).await;
        }
        strikes.store(true, Ordering::Relaxed);
        let job = world.flush(Trigger::Manual).await;
        assert_eq!(job.status, Status::Failed, "{point}");
        let error = job.error.unwrap();
        assert!(error.contains("panicked") || error.contains("all 3 users failed"), "{point}: {error}");
        assert_eq!(hot_rows(&world, &table), 30, "{point}");
        strikes.store(false, Ordering::Relaxed);
        let job = world.flush(Trigger::Manual).await;
        assert_eq!(job.status, Status::Completed, "{point}: {:?}", job.error);
        assert_eq!(hot_rows(&world, &table), 0, "{point}");
        files_are_there(&world, &table);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_many_parts_fails_once() {
    let options = Options { segment_rows_max: 10, row_group_rows_max: 5, upload_attempts_max: 1, ..Options::default() };
    let world = World::new(options).await;
    let table = world.table(Kind::User, MANUAL).await;
    world.insert(&table, &user("ana"), 0..3).await;
    world.insert(&table, &user("ben"), 0..200).await;
    let (_, prefix) = world.store.resolve_prefix(&world.store.snapshot(), &table, &user("ben")).unwrap();
    let in_the_way = world.folder.path().join("storage").join(prefix);
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "in the way").unwrap();
    for times in 1..=2 {
        world.insert(&table, &user("ana"), 0..3).await;
        let job = world.flush(Trigger::Manual).await;
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
        let result = job.result.unwrap();
        assert_eq!((&result["users"], &result["failed_users"]), (&1.into(), &1.into()), "{result}");
        assert_eq!(result["failures"].as_array().map(Vec::len), Some(1), "{result}");
        // Counted per flush, as the pause doubles with it, and not per part.
        assert_eq!(failures(&world, table.id), [("ben".to_owned(), times)]);
        assert_eq!(hot_rows(&world, &table), 200);
    }
    std::fs::remove_file(&in_the_way).unwrap();
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(failures(&world, table.id), [], "who has moved has no failures in a row");
    assert_eq!(hot_rows(&world, &table), 0);
    assert_eq!(world.segments(&table).iter().filter(|segment| segment.user == user("ben")).count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_before_the_one_that_fails_have_moved() {
    const PARTS_DURABLE: usize = 3;
    let folder: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let (temp, durable) = (folder.clone(), AtomicUsize::new(0));
    let options = Options {
        segment_rows_max: 10,
        row_group_rows_max: 5,
        upload_attempts_max: 1,
        uploads_in_flight_max: 1,
        ..Options::default()
    };
    let world = spoiled(options, move |point| {
        if point != "object.durable" {
            return;
        }
        let temp = temp.lock().unwrap();
        let Some(temp) = &*temp else { return };
        if durable.fetch_add(1, Ordering::Relaxed) + 1 == PARTS_DURABLE {
            // The storage breaks: nothing can be begun in it any more.
            std::fs::rename(temp, temp.with_extension("away")).unwrap();
        }
    })
    .await;
    let table = world.table(Kind::User, MANUAL).await;
    world.insert(&table, &user("ben"), 0..200).await;
    let temp = world.folder.path().join("storage/.ebbtide/tmp");
    *folder.lock().unwrap() = Some(temp.clone());
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Failed);
    assert!(job.error.as_ref().unwrap().contains("all 1 users failed"), "{:?}", job.error);
    assert_eq!(failures(&world, table.id), [("ben".to_owned(), 1)]);
    let moved = world.segments(&table).iter().map(|segment| segment.rows).sum::<u64>();
    assert!(moved >= 10, "what was durable before has moved: {moved} rows");
    assert_eq!(hot_rows(&world, &table), 200 - moved);

    std::fs::rename(temp.with_extension("away"), &temp).unwrap();
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let segments = world.segments(&table);
    assert_eq!(segments.iter().map(|segment| segment.rows).sum::<u64>(), 200);
    assert!(segments.windows(2).all(|pair| pair[0].to_seq < pair[1].from_seq), "no row has moved twice");
    files_are_there(&world, &table);
}

/// Puts `inner` into a folder inside that of `outer`, which is none of the built-in strategies' doing. `outer` waits at his
/// first turn until `inner` has moved, and then panics.
#[derive(Debug, Default)]
struct Nested {
    /// Commits of steps since a part was there to be handed over; none before.
    moved: Mutex<Option<u32>>,
    changed: Condvar,
    turned: AtomicBool,
    armed: AtomicBool,
}

impl Nested {
    fn reached(&self, point: &str) {
        let mut moved = self.moved.lock().unwrap();
        match (point, &mut *moved) {
            ("flush.writing.uploaded", none @ None) => *none = Some(0),
            ("job.step.after_commit", Some(commits)) => *commits += 1,
            _ => return,
        }
        self.changed.notify_all();
    }
}

#[derive(Debug)]
struct Inside(Arc<Nested>);

impl ShardStrategy for Inside {
    fn shard(&self, user_id: &str) -> String {
        let nested = &*self.0;
        if user_id == "inner" {
            return "outer".to_owned();
        }
        if nested.armed.load(Ordering::Relaxed) && !nested.turned.swap(true, Ordering::Relaxed) {
            let moved = nested.moved.lock().unwrap();
            drop(nested.changed.wait_while(moved, |moved| moved.is_none_or(|commits| commits == 0)).unwrap());
            panic!("the first turn of {user_id} ends here");
        }
        String::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_one_user_are_not_looked_for_among_the_files_of_another() {
    let nested = Arc::new(Nested::default());
    let mut shards = Registry::default();
    shards.register("inside", Arc::new(Inside(nested.clone()))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = StoreOptions { shards: Arc::new(shards), ..StoreOptions::at(folder.path().join("storage")) };
    let points = nested.clone();
    let env = Arc::new(Spoiler(move |point: &'static str| points.reached(point)));
    let options = Options { encoders: 2, ..Options::default() };
    let mut world = World::open_in(env, folder, options, store).await;
    world.sharding = "inside";
    let table = world.table(Kind::User, MANUAL).await;
    world.insert(&table, &user("inner"), 0..5).await;
    world.insert(&table, &user("outer"), 0..7).await;
    nested.armed.store(true, Ordering::Relaxed);
    let job = world.flush(Trigger::Manual).await;
    assert!(nested.turned.load(Ordering::Relaxed) && job.epoch > 1, "a second claim looked for leftovers");
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let segments = world.segments(&table);
    assert_eq!(segments.iter().map(|segment| segment.rows).sum::<u64>(), 12);
    assert!(segments.iter().any(|segment| segment.path.contains("/outer/inner/")), "{segments:?}");
    files_are_there(&world, &table);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_into_a_storage_that_is_another_place_by_now_is_not_named() {
    let known: Arc<OnceLock<(Weak<Store>, PathBuf)>> = Arc::default();
    let (at_point, changed) = (known.clone(), AtomicBool::new(false));
    let world = spoiled(Options::default(), move |point| {
        let Some((store, elsewhere)) = at_point.get() else { return };
        if point == "flush.writing.uploaded" && !changed.swap(true, Ordering::Relaxed) {
            let store = store.upgrade().unwrap();
            tokio::task::block_in_place(|| Handle::current().block_on(another_place(&store, elsewhere)));
        }
    })
    .await;
    let elsewhere = world.folder.path().join("elsewhere");
    world.store.create_storage(sea(&world.folder.path().join("sea"))).await.unwrap();
    let region = NewUser { id: user("ana"), storage_mode: StorageMode::Region, storage: Some(sea(&elsewhere).id) };
    world.store.create_user(region).await.unwrap();
    let table = NewTable { use_user_storage: true, ..world.new_table(Kind::User, MANUAL) };
    let table = world.store.catalog().create_table(table).await.unwrap();
    world.insert(&table, &user("ana"), 0..10).await;
    known.set((Arc::downgrade(&world.store), elsewhere.clone())).unwrap();

    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let segments = world.segments(&table);
    assert_eq!(segments.iter().map(|segment| segment.rows).collect::<Vec<_>>(), [10]);
    assert!(elsewhere.join(&segments[0].path).exists(), "{segments:?}");
    assert_eq!(hot_rows(&world, &table), 0);
}

fn sea(root: &Path) -> NewStorage {
    NewStorage {
        id: StorageId::new("sea").unwrap(),
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

/// The same id, and another folder.
async fn another_place(store: &Arc<Store>, root: &Path) {
    let id = sea(root).id;
    let change = |storage| UserChange { storage: Some(storage), ..UserChange::default() };
    store.alter_user(&user("ana"), change(None)).await.unwrap();
    store.drop_storage(&id).await.unwrap();
    store.create_storage(sea(root)).await.unwrap();
    store.alter_user(&user("ana"), change(Some(id))).await.unwrap();
}
