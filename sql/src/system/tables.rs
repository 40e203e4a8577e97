//! `system.tables`: tables, with what of them is hot.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{BigInt, Boolean, Json, Text, TimestampTz};
use ebbtide_store::{FlushPolicy, Kind, Table, hot};
use serde_json::json;

const COLUMNS: &[Column] = &[
    Column::new("table_id", BigInt, "The table's id, never given to another."),
    Column::new("namespace", Text, "Its namespace."),
    Column::new("table_name", Text, "Its name."),
    Column::new("table_type", Text, "Whose rows it holds: user or shared."),
    Column::new("schema_version", BigInt, "Starts at 1 and grows with every change of the columns."),
    Column::new("columns", Json, "Its columns: id, name, type, nullable."),
    Column::new("storage_id", Text, "Where its segments go."),
    Column::new("use_user_storage", Boolean, "Whether a user's own storage goes before the table's."),
    Column::new("sharding", Text, "How users are spread over folders."),
    Column::new("flush_policy", Json, "When it is flushed: interval_seconds, rows, bytes; whichever comes first."),
    Column::new("hot_rows", BigInt, "Rows that no segment holds yet."),
    Column::new("hot_bytes", BigInt, "Their bytes in the hot tier."),
    Column::new("created_at", TimestampTz, "When it was made."),
];

/// `system.tables`
#[derive(Debug)]
pub(super) struct Tables;

impl System for Tables {
    fn name(&self) -> &'static str {
        "system.tables"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["namespace", "table_name"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for table in look.catalog.tables(None) {
            if !wanted.allows("namespace", Some(table.namespace.as_str()))
                || !wanted.allows("table_name", Some(table.name.as_str()))
            {
                continue;
            }
            let hot = hot::counters(&*look.snapshot, table.id)?;
            let more = out.row(&[
                table.id.0.into(),
                table.namespace.as_str().into(),
                table.name.as_str().into(),
                kind(table.kind).into(),
                table.schema_version.into(),
                Value::Text(&columns(table)),
                table.storage.as_str().into(),
                table.use_user_storage.into(),
                table.sharding.as_str().into(),
                Value::Text(&policy(&table.flush)),
                hot.rows.into(),
                hot.bytes.into(),
                Value::Time(table.created_at),
            ])?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// As `table_type` shows it.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "user",
        Kind::Shared => "shared",
    }
}

fn columns(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        json!({
            "id": column.id,
            "name": column.name.as_str(),
            "type": column.column_type.to_string(),
            "nullable": column.nullable,
        })
    });
    serde_json::Value::from_iter(columns).to_string()
}

fn policy(policy: &FlushPolicy) -> String {
    let mut shown = serde_json::Map::new();
    if let Some(interval) = policy.interval {
        shown.insert("interval_seconds".to_owned(), interval.as_secs().into());
    }
    if let Some(rows) = policy.rows {
        shown.insert("rows".to_owned(), rows.into());
    }
    if let Some(bytes) = policy.bytes {
        shown.insert("bytes".to_owned(), bytes.into());
    }
    serde_json::Value::Object(shown).to_string()
}
