//! `system.namespaces`: namespaces.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("namespace", Text, "Its name."),
    Column::new("tables", BigInt, "How many tables are in it."),
    Column::new("created_at", TimestampTz, "When it was made."),
];

/// `system.namespaces`
#[derive(Debug)]
pub(super) struct Namespaces;

impl System for Namespaces {
    fn name(&self) -> &'static str {
        "system.namespaces"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, look: &Look<'_>, _: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for namespace in look.catalog.namespaces() {
            let tables = look.catalog.tables(Some(namespace.name.as_str())).count() as u64;
            if !out.row(&[namespace.name.as_str().into(), tables.into(), Value::Time(namespace.created_at)])? {
                break;
            }
        }
        Ok(())
    }
}
