//! The columns a statement sees: a table's own, and of the hidden ones those it names.

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use ebbtide_store::{ColumnType, Hidden, Table, arrow_schema};
use std::collections::HashMap;
use std::sync::Arc;

/// The key by which Arrow fields say that their text means more.
const EXTENSION_NAME: &str = "ARROW:extension:name";
/// What it says for JSON.
pub(crate) const JSON_EXTENSION: &str = "arrow.json";

/// Whether an Arrow field of a result holds JSON, which Arrow itself knows as text.
///
/// ```
/// use datafusion::arrow::datatypes::{DataType, Field};
/// assert!(!ebbtide_sql::is_json(&Field::new("body", DataType::Utf8, true)));
/// ```
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == JSON_EXTENSION)
}

/// The hidden columns that a statement names. `SELECT *` leaves all of them out, so a table shows only those.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct HiddenColumns {
    user_id: bool,
    seq: bool,
    committed_at: bool,
}

impl HiddenColumns {
    /// Notes a word of the statement.
    pub(crate) fn note(&mut self, word: &str) {
        for hidden in [Hidden::UserId, Hidden::Seq, Hidden::CommittedAt] {
            if word.eq_ignore_ascii_case(hidden.name()) {
                *self.slot(hidden) = true;
            }
        }
    }

    fn slot(&mut self, hidden: Hidden) -> &mut bool {
        match hidden {
            Hidden::UserId => &mut self.user_id,
            Hidden::Seq => &mut self.seq,
            Hidden::CommittedAt => &mut self.committed_at,
        }
    }

    pub(crate) fn shows(mut self, hidden: Hidden) -> bool {
        *self.slot(hidden)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Those of them that `table` has.
    pub(crate) fn of(self, table: &Table) -> impl Iterator<Item = Hidden> {
        Hidden::of(table.kind).iter().copied().filter(move |hidden| self.shows(*hidden))
    }
}

/// The schema of all of a table's columns, hidden ones included, as scans give them.
pub(crate) fn full_schema(table: &Table) -> SchemaRef {
    let schema = arrow_schema(table);
    if table.columns.iter().all(|column| column.column_type != ColumnType::Json) {
        return schema;
    }
    let fields = schema.fields().iter().enumerate().map(|(place, field)| match table.columns.get(place) {
        Some(column) if column.column_type == ColumnType::Json => {
            let mut metadata = field.metadata().clone();
            metadata.insert(EXTENSION_NAME.to_owned(), JSON_EXTENSION.to_owned());
            Arc::new(field.as_ref().clone().with_metadata(metadata))
        }
        _ => field.clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Where in [`full_schema`] the columns are that a statement sees.
pub(crate) fn shown(table: &Table, hidden: HiddenColumns) -> Vec<usize> {
    let own = table.columns.len();
    let places = Hidden::of(table.kind).iter().enumerate();
    (0..own).chain(places.filter(|(_, column)| hidden.shows(**column)).map(|(place, _)| own + place)).collect()
}

/// A field of a result that holds a value of this type.
pub(crate) fn column_schema(name: &str, column_type: ColumnType, nullable: bool) -> Field {
    let field = Field::new(name, column_type.arrow(), nullable);
    match column_type {
        ColumnType::Json => {
            field.with_metadata(HashMap::from([(EXTENSION_NAME.to_owned(), JSON_EXTENSION.to_owned())]))
        }
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_columns_are_shown_when_named() {
        let mut hidden = HiddenColumns::default();
        hidden.note("body");
        assert!(hidden.is_empty());
        hidden.note("_SEQ");
        assert!(hidden.shows(Hidden::Seq) && !hidden.shows(Hidden::UserId));
    }
}
