//! Files that belong to an export, kept until they are described.
//!
//! ```text
//! exported_files  job id | table, u64 | from seq, u64  ->  the file, JSON
//!                 job id | table, u64 | u64::MAX       ->  the table's definition, JSON
//! ```
//! A job that runs to its end leaves none; what others leave goes when they are cleaned up.

use ebbtide_engine::keys::{Key, Parts};
use ebbtide_engine::{Cache, Cursor, KeyRange, Order, Snapshot, Space, Write};
use ebbtide_runtime::JobId;
use ebbtide_store::{Error, Seq, Table, TableId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Files of exports that are not over.
pub const EXPORTED_FILES: Space = Space { name: "exported_files", cache: Cache::Shared };

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the folder of the export.
    pub path: String,
    /// The seq of its first row.
    pub from_seq: Seq,
    /// The seq of its last row.
    pub to_seq: Seq,
    /// How many rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// CRC-32C of all its bytes.
    pub crc32c: u32,
    /// The schema version whose columns it has.
    pub schema_version: u32,
}

/// A table of an export. The definition is as it was when the last of its files was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// The table's definition.
    pub table: serde_json::Value,
    /// Its files, in seq order.
    pub files: Vec<File>,
}

/// The definition comes behind the files.
const DEFINITION: Seq = Seq::MAX;

fn key(job: &JobId, table: TableId, seq: Seq) -> Vec<u8> {
    Key::new().raw(job.as_bytes()).u64(table.0).u64(seq).into_vec()
}

impl File {
    pub(super) fn put(&self, job: &JobId, table: TableId) -> Write {
        let value = serde_json::to_vec(self).expect("a plain struct of text and numbers has a JSON form");
        Write::put(EXPORTED_FILES, key(job, table, self.from_seq), value)
    }
}

/// The write that keeps the definition of a table whose files are all there.
pub(super) fn put_table(job: &JobId, table: &Table) -> Write {
    let value = serde_json::to_vec(table).expect("a table has a JSON form");
    Write::put(EXPORTED_FILES, key(job, table.id, DEFINITION), value)
}

/// The tables of an export, each with its files.
pub(super) fn of_job(snapshot: Arc<dyn Snapshot>, job: &JobId) -> Result<Vec<Exported>, Error> {
    let mut cursor = snapshot.scan(EXPORTED_FILES, KeyRange::prefix(job.as_bytes()), Order::Ascending)?;
    let (mut tables, mut files, mut of) = (Vec::new(), Vec::new(), None);
    while let Some((key, value)) = Cursor::next(&mut *cursor)? {
        let corrupt = |what: &str| Error::corrupt(format!("the exported file {}: {what}", key.escape_ascii()));
        let mut parts = Parts::of(key.get(job.as_bytes().len()..).unwrap_or_default());
        let (table, seq) = parts.u64().zip(parts.u64()).ok_or_else(|| corrupt("its key is too short"))?;
        if of.replace(table) != Some(table) {
            // Of a table that was dropped on the way nothing is exported.
            files.clear();
        }
        if seq == DEFINITION {
            let table = serde_json::from_slice(value).map_err(|error| corrupt(&error.to_string()))?;
            tables.push(Exported { table, files: std::mem::take(&mut files) });
        } else {
            files.push(serde_json::from_slice(value).map_err(|error| corrupt(&error.to_string()))?);
        }
    }
    Ok(tables)
}

/// The write that forgets all of them.
pub(super) fn forget(job: &JobId) -> Write {
    Write::delete_range(EXPORTED_FILES, KeyRange::prefix(job.as_bytes()))
}
