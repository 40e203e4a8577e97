//! The catalog's keys.

use crate::TableId;

/// Raised by every change; all changes expect it as they read it.
pub(super) const VERSION: &[u8] = b"version";
/// Which database this is, for ever.
pub(crate) const DATABASE: &[u8] = b"database";

pub(super) const NAMESPACES: &[u8] = b"namespace/";
pub(super) const TABLES: &[u8] = b"table/";
pub(super) const STORAGES: &[u8] = b"storage/";
pub(super) const DROPPED: &[u8] = b"dropped/";

pub(super) fn namespace(name: &str) -> Vec<u8> {
    [NAMESPACES, name.as_bytes()].concat()
}

pub(super) fn table(id: TableId) -> Vec<u8> {
    [TABLES, &id.0.to_be_bytes()].concat()
}

pub(super) fn storage(id: &str) -> Vec<u8> {
    [STORAGES, id.as_bytes()].concat()
}

/// Which registration of a storage's id it is: the same id may be another place after a DROP.
pub(super) fn registration(id: &str) -> Vec<u8> {
    [b"registration/", id.as_bytes()].concat()
}

/// There while a storage is being taken in.
pub(super) const ATTACHING: &[u8] = b"attaching";

pub(super) fn dropped(id: TableId) -> Vec<u8> {
    [DROPPED, &id.0.to_be_bytes()].concat()
}

/// The last file timestamp given to each name. They outlive their tables.
pub(crate) const FILE_STAMPS: &[u8] = b"stamp/";

pub(crate) fn file_stamp(namespace: &str, table: &str) -> Vec<u8> {
    [FILE_STAMPS, namespace.as_bytes(), b".", table.as_bytes()].concat()
}
