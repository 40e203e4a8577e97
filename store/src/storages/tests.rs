use crate::catalog::{Kind, NewStorage, StorageChange, StorageType, TableChange};
use crate::cold::faults::{Bucket, Fault, Operation, Rule};
use crate::hot::{append, codec::encode};
use crate::manifest::tests::attach;
use crate::secrets::{Keyring, Secret};
use crate::testing::{Cell, TestEnv, batch, name, new_table, open_engine, open_store};
use crate::users::{self, NewUser, StorageMode, UserChange};
use crate::{
    ColumnType, Error, ErrorKind, Segment, StorageId, Store, StoreOptions, Table, UserId, deletions, manifest,
};
use ebbtide_engine::Commit;
use futures::TryStreamExt;
use std::path::Path;
use std::sync::Arc;

fn id(text: &str) -> StorageId {
    StorageId::new(text).unwrap()
}

fn user(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

fn folder(text: &str, root: &Path) -> NewStorage {
    NewStorage {
        id: id(text),
        name: None,
        description: None,
        storage_type: StorageType::Filesystem,
        base_directory: root.join(text).to_str().unwrap().to_owned(),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    }
}

/// A store with a table of users, and a place for roots.
struct World {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    table: Arc<Table>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        let columns = [("id", ColumnType::BigInt, false)];
        let table = store.catalog().create_table(new_table("notes", Kind::User, &columns)).await.unwrap();
        Self { dir, store, table }
    }

    async fn storage(&self, text: &str) {
        self.store.create_storage(folder(text, self.dir.path())).await.unwrap();
    }

    async fn write(&self, whom: &str) {
        let rows = encode(&self.table, &batch(&self.table, &[vec![Cell::Int(1)]]), 1000).unwrap();
        let writes = append(&self.table, &user(whom), rows, 7);
        self.store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
    }

    /// A segment of this user in this storage, as the manifest would name it.
    fn segment(&self, whom: &str, storage: &str) -> Segment {
        Segment {
            table_id: self.table.id,
            user: user(whom),
            storage: id(storage),
            ..manifest::tests::segment_at(&format!("chat/users/notes/{whom}/one.parquet"))
        }
    }

    fn goes_to(&self, table: &Table, whom: &str) -> String {
        self.store.resolve_prefix(&self.store.snapshot(), table, &user(whom)).unwrap().0.to_string()
    }
}

