//! A column in the making: values of one column, row after row, until they are an Arrow array.

use crate::ColumnType;
use crate::schema::UTC;
use arrow::array::types::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, NullBufferBuilder, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowPrimitiveType;
use std::sync::Arc;

/// Why a row cannot be read.
#[derive(Debug)]
pub(super) enum Bad {
    Bytes(&'static str),
    Version(u32),
}

pub(super) const SHORT: Bad = Bad::Bytes("it is too short");

/// A column in the making.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) id: u32,
    pub(super) column_type: ColumnType,
    nulls: NullBufferBuilder,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBufferBuilder),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Bytes { ends: Vec<i32>, bytes: Vec<u8>, bytes_last: usize },
}

/// Rows a batch's buffers are made for at first.
const ROWS_AT_FIRST: usize = 1024;

impl Column {
    pub(super) fn new(id: u32, column_type: ColumnType) -> Self {
        let values = match column_type {
            ColumnType::Boolean => Values::Bool(BooleanBufferBuilder::new(ROWS_AT_FIRST)),
            ColumnType::SmallInt => Values::I16(Vec::new()),
            ColumnType::Int | ColumnType::Date => Values::I32(Vec::new()),
            ColumnType::BigInt | ColumnType::Time | ColumnType::Timestamp | ColumnType::TimestampTz => {
                Values::I64(Vec::new())
            }
            ColumnType::Real => Values::F32(Vec::new()),
            ColumnType::Double => Values::F64(Vec::new()),
            ColumnType::Decimal { .. } => Values::I128(Vec::new()),
            ColumnType::Text | ColumnType::Json | ColumnType::Bytea => {
                Values::Bytes { ends: vec![0], bytes: Vec::new(), bytes_last: 0 }
            }
        };
        Self { id, column_type, nulls: NullBufferBuilder::new(ROWS_AT_FIRST), values }
    }

    /// Makes room for this many rows, of text as long as in the last batch.
    pub(super) fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(values) => values.reserve(rows),
            Values::I16(values) => values.reserve(rows),
            Values::I32(values) => values.reserve(rows),
            Values::I64(values) => values.reserve(rows),
            Values::F32(values) => values.reserve(rows),
            Values::F64(values) => values.reserve(rows),
            Values::I128(values) => values.reserve(rows),
            Values::Bytes { ends, bytes, bytes_last } => {
                ends.reserve(rows);
                bytes.reserve(*bytes_last);
            }
        }
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::I16(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::I128(values) => values.push(0),
            Values::Bytes { ends, bytes, .. } => ends.push(bytes.len() as i32),
        }
    }

    /// Adds the value at the start of `from`.
    pub(super) fn push_fixed(&mut self, from: &[u8]) -> Result<(), Bad> {
        fn take<const N: usize>(from: &[u8]) -> Result<[u8; N], Bad> {
            from.first_chunk().copied().ok_or(SHORT)
        }
        self.nulls.append_non_null();
        match &mut self.values {
            Values::Bool(values) => match from.first() {
                Some(byte @ 0..=1) => values.append(*byte == 1),
                _ => return Err(Bad::Bytes("a boolean is neither true nor false")),
            },
            Values::I16(values) => values.push(i16::from_le_bytes(take(from)?)),
            Values::I32(values) => values.push(i32::from_le_bytes(take(from)?)),
            Values::I64(values) => values.push(i64::from_le_bytes(take(from)?)),
            Values::F32(values) => values.push(f32::from_le_bytes(take(from)?)),
            Values::F64(values) => values.push(f64::from_le_bytes(take(from)?)),
            Values::I128(values) => values.push(i128::from_le_bytes(take(from)?)),
            Values::Bytes { .. } => return Err(Bad::Bytes("text in the place of a number")),
        }
        Ok(())
    }

    pub(super) fn push_bytes(&mut self, value: &[u8]) -> Result<(), Bad> {
        let Values::Bytes { ends, bytes, .. } = &mut self.values else {
            return Err(Bad::Bytes("a number in the place of text"));
        };
        self.nulls.append_non_null();
        bytes.extend_from_slice(value);
        ends.push(i32::try_from(bytes.len()).map_err(|_| Bad::Bytes("a batch of more than 2 GiB"))?);
        Ok(())
    }

    /// What was gathered, as an array; the next rows begin a new one.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, arrow::error::ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match (&mut self.values, self.column_type) {
            (Values::Bool(values), _) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            (Values::I16(values), _) => primitive::<Int16Type>(values, nulls),
            (Values::I32(values), ColumnType::Date) => primitive::<Date32Type>(values, nulls),
            (Values::I32(values), _) => primitive::<Int32Type>(values, nulls),
            (Values::I64(values), ColumnType::Time) => primitive::<Time64MicrosecondType>(values, nulls),
            (Values::I64(values), ColumnType::Timestamp) => primitive::<TimestampMicrosecondType>(values, nulls),
            (Values::I64(values), ColumnType::TimestampTz) => timestamps_utc(values, nulls),
            (Values::I64(values), _) => primitive::<Int64Type>(values, nulls),
            (Values::F32(values), _) => primitive::<Float32Type>(values, nulls),
            (Values::F64(values), _) => primitive::<Float64Type>(values, nulls),
            (Values::I128(values), column_type) => {
                let decimals = Decimal128Array::new(std::mem::take(values).into(), nulls);
                Arc::new(decimals.with_data_type(column_type.arrow()))
            }
            (Values::Bytes { ends, bytes, bytes_last }, column_type) => {
                *bytes_last = bytes.len();
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])));
                let bytes = Buffer::from_vec(std::mem::take(bytes));
                match column_type {
                    ColumnType::Bytea => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
                    _ => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
                }
            }
        })
    }
}

/// Takes what was gathered.
pub(super) fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(std::mem::take(values).into(), nulls))
}

/// Takes what was gathered.
pub(super) fn timestamps_utc(values: &mut Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let times = PrimitiveArray::<TimestampMicrosecondType>::new(std::mem::take(values).into(), nulls);
    Arc::new(times.with_timezone(UTC))
}
