//! Rows of a result, batch by batch, as messages in the format that the client asked for.
//!
//! arrow-pg encodes most types. Dates, times and numbers with a point are written here: it keeps only 28 digits of a
//! DECIMAL, parses the time zone anew for each cell, always writes six digits of a second, and -inf for -Infinity.

use std::sync::Arc;

use arrow_pg::datatypes::field_into_pg_type;
use arrow_pg::encoder::encode_value;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Field, Float32Type,
    Float64Type, Schema, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use datafusion::execution::SendableRecordBatchStream;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use pgwire::error::PgWireError;
use pgwire::messages::data::DataRow;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions;
use postgres_types::{IsNull, ToSql};
use tokio::runtime::Handle;

use super::batches::Batches;
use super::errors::{Problem, sqlstate};
use super::numeric::Numeric;
use super::{float, temporal};

/// The columns of a result as the client sees them: names, types and formats.
pub(crate) fn fields(schema: &Schema, format: &Format) -> Result<Vec<FieldInfo>, Problem> {
    let column = |(index, field): (usize, &Arc<Field>)| {
        let kind = pg_type(field)?;
        let size = type_size(&kind);
        let modifier = type_modifier(field.data_type());
        Ok(FieldInfo::new(field.name().clone(), None, None, kind, format_for(format, index))
            .with_type_size(size)
            .with_type_modifier(modifier))
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// The PostgreSQL type of a column of a result.
pub(crate) fn pg_type(field: &Arc<Field>) -> Result<Type, Problem> {
    if ebbtide_sql::is_json(field) {
        return Ok(Type::JSON);
    }
    match field.data_type() {
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            Ok(Type::NUMERIC)
        }
        kind => field_into_pg_type(field).map_err(|_| {
            Problem::error(
                sqlstate::FEATURE_NOT_SUPPORTED,
                format!("column \"{}\" has type {kind}, which has no counterpart in PostgreSQL", field.name()),
            )
            .hint("Cast it to TEXT.")
        }),
    }
}

/// A client may give a format per column, one for all, or none; one that gave too few gets text for the rest.
fn format_for(format: &Format, index: usize) -> FieldFormat {
    match format {
        Format::UnifiedText => FieldFormat::Text,
        Format::UnifiedBinary => FieldFormat::Binary,
        Format::Individual(codes) => codes.get(index).map_or(FieldFormat::Text, |code| FieldFormat::from(*code)),
    }
}

/// The bytes of a value in `pg_type.typlen`; −1 where they vary.
fn type_size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// Precision and scale of a NUMERIC packed as PostgreSQL does; −1 for none.
fn type_modifier(kind: &DataType) -> i32 {
    const HEADER: i32 = 4;
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + HEADER
        }
        _ => -1,
    }
}

/// The rows of one result on their way to a client. A few batches are held, never all of them.
pub(crate) struct Rows {
    fields: Arc<Vec<FieldInfo>>,
    batches: Batches,
    current: Option<Batch>,
    encoder: DataRowEncoder,
}

struct Batch {
    rows: RecordBatch,
    nulls: Vec<Option<NullBuffer>>,
    next: usize,
}

impl Rows {
    /// The rows of `batches`, in `format`.
    pub(crate) fn new(batches: SendableRecordBatchStream, format: &Format, threads: &Handle) -> Result<Self, Problem> {
        let fields = Arc::new(fields(&batches.schema(), format)?);
        let encoder = DataRowEncoder::new(Arc::clone(&fields));
        Ok(Self { fields, batches: Batches::compute(batches, threads), current: None, encoder })
    }

    /// The columns.
    pub(crate) fn fields(&self) -> &[FieldInfo] {
        &self.fields
    }

    /// The next row, or nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<DataRow>, Problem> {
        loop {
            if let Some(batch) = &mut self.current {
                if batch.next < batch.rows.num_rows() {
                    let row = encode_row(batch, &self.fields, &mut self.encoder)?;
                    batch.next += 1;
                    return Ok(Some(row));
                }
                self.current = None;
            }
            let Some(rows) = self.batches.next().await? else { return Ok(None) };
            // Of a dictionary or a column of nothing but nulls the array itself does not know which are null.
            let nulls = rows.columns().iter().map(|column| column.logical_nulls()).collect();
            self.current = Some(Batch { rows, nulls, next: 0 });
        }
    }
}