fn says(error: &Error, words: &str) {
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn a_users_files_go_where_the_chain_ends() {
    let world = World::new().await;
    for storage in ["table", "own"] {
        world.storage(storage).await;
    }
    let with = |use_user_storage| TableChange {
        storage: Some(id("table")),
        use_user_storage: Some(use_user_storage),
        ..TableChange::default()
    };
    for (ana, mode) in [("table-mode", StorageMode::Table), ("region-mode", StorageMode::Region)] {
        let new = NewUser { id: user(ana), storage_mode: mode, storage: Some(id("own")) };
        world.store.create_user(new).await.unwrap();
    }
    let nowhere = NewUser { id: user("nowhere"), storage_mode: StorageMode::Region, storage: None };
    world.store.create_user(nowhere).await.unwrap();
    for (use_user_storage, whom, expected) in [
        (false, "region-mode", "table"),
        (true, "region-mode", "own"),
        (true, "table-mode", "table"),
        (true, "nowhere", "table"),
        (true, "stranger", "table"),
    ] {
        let table = world.store.catalog().alter_table("chat", "notes", with(use_user_storage)).await.unwrap();
        assert_eq!(world.goes_to(&table, whom), expected, "{whom}, {use_user_storage}");
    }
    // A table whose storage is no more, as no statement can make it: it still has somewhere to go.
    let mut lost = Table::clone(&world.table);
    lost.storage = id("lost");
    assert_eq!(world.goes_to(&lost, "stranger"), "local");
}

#[tokio::test]
async fn a_user_exists_from_his_first_row_on() {
    let world = World::new().await;
    let get = |whom: &str| users::get(&*world.store.snapshot(), &user(whom)).unwrap();
    assert_eq!(get("ana"), None);
    world.write("ana").await;
    let ana = get("ana").unwrap();
    assert_eq!((ana.storage_mode, ana.storage.clone(), ana.created_at), (StorageMode::Table, None, 7));
    world.storage("own").await;
    let region = UserChange { storage_mode: Some(StorageMode::Region), storage: Some(Some(id("own"))) };
    world.store.alter_user(&user("ana"), region).await.unwrap();
    world.write("ana").await;
    assert_eq!(get("ana").unwrap().own_storage(), Some(&id("own")), "writing again changes nothing");
    world
        .store
        .create_user(NewUser { id: user("ben"), storage_mode: StorageMode::Table, storage: None })
        .await
        .unwrap();
    let all: Vec<String> =
        users::scan(world.store.snapshot(), None).unwrap().map(|u| u.unwrap().id.to_string()).collect();
    assert_eq!(all, ["ana", "ben"]);
    let after: Vec<_> = users::scan(world.store.snapshot(), Some(&user("ana"))).unwrap().collect();
    assert_eq!(after.len(), 1);
}

#[tokio::test]
async fn users_that_cannot_be_are_refused() {
    let world = World::new().await;
    let new =
        |storage: Option<&str>| NewUser { id: user("ana"), storage_mode: StorageMode::Table, storage: storage.map(id) };
    says(&world.store.create_user(new(Some("x"))).await.unwrap_err(), "Storage 'x' does not exist");
    world.store.create_user(new(None)).await.unwrap();
    says(&world.store.create_user(new(None)).await.unwrap_err(), "User 'ana' already exists");
    says(&world.store.alter_user(&user("ben"), UserChange::default()).await.unwrap_err(), "User 'ben' does not exist");
    let to = UserChange { storage: Some(Some(id("x"))), ..UserChange::default() };
    says(&world.store.alter_user(&user("ana"), to).await.unwrap_err(), "Storage 'x' does not exist");
    world.write("ana").await;
    let error = world.store.drop_user(&user("ana")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    says(&error, "he still has rows in 1 table(s): chat.notes");
    world.store.catalog().drop_table("chat", "notes").await.unwrap();
    world.store.drop_user(&user("ana")).await.unwrap();
    says(&world.store.drop_user(&user("ana")).await.unwrap_err(), "does not exist");
}

#[tokio::test]
async fn a_storage_goes_only_when_nothing_refers_to_it() {
    let world = World::new().await;
    let store = &world.store;
    says(&store.drop_storage(&StorageId::local()).await.unwrap_err(), "protected");
    says(&store.drop_storage(&id("none")).await.unwrap_err(), "Storage 'none' does not exist");

    world.storage("s").await;
    let to = |storage: &str| TableChange { storage: Some(id(storage)), ..TableChange::default() };
    store.catalog().alter_table("chat", "notes", to("s")).await.unwrap();
    let error = store.drop_storage(&id("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert_eq!(error.to_string(), "Cannot delete storage 's': 1 table(s) still reference it: chat.notes");
    store.catalog().alter_table("chat", "notes", to("local")).await.unwrap();

    let own = NewUser { id: user("ana"), storage_mode: StorageMode::Table, storage: Some(id("s")) };
    store.create_user(own).await.unwrap();
    says(&store.drop_storage(&id("s")).await.unwrap_err(), "1 user(s) still reference it: ana");
    store.alter_user(&user("ana"), UserChange { storage: Some(None), ..UserChange::default() }).await.unwrap();

    let segment = world.segment("ana", "s");
    store.engine().commit(Commit { writes: attach(&segment), ..Commit::default() }).await.unwrap();
    says(&store.drop_storage(&id("s")).await.unwrap_err(), "segments still lie in it");
    let entry =
        manifest::entries(store.snapshot(), world.table.id, manifest::Start::Beginning).unwrap().next().unwrap();
    let (expect, mut writes) = manifest::detach(&[entry.unwrap()]);
    let going = deletions::Deletion {
        storage: id("s"),
        path: segment.path,
        bytes: 1,
        not_before: 0,
        why: deletions::Why::Dropped,
        whose: None,
        failures: 0,
        error: None,
    };
    writes.extend(going.put());
    store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
    says(&store.drop_storage(&id("s")).await.unwrap_err(), "1 object(s) in it are still to be removed");
    deletions::delete_due(store, 10).await.unwrap();

    store.drop_storage(&id("s")).await.unwrap();
    assert!(matches!(store.objects(&id("s")), Err(Error::StorageNotFound { .. })));
    // Its root is free, also for a storage of another name.
    let again = NewStorage { id: id("t"), ..folder("s", world.dir.path()) };
    store.create_storage(again).await.unwrap();
}

#[tokio::test]
async fn a_segment_that_arrives_meanwhile_keeps_its_storage() {
    let world = World::new().await;
    world.storage("s").await;
    // Between the look and the commit of DROP STORAGE a flush hands a segment over.
    let (any, expect) = manifest::any_on(&world.store.snapshot(), &id("s")).unwrap();
    assert!(!any);
    let segment = world.segment("ana", "s");
    world.store.engine().commit(Commit { writes: attach(&segment), ..Commit::default() }).await.unwrap();
    let dropping = Commit { expect: vec![expect], ..Commit::default() };
    assert!(world.store.engine().commit(dropping).await.is_err());
}

#[tokio::test]
async fn a_storage_is_asked_before_it_is_registered_or_changed() {
    let world = World::new().await;
    let store = &world.store;
    // A file where a folder would have to be.
    std::fs::write(world.dir.path().join("file"), "").unwrap();
    let error = store.create_storage(folder("file", world.dir.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(store.catalog().storage(&store.snapshot(), "file").unwrap().is_none());

    for (new, words) in [
        (NewStorage { base_directory: String::new(), ..folder("a", world.dir.path()) }, "needs a base directory"),
        (NewStorage { base_directory: "s3://bucket".to_owned(), ..folder("a", world.dir.path()) }, "at a path"),
        (
            NewStorage { config_json: Some("{\"region\":\"x\"}".to_owned()), ..folder("a", world.dir.path()) },
            "no CONFIG",
        ),
        (
            NewStorage { credentials: Some(Secret::new("{}".to_owned())), ..folder("a", world.dir.path()) },
            "no CREDENTIALS",
        ),
        (
            NewStorage {
                storage_type: StorageType::S3,
                base_directory: "bucket".to_owned(),
                ..folder("a", world.dir.path())
            },
            "has no scheme",
        ),
        (
            NewStorage {
                storage_type: StorageType::Azure,
                base_directory: "az://container".to_owned(),
                credentials: Some(Secret::new("{\"acess_key\":\"hunter2\"}".to_owned())),
                ..folder("a", world.dir.path())
            },
            "unknown key \"acess_key\"",
        ),
    ] {
        let error = store.create_storage(new).await.unwrap_err();
        says(&error, words);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    assert!(!world.dir.path().join("a").exists(), "refused before anything is made");

    let probe = store.check_storage(&StorageId::local()).await.unwrap();
    assert!(probe.is_healthy(), "{probe:?}");
    assert_eq!(probe.steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["write", "read", "list", "delete"]);
    says(&store.check_storage(&id("none")).await.unwrap_err(), "does not exist");
}

#[tokio::test]
async fn templates_change_for_new_files_and_never_bring_two_tables_together() {
    let world = World::new().await;
    world.storage("s").await;
    let to = |user: &str| StorageChange { user_tables_template: Some(user.to_owned()), ..StorageChange::default() };
    let alter = async |change| world.store.alter_storage(&id("s"), change).await;
    let changed = alter(to("{namespace}/u/{tableName}/{userId}")).await.unwrap();
    assert_eq!(changed.user_tables_template, "{namespace}/u/{tableName}/{userId}");
    let back = alter(to("{namespace}/users/{tableName}/{shard}/{userId}")).await.unwrap();
    assert_eq!(back.former_templates.len(), 1, "only those that it has no more");
    // Where a table's folder could be another one's since the template before.
    let both = StorageChange {
        shared_tables_template: Some("_s-/{namespace}/{tableName}".to_owned()),
        ..to("{namespace}/{tableName}/x/{userId}")
    };
    says(&alter(both).await.unwrap_err(), "another one's files may be");
    says(&alter(to("{userId}")).await.unwrap_err(), "required");
    let storage = world.store.catalog().storage(&world.store.snapshot(), "s").unwrap().unwrap();
    assert_eq!(storage.user_tables_template, "{namespace}/users/{tableName}/{shard}/{userId}", "nothing was changed");
    let missing = world.store.alter_storage(&id("x"), StorageChange::default()).await.unwrap_err();
    says(&missing, "Storage 'x' does not exist");
}

/// A bucket that nobody answers for, so that only what is stored of it is looked at.
fn unreachable() -> NewStorage {
    NewStorage {
        storage_type: StorageType::S3,
        base_directory: "s3://bucket".to_owned(),
        config_json: Some("{\"endpoint\":\"http://127.0.0.1:9\",\"retries_max\":0}".to_owned()),
        credentials: Some(Secret::new("{\"access_key_id\":\"a\",\"secret_access_key\":\"hunter2\"}".to_owned())),
        ..folder("s", Path::new("/"))
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_told_and_nothing_is_registered() {
    let world = World::new().await;
    let error = world.store.create_storage(unreachable()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    says(&error, "cannot be reached");
    assert!(error.hint().unwrap().contains("endpoint"), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(world.store.catalog().storage(&world.store.snapshot(), "s").unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_writes_over_is_refused_and_left_as_it_was() {
    let (dir, env, bucket) = (tempfile::tempdir().unwrap(), TestEnv::new(), Bucket::default());
    let options = StoreOptions { clouds: Arc::new(bucket.clone()), ..StoreOptions::at(dir.path().join("storage")) };
    let store = Store::open(open_engine(dir.path(), &env), env, options).await.unwrap();
    bucket.faults().add(Rule::new(Operation::Put, Fault::WritesOver));
    let error = store.create_storage(unreachable()).await.unwrap_err();
    says(&error, "it has to honour `If-None-Match: *`");
    let left: Vec<_> = bucket.beneath("").unwrap().list("").try_collect().await.unwrap();
    assert_eq!(left, []);
    bucket.faults().calm();
    store.create_storage(unreachable()).await.unwrap();
    // It forgets the condition afterwards.
    bucket.faults().add(Rule::new(Operation::Put, Fault::WritesOver));
    assert!(!store.check_storage(&id("s")).await.unwrap().is_healthy());
}

#[tokio::test]
async fn credentials_are_sealed_at_rest_and_change_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let engine = open_engine(dir.path(), &env);
    let keys: Vec<String> = (0..2).map(|_| Keyring::new_key(&*env).expose().to_owned()).collect();
    let open = async |keys: &[&String]| {
        let text = keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join("\n");
        let mut options = StoreOptions::at(dir.path().join("storage"));
        if !keys.is_empty() {
            options.keyring = Keyring::parse(&Secret::new(text), "a test").unwrap();
        }
        Store::open(engine.clone(), env.clone(), options).await
    };
    let secret = Secret::new("{\"secret_access_key\":\"hunter2\"}".to_owned());
    let store = open(&[&keys[0]]).await.unwrap();
    // As if it had been reached when it was made.
    let mut storage = store.catalog().check_storage(unreachable()).unwrap();
    storage.credentials = Some(store.options().keyring.seal(&secret, "storage 's'", &*env));
    let stored = serde_json::to_string(&storage).unwrap();
    assert!(!stored.contains("hunter2") && !format!("{storage:?}").contains("hunter2"), "{stored}");
    store.catalog().register_storage(storage).await.unwrap();
    assert_eq!(store.rotate_secrets().await.unwrap(), 0);
    drop(store);

    let store = open(&[&keys[1], &keys[0]]).await.unwrap();
    assert_eq!(store.rotate_secrets().await.unwrap(), 1);
    assert_eq!(store.rotate_secrets().await.unwrap(), 0);
    drop(store);
    let store = open(&[&keys[1]]).await.unwrap();
    let storage = store.catalog().storage(&store.snapshot(), "s").unwrap().unwrap();
    assert_eq!(store.credentials(&storage).unwrap().unwrap(), secret);
    drop(store);
    // Without the key the server starts; the storage says what it lacks.
    let store = open(&[&keys[0]]).await.unwrap();
    says(&store.objects(&id("s")).unwrap_err(), "is not configured");
}
