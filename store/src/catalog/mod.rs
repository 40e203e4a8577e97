//! Namespaces, tables and storages: what there is, and how it changes.
//!
//! Changes are rare and may depend on anything, so there is one version for all of the catalog: a change reads a
//! snapshot, checks what it wants against all of it, and commits expecting the version it read. Two changes at
//! once: one wins, the other starts over and sees what the first did. Within a process they queue up instead.
//!
//! Rows do not depend on the version but on their own table's entry alone, so they never wait for a change.

mod keys;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use keys::{DATABASE, FILE_STAMPS, file_stamp};
pub use storage::{NewStorage, Storage, StorageChange, StorageType};
pub(crate) use table::Layout;
pub(crate) use table::expect_table;
pub use table::{COLUMNS_MAX, FlushPolicy, Kind, Namespace, NewColumn, NewTable, Table, TableChange};
pub use view::View;

use crate::path::{self, shard};
use crate::{CATALOG, Error, Name, StorageId, TableId};
use ebbtide_engine::{Commit, CommitError, Defect, Expect, Expected, SharedEngine, SharedEnv, Snapshot, Sync, Write};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

/// Namespaces that nobody may make: they mean something already, here or to PostgreSQL's clients. (`default` is
/// on the lists of others; it means nothing here, so it may be had.)
const RESERVED_NAMESPACES: &[&str] = &[
    "system",
    "sys",
    "root",
    "ebbtide",
    "kalamdb",
    "kalam",
    "main",
    "sql",
    "admin",
    "internal",
    "information_schema",
    "pg_catalog",
    "datafusion",
];

/// A table that is no more, and what it left behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dropped {
    /// The table as it was. Its hot rows, watermarks, counters and segments are kept under its id until reclaimed.
    pub table: Table,
    /// Microseconds since the Unix epoch.
    pub dropped_at: i64,
}

/// The catalog of one database.
pub struct Catalog {
    engine: SharedEngine,
    env: SharedEnv,
    shards: Arc<shard::Registry>,
    /// The newest version that was read, so that a statement's look-up costs one get and no parsing.
    newest: RwLock<Arc<View>>,
    /// Changes of this process queue here, so that they do not make each other start over.
    changing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

/// How often a change starts over before it gives up. Only another process on the same engine makes it.
const ATTEMPTS_MAX: usize = 16;

/// Tables that an error names, at most.
const NAMED_MAX: usize = 10;

impl Catalog {
    pub(crate) fn new(engine: SharedEngine, env: SharedEnv, shards: Arc<shard::Registry>) -> Self {
        Self { engine, env, shards, newest: RwLock::default(), changing: tokio::sync::Mutex::default() }
    }

