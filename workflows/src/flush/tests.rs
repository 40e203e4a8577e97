//! A flush over a real engine and real files, without SQL: what a program that embeds the crates sees.

mod failing; // panics, broken storages, leftovers

use super::{Flusher, Options, Resources};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Commit, SharedEngine, SharedEnv, SystemEnv};
use ebbtide_runtime::{Job, Runtime, Status, Submitted, Trigger};
use ebbtide_store::{
    ColumnType, FlushPolicy, Kind, Name, NewColumn, NewTable, StorageId, Store, StoreOptions, Table, UserId, hot,
    manifest,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

struct World {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    runtime: Runtime,
    flusher: Arc<Flusher>,
    /// Of the tables that are made.
    sharding: &'static str,
}

async fn open(folder: &Path, options: &Options) -> (Arc<Store>, Runtime, Arc<Flusher>) {
    let store = StoreOptions::at(folder.join("storage"));
    open_in(Arc::new(SystemEnv), folder, options, store).await
}

/// The same in an environment of the test's own, and with its own sharding.
async fn open_in(
    env: SharedEnv,
    folder: &Path,
    options: &Options,
    store: StoreOptions,
) -> (Arc<Store>, Runtime, Arc<Flusher>) {
    let spaces = [ebbtide_store::SPACES, ebbtide_runtime::SPACES, crate::SPACES].concat();
    let engine: SharedEngine =
        Rocks::open(&folder.join("engine"), &spaces, &ebbtide_engine::Options::default(), env.clone()).unwrap();
    let store = Store::open(engine.clone(), env.clone(), store).await.unwrap();
    let runtime_options =
        ebbtide_runtime::Options { backoff_min: Duration::from_millis(1), ..ebbtide_runtime::Options::default() };
    let runtime = Runtime::builder(engine, env)
        .options(runtime_options)
        .with(store.clone())
        .with(Arc::new(Resources::new(options.clone())))
        .start()
        .await
        .unwrap();
    let flusher = Flusher::start(store.clone(), runtime.clone(), options.clone());
    (store, runtime, flusher)
}

impl World {
    async fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreOptions::at(folder.path().join("storage"));
        Self::open_in(Arc::new(SystemEnv), folder, options, store).await
    }

    async fn open_in(env: SharedEnv, folder: tempfile::TempDir, options: Options, store: StoreOptions) -> Self {
        let (store, runtime, flusher) = open_in(env, folder.path(), &options, store).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        Self { folder, store, runtime, flusher, sharding: "none" }
    }

    fn new_table(&self, kind: Kind, flush: FlushPolicy) -> NewTable {
        NewTable {
            namespace: name("chat"),
            name: name("messages"),
            kind,
            columns: vec![
                NewColumn { name: name("id"), column_type: ColumnType::BigInt, nullable: false },
                NewColumn { name: name("text"), column_type: ColumnType::Text, nullable: true },
            ],
            storage: StorageId::local(),
            use_user_storage: false,
            sharding: self.sharding.to_owned(),
            flush,
        }
    }

    async fn table(&self, kind: Kind, flush: FlushPolicy) -> Arc<Table> {
        let table = self.store.catalog().create_table(self.new_table(kind, flush)).await.unwrap();
        self.flusher.note_table(table.id);
        table
    }

    async fn insert(&self, table: &Table, user: &UserId, ids: std::ops::Range<i64>) {
        let text: StringArray = ids.clone().map(|id| (id % 3 != 0).then(|| format!("text {id}"))).collect();
        let columns: Vec<(&str, ArrayRef)> =
            vec![("id", Arc::new(Int64Array::from_iter_values(ids))), ("text", Arc::new(text))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = hot::codec::encode(table, &batch, 1 << 20).unwrap();
        let commit = Commit {
            expect: vec![table.expect_present()],
            writes: hot::append(table, user, rows, self.store.env().now()),
            ..Commit::default()
        };
        self.store.engine().commit(commit).await.unwrap();
        self.flusher.note_rows(table.id);
    }

    async fn flush(&self, trigger: Trigger) -> Job {
        let submitted = self.flusher.flush_table("chat", "messages", trigger).await.unwrap();
        self.runtime.wait(submitted.id()).await.unwrap()
    }

    fn segments(&self, table: &Table) -> Vec<ebbtide_store::Segment> {
        manifest::segments(self.store.snapshot(), table.id, None).unwrap()
    }

    fn files(&self) -> usize {
        fn count(folder: &Path) -> usize {
            std::fs::read_dir(folder).map_or(0, |entries| {
                entries
                    .map(|entry| entry.unwrap().path())
                    .map(|path| {
                        if path.is_dir() {
                            count(&path)
                        } else {
                            usize::from(path.extension().is_some_and(|e| e == "parquet"))
                        }
                    })
                    .sum()
            })
        }
        count(&self.folder.path().join("storage"))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn user(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

const MANUAL: FlushPolicy = FlushPolicy { interval: None, rows: Some(999_999), bytes: None };

#[tokio::test(flavor = "multi_thread")]
async fn each_user_gets_one_file_and_nothing_stays_hot() {
    let world = World::new(Options::default()).await;
    let table = world.table(Kind::User, MANUAL).await;
    for number in 0..40 {
        world.insert(&table, &user(&format!("u{number}")), 0..10 + number).await;
    }
    let rows: i64 = (0..40).map(|number| 10 + number).sum();
    assert_eq!(hot::counters(&*world.store.snapshot(), table.id).unwrap().rows, rows as u64);

    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let result: serde_json::Value = job.result.clone().unwrap();
    assert_eq!(result["records_flushed"], rows);
    assert_eq!(result["users"], 40);
    assert_eq!(result["files"], 40);

    let segments = world.segments(&table);
    assert_eq!(segments.len(), 40);
    assert_eq!(world.files(), 40);
    assert_eq!(segments.iter().map(|segment| segment.rows as i64).sum::<i64>(), rows);
    assert!(segments.iter().all(|segment| segment.path.contains(&format!("/{}/", segment.user))));
    let snapshot = world.store.snapshot();
    assert_eq!(hot::counters(&*snapshot, table.id).unwrap(), hot::Counters::default());
    assert!(hot::users(snapshot, table.id, None, 10).unwrap().is_empty(), "no user is left in the index");
    let mut states: Vec<String> =
        world.runtime.transitions(&job.job_id).unwrap().into_iter().map(|transition| transition.to_state).collect();
    // Being claimed is a transition too: of the status, within `Queued`.
    states.dedup();
    assert_eq!(states, ["Queued", "Snapshotting", "Writing", "Deleting", "Done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_user_is_cut_into_parts_in_seq_order() {
    let options = Options { segment_rows_max: 100, row_group_rows_max: 30, ..Options::default() };
    let world = World::new(options).await;
    let table = world.table(Kind::Shared, MANUAL).await;
    world.insert(&table, &UserId::shared(), 0..1000).await;
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let segments = world.segments(&table);
    assert_eq!(segments.iter().map(|segment| segment.rows).sum::<u64>(), 1000);
    assert!(segments.len() >= 8, "parts: {}", segments.len());
    assert!(segments.windows(2).all(|pair| pair[0].to_seq < pair[1].from_seq));
    assert!(segments[1].path.ends_with("-p0002.parquet"), "{}", segments[1].path);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_after_the_cut_stay_hot_and_go_with_the_next_flush() {
    let world = World::new(Options::default()).await;
    let table = world.table(Kind::User, MANUAL).await;
    let ana = user("ana");
    world.insert(&table, &ana, 0..5).await;
    world.flush(Trigger::Manual).await;
    world.insert(&table, &ana, 5..8).await;
    let counters = hot::counters(&*world.store.snapshot(), table.id).unwrap();
    assert_eq!(counters.rows, 3);
    world.flush(Trigger::Manual).await;
    let segments = world.segments(&table);
    assert_eq!(segments.iter().map(|segment| segment.rows).collect::<Vec<_>>(), [5, 3]);
    assert_ne!(segments[0].path, segments[1].path);
    let empty = world.flush(Trigger::Manual).await;
    assert_eq!(empty.status, Status::Completed);
    assert_eq!(empty.result.unwrap()["records_flushed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_get_one_job() {
    let world = World::new(Options::default()).await;
    let table = world.table(Kind::User, MANUAL).await;
    for number in 0..200 {
        world.insert(&table, &user(&format!("u{number}")), 0..3).await;
    }
    let asked =
        futures::future::join_all((0..16).map(|_| world.flusher.flush_table("chat", "messages", Trigger::Manual)))
            .await;
    let new = asked.iter().filter(|submitted| matches!(submitted, Ok(Submitted::New(_)))).count();
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!(new, 1, "one starts, the others get its id");
    let id = *asked[0].as_ref().unwrap().id();
    assert_eq!(world.runtime.wait(&id).await.unwrap().status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_intervals_flush_by_themselves_and_after_a_restart() {
    for flush in [
        FlushPolicy { interval: None, rows: Some(10), bytes: None },
        FlushPolicy { interval: Some(Duration::from_millis(300)), rows: None, bytes: None },
        FlushPolicy { interval: None, rows: None, bytes: Some(150) },
    ] {
        let world = World::new(Options::default()).await;
        let table = world.table(Kind::User, flush.clone()).await;
        world.insert(&table, &user("ana"), 0..10).await;
        moved(&world.store, &table, 10).await;
        world.flusher.stop().await;
        world.runtime.idle().await;

        // These come in while nobody looks.
        world.insert(&table, &user("ben"), 0..12).await;
        let _shutdown = world.runtime.shutdown(ebbtide_runtime::Drain::Checkpoint, Duration::from_secs(10)).await;
        world.store.engine().close();
        let World { folder, store, runtime, flusher, .. } = world;
        drop((store, runtime, flusher));
        let (store, _runtime, _flusher) = open(folder.path(), &Options::default()).await;
        moved(&store, &table, 22).await;
    }
}

/// Waits until so many rows are in segments.
async fn moved(store: &Arc<Store>, table: &Table, rows: u64) {
    let all = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            let segments = manifest::segments(store.snapshot(), table.id, None).unwrap();
            if segments.iter().map(|segment| segment.rows).sum::<u64>() >= rows {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the trigger starts a flush");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_folder_cannot_be_written_keeps_his_rows_and_is_named() {
    let world = World::new(Options::default()).await;
    let table = world.table(Kind::User, MANUAL).await;
    world.insert(&table, &user("ana"), 0..3).await;
    world.insert(&table, &user("ben"), 0..4).await;
    // A file stands where ben's folder would be.
    let (_, prefix) = world.store.resolve_prefix(&world.store.snapshot(), &table, &user("ben")).unwrap();
    let in_the_way = world.folder.path().join("storage").join(prefix);
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "in the way").unwrap();

    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let result = job.result.unwrap();
    assert_eq!((&result["users"], &result["failed_users"]), (&1.into(), &1.into()));
    assert_eq!(result["failures"][0]["user"], "ben");
    assert_eq!(hot::counters(&*world.store.snapshot(), table.id).unwrap().rows, 4);

    std::fs::remove_file(&in_the_way).unwrap();
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.result.unwrap()["records_flushed"], 4);
    assert_eq!(hot::counters(&*world.store.snapshot(), table.id).unwrap().rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_in_which_every_user_fails_has_failed() {
    let world = World::new(Options { upload_attempts_max: 1, ..Options::default() }).await;
    let table = world.table(Kind::User, MANUAL).await;
    for number in 0..10 {
        world.insert(&table, &user(&format!("u{number}")), 0..3).await;
    }
    let (_, prefix) = world.store.resolve_prefix(&world.store.snapshot(), &table, &user("u0")).unwrap();
    let folder = world.folder.path().join("storage").join(prefix);
    std::fs::create_dir_all(folder.parent().unwrap().parent().unwrap()).unwrap();
    std::fs::write(folder.parent().unwrap(), "in the way").unwrap();
    let job = world.flush(Trigger::Manual).await;
    assert_eq!(job.status, Status::Failed);
    assert_eq!(job.state, "Writing", "a failed job says where it stood");
    assert!(job.error.unwrap().contains("all 10 users failed"));
    assert_eq!(hot::counters(&*world.store.snapshot(), table.id).unwrap().rows, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_whose_writes_fail_do_not_trigger_again_before_their_time() {
    let world = World::new(Options::default()).await;
    let table = world.table(Kind::User, FlushPolicy { interval: None, rows: Some(10), bytes: None }).await;
    let (_, prefix) = world.store.resolve_prefix(&world.store.snapshot(), &table, &user("ben")).unwrap();
    let in_the_way = world.folder.path().join("storage").join(prefix);
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "in the way").unwrap();
    world.insert(&table, &user("ana"), 0..5).await;
    world.insert(&table, &user("ben"), 0..20).await;
    moved(&world.store, &table, 5).await;
    world.runtime.idle().await;

    // The trigger looks at the table again and again; ben's rows alone are above the threshold.
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..30 {
        world.flusher.note_rows(table.id);
        tick.tick().await;
    }
    let jobs = world.runtime.jobs(ebbtide_runtime::Filter::default(), 100).unwrap();
    assert!(jobs.len() <= 2, "{} flushes in 300 ms", jobs.len());
    // Other users' rows still count.
    world.insert(&table, &user("ana"), 5..15).await;
    moved(&world.store, &table, 15).await;
}
