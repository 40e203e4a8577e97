//! `system.segments`: the manifest, one row per file of the cold tier.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};
use ebbtide_store::{UserId, manifest};

const COLUMNS: &[Column] = &[
    Column::new("namespace", Text, "The namespace of the table whose rows it holds."),
    Column::new("table_name", Text, "The table whose rows it holds."),
    Column::nullable("user_id", Text, "The one user whose rows it holds; NULL for a SHARED table."),
    Column::new("storage_id", Text, "The storage it was written to."),
    Column::new("path", Text, "Its full path, relative to the storage's root."),
    Column::new("rows", BigInt, "How many rows."),
    Column::new("bytes", BigInt, "Bytes of the file."),
    Column::new("crc32c", Text, "Checksum of all its bytes, CRC-32C, in hexadecimal."),
    Column::new("from_seq", BigInt, "The seq of its first row."),
    Column::new("to_seq", BigInt, "The seq of its last row."),
    Column::new("schema_version", BigInt, "The schema version whose columns it has."),
    Column::new("job_id", Text, "The job that wrote it."),
    Column::new("created_at", TimestampTz, "When it was written."),
];

/// `system.segments`
#[derive(Debug)]
pub(super) struct Segments;

impl System for Segments {
    fn name(&self) -> &'static str {
        "system.segments"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["namespace", "table_name", "user_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let user = match wanted.get("user_id").map(UserId::new) {
            None => None,
            Some(Ok(user)) => Some(user),
            // A text that is no user id owns nothing.
            Some(Err(_)) => return Ok(()),
        };
        for table in look.catalog.tables(None) {
            if !wanted.allows("namespace", Some(table.namespace.as_str()))
                || !wanted.allows("table_name", Some(table.name.as_str()))
            {
                continue;
            }
            for segment in manifest::scan_segments(look.snapshot.clone(), table.id, user.as_ref())? {
                let segment = segment?;
                let owner = (!segment.user.is_shared()).then_some(segment.user.as_str());
                if !wanted.allows("user_id", owner) {
                    continue;
                }
                let more = out.row(&[
                    table.namespace.as_str().into(),
                    table.name.as_str().into(),
                    owner.into(),
                    segment.storage.as_str().into(),
                    segment.path.as_str().into(),
                    segment.rows.into(),
                    segment.bytes.into(),
                    Value::Text(&format!("{:08x}", segment.crc32c)),
                    segment.from_seq.into(),
                    segment.to_seq.into(),
                    segment.schema_version.into(),
                    segment.job_id.as_str().into(),
                    Value::Time(segment.created_at),
                ])?;
                if !more {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