fn encode_row(batch: &Batch, fields: &[FieldInfo], encoder: &mut DataRowEncoder) -> Result<DataRow, Problem> {
    let schema = batch.rows.schema_ref();
    for (index, field) in fields.iter().enumerate() {
        let column = batch.rows.column(index);
        let null = batch.nulls[index].as_ref().is_some_and(|nulls| nulls.is_null(batch.next));
        if null {
            put(encoder, field, None)?;
        } else {
            encode_cell(encoder, column, batch.next, schema.field(index), field)?;
        }
    }
    Ok(encoder.take_row())
}

fn not_encoded(error: &PgWireError, field: &FieldInfo) -> Problem {
    Problem::error(
        sqlstate::INTERNAL_ERROR,
        format!("a value of column \"{}\" cannot be sent as {}: {error}", field.name(), field.datatype().name()),
    )
    .hint("Cast it to TEXT.")
}

fn encode_cell(
    encoder: &mut DataRowEncoder,
    column: &ArrayRef,
    row: usize,
    arrow_field: &Field,
    field: &FieldInfo,
) -> Result<(), Problem> {
    let text = field.format() == FieldFormat::Text;
    let mut cell = Cell::default();
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            if text {
                temporal::date_text(days, &mut cell.text);
            } else {
                cell.binary.extend(temporal::date_binary(days).ok_or_else(|| out_of_range(field))?);
            }
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let micros = column.as_primitive::<Time64MicrosecondType>().value(row);
            if text {
                temporal::time_text(micros, &mut cell.text);
            } else {
                cell.binary.extend(micros.to_be_bytes());
            }
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            if text {
                temporal::timestamp_text(micros, zone.is_some(), &mut cell.text);
            } else {
                cell.binary.extend(temporal::timestamp_binary(micros).ok_or_else(|| out_of_range(field))?);
            }
        }
        DataType::Float32 if text => float::real_text(column.as_primitive::<Float32Type>().value(row), &mut cell.text),
        DataType::Float64 if text => {
            float::double_text(column.as_primitive::<Float64Type>().value(row), &mut cell.text)
        }
        DataType::Decimal32(_, scale) => {
            cell.number(&column.as_primitive::<Decimal32Type>().value(row).to_string(), *scale, text);
        }
        DataType::Decimal64(_, scale) => {
            cell.number(&column.as_primitive::<Decimal64Type>().value(row).to_string(), *scale, text);
        }
        DataType::Decimal128(_, scale) => {
            cell.number(&column.as_primitive::<Decimal128Type>().value(row).to_string(), *scale, text);
        }
        DataType::Decimal256(_, scale) => {
            cell.number(&column.as_primitive::<Decimal256Type>().value(row).to_string(), *scale, text);
        }
        DataType::UInt64 => {
            cell.number(&column.as_primitive::<UInt64Type>().value(row).to_string(), 0, text);
        }
        _ => {
            return encode_value(encoder, column, row, arrow_field, field).map_err(|error| not_encoded(&error, field));
        }
    }
    let bytes = if text { cell.text.as_bytes() } else { &cell.binary };
    put(encoder, field, Some(bytes))
}

fn out_of_range(field: &FieldInfo) -> Problem {
    Problem::error(
        sqlstate::DATETIME_OUT_OF_RANGE,
        format!("a value of column \"{}\" is out of range for type {}", field.name(), field.datatype().name()),
    )
}

/// One value on its way into a row; either form may be filled.
#[derive(Default)]
struct Cell {
    text: String,
    binary: Vec<u8>,
}

impl Cell {
    fn number(&mut self, unscaled: &str, scale: i8, text: bool) {
        let number = Numeric::new(unscaled, scale);
        if text {
            number.text(&mut self.text);
        } else {
            number.binary(&mut self.binary);
        }
    }
}

fn put(encoder: &mut DataRowEncoder, field: &FieldInfo, bytes: Option<&[u8]>) -> Result<(), Problem> {
    let value = bytes.map(Encoded);
    encoder
        .encode_field_with_type_and_format(&value, field.datatype(), field.format(), field.format_options())
        .map_err(|error| not_encoded(&error, field))
}

/// Bytes that are already in the form that goes to the client.
#[derive(Debug)]
struct Encoded<'a>(&'a [u8]);

type BoxError = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Encoded<'_> {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, BoxError> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres_types::to_sql_checked!();
}

impl ToSqlText for Encoded<'_> {
    fn to_sql_text(&self, _: &Type, out: &mut bytes::BytesMut, _: &FormatOptions) -> Result<IsNull, BoxError> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests;
