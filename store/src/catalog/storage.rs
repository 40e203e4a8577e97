//! Storages as the catalog stores them.

use crate::StorageId;
use serde::{Deserialize, Serialize};

/// What kind of place a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageType {
    /// A folder of a filesystem.
    Filesystem,
}

impl StorageType {
    /// As SQL and `system.storages` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
        }
    }
}

/// A registered place for segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Its id.
    pub id: StorageId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of place it is.
    pub storage_type: StorageType,
    /// Its root; empty for `local`, which is wherever the configuration says.
    pub base_directory: String,
    /// Where below the root a SHARED table's segments go.
    pub shared_tables_template: String,
    /// Where below the root a user's segments go.
    pub user_tables_template: String,
    /// Settings of its kind, as JSON.
    pub config_json: Option<String>,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    /// Microseconds since the Unix epoch.
    pub updated_at: i64,
}

/// A storage to be registered.
#[derive(Debug, Clone)]
pub struct NewStorage {
    /// Its id.
    pub id: StorageId,
    /// What people call it; the id without one.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of place it is.
    pub storage_type: StorageType,
    /// Its root.
    pub base_directory: String,
    /// Where below the root a SHARED table's segments go; the default without one.
    pub shared_tables_template: Option<String>,
    /// Where below the root a user's segments go; the default without one.
    pub user_tables_template: Option<String>,
    /// Settings of its kind, as JSON.
    pub config_json: Option<String>,
}
