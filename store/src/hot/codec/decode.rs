//! Rows into Arrow, a column at a time.

use super::FORMAT;
use super::column::{Bad, Column, SHORT, primitive, timestamps_utc};
use super::layout::{Place, Places};
use crate::{Error, Hidden, Seq, Table, UserId, arrow_schema};
use arrow::array::types::Int64Type;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, StringBuilder};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Gathers rows of one table into batches of some of its columns.
#[derive(Debug)]
pub struct Decoder {
    table: Arc<Table>,
    schema: SchemaRef,
    columns: Vec<Column>,
    seq: Option<Vec<i64>>,
    committed_at: Option<Vec<i64>>,
    /// Owners of the rows so far, each with where his begin.
    users: Vec<(UserId, usize)>,
    /// Per output column of the batch: which of the above it is.
    output: Vec<Output>,
    /// Per schema version met so far: where the wanted columns are.
    versions: Vec<Version>,
    rows: usize,
}

#[derive(Debug, Clone, Copy)]
enum Output {
    Column(usize),
    Hidden(Hidden),
}

/// Where one schema version has the wanted columns.
#[derive(Debug)]
struct Version {
    places: Places,
    /// Per wanted column: which column of that version it is, and where; none if it was added later.
    wanted: Vec<Option<(usize, Place)>>,
}

impl Decoder {
    /// A decoder of these columns of [`arrow_schema`], in this order; of all without a projection.
    ///
    /// # Errors
    /// [`Error::Arrow`] for a column that is not there.
    pub fn new(table: Arc<Table>, projection: Option<&[usize]>) -> Result<Self, Error> {
        let whole = arrow_schema(&table);
        let schema = match projection {
            Some(projection) => Arc::new(whole.project(projection)?),
            None => whole.clone(),
        };
        let all: Vec<usize> = (0..whole.fields().len()).collect();
        let (mut columns, mut output) = (Vec::new(), Vec::new());
        let (mut seq, mut committed_at) = (None, None);
        for &i in projection.unwrap_or(&all) {
            output.push(match table.columns.get(i) {
                Some(column) => {
                    columns.push(Column::new(column.id, column.column_type));
                    Output::Column(columns.len() - 1)
                }
                None => {
                    let hidden = Hidden::of(table.kind)[i - table.columns.len()];
                    match hidden {
                        Hidden::Seq => seq = Some(Vec::new()),
                        Hidden::CommittedAt => committed_at = Some(Vec::new()),
                        Hidden::UserId => {}
                    }
                    Output::Hidden(hidden)
                }
            });
        }
        Ok(Self { table, schema, columns, seq, committed_at, users: Vec::new(), output, versions: Vec::new(), rows: 0 })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows gathered for the next batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Makes room for this many rows, of text as long as in the last batch, so that buffers do not grow step by step.
    pub fn reserve(&mut self, rows: usize) {
        self.seq.iter_mut().chain(&mut self.committed_at).for_each(|values| values.reserve(rows));
        self.columns.iter_mut().for_each(|column| column.reserve(rows));
    }

    /// The rows that follow belong to this user.
    pub fn user(&mut self, user: &UserId) {
        self.users.push((user.clone(), self.rows));
    }

    /// Adds a row as the engine holds it: when it was committed (i64 LE), then its bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for bytes that no encoder wrote; [`Error::SchemaChanged`] for a schema version that
    /// this table value does not know. The batch in the making is spoilt then.
    pub fn push(&mut self, seq: Seq, value: &[u8]) -> Result<(), Error> {
        match self.try_push(seq, value) {
            Ok(()) => Ok(()),
            Err(Bad::Bytes(what)) => {
                Err(Error::corrupt(format!("row {seq} of {}: {what}", self.table.qualified_name())))
            }
            Err(Bad::Version(row_version)) => Err(Error::SchemaChanged {
                table_id: self.table.id,
                row_version,
                known_version: self.table.schema_version,
            }),
        }
    }

    fn try_push(&mut self, seq: Seq, value: &[u8]) -> Result<(), Bad> {
        let (committed_at, row) = value.split_first_chunk::<8>().ok_or(Bad::Bytes("no commit time"))?;
        if let Some(values) = &mut self.committed_at {
            values.push(i64::from_le_bytes(*committed_at));
        }
        if let Some(values) = &mut self.seq {
            values.push(i64::try_from(seq).map_err(|_| Bad::Bytes("its seq is out of range"))?);
        }
        self.rows += 1;
        let (schema_version, row) = header(row)?;
        let version = self.version(schema_version)?;
        let Version { places, wanted } = &self.versions[version];

        let (nulls, rest) = row.split_at_checked(places.null_bytes).ok_or(SHORT)?;
        let (fixed, rest) = rest.split_at_checked(places.fixed_bytes).ok_or(SHORT)?;
        let (ends, values) = rest.split_at_checked(places.variable * 4).ok_or(SHORT)?;
        // Looked at also when no such column is wanted, for it shows at once whether the row is whole.
        let last_end = if places.variable == 0 { 0 } else { end(ends, places.variable - 1)? };
        if last_end != values.len() {
            return Err(Bad::Bytes("its length is not what its columns add up to"));
        }
        for (column, wanted) in self.columns.iter_mut().zip(wanted) {
            let Some((i, place)) = *wanted else {
                column.push_null();
                continue;
            };
            if nulls[i / 8] & (1 << (i % 8)) != 0 {
                column.push_null();
                continue;
            }
            match place {
                Place::Fixed(offset) => column.push_fixed(&fixed[offset..])?,
                Place::Variable(nth) => {
                    let from = if nth == 0 { 0 } else { end(ends, nth - 1)? };
                    let value = values.get(from..end(ends, nth)?).ok_or(Bad::Bytes("a value ends before it begins"))?;
                    column.push_bytes(value)?;
                }
            }
        }
        Ok(())
    }

    /// Where this schema version has the wanted columns; worked out when a row of it is first met.
    fn version(&mut self, schema_version: u32) -> Result<usize, Bad> {
        if let Some(known) = self.versions.iter().rposition(|v| v.places.schema_version == schema_version) {
            return Ok(known);
        }
        let layout = if schema_version == self.table.schema_version {
            self.table.layout()
        } else {
            let older = self.table.older.iter().find(|layout| layout.schema_version == schema_version);
            older.ok_or(Bad::Version(schema_version))?.clone()
        };
        let places = Places::of(&layout);
        let wanted = self.columns.iter().map(|column| {
            let i = places.columns.iter().position(|(id, _)| *id == column.id)?;
            // A column that changed its type is for the reader of that day to convert; none can yet.
            debug_assert_eq!(layout.columns[i].1, column.column_type, "columns keep their type");
            Some((i, places.columns[i].1))
        });
        let wanted = wanted.collect();
        self.versions.push(Version { places, wanted });
        Ok(self.versions.len() - 1)
    }

    /// The rows added since the last time, as a batch. Their owners must have been named if `_user_id` is wanted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for text that is not UTF-8, and for a null in a column that takes none.
    pub fn finish(&mut self) -> Result<RecordBatch, Error> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let declared = self.table.columns.iter().find(|declared| declared.id == column.id);
            let declared = declared.expect("only columns of the table are gathered");
            let corrupt = |what: &dyn std::fmt::Display| {
                Error::corrupt(format!("column \"{}\" of {}: {what}", declared.name, self.table.qualified_name()))
            };
            let array = column.finish().map_err(|error| corrupt(&error))?;
            if !declared.nullable && array.null_count() > 0 {
                return Err(corrupt(&"a null where none was let in"));
            }
            columns.push(array);
        }
        // The user whose rows go on in the next batch stays.
        let last = self.users.last().cloned();
        let users = std::mem::take(&mut self.users);
        self.users.extend(last.map(|(user, _)| (user, 0)));
        // Made once each: a projection may name a column more than once.
        let owners =
            self.output.iter().any(|o| matches!(o, Output::Hidden(Hidden::UserId))).then(|| owners(&users, rows));
        let owners = owners.map(|owners| Arc::new(owners) as ArrayRef);
        let seq = self.seq.as_mut().map(|seqs| primitive::<Int64Type>(seqs, None));
        let committed_at = self.committed_at.as_mut().map(|times| timestamps_utc(times, None));
        let output = self.output.iter().map(|output| match output {
            Output::Column(i) => columns[*i].clone(),
            Output::Hidden(hidden) => {
                let made = match hidden {
                    Hidden::UserId => &owners,
                    Hidden::Seq => &seq,
                    Hidden::CommittedAt => &committed_at,
                };
                made.clone().expect("what the output names was gathered")
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), output.collect(), &options)?)
    }
}