    /// The catalog as `snapshot` has it.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn view(&self, snapshot: &Arc<dyn Snapshot>) -> Result<Arc<View>, Error> {
        let version = View::version_in(&**snapshot)?;
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner).clone();
        if newest.version == version {
            return Ok(newest);
        }
        let view = Arc::new(View::load(snapshot)?);
        self.remember(&view);
        Ok(view)
    }

    fn remember(&self, view: &Arc<View>) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        // A statement may still read an older snapshot; what it loaded is its own.
        if newest.version < view.version {
            *newest = view.clone();
        }
    }

    /// The table of this name in this snapshot; names are folded to lower case.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn table(
        &self,
        snapshot: &Arc<dyn Snapshot>,
        namespace: &str,
        table: &str,
    ) -> Result<Option<Arc<Table>>, Error> {
        Ok(self.view(snapshot)?.table(namespace, table).cloned())
    }

    /// The table of this id in this snapshot.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn table_by_id(&self, snapshot: &Arc<dyn Snapshot>, id: TableId) -> Result<Option<Arc<Table>>, Error> {
        Ok(self.view(snapshot)?.table_by_id(id).cloned())
    }

    /// All tables in this snapshot, or those of one namespace, by name.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn tables(&self, snapshot: &Arc<dyn Snapshot>, namespace: Option<&str>) -> Result<Vec<Arc<Table>>, Error> {
        Ok(self.view(snapshot)?.tables(namespace).cloned().collect())
    }

    /// The namespace of this name in this snapshot.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn namespace(&self, snapshot: &Arc<dyn Snapshot>, name: &str) -> Result<Option<Arc<Namespace>>, Error> {
        Ok(self.view(snapshot)?.namespace(name).cloned())
    }

    /// All namespaces in this snapshot, by name.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn namespaces(&self, snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Arc<Namespace>>, Error> {
        Ok(self.view(snapshot)?.namespaces().cloned().collect())
    }

    /// The storage of this id in this snapshot.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn storage(&self, snapshot: &Arc<dyn Snapshot>, id: &str) -> Result<Option<Arc<Storage>>, Error> {
        Ok(self.view(snapshot)?.storage(id).cloned())
    }

    /// All storages in this snapshot: `local` first, then by name.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn storages(&self, snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Arc<Storage>>, Error> {
        Ok(self.view(snapshot)?.storages())
    }

    /// Tables that were dropped and are not yet reclaimed, oldest first.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn dropped(&self, snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Dropped>, Error> {
        let mut dropped = Vec::new();
        view::each(snapshot, keys::DROPPED, |one| dropped.push(one))?;
        Ok(dropped)
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// [`Error::NamespaceExists`]; [`Error::Invalid`] for a reserved name; the engine's.
    pub async fn create_namespace(&self, name: &Name) -> Result<Arc<Namespace>, Error> {
        if RESERVED_NAMESPACES.contains(&name.as_str()) || name.starts_with("pg_") {
            return Err(Error::invalid(format!("the namespace name '{name}' is reserved")));
        }
        self.change(|_, view| {
            if view.namespaces.contains_key(name.as_str()) {
                return Err(Error::NamespaceExists { name: name.clone() });
            }
            let namespace = Namespace { name: name.clone(), created_at: self.env.now() };
            let write = put(keys::namespace(name), &namespace);
            view.put_namespace(namespace);
            Ok((view.namespaces[name.as_str()].clone(), vec![write]))
        })
        .await
    }

    /// Removes a namespace that holds no table.
    ///
    /// # Errors
    /// [`Error::NamespaceNotFound`]; [`Error::NamespaceInUse`]; the engine's.
    pub async fn drop_namespace(&self, name: &Name) -> Result<(), Error> {
        self.change(|_, view| {
            if view.namespaces.remove(name.as_str()).is_none() {
                return Err(Error::NamespaceNotFound { name: name.to_string() });
            }
            let tables: Vec<String> = view.tables(Some(name)).map(|table| table.qualified_name()).collect();
            if !tables.is_empty() {
                let named = tables[..tables.len().min(NAMED_MAX)].join(", ");
                return Err(Error::NamespaceInUse { name: name.clone(), tables: tables.len(), named });
            }
            Ok(((), vec![Write::Delete { space: CATALOG, key: keys::namespace(name) }]))
        })
        .await
    }

    /// Makes a table. Its id is the version of the catalog that made it, which is never reached again.
    ///
    /// # Errors
    /// [`Error::TableExists`]; [`Error::NamespaceNotFound`]; [`Error::StorageNotFound`]; [`Error::Invalid`] for
    /// columns, triggers or a sharding that cannot be; the engine's. Nothing is written then.
    pub async fn create_table(&self, new: NewTable) -> Result<Arc<Table>, Error> {
        new.check()?;
        self.shards.find(&new.sharding)?;
        self.change(|snapshot, view| {
            if !view.namespaces.contains_key(new.namespace.as_str()) {
                return Err(Error::NamespaceNotFound { name: new.namespace.to_string() });
            }
            if !view.storages.contains_key(new.storage.as_str()) {
                return Err(Error::StorageNotFound { id: new.storage.to_string() });
            }
            if view.table(&new.namespace, &new.name).is_some() {
                return Err(Error::TableExists { namespace: new.namespace.clone(), table: new.name.clone() });
            }
            let mut id = TableId(view.version);
            if self.env.planted(Defect::NameReused) {
                // What a catalog does that knows tables by name: the new one inherits the old one's rows.
                let dropped = self.dropped(snapshot)?;
                let namesake = |d: &&Dropped| d.table.namespace == new.namespace && d.table.name == new.name;
                id = dropped.iter().rev().find(namesake).map_or(id, |d| d.table.id);
            }
            let table = new.clone().made(id, self.env.now())?;
            let write = put(keys::table(id), &table);
            Ok((view.put_table(table), vec![write]))
        })
        .await
    }

    /// Removes a table by name. From this commit on nobody finds it and no row can be added to it. What it leaves
    /// behind is kept in a [`Dropped`] until [`crate::reclaim`] is done with it.
    ///
    /// # Errors
    /// [`Error::TableNotFound`]; the engine's.
    pub async fn drop_table(&self, namespace: &str, table: &str) -> Result<Dropped, Error> {
        self.change(|_, view| {
            let found = view
                .table(namespace, table)
                .cloned()
                .ok_or_else(|| Error::TableNotFound { namespace: namespace.to_owned(), table: table.to_owned() })?;
            view.remove_table(&found);
            let dropped = Dropped { table: Table::clone(&found), dropped_at: self.env.now() };
            let writes = vec![
                Write::Delete { space: CATALOG, key: keys::table(found.id) },
                put(keys::dropped(found.id), &dropped),
            ];
            Ok((dropped, writes))
        })
        .await
    }

    /// The storage as it would be registered, if its templates can be.
    pub(crate) fn check_storage(&self, new: NewStorage) -> Result<Storage, Error> {
        let now = self.env.now();
        let storage = Storage {
            name: new.name.unwrap_or_else(|| new.id.to_string()),
            description: new.description,
            storage_type: new.storage_type,
            base_directory: placed(new.storage_type, new.base_directory),
            shared_tables_template: new
                .shared_tables_template
                .unwrap_or_else(|| path::SHARED_TABLES_TEMPLATE_DEFAULT.to_owned()),
            user_tables_template: new
                .user_tables_template
                .unwrap_or_else(|| path::USER_TABLES_TEMPLATE_DEFAULT.to_owned()),
            config_json: new.config_json,
            credentials: None,
            former_templates: Vec::new(),
            attaching: false,
            created_at: now,
            updated_at: now,
            id: new.id,
        };
        storage.check_templates()?;
        Ok(storage)
    }

    /// Registers a storage that was checked. Its root has been opened before; see [`crate::Store::create_storage`].
    pub(crate) async fn register_storage(&self, storage: Storage) -> Result<Arc<Storage>, Error> {
        self.change(|_, view| {
            if view.storages.contains_key(storage.id.as_str()) {
                return Err(Error::StorageExists { id: storage.id.clone() });
            }
            view.put_storage(storage.clone());
            let registration = Write::put(CATALOG, keys::registration(&storage.id), version_value(view.version));
            let writes = vec![put(keys::storage(&storage.id), &storage), registration, attaching(view)];
            Ok((view.storages[storage.id.as_str()].clone(), writes))
        })
        .await
    }

    /// Puts a storage in the place of what it was.
    pub(crate) async fn replace_storage(&self, before: &Storage, storage: Storage) -> Result<Arc<Storage>, Error> {
        self.change(|_, view| {
            match view.storages.get(storage.id.as_str()) {
                None => return Err(Error::StorageNotFound { id: storage.id.to_string() }),
                Some(found) if **found != *before => {
                    return Err(Error::Conflict { message: format!("storage '{}' was changed meanwhile", storage.id) });
                }
                Some(_) => {}
            }
            view.put_storage(storage.clone());
            let writes = vec![put(keys::storage(&storage.id), &storage), attaching(view)];
            Ok((view.storages[storage.id.as_str()].clone(), writes))
        })
        .await
    }

    /// Removes a storage that nothing refers to. `unused` looks at what the catalog itself does not know, and says what the
    /// commit is to hold so that it stays so.
    pub(crate) async fn drop_storage(
        &self,
        id: &StorageId,
        unused: impl Fn(&Arc<dyn Snapshot>) -> Result<(Vec<Expect>, Vec<Write>), Error>,
    ) -> Result<Arc<Storage>, Error> {
        if *id == StorageId::local() {
            return Err(Error::StorageProtected);
        }
        self.change_expecting(|snapshot, view| {
            let Some(storage) = view.storages.remove(id.as_str()) else {
                return Err(Error::StorageNotFound { id: id.to_string() });
            };
            let tables: Vec<String> =
                view.tables(None).filter(|table| table.storage == *id).map(|table| table.qualified_name()).collect();
            if !tables.is_empty() {
                let named = tables[..tables.len().min(NAMED_MAX)].join(", ");
                let what = format!("{} table(s) still reference it: {named}", tables.len());
                return Err(Error::StorageInUse { id: id.clone(), what });
            }
            let (expect, mut writes) = unused(snapshot)?;
            writes.extend([keys::storage(id), keys::registration(id)].map(|key| Write::delete(CATALOG, key)));
            writes.push(attaching(view));
            Ok((storage, expect, writes))
        })
        .await
    }

    /// Changes where a table's files go, how its users are spread and when it is flushed.
    ///
    /// # Errors
    /// [`Error::TableNotFound`]; [`Error::StorageNotFound`]; [`Error::Invalid`] for a sharding, triggers or a
    /// USE_USER_STORAGE that cannot be; the engine's.
    pub async fn alter_table(&self, namespace: &str, table: &str, change: TableChange) -> Result<Arc<Table>, Error> {
        if let Some(sharding) = &change.sharding {
            self.shards.find(sharding)?;
        }
        self.change(|_, view| {
            let found = view
                .table(namespace, table)
                .ok_or_else(|| Error::TableNotFound { namespace: namespace.to_owned(), table: table.to_owned() })?;
            if let Some(id) = &change.storage
                && !view.storages.contains_key(id.as_str())
            {
                return Err(Error::StorageNotFound { id: id.to_string() });
            }
            let changed = found.with(&change)?;
            let write = put(keys::table(changed.id), &changed);
            Ok((view.put_table(changed), vec![write]))
        })
        .await
    }

    /// The table that goes on from `found`, a table of the database `database_id`: made, with its namespace, if there is none
    /// yet; given the columns of `found` if those are newer. What the lost database called `called` is `storage` here.
    ///
    /// # Errors
    /// [`Error::TableExists`] when there is another table of this name; [`Error::Invalid`] for a sharding that this program does
    /// not have; the engine's.
    pub async fn attach_table(
        &self,
        database_id: &str,
        found: &Table,
        called: &StorageId,
        storage: &StorageId,
    ) -> Result<Arc<Table>, Error> {
        self.shards.find(&found.sharding)?;
        let origin = table::Origin { database_id: database_id.to_owned(), table_id: found.id };
        self.change(|_, view| {
            let now = self.env.now();
            if let Some(known) = view.table(&found.namespace, &found.name).cloned() {
                if known.origin.as_ref() != Some(&origin) {
                    return Err(Error::TableExists { namespace: known.namespace.clone(), table: known.name.clone() });
                }
                if known.schema_version >= found.schema_version {
                    return Ok((known, Vec::new()));
                }
                let table = known.with_columns_of(found);
                let write = put(keys::table(table.id), &table);
                return Ok((view.put_table(table), vec![write]));
            }
            let mut writes = Vec::new();
            if !view.namespaces.contains_key(found.namespace.as_str()) {
                let namespace = Namespace { name: found.namespace.clone(), created_at: now };
                writes.push(put(keys::namespace(&namespace.name), &namespace));
                view.put_namespace(namespace);
            }
            if !view.storages.contains_key(storage.as_str()) {
                return Err(Error::StorageNotFound { id: storage.to_string() });
            }
            // Its own storage may be another one than where this was found; `local` is here whatever there was.
            let has_own = found.storage != *called
                && found.storage != StorageId::local()
                && view.storages.contains_key(found.storage.as_str());
            let storage = if has_own { found.storage.clone() } else { storage.clone() };
            let id = TableId(view.version);
            let table = found.attached(id, origin.clone(), storage, now);
            writes.push(put(keys::table(id), &table));
            Ok((view.put_table(table), writes))
        })
        .await
    }

    /// Checks `decide` against a snapshot and commits what it says, from the start again if somebody else was
    /// faster. `decide` changes the view as its writes change the catalog.
    pub(crate) async fn change<T>(
        &self,
        mut decide: impl FnMut(&Arc<dyn Snapshot>, &mut View) -> Result<(T, Vec<Write>), Error>,
    ) -> Result<T, Error> {
        self.change_expecting(|snapshot, view| decide(snapshot, view).map(|(answer, writes)| (answer, vec![], writes)))
            .await
    }

    /// [`Catalog::change`], where the commit depends on more than the catalog.
    pub(crate) async fn change_expecting<T>(
        &self,
        mut decide: impl FnMut(&Arc<dyn Snapshot>, &mut View) -> Result<(T, Vec<Expect>, Vec<Write>), Error>,
    ) -> Result<T, Error> {
        let _turn = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.engine.snapshot();
            let before = self.view(&snapshot)?;
            let mut view = View::clone(&before);
            view.version += 1;
            let (answer, mut expect, mut writes) = decide(&snapshot, &mut view)?;
            writes.push(Write::Put { space: CATALOG, key: keys::VERSION.to_vec(), value: version_value(view.version) });
            let value = match before.version {
                0 => Expected::Absent,
                version => Expected::Equals(version_value(version)),
            };
            expect.push(Expect { space: CATALOG, key: keys::VERSION.to_vec(), value });
            match self.engine.commit(Commit { expect, writes, sync: Sync::Synced }).await {
                Ok(_) => {
                    self.remember(&Arc::new(view));
                    return Ok(answer);
                }
                Err(CommitError::Mismatch { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict { message: "the catalog is being changed by others all the time".to_owned() })
    }

    /// Expects the id of a storage to mean the place that it means in this snapshot: after a DROP it may be another's. Whoever
    /// commits that an object is in a storage expects it, as of the snapshot that told him the storage.
    ///
    /// # Errors
    /// The engine's.
    pub fn expect_registered(&self, snapshot: &dyn Snapshot, id: &StorageId) -> Result<Expect, Error> {
        Ok(self.expect_registration(id, self.registration(snapshot, id)?))
    }

    /// Which registration of a storage's id this is, for whoever expects it in later commits too. None for `local`.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn registration(&self, snapshot: &dyn Snapshot, id: &StorageId) -> Result<Option<u64>, Error> {
        let stored = snapshot.get(CATALOG, &keys::registration(id))?;
        stored.as_deref().map(|value| crate::keys::u64_value(value, "a storage's registration")).transpose()
    }

    /// Expects the id of a storage to mean the place that it meant in this registration.
    pub fn expect_registration(&self, id: &StorageId, registration: Option<u64>) -> Expect {
        Expect::as_read(CATALOG, keys::registration(id), registration.map(version_value))
    }

    /// A storage that is being taken in at this moment, if there is one.
    ///
    /// # Errors
    /// The engine's, and [`Error::Corrupt`].
    pub fn attaching(&self, snapshot: &Arc<dyn Snapshot>) -> Result<Option<StorageId>, Error> {
        Ok(self.storages(snapshot)?.iter().find(|storage| storage.attaching).map(|storage| storage.id.clone()))
    }

    /// Expects no storage to be in the middle of being taken in.
    pub fn expect_nothing_attaching(&self) -> Expect {
        expect_nothing_attaching()
    }
}

