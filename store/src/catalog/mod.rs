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
pub use storage::{NewStorage, Storage, StorageType};
pub(crate) use table::Layout;
pub(crate) use table::expect_table;
pub use table::{COLUMNS_MAX, FlushPolicy, Kind, Namespace, NewColumn, NewTable, Table};
pub use view::View;

use crate::path::{self, Overlap, Template, shard};
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
            base_directory: new.base_directory,
            shared_tables_template: new
                .shared_tables_template
                .unwrap_or_else(|| path::SHARED_TABLES_TEMPLATE_DEFAULT.to_owned()),
            user_tables_template: new
                .user_tables_template
                .unwrap_or_else(|| path::USER_TABLES_TEMPLATE_DEFAULT.to_owned()),
            config_json: new.config_json,
            created_at: now,
            updated_at: now,
            id: new.id,
        };
        check_templates(&storage)?;
        Ok(storage)
    }

    /// Registers a storage that was checked. Its root has been opened before; see [`crate::Store::create_storage`].
    pub(crate) async fn register_storage(&self, storage: Storage) -> Result<Arc<Storage>, Error> {
        self.change(|_, view| {
            if view.storages.contains_key(storage.id.as_str()) {
                return Err(Error::StorageExists { id: storage.id.clone() });
            }
            view.put_storage(storage.clone());
            let write = put(keys::storage(&storage.id), &storage);
            Ok((view.storages[storage.id.as_str()].clone(), vec![write]))
        })
        .await
    }

    /// Checks `decide` against a snapshot and commits what it says, from the start again if somebody else was
    /// faster. `decide` changes the view as its writes change the catalog.
    async fn change<T>(
        &self,
        mut decide: impl FnMut(&Arc<dyn Snapshot>, &mut View) -> Result<(T, Vec<Write>), Error>,
    ) -> Result<T, Error> {
        let _turn = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.engine.snapshot();
            let before = self.view(&snapshot)?;
            let mut view = View::clone(&before);
            view.version += 1;
            let (answer, mut writes) = decide(&snapshot, &mut view)?;
            writes.push(Write::Put { space: CATALOG, key: keys::VERSION.to_vec(), value: version_value(view.version) });
            let value = match before.version {
                0 => Expected::Absent,
                version => Expected::Equals(version_value(version)),
            };
            let expect = vec![Expect { space: CATALOG, key: keys::VERSION.to_vec(), value }];
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
}

/// Expects the storage of this id to be there still.
pub(crate) fn expect_storage(id: &StorageId) -> Expect {
    Expect { space: CATALOG, key: keys::storage(id), value: Expected::Present }
}

/// The record of a dropped table goes: nothing of it is left.
pub(crate) fn forget_dropped(id: TableId) -> Write {
    Write::Delete { space: CATALOG, key: keys::dropped(id) }
}

/// Within one storage no two tables, and no two users, may ever have one prefix, whatever they are called.
fn check_templates(storage: &Storage) -> Result<(), Error> {
    let shared = Template::shared(&storage.shared_tables_template)?;
    let user = Template::user(&storage.user_tables_template)?;
    if path::overlap(&shared, &user) > Overlap::OneTable {
        return Err(Error::Invalid {
            message: format!(
                "a SHARED table and a USER table of storage '{}' could come to lie in one folder under the templates {shared} and {user}",
                storage.id
            ),
            hint: Some(format!(
                "let them differ in a folder that no name can be, as in the defaults {} and {}",
                path::SHARED_TABLES_TEMPLATE_DEFAULT,
                path::USER_TABLES_TEMPLATE_DEFAULT
            )),
        });
    }
    Ok(())
}

fn version_value(version: u64) -> Vec<u8> {
    version.to_be_bytes().to_vec()
}

fn put<T: Serialize>(key: Vec<u8>, entry: &T) -> Write {
    let value = serde_json::to_vec(entry).expect("catalog entries are plain structs of text and numbers");
    Write::Put { space: CATALOG, key, value }
}
