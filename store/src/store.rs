//! All of the store, opened: the engine's spaces under their meanings, and the storages behind them.

use crate::catalog::{DATABASE, NewStorage, StorageType, View};
use crate::cold::{self, Objects, cloud};
use crate::path::{Template, Values, shard};
use crate::published::Turns;
use crate::secrets::Keyring;
use crate::storages::Storages;
use crate::{CATALOG, Catalog, Error, Kind, Readers, Storage, StorageId, Table, UserId, manifest, users};
use ebbtide_engine::{Commit, CommitError, Defect, Expect, Expected, SharedEngine, SharedEnv, Snapshot, Sync, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the store keeps what is not in the engine, and its bounds.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The root of storage `local`, whose own base directory is empty.
    pub default_storage_path: PathBuf,
    /// Bytes of one encoded row, at most.
    pub row_bytes_max: usize,
    /// Sharding strategies that tables may name.
    pub shards: Arc<shard::Registry>,
    /// How storages that are folders write.
    pub local: cold::local::Options,
    /// Where storages that are in clouds are reached.
    pub clouds: Arc<dyn cloud::Connect>,
    /// The keys that seal credentials of storages at rest.
    pub keyring: Keyring,
}

/// Bytes of one encoded row, at most, unless configured otherwise.
pub const ROW_BYTES_MAX: usize = 16 << 20;

impl StoreOptions {
    /// Storage `local` at this path, and the defaults for the rest.
    pub fn at(default_storage_path: impl Into<PathBuf>) -> Self {
        Self {
            default_storage_path: default_storage_path.into(),
            row_bytes_max: ROW_BYTES_MAX,
            shards: Arc::default(),
            local: cold::local::Options::default(),
            clouds: Arc::new(cloud::Network),
            keyring: Keyring::default(),
        }
    }
}

/// The tables' store of one database.
pub struct Store {
    engine: SharedEngine,
    env: SharedEnv,
    options: StoreOptions,
    catalog: Catalog,
    readers: Readers,
    writers: Readers,
    database_id: String,
    /// Which of the times that this database was opened this is.
    life: String,
    storages: Storages,
    turns: Turns,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database_id", &self.database_id).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in this engine, which must have been opened with [`SPACES`](crate::SPACES).
    ///
    /// On a fresh engine it makes a database id and storage `local`. Each storage's root must be this database's,
    /// or nobody's yet. Another one's is an error for `local`; any other storage then fails for itself alone, when
    /// it is used, so that one broken storage does not keep a server from starting.
    ///
    /// # Errors
    /// The engine's; [`Error::Corrupt`]; [`Error::Cold`] if `local` cannot be opened.
    pub async fn open(engine: SharedEngine, env: SharedEnv, options: StoreOptions) -> Result<Arc<Self>, Error> {
        let snapshot = engine.snapshot();
        // With the planted bug seqs restart low; the store's own guard would hide it from the suite.
        if !env.planted(Defect::SeqFromHotRows) {
            engine.raise_seq(manifest::cuts_max(&snapshot)?);
        }
        let database_id = database_id(&engine, &env).await?;
        let life = env.id().to_string();
        let store = Arc::new(Self {
            catalog: Catalog::new(engine.clone(), env.clone(), options.shards.clone()),
            engine,
            env,
            options,
            readers: Readers::default(),
            writers: Readers::default(),
            database_id,
            life,
            storages: Storages::default(),
            turns: Turns::default(),
        });
        let storages = store.catalog.storages(&snapshot)?;
        if !storages.iter().any(|storage| storage.id == StorageId::local()) {
            store.create_local().await?;
        }
        store.open_storages(storages).await?;
        Ok(store)
    }

    /// The engine that all of it is in.
    pub fn engine(&self) -> &SharedEngine {
        &self.engine
    }

    /// Clock, ids and chance.
    pub fn env(&self) -> &SharedEnv {
        &self.env
    }

