//! Arrow into rows.

use super::FORMAT;
use super::layout::{Place, Places};
use crate::{Column, ColumnType, Error, Table};
use arrow::array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::ArrowPrimitiveType;
use ebbtide_engine::Packed;
use serde::de::IgnoredAny;

/// Encodes batches of one table under its present schema version.
#[derive(Debug)]
pub struct Encoder<'t> {
    table: &'t Table,
    places: Places,
    /// Format byte and schema version, as every row starts.
    start: Vec<u8>,
    row_bytes_max: usize,
}

/// A batch whose every value has been checked, ready to be encoded row by row.
#[derive(Debug)]
pub struct Rows<'e> {
    encoder: &'e Encoder<'e>,
    columns: Vec<BoundColumn<'e>>,
    len: usize,
}

/// A column of a batch, with its nulls and its place in a row at hand.
#[derive(Debug)]
struct BoundColumn<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
    place: Place,
}

/// A column of a batch as what it is.
#[derive(Debug)]
enum Values<'a> {
    Bool(&'a BooleanArray),
    I16(&'a PrimitiveArray<Int16Type>),
    I32(&'a PrimitiveArray<Int32Type>),
    Date(&'a PrimitiveArray<Date32Type>),
    I64(&'a PrimitiveArray<Int64Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    F32(&'a PrimitiveArray<Float32Type>),
    F64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
}

impl<'t> Encoder<'t> {
    /// An encoder that refuses rows of more than `row_bytes_max` bytes.
    pub fn new(table: &'t Table, row_bytes_max: usize) -> Self {
        let mut start = vec![FORMAT];
        let mut version = table.schema_version;
        while version >= 0x80 {
            start.push((version as u8) | 0x80);
            version >>= 7;
        }
        start.push(version as u8);
        // Ends are u32.
        let row_bytes_max = row_bytes_max.min(u32::MAX as usize);
        Self { table, places: Places::of(&table.layout()), start, row_bytes_max }
    }

    /// Takes a batch of the table's own columns, by position and of exactly their Arrow types, and checks every
    /// value: no NULL where none may be, JSON that is JSON, decimals within their precision, times within a day.
    ///
    /// # Errors
    /// [`Error::NotNull`] and [`Error::Value`] with column and row; [`Error::Arrow`] if the columns are not the
    /// table's.
    pub fn bind<'e>(&'e self, batch: &'e RecordBatch) -> Result<Rows<'e>, Error> {
        let columns = &self.table.columns;
        if batch.num_columns() != columns.len() {
            return Err(mismatch(format!(
                "a batch of {} columns for {}, which has {}",
                batch.num_columns(),
                self.table.qualified_name(),
                columns.len()
            )));
        }
        let columns =
            columns.iter().zip(batch.columns()).zip(&self.places.columns).map(|((column, array), (_, place))| {
                let values = values(column, array)?;
                Ok::<_, Error>(BoundColumn { nulls: array.nulls(), values, place: *place })
            });
        Ok(Rows { encoder: self, columns: columns.collect::<Result<_, _>>()?, len: batch.num_rows() })
    }
}

impl Rows<'_> {
    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes all rows will take.
    pub fn bytes_estimate(&self) -> usize {
        let values = self.columns.iter().map(|column| match &column.values {
            Values::Text(array) => span(array.value_offsets()),
            Values::Bytes(array) => span(array.value_offsets()),
            _ => 0,
        });
        values.sum::<usize>() + self.len * (self.encoder.start.len() + self.encoder.places.head_bytes())
    }

    /// Encodes row `row` of the batch behind what is in `packed`.
    ///
    /// # Errors
    /// [`Error::RowTooLarge`]; nothing is added then.
    ///
    /// # Panics
    /// If the batch has no such row.
    pub fn push(&self, row: usize, packed: &mut Packed) -> Result<(), Error> {
        assert!(row < self.len, "row {row} of a batch of {}", self.len);
        let Encoder { start, places, row_bytes_max, .. } = self.encoder;
        let variable: usize = self.columns.iter().map(|column| column.bytes(row).map_or(0, <[u8]>::len)).sum();
        let bytes = start.len() + places.head_bytes() + variable;
        if bytes > *row_bytes_max {
            return Err(Error::RowTooLarge { row: row + 1, bytes, bytes_max: *row_bytes_max });
        }
        packed.push_with(|row_bytes| {
            let at = row_bytes.len();
            row_bytes.reserve(bytes);
            row_bytes.extend_from_slice(start);
            let nulls = row_bytes.len();
            row_bytes.resize(nulls + places.head_bytes(), 0);
            let fixed = nulls + places.null_bytes;
            let ends = fixed + places.fixed_bytes;
            let values = ends + places.variable * 4;
            for (i, column) in self.columns.iter().enumerate() {
                let null = column.is_null(row);
                if null {
                    row_bytes[nulls + i / 8] |= 1 << (i % 8);
                }
                match column.place {
                    // What Arrow holds in place of a null is anything; the row holds zeros.
                    Place::Fixed(_) if null => {}
                    Place::Fixed(offset) => column.values.put(row, &mut row_bytes[fixed + offset..ends]),
                    Place::Variable(nth) => {
                        row_bytes.extend_from_slice(column.bytes(row).unwrap_or_default());
                        let end = (row_bytes.len() - values) as u32;
                        row_bytes[ends + nth * 4..][..4].copy_from_slice(&end.to_le_bytes());
                    }
                }
            }
            debug_assert_eq!(row_bytes.len() - at, bytes, "the size that was checked is the size that is written");
        });
        Ok(())
    }
}

fn span(offsets: &[i32]) -> usize {
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    usize::try_from(last - first).unwrap_or(0)
}

impl BoundColumn<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// The value of a variable-width column; none for null.
    fn bytes(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Text(array) if !self.is_null(row) => Some(array.value(row).as_bytes()),
            Values::Bytes(array) if !self.is_null(row) => Some(array.value(row)),
            _ => None,
        }
    }
}

