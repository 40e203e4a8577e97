//! The catalog as one snapshot has it.

use super::{Kind, Namespace, Storage, Table, keys};
use crate::{CATALOG, Error, Name, StorageId, TableId, keys::u64_value};
use ebbtide_engine::{KeyRange, Order, Snapshot};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All namespaces, tables and storages at one version of the catalog. Cheap to share, never changed.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub(super) version: u64,
    pub(super) namespaces: BTreeMap<Name, Arc<Namespace>>,
    pub(super) tables: BTreeMap<(Name, Name), Arc<Table>>,
    pub(super) by_id: HashMap<TableId, Arc<Table>>,
    pub(super) storages: BTreeMap<StorageId, Arc<Storage>>,
}

impl View {
    /// Grows with every change; equal versions are equal catalogs.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The namespace of this name; names are folded to lower case.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name.to_ascii_lowercase().as_str())
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.values()
    }

    /// The table of this name; names are folded to lower case.
    pub fn table(&self, namespace: &str, table: &str) -> Option<&Arc<Table>> {
        // A text that is no name is the name of no table.
        let (namespace, table) = (Name::new(namespace).ok()?, Name::new(table).ok()?);
        self.tables.get(&(namespace, table))
    }

    /// The table of this id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.by_id.get(&id)
    }

    /// All tables, or those of one namespace, by name.
    pub fn tables<'a>(&'a self, namespace: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Table>> {
        self.tables
            .values()
            .filter(move |table| namespace.is_none_or(|name| table.namespace.eq_ignore_ascii_case(name)))
    }

    /// The storage of this id.
    pub fn storage(&self, id: &str) -> Option<&Arc<Storage>> {
        self.storages.get(id.to_ascii_lowercase().as_str())
    }

    /// All storages: `local` first, then by name.
    pub fn storages(&self) -> Vec<Arc<Storage>> {
        let mut storages: Vec<_> = self.storages.values().cloned().collect();
        storages.sort_by(|a, b| {
            let key = |s: &Storage| (s.id != StorageId::local(), s.name.clone(), s.id.clone());
            key(a).cmp(&key(b))
        });
        storages
    }

    /// How many tables are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables.values().filter(|table| table.kind == kind).count()
    }

    pub(super) fn version_in(snapshot: &dyn Snapshot) -> Result<u64, Error> {
        match snapshot.get(CATALOG, keys::VERSION)? {
            Some(value) => u64_value(&value, "the catalog's version"),
            None => Ok(0),
        }
    }

    /// Reads all of it.
    pub(super) fn load(snapshot: &Arc<dyn Snapshot>) -> Result<Self, Error> {
        let mut view = Self { version: Self::version_in(&**snapshot)?, ..Self::default() };
        each(snapshot, keys::NAMESPACES, |namespace| view.put_namespace(namespace))?;
        each(snapshot, keys::TABLES, |table| view.put_table(table))?;
        each(snapshot, keys::STORAGES, |storage| view.put_storage(storage))?;
        Ok(view)
    }

    pub(super) fn put_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace.name.clone(), Arc::new(namespace));
    }

    pub(super) fn put_table(&mut self, table: Table) -> Arc<Table> {
        let table = Arc::new(table);
        self.tables.insert((table.namespace.clone(), table.name.clone()), table.clone());
        self.by_id.insert(table.id, table.clone());
        table
    }

    pub(super) fn remove_table(&mut self, table: &Table) {
        self.tables.remove(&(table.namespace.clone(), table.name.clone()));
        self.by_id.remove(&table.id);
    }

    pub(super) fn put_storage(&mut self, storage: Storage) {
        self.storages.insert(storage.id.clone(), Arc::new(storage));
    }
}

/// Hands every entry below `prefix` to `take`.
pub(super) fn each<T: DeserializeOwned, R>(
    snapshot: &Arc<dyn Snapshot>,
    prefix: &[u8],
    mut take: impl FnMut(T) -> R,
) -> Result<(), Error> {
    let mut cursor = snapshot.clone().scan(CATALOG, KeyRange::prefix(prefix), Order::Ascending)?;
    while let Some((key, value)) = cursor.next()? {
        let entry = serde_json::from_slice(value)
            .map_err(|error| Error::corrupt(format!("the catalog's entry {}: {error}", key.escape_ascii())))?;
        take(entry);
    }
    Ok(())
}