/// A folder by its whole path: another process may begin elsewhere.
fn placed(storage_type: StorageType, base_directory: String) -> String {
    let relative = storage_type == StorageType::Filesystem
        && !base_directory.is_empty()
        && !base_directory.contains("://")
        && std::path::Path::new(&base_directory).is_relative();
    match std::path::absolute(&base_directory) {
        Ok(absolute) if relative => absolute.to_str().map_or(base_directory, str::to_owned),
        _ => base_directory,
    }
}

/// What of the catalog says whether any storage is being taken in.
fn attaching(view: &View) -> Write {
    match view.storages.values().any(|storage| storage.attaching) {
        true => Write::put(CATALOG, keys::ATTACHING, []),
        false => Write::delete(CATALOG, keys::ATTACHING),
    }
}

/// Expects no storage to be in the middle of being taken in.
pub(crate) fn expect_nothing_attaching() -> Expect {
    Expect::absent(CATALOG, keys::ATTACHING)
}

/// Expects the storage of this id to be there still.
pub(crate) fn expect_storage(id: &StorageId) -> Expect {
    Expect { space: CATALOG, key: keys::storage(id), value: Expected::Present }
}

/// The record of a dropped table goes: nothing of it is left.
pub(crate) fn forget_dropped(id: TableId) -> Write {
    Write::Delete { space: CATALOG, key: keys::dropped(id) }
}

fn version_value(version: u64) -> Vec<u8> {
    version.to_be_bytes().to_vec()
}

fn put<T: Serialize>(key: Vec<u8>, entry: &T) -> Write {
    let value = serde_json::to_vec(entry).expect("catalog entries are plain structs of text and numbers");
    Write::Put { space: CATALOG, key, value }
}