/// Splits a row's format byte and schema version off.
fn header(row: &[u8]) -> Result<(u32, &[u8]), Bad> {
    let Some((&FORMAT, mut rest)) = row.split_first() else {
        return Err(Bad::Bytes("an unknown format"));
    };
    let mut version = 0u32;
    for shift in (0..35).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(SHORT)?;
        rest = after;
        let bits = u32::from(byte & 0x7f);
        version |= bits
            .checked_shl(shift)
            .filter(|v| v >> shift == bits)
            .ok_or(Bad::Bytes("a schema version out of range"))?;
        if byte & 0x80 == 0 {
            return Ok((version, rest));
        }
    }
    Err(Bad::Bytes("a schema version without end"))
}

fn end(ends: &[u8], nth: usize) -> Result<usize, Bad> {
    ends.get(nth * 4..).and_then(<[u8]>::first_chunk).map(|end| u32::from_le_bytes(*end) as usize).ok_or(SHORT)
}

/// The `_user_id` column of users whose rows begin where said.
fn owners(users: &[(UserId, usize)], rows: usize) -> StringArray {
    let ends = users.iter().skip(1).map(|(_, from)| *from).chain([rows]);
    let runs = || users.iter().zip(ends.clone()).map(|((user, from), end)| (user.as_str(), end - from));
    let mut owners = StringBuilder::with_capacity(rows, runs().map(|(user, rows)| user.len() * rows).sum());
    for (user, rows) in runs() {
        (0..rows).for_each(|_| owners.append_value(user));
    }
    owners.finish()
}