    /// As given to [`Store::open`].
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Namespaces, tables and storages.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Who reads.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Who makes objects out of rows or manifests that he has read. Each registers before he reads, and leaves when a commit
    /// names his object, or was refused, or there is none. So who has taken rows away, and then waits for those that registered
    /// before, finds every object that was made of them where it lies, and none is named later.
    pub fn writers(&self) -> &Readers {
        &self.writers
    }

    /// Which database this is, for ever.
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// One instant of everything. A reader registers with [`Store::readers`] before.
    pub fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.engine.snapshot()
    }

    /// Which of the times that this database was opened this is.
    pub(crate) fn life(&self) -> &str {
        &self.life
    }

    /// Tells whoever publishes manifests in the background that some are due. Nobody has to: he looks by himself now and then.
    pub fn publish_soon(&self) {
        self.turns.tell();
    }

    /// Whose manifest is being published.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    pub(crate) fn storages(&self) -> &Storages {
        &self.storages
    }

    /// The objects of a storage.
    ///
    /// # Errors
    /// [`Error::StorageNotFound`]; otherwise the reason why its root could not be opened.
    pub fn objects(&self, id: &StorageId) -> Result<Arc<dyn Objects>, Error> {
        self.storages.get(id).unwrap_or_else(|| Err(Error::StorageNotFound { id: id.to_string() }))
    }

    /// Storage `local` of a fresh database.
    async fn create_local(self: &Arc<Self>) -> Result<(), Error> {
        let storage = self.catalog.check_storage(local())?;
        let opened = self.open_new(&storage).await?;
        self.catalog.register_storage(storage).await?;
        self.remember(StorageId::local(), Ok(opened));
        Ok(())
    }

    /// Where a storage is, for people; its id if there is none.
    pub fn storage_location(&self, id: &str) -> String {
        if let Ok(objects) = StorageId::new(id).and_then(|id| self.objects(&id)) {
            return objects.uri().to_owned();
        }
        // Not open, and still where it is.
        let storage = self.catalog().storage(&self.snapshot(), id).ok().flatten();
        let directory = storage.map(|storage| storage.base_directory.clone());
        directory.filter(|directory| !directory.is_empty()).unwrap_or_else(|| id.to_owned())
    }

    /// Which storage a user's next segment goes to, and the folder in it: no slash at either end.
    ///
    /// The lookup chain: in a table with USE_USER_STORAGE the user's own storage, if he has one and his mode is `region`;
    /// otherwise the table's; and `local` should that be no more. Segments that are there already stay where their manifest
    /// entries say.
    ///
    /// # Errors
    /// [`Error::StorageNotFound`]; [`Error::Path`] for a stored template or sharding that this version refuses.
    pub fn resolve_prefix(
        &self,
        snapshot: &Arc<dyn Snapshot>,
        table: &Table,
        user: &UserId,
    ) -> Result<(StorageId, String), Error> {
        let view: Arc<View> = self.catalog.view(snapshot)?;
        let own = match table.use_user_storage {
            true => users::get(&**snapshot, user)?.and_then(|user| user.own_storage().cloned()),
            false => None,
        };
        let storage = [own.as_ref(), Some(&table.storage), Some(&StorageId::local())]
            .into_iter()
            .flatten()
            .find_map(|id| view.storage(id))
            .ok_or_else(|| Error::StorageNotFound { id: table.storage.to_string() })?;
        Ok((storage.id.clone(), self.prefix_in(storage, table, user)?))
    }

    /// The folder in this storage that takes a user's files: no slash at either end.
    ///
    /// # Errors
    /// [`Error::Path`] for a stored template or sharding that this version refuses.
    pub fn prefix_in(&self, storage: &Storage, table: &Table, user: &UserId) -> Result<String, Error> {
        let (namespace, table_name) = (table.namespace.as_str(), table.name.as_str());
        Ok(match table.kind {
            Kind::Shared => {
                let values = Values { namespace, table_name, shard: "", user_id: "" };
                Template::shared(&storage.shared_tables_template)?.resolve(&values)?
            }
            Kind::User => {
                let shard = self.options.shards.find(&table.sharding)?.shard(user.as_str());
                let values = Values { namespace, table_name, shard: &shard, user_id: user.as_str() };
                Template::user(&storage.user_tables_template)?.resolve(&values)?
            }
        })
    }
}

