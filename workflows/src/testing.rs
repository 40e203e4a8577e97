//! What the tests of this crate share: tables with rows in both tiers, in a world that dies where a test says.

use crate::flush::{self, Flush, Options, Resources};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use ebbtide_engine::{Commit, SharedEnv};
use ebbtide_runtime::testing::World;
use ebbtide_runtime::{Job, JobId, NewJob, Status, Workflow};
use ebbtide_store::cold::faults::Bucket;
use ebbtide_store::cold::segment::{Part, Reader};
use ebbtide_store::published::ObjectName;
use ebbtide_store::{
    ColumnType, FlushPolicy, Kind, Name, NewColumn, NewStorage, NewTable, Segment, StorageId, StorageType, Store,
    StoreOptions, Table, UserId, cold, hot, manifest,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A store in a folder of its own, opened anew in every life of its world.
#[derive(Clone)]
pub(crate) struct Shore {
    folder: Arc<tempfile::TempDir>,
    store: Arc<Mutex<Weak<Store>>>,
    /// Where its storages of clouds are.
    pub(crate) bucket: Bucket,
}

/// A world with a store in it and no table.
pub(crate) async fn world(env: ebbtide_runtime::testing::Env) -> (World, Shore) {
    let options = Options { row_group_rows_max: 40, segment_rows_max: 100, encoders: 1, ..Options::default() };
    world_by(env, Bucket::default(), options).await
}

/// The same by a bucket that may not be new, and with flushes that are bounded like this.
pub(crate) async fn world_by(env: ebbtide_runtime::testing::Env, bucket: Bucket, options: Options) -> (World, Shore) {
    let shore = Shore { folder: Arc::new(tempfile::tempdir().unwrap()), store: Arc::default(), bucket };
    let spaces = [ebbtide_store::SPACES, crate::SPACES].concat();
    let opening = shore.clone();
    let mut world = World::with_env(env, &spaces).prepare(move |builder| {
        let (shore, options) = (opening.clone(), options.clone());
        Box::pin(async move {
            let store = shore.open(&builder).await;
            builder.with(store).with(Arc::new(Resources::new(options)))
        })
    });
    world.runtime().await;
    let store = shore.store();
    store.catalog().create_namespace(&name("chat")).await.unwrap();
    (world, shore)
}

impl Shore {
    async fn open(&self, builder: &ebbtide_runtime::Builder) -> Arc<Store> {
        let opened = async {
            loop {
                let (engine, env) = (builder.engine().clone(), builder.env().clone() as SharedEnv);
                let clouds = Arc::new(self.bucket.clone());
                let options = StoreOptions { clouds, ..StoreOptions::at(self.root()) };
                match Store::open(engine, env, options).await {
                    Ok(store) => {
                        self.open_others(&store).await;
                        return store;
                    }
                    // Threads of the life before have not all noticed yet that it is over.
                    Err(ebbtide_store::Error::Cold(cold::Error::InUse { .. })) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let store = tokio::time::timeout(Duration::from_secs(60), opened).await.expect("the life before ends");
        *self.store.lock().unwrap() = Arc::downgrade(&store);
        store
    }

    /// As above: storages beside `local` fail for themselves alone, and are asked again.
    async fn open_others(&self, store: &Arc<Store>) {
        for storage in store.catalog().storages(&store.snapshot()).unwrap() {
            while store.objects(&storage.id).is_err() && self.root_of(&storage.id).is_dir() {
                store.check_storage(&storage.id).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    }

    /// The root of storage `local`.
    pub(crate) fn root(&self) -> PathBuf {
        self.root_of(&StorageId::local())
    }

    /// The root of a storage.
    pub(crate) fn root_of(&self, storage: &StorageId) -> PathBuf {
        let name = if *storage == StorageId::local() { "storage" } else { storage.as_str() };
        self.folder.path().join(name)
    }

    /// One more storage, which is a folder beside that of `local`.
    pub(crate) async fn storage(&self, id: &str) -> StorageId {
        let id = StorageId::new(id).unwrap();
        let new = NewStorage {
            id: id.clone(),
            name: None,
            description: None,
            storage_type: StorageType::Filesystem,
            base_directory: self.root_of(&id).to_str().unwrap().to_owned(),
            shared_tables_template: None,
            user_tables_template: None,
            credentials: None,
            config_json: None,
        };
        self.store().create_storage(new).await.unwrap();
        id
    }

    /// The store of this life.
    pub(crate) fn store(&self) -> Arc<Store> {
        self.store.lock().unwrap().upgrade().expect("the runtime of this life has it")
    }

    /// A storage of this name in the bucket, below this prefix.
    pub(crate) async fn cloud(&self, id: &str, prefix: &str) -> StorageId {
        self.store().create_storage(in_bucket(id, prefix)).await.unwrap().id.clone()
    }

    /// A table `chat.<table>` of `id` and `text`, that is flushed only when asked.
    pub(crate) async fn table(&self, table: &str, kind: Kind) -> Arc<Table> {
        self.table_in(StorageId::local(), table, kind).await
    }

    /// The same in another storage.
    pub(crate) async fn table_in(&self, storage: StorageId, table: &str, kind: Kind) -> Arc<Table> {
        let column = |text, column_type, nullable| NewColumn { name: name(text), column_type, nullable };
        let new = NewTable {
            namespace: name("chat"),
            name: name(table),
            kind,
            columns: vec![column("id", ColumnType::BigInt, false), column("text", ColumnType::Text, true)],
            storage,
            use_user_storage: false,
            sharding: "none".to_owned(),
            flush: FlushPolicy { rows: Some(999_999), ..FlushPolicy::default() },
        };
        self.store().catalog().create_table(new).await.unwrap()
    }

    pub(crate) async fn insert(&self, table: &Table, user: &UserId, ids: std::ops::Range<i64>) {
        let text: StringArray = ids.clone().map(|id| (id % 3 != 0).then(|| format!("text {id}"))).collect();
        let columns: Vec<(&str, ArrayRef)> =
            vec![("id", Arc::new(Int64Array::from_iter_values(ids))), ("text", Arc::new(text))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = hot::codec::encode(table, &batch, 1 << 20).unwrap();
        let commit = Commit {
            expect: vec![table.expect_present()],
            writes: hot::append(table, user, rows, self.store().env().now()),
            ..Commit::default()
        };
        self.store().engine().commit(commit).await.unwrap();
    }

    pub(crate) fn segments(&self, table: &Table) -> Vec<Segment> {
        manifest::segments(self.store().snapshot(), table.id, None).unwrap()
    }

    /// Every row of the table by user, cold ones read from their files, with the text that belongs to its id.
    pub(crate) async fn rows(&self, table: &Arc<Table>) -> BTreeMap<String, Vec<i64>> {
        let store = self.store();
        let snapshot = store.snapshot();
        let mut rows: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for segment in manifest::segments(snapshot.clone(), table.id, None).unwrap() {
            let objects = store.objects(&segment.storage).unwrap();
            let part = Part { columns: None, first_row: 0, batch_rows: 1000 };
            let mut reader = Reader::open(&*objects, &segment.path, segment.bytes, part).await.unwrap();
            while let Some(batch) = reader.next().await.unwrap() {
                rows.entry(segment.user.to_string()).or_default().extend(ids(&batch));
            }
        }
        for (user, _) in hot::users(snapshot.clone(), table.id, None, usize::MAX).unwrap() {
            let watermark = manifest::watermark(&*snapshot, table.id, &user).unwrap().seq;
            let mut scan = hot::scan(snapshot.clone(), table.clone(), &user, watermark, u64::MAX, None).unwrap();
            while let Some(batch) = scan.next_batch(1000, 1 << 20).unwrap() {
                rows.entry(user.to_string()).or_default().extend(ids(&batch));
            }
        }
        rows
    }

    /// The files of storage `local`, relative to its root, in order; without the manifests published beside them.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = self.files_of(&StorageId::local());
        files.retain(|path| ObjectName::parse(path.rsplit('/').next().unwrap()).is_none());
        files
    }

    /// All files of a storage, relative to its root, in order.
    pub(crate) fn files_of(&self, storage: &StorageId) -> Vec<String> {
        let (root, mut files) = (self.root_of(storage), Vec::new());
        gather(&root, &root, &mut files);
        files.sort();
        files
    }

    /// Asserts that the manifest and the files are one: every entry has its file as it says, and no file is left over.
    pub(crate) async fn assert_whole(&self, tables: &[&Arc<Table>]) {
        let store = self.store();
        let mut named: Vec<String> = Vec::new();
        for segment in tables.iter().flat_map(|table| self.segments(table)) {
            let objects = store.objects(&segment.storage).unwrap();
            let stored = cold::checksum(&*objects, &segment.path).await.unwrap().expect("its object is there");
            assert_eq!((stored.bytes, stored.crc32c), (segment.bytes, segment.crc32c), "{}", segment.path);
            named.push(segment.path);
        }
        named.sort();
        assert_eq!(self.files(), named, "the files are those that the manifest names");
    }
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let texts = batch.column_by_name("text").unwrap().as_string::<i32>();
    for (id, text) in ids.values().iter().zip(texts) {
        let expected = (id % 3 != 0).then(|| format!("text {id}"));
        assert_eq!(text, expected.as_deref());
    }
    ids.values().to_vec()
}

fn gather(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == cold::OWN_FOLDER) {
            continue;
        }
        if path.is_dir() {
            gather(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// A storage of this name in the bucket, to be made or attached.
pub(crate) fn in_bucket(id: &str, prefix: &str) -> NewStorage {
    NewStorage {
        id: StorageId::new(id).unwrap(),
        name: None,
        description: None,
        storage_type: StorageType::S3,
        base_directory: format!("s3://bucket/{prefix}"),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn user(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

/// Runs a job to its end.
pub(crate) async fn run(world: &mut World, workflow: &str, body: Box<dyn Workflow>) -> Job {
    let id: JobId = world.submit(NewJob::new(workflow, body)).await.unwrap();
    world.run_to_idle().await;
    world.job(&id)
}

/// From the next life on, which begins now, what failed is tried again a minute later at the soonest.
pub(crate) async fn wait_long_after_a_failure(world: &mut World) {
    world.options.backoff_min = Duration::from_secs(60);
    world.env.set_chance(u64::MAX);
    world.crash().await;
    world.runtime().await;
}

/// Flushes a table, with a second passed before, so that each file has its own time.
pub(crate) async fn flush(world: &mut World, table: &Table) -> Job {
    world.advance(Duration::from_secs(1));
    let job = run(world, flush::KIND, Box::new(Flush::new(table))).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    job
}