impl Values<'_> {
    /// Puts the value of a fixed-width column at the start of `to`, which holds zeros.
    fn put(&self, row: usize, to: &mut [u8]) {
        match self {
            Self::Bool(a) => to[0] = u8::from(a.value(row)),
            Self::I16(a) => to[..2].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::I32(a) => to[..4].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::Date(a) => to[..4].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::I64(a) => to[..8].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::Time(a) => to[..8].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::Timestamp(a) => to[..8].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::F32(a) => to[..4].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::F64(a) => to[..8].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::Decimal(a) => to[..16].copy_from_slice(&a.value(row).to_le_bytes()),
            Self::Text(_) | Self::Bytes(_) => unreachable!("these have a place among the variable-width values"),
        }
    }
}

/// Microseconds of a day.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

fn values<'a>(column: &Column, array: &'a ArrayRef) -> Result<Values<'a>, Error> {
    let wanted = column.column_type.arrow();
    if *array.data_type() != wanted {
        return Err(mismatch(format!("column \"{}\" is {wanted}, the batch has {}", column.name, array.data_type())));
    }
    if !column.nullable
        && let Some(nulls) = array.nulls()
        && let Some(row) = nulls.iter().position(|valid| !valid)
    {
        return Err(Error::NotNull { column: column.name.to_string(), row: row + 1 });
    }
    let bad = |row: usize, message: String| Error::Value { column: column.name.to_string(), row: row + 1, message };
    Ok(match column.column_type {
        ColumnType::Boolean => Values::Bool(array.as_boolean()),
        ColumnType::SmallInt => Values::I16(array.as_primitive()),
        ColumnType::Int => Values::I32(array.as_primitive()),
        ColumnType::Date => Values::Date(array.as_primitive()),
        ColumnType::BigInt => Values::I64(array.as_primitive()),
        ColumnType::Timestamp | ColumnType::TimestampTz => Values::Timestamp(array.as_primitive()),
        ColumnType::Real => Values::F32(array.as_primitive()),
        ColumnType::Double => Values::F64(array.as_primitive()),
        ColumnType::Text => Values::Text(array.as_string()),
        ColumnType::Bytea => Values::Bytes(array.as_binary()),
        ColumnType::Time => {
            let times = array.as_primitive();
            each_valid(times, |row, time| match (0..DAY_MICROS).contains(&time) {
                true => Ok(()),
                false => Err(bad(row, format!("{time} microseconds since midnight is no time of day"))),
            })?;
            Values::Time(times)
        }
        ColumnType::Decimal { precision, scale } => {
            let decimals = array.as_primitive::<Decimal128Type>();
            let limit = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
            each_valid(decimals, |row, value| match value.unsigned_abs() < limit.unsigned_abs() {
                true => Ok(()),
                false => Err(bad(row, format!("a value that DECIMAL({precision},{scale}) cannot hold"))),
            })?;
            Values::Decimal(decimals)
        }
        ColumnType::Json => {
            let texts = array.as_string::<i32>();
            for row in 0..texts.len() {
                if texts.is_valid(row)
                    && let Err(error) = serde_json::from_str::<IgnoredAny>(texts.value(row))
                {
                    return Err(bad(row, format!("invalid JSON: {error}")));
                }
            }
            Values::Text(texts)
        }
    })
}

fn each_valid<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    check: impl Fn(usize, T::Native) -> Result<(), Error>,
) -> Result<(), Error> {
    for (row, value) in array.values().iter().enumerate() {
        if array.is_valid(row) {
            check(row, *value)?;
        }
    }
    Ok(())
}

fn mismatch(message: String) -> Error {
    Error::Arrow(arrow::error::ArrowError::SchemaError(message))
}