fn local() -> NewStorage {
    NewStorage {
        id: StorageId::local(),
        name: Some("Local Filesystem".to_owned()),
        description: Some("Default local filesystem storage".to_owned()),
        storage_type: StorageType::Filesystem,
        base_directory: String::new(),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    }
}

/// Reads the database's id; makes it the first time.
async fn database_id(engine: &SharedEngine, env: &SharedEnv) -> Result<String, Error> {
    let read = |snapshot: Arc<dyn Snapshot>| -> Result<Option<String>, Error> {
        let Some(stored) = snapshot.get(CATALOG, DATABASE)? else { return Ok(None) };
        let id = String::from_utf8(stored).map_err(|_| Error::corrupt("the database's id is not text"))?;
        Ok(Some(id))
    };
    if let Some(id) = read(engine.snapshot())? {
        return Ok(id);
    }
    let id = env.id().to_string();
    let key = DATABASE.to_vec();
    let commit = Commit {
        expect: vec![Expect { space: CATALOG, key: key.clone(), value: Expected::Absent }],
        writes: vec![Write::Put { space: CATALOG, key, value: id.clone().into_bytes() }],
        sync: Sync::Synced,
    };
    match engine.commit(commit).await {
        Ok(_) => Ok(id),
        // Somebody else made it a moment ago.
        Err(CommitError::Mismatch { .. }) => {
            read(engine.snapshot())?.ok_or_else(|| Error::corrupt("the database's id comes and goes"))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestEnv, name, new_table, open_engine, open_store};
    use crate::{ColumnType, ErrorKind};

    fn folder(id: &str, base_directory: &std::path::Path) -> NewStorage {
        NewStorage {
            id: StorageId::new(id).unwrap(),
            name: None,
            base_directory: base_directory.to_str().unwrap().to_owned(),
            ..local()
        }
    }

    #[tokio::test]
    async fn a_fresh_store_has_an_id_and_storage_local_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let id = {
            let store = open_store(dir.path(), &TestEnv::new()).await;
            let local = store.catalog().storage(&store.snapshot(), "local").unwrap().unwrap();
            assert_eq!((local.name.as_str(), local.base_directory.as_str()), ("Local Filesystem", ""));
            assert!(store.storage_location("local").ends_with("storage"));
            assert!(dir.path().join("storage/.ebbtide/owner.json").exists());
            store.engine().close();
            store.database_id().to_owned()
        };
        let store = open_store(dir.path(), &TestEnv::new()).await;
        assert_eq!(store.database_id(), id);
        assert_eq!(store.catalog().storages(&store.snapshot()).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_root_of_another_database_is_refused() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = open_store(dir.path(), &TestEnv::new()).await;
        let env = TestEnv::new();
        let engine = open_engine(other.path(), &env);
        let storage = dir.path().join("storage");
        let error = Store::open(engine.clone(), env.clone(), StoreOptions::at(&storage)).await.unwrap_err();
        assert!(matches!(error, Error::Cold(_)), "{error:?}");
        let error = Store::open(engine, env, StoreOptions::at(storage.join("inside"))).await.unwrap_err();
        assert!(matches!(error, Error::Cold(_)), "{error:?}");
        drop(first);
    }

    #[tokio::test]
    async fn storages_are_made_listed_and_found_again() {
        let (dir, roots) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        {
            let store = open_store(dir.path(), &TestEnv::new()).await;
            for id in ["zeta", "alpha"] {
                store.create_storage(folder(id, &roots.path().join(id))).await.unwrap();
            }
            let error = store.create_storage(folder("zeta", &roots.path().join("z2"))).await.unwrap_err();
            assert_eq!(error.to_string(), "Storage 'zeta' already exists");
            let mut bad = folder("bad", &roots.path().join("bad"));
            bad.user_tables_template = Some("{namespace}/{userId}".to_owned());
            let error = store.create_storage(bad).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            let mut same = folder("bad", &roots.path().join("bad"));
            same.user_tables_template = Some("{namespace}/{tableName}/{userId}".to_owned());
            same.shared_tables_template = Some("{namespace}/shared/{tableName}".to_owned());
            let error = store.create_storage(same).await.unwrap_err();
            assert!(error.to_string().contains("in one folder"), "{error}");
            assert!(!roots.path().join("bad").exists(), "refused before any folder is made");
            let nested = store.create_storage(folder("nested", &roots.path().join("zeta/in"))).await.unwrap_err();
            assert!(matches!(nested, Error::StorageUnusable { .. }), "{nested:?}");
            store.engine().close();
        }
        let store = open_store(dir.path(), &TestEnv::new()).await;
        let listed = store.catalog().storages(&store.snapshot()).unwrap();
        assert_eq!(listed.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["local", "alpha", "zeta"]);
        store.objects(&listed[2].id).unwrap();
        assert!(matches!(store.objects(&StorageId::new("x").unwrap()), Err(Error::StorageNotFound { .. })));
    }

    #[tokio::test]
    async fn a_broken_storage_fails_alone() {
        let (dir, roots) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = roots.path().join("s");
        {
            let store = open_store(dir.path(), &TestEnv::new()).await;
            store.create_storage(folder("s", &root)).await.unwrap();
            store.engine().close();
        }
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::write(&root, b"a file where the folder was").unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        store.objects(&StorageId::local()).unwrap();
        let error = store.objects(&StorageId::new("s").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_folder_whose_mount_is_missing_is_not_taken_for_an_empty_storage() {
        let (dir, roots) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, aside) = (roots.path().join("s"), roots.path().join("aside"));
        let id = StorageId::new("s").unwrap();
        {
            let store = open_store(dir.path(), &TestEnv::new()).await;
            store.create_storage(folder("s", &root)).await.unwrap();
            store.engine().close();
        }
        std::fs::rename(&root, &aside).unwrap();
        std::fs::create_dir(&root).unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        let error = store.objects(&id).unwrap_err();
        assert!(error.to_string().contains("the mark of its owner"), "{error}");
        assert!(!store.check_storage(&id).await.unwrap().is_healthy());
        assert!(std::fs::read_dir(&root).unwrap().next().is_none(), "nothing is written below the mount point");
        // It is mounted again.
        std::fs::remove_dir(&root).unwrap();
        std::fs::rename(&aside, &root).unwrap();
        assert!(store.check_storage(&id).await.unwrap().is_healthy());
        store.engine().close();
        drop(store);
        // Or it is to begin empty, which somebody has to say.
        std::fs::remove_dir_all(&root).unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        store.objects(&id).unwrap_err();
        store
            .alter_storage(&id, crate::catalog::StorageChange { name: Some("new".to_owned()), ..Default::default() })
            .await
            .unwrap();
        store.objects(&id).unwrap();
    }

    #[tokio::test]
    async fn each_user_has_a_folder_of_his_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        let id = [("id", ColumnType::BigInt, false)];
        let mut sharded = new_table("messages", Kind::User, &id);
        sharded.sharding = "alphabetic".to_owned();
        let users = store.catalog().create_table(sharded).await.unwrap();
        let shared = store.catalog().create_table(new_table("rooms", Kind::Shared, &id)).await.unwrap();
        let snapshot = store.snapshot();
        let prefix = |table: &Table, user: &UserId| store.resolve_prefix(&snapshot, table, user).unwrap();
        assert_eq!(
            prefix(&users, &UserId::new("ana").unwrap()),
            (StorageId::local(), "chat/users/messages/a/ana".to_owned())
        );
        assert_eq!(prefix(&shared, &UserId::shared()).1, "chat/shared/rooms");
        let evil = prefix(&users, &UserId::new("../../etc").unwrap()).1;
        assert_eq!(evil.rsplit_once('/').unwrap().0, "chat/users/messages/other", "{evil}");
        assert!(evil.split('/').all(|component| component != ".."), "{evil}");
    }
}
