//! `system.quarantine`: objects that the manifest does not name and no job is going to, held back before they are deleted.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};
use ebbtide_store::quarantine;

const COLUMNS: &[Column] = &[
    Column::new("storage_id", Text, "The storage it lies in."),
    Column::new("path", Text, "Its path, relative to the storage's root."),
    Column::new("bytes", BigInt, "Its size when it was found."),
    Column::new("modified_at", TimestampTz, "When it had last been written then, by the storage's clock."),
    Column::new("quarantined_at", TimestampTz, "When it was found."),
    Column::new("job_id", Text, "The job that found it, of kind orphan_sweep."),
];

/// `system.quarantine`
#[derive(Debug)]
pub(super) struct Quarantine;

impl System for Quarantine {
    fn name(&self) -> &'static str {
        "system.quarantine"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["storage_id", "job_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for object in quarantine::scan(look.snapshot.clone(), None)? {
            let object = object?;
            let matches = wanted.allows("storage_id", Some(object.storage.as_str()))
                && wanted.allows("job_id", Some(&object.job_id));
            let row = [
                object.storage.as_str().into(),
                object.path.as_str().into(),
                object.bytes.into(),
                Value::Time(object.modified_at),
                Value::Time(object.quarantined_at),
                object.job_id.as_str().into(),
            ];
            if matches && !out.row(&row)? {
                break;
            }
        }
        Ok(())
    }
}
