//! `system.storages`: places for segments, `local` first, then by name.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{Json, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("storage_id", Text, "Its id."),
    Column::new("storage_name", Text, "What people call it."),
    Column::nullable("description", Text, "What it is for."),
    Column::new("storage_type", Text, "What kind of place it is: filesystem, s3, gcs, azure."),
    Column::new("base_directory", Text, "Its root; empty for local, which is wherever the configuration says."),
    Column::new("uri", Text, "The root that is really used, without credentials."),
    Column::nullable("credentials", Text, "*** if there are any; never the credentials themselves."),
    Column::nullable("config_json", Json, "Settings of its kind."),
    Column::new("shared_tables_template", Text, "Where below the root a SHARED table's segments go."),
    Column::new("user_tables_template", Text, "Where below the root a user's segments go."),
    Column::new("created_at", TimestampTz, "When it was registered."),
    Column::new("updated_at", TimestampTz, "When it was last changed."),
];

/// `system.storages`
#[derive(Debug)]
pub(super) struct Storages;

impl System for Storages {
    fn name(&self) -> &'static str {
        "system.storages"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["storage_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for storage in look.catalog.storages() {
            if !wanted.allows("storage_id", Some(storage.id.as_str())) {
                continue;
            }
            let uri = look.database.store.storage_location(storage.id.as_str());
            let more = out.row(&[
                storage.id.as_str().into(),
                storage.name.as_str().into(),
                storage.description.as_deref().into(),
                storage.storage_type.as_str().into(),
                storage.base_directory.as_str().into(),
                uri.as_str().into(),
                storage.has_credentials().then_some("***").into(),
                storage.config_json.as_deref().into(),
                storage.shared_tables_template.as_str().into(),
                storage.user_tables_template.as_str().into(),
                Value::Time(storage.created_at),
                Value::Time(storage.updated_at),
            ])?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}
