//! What a column is called, holds and means, and the batches that rows gather in.

use crate::error::Result;
use crate::scan::column_schema;
use crate::value::Builder;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use ebbtide_store::ColumnType;
use std::sync::Arc;

/// A column of a system table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What it says, for the reference page.
    pub doc: &'static str,
}

impl Column {
    /// A column that always has a value.
    pub(super) const fn new(name: &'static str, column_type: ColumnType, doc: &'static str) -> Self {
        Self { name, column_type, nullable: false, doc }
    }

    /// A column that may be NULL.
    pub(super) const fn nullable(name: &'static str, column_type: ColumnType, doc: &'static str) -> Self {
        Self { name, column_type, nullable: true, doc }
    }
}

/// The Arrow schema of these columns.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| column_schema(column.name, column.column_type, column.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What goes into one column of one row.
pub(super) enum Value<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    Bool(bool),
    /// Microseconds since the Unix epoch.
    Time(i64),
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        // No counter of this database gets beyond 63 bits.
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<Option<u64>> for Value<'_> {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A moment that may not have come.
pub(super) fn time(micros: Option<i64>) -> Value<'static> {
    micros.map_or(Value::Null, Value::Time)
}

/// Rows in one batch.
const BATCH_ROWS: usize = 512;

/// Where rows go: they gather until there are enough for a batch.
pub(crate) struct Out<'a> {
    /// Per column of the projection: its place in the table, and its values so far.
    columns: Vec<(usize, Builder)>,
    schema: SchemaRef,
    rows: usize,
    /// Rows that are still wanted.
    left: usize,
    send: &'a mut dyn FnMut(RecordBatch) -> bool,
}

impl<'a> Out<'a> {
    /// Gathers these columns of a table, `limit` rows at most.
    pub(super) fn new(
        columns: &[Column],
        projection: &[usize],
        schema: SchemaRef,
        limit: Option<usize>,
        send: &'a mut dyn FnMut(RecordBatch) -> bool,
    ) -> Self {
        let builder = |place: &usize| (*place, Builder::new(columns[*place].column_type, BATCH_ROWS));
        Self {
            columns: projection.iter().map(builder).collect(),
            schema,
            rows: 0,
            left: limit.unwrap_or(usize::MAX),
            send,
        }
    }

    /// Whether any column at one of these places is wanted.
    pub(super) fn wants(&self, places: std::ops::Range<usize>) -> bool {
        self.columns.iter().any(|(place, _)| places.contains(place))
    }

    /// Whether no column but the one at this place is wanted.
    pub(super) fn wants_only(&self, wanted: usize) -> bool {
        self.columns.iter().all(|(place, _)| *place == wanted)
    }

    /// Adds a row, a value for each column of the table. Whether more rows are wanted.
    pub(super) fn row(&mut self, values: &[Value<'_>]) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        for (place, column) in &mut self.columns {
            match &values[*place] {
                Value::Null => column.push_null(),
                Value::Text(text) => column.push_text(text)?,
                Value::Int(number) => column.push_int(*number)?,
                Value::Bool(value) => column.push_boolean(*value)?,
                Value::Time(micros) => column.push_instant(*micros, ColumnType::TimestampTz)?,
            }
        }
        self.rows += 1;
        self.left -= 1;
        if self.rows == BATCH_ROWS || self.left == 0 {
            return Ok(self.flush()? && self.left > 0);
        }
        Ok(true)
    }

    /// Sends what has gathered. Whether anybody takes it.
    pub(super) fn flush(&mut self) -> Result<bool> {
        if self.rows == 0 {
            return Ok(true);
        }
        let arrays = self.columns.iter_mut().map(|(_, column)| column.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        Ok((self.send)(batch))
    }
}
