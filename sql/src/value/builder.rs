//! One column, growing value by value.

use super::{Problem, number, time};
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use ebbtide_store::{ColumnType, schema::UTC};
use std::sync::Arc;

/// One column, growing value by value.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(super) column_type: ColumnType,
    pub(super) values: Values,
}

#[derive(Debug)]
pub(super) enum Values {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Calls the same method on whichever builder it is.
macro_rules! each {
    ($values:expr, $builder:ident => $body:expr) => {
        match $values {
            Values::Boolean($builder) => $body,
            Values::Int16($builder) => $body,
            Values::Int32($builder) => $body,
            Values::Int64($builder) => $body,
            Values::Float32($builder) => $body,
            Values::Float64($builder) => $body,
            Values::Decimal($builder) => $body,
            Values::Text($builder) => $body,
            Values::Bytes($builder) => $body,
            Values::Date($builder) => $body,
            Values::Time($builder) => $body,
            Values::Timestamp($builder) => $body,
        }
    };
}

impl Builder {
    /// An empty column with room for `rows`.
    pub(crate) fn new(column_type: ColumnType, rows: usize) -> Self {
        const TEXT_BYTES: usize = 16;
        let values = match column_type {
            ColumnType::Boolean => Values::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::SmallInt => Values::Int16(Int16Builder::with_capacity(rows)),
            ColumnType::Int => Values::Int32(Int32Builder::with_capacity(rows)),
            ColumnType::BigInt => Values::Int64(Int64Builder::with_capacity(rows)),
            ColumnType::Real => Values::Float32(Float32Builder::with_capacity(rows)),
            ColumnType::Double => Values::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Decimal { .. } => {
                Values::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(column_type.arrow()))
            }
            ColumnType::Text | ColumnType::Json => Values::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            ColumnType::Bytea => Values::Bytes(BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            ColumnType::Date => Values::Date(Date32Builder::with_capacity(rows)),
            ColumnType::Time => Values::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            ColumnType::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows)),
            ColumnType::TimestampTz => {
                Values::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone(UTC))
            }
        };
        Self { column_type, values }
    }

    /// Adds a NULL.
    pub(crate) fn push_null(&mut self) {
        each!(&mut self.values, builder => builder.append_null());
    }

    /// Adds a value from text, as COPY and quoted literals have it.
    pub(crate) fn push_text(&mut self, text: &str) -> Result<(), Problem> {
        let column_type = self.column_type;
        match &mut self.values {
            Values::Text(builder) => {
                if column_type == ColumnType::Json {
                    check_json(text)?;
                }
                builder.append_value(text);
            }
            Values::Boolean(builder) => {
                builder.append_value(boolean(text).ok_or_else(|| Problem::syntax(column_type, text))?);
            }
            Values::Int16(_) | Values::Int32(_) | Values::Int64(_) => {
                let value = number::whole(text, column_type)?;
                return self.push_int(value);
            }
            Values::Float32(builder) => builder.append_value(number::double(text, column_type)? as f32),
            Values::Float64(builder) => builder.append_value(number::double(text, column_type)?),
            Values::Decimal(builder) => {
                let ColumnType::Decimal { precision, scale } = column_type else {
                    unreachable!("only a DECIMAL column has a decimal builder")
                };
                builder.append_value(number::decimal(text, precision, scale)?);
            }
            Values::Bytes(builder) => builder.append_value(bytes(text)?),
            Values::Date(builder) => builder.append_value(time::date(text)?),
            Values::Time(builder) => builder.append_value(time::time(text)?),
            Values::Timestamp(builder) => builder.append_value(time::timestamp(text, column_type)?),
        }
        Ok(())
    }

    /// Adds a numeric literal.
    pub(crate) fn push_number(&mut self, literal: &str) -> Result<(), Problem> {
        match self.column_type {
            ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt => {
                self.push_int(number::rounded(literal, self.column_type)?)
            }
            ColumnType::Real | ColumnType::Double | ColumnType::Decimal { .. } | ColumnType::Text => {
                self.push_text(literal)
            }
            other => Err(Problem::mismatch(other, "number")),
        }
    }

    /// Adds TRUE or FALSE.
    pub(crate) fn push_boolean(&mut self, value: bool) -> Result<(), Problem> {
        match &mut self.values {
            Values::Boolean(builder) => builder.append_value(value),
            Values::Text(builder) if self.column_type == ColumnType::Text => {
                builder.append_value(if value { "true" } else { "false" });
            }
            _ => return Err(Problem::mismatch(self.column_type, "boolean")),
        }
        Ok(())
    }

    /// Adds a whole number.
    pub(crate) fn push_int(&mut self, value: i64) -> Result<(), Problem> {
        let range = |_| Problem::range(self.column_type, &value.to_string());
        match &mut self.values {
            Values::Int16(builder) => builder.append_value(i16::try_from(value).map_err(range)?),
            Values::Int32(builder) => builder.append_value(i32::try_from(value).map_err(range)?),
            Values::Int64(builder) => builder.append_value(value),
            Values::Float32(builder) => builder.append_value(value as f32),
            Values::Float64(builder) => builder.append_value(value as f64),
            _ => return self.push_number(&value.to_string()),
        }
        Ok(())
    }

    /// Adds a floating-point number; in a whole-number column it is rounded to the nearest even one.
    pub(super) fn push_double(&mut self, value: f64) -> Result<(), Problem> {
        let column_type = self.column_type;
        match &mut self.values {
            Values::Float64(builder) => builder.append_value(value),
            Values::Float32(builder) => {
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    return Err(Problem::range(column_type, &value.to_string()));
                }
                builder.append_value(narrow);
            }
            Values::Int16(_) | Values::Int32(_) | Values::Int64(_) => {
                let rounded = value.round_ties_even();
                // The bound itself is one above the greatest, and exact.
                if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
                    return Err(Problem::range(column_type, &value.to_string()));
                }
                return self.push_int(rounded as i64);
            }
            Values::Decimal(_) if !value.is_finite() => {
                return Err(Problem::range(column_type, &value.to_string()));
            }
            Values::Decimal(_) | Values::Text(_) if column_type != ColumnType::Json => {
                return self.push_text(&value.to_string());
            }
            _ => return Err(Problem::mismatch(column_type, "double precision")),
        }
        Ok(())
    }

    /// Adds bytes.
    pub(super) fn push_bytes(&mut self, value: &[u8]) -> Result<(), Problem> {
        let Values::Bytes(builder) = &mut self.values else {
            return Err(Problem::mismatch(self.column_type, "bytea"));
        };
        builder.append_value(value);
        Ok(())
    }

    /// Adds microseconds to a column of timestamps or times, days to one of dates.
    pub(crate) fn push_instant(&mut self, value: i64, given: ColumnType) -> Result<(), Problem> {
        const MICROS_PER_DAY: i64 = 86_400_000_000;
        let dated = |given| matches!(given, ColumnType::Timestamp | ColumnType::TimestampTz);
        match (&mut self.values, given) {
            (Values::Timestamp(builder), given) if dated(given) => builder.append_value(value),
            (Values::Timestamp(builder), ColumnType::Date) => builder.append_value(value * MICROS_PER_DAY),
            (Values::Date(builder), ColumnType::Date) => {
                builder.append_value(i32::try_from(value).map_err(|_| Problem::time_range(&value.to_string()))?);
            }
            (Values::Date(builder), given) if dated(given) => builder.append_value(
                i32::try_from(value.div_euclid(MICROS_PER_DAY)).map_err(|_| Problem::time_range(&value.to_string()))?,
            ),
            (Values::Time(builder), ColumnType::Time) => builder.append_value(value),
            (Values::Time(builder), given) if dated(given) => {
                builder.append_value(value.rem_euclid(MICROS_PER_DAY));
            }
            _ => return Err(Problem::mismatch(self.column_type, &super::name(given))),
        }
        Ok(())
    }

    /// The column as Arrow has it; the builder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        each!(&mut self.values, builder => Arc::new(builder.finish()))
    }
}

/// As PostgreSQL reads booleans: unique beginnings of true, false, yes, no; on, off, 1, 0.
fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "" | "o" => None,
        "on" | "1" => Some(true),
        "off" | "of" | "0" => Some(false),
        text if "true".starts_with(text) || "yes".starts_with(text) => Some(true),
        text if "false".starts_with(text) || "no".starts_with(text) => Some(false),
        _ => None,
    }
}

/// `\x0a1b`, or text with `\\` and `\ooo` for bytes that are not printed.
fn bytes(text: &str) -> Result<Vec<u8>, Problem> {
    let syntax = || Problem::syntax(ColumnType::Bytea, text);
    if let Some(digits) = text.strip_prefix("\\x").or_else(|| text.strip_prefix("0x")) {
        let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let digit = |b: u8| char::from(b).to_digit(16);
        return digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(syntax);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(syntax()),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// Reads the whole text and keeps nothing of it.
fn check_json(text: &str) -> Result<(), Problem> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| Problem {
        message: format!("{} ({error})", Problem::syntax(ColumnType::Json, text).message),
        ..Problem::syntax(ColumnType::Json, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code;

    #[test]
    fn bytes_are_read_in_both_of_postgresqls_forms() {
        assert_eq!(bytes("\\xDEad").unwrap(), [0xde, 0xad]);
        assert_eq!(bytes("a\\\\b\\000").unwrap(), b"a\\b\0");
        for bad in ["\\x0", "\\xzz", "a\\b", "\\400"] {
            assert_eq!(bytes(bad).unwrap_err().sqlstate, code::INVALID_TEXT_REPRESENTATION, "{bad}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_leaves_the_column_as_it_was() {
        let mut column = Builder::new(ColumnType::SmallInt, 4);
        column.push_number("7").unwrap();
        assert_eq!(column.push_number("40000").unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(column.push_text("x").unwrap_err().sqlstate, code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(column.push_boolean(true).unwrap_err().sqlstate, code::DATATYPE_MISMATCH);
        column.push_null();
        column.push_number("2.5").unwrap();
        let array = column.finish();
        let array = array.as_any().downcast_ref::<datafusion::arrow::array::Int16Array>().unwrap();
        assert_eq!(array.iter().collect::<Vec<_>>(), [Some(7), None, Some(3)]);
    }

    #[test]
    fn json_is_checked() {
        let mut column = Builder::new(ColumnType::Json, 1);
        column.push_text("{\"a\": [1, null]}").unwrap();
        assert_eq!(column.push_text("{a}").unwrap_err().sqlstate, code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(column.push_number("1").unwrap_err().sqlstate, code::DATATYPE_MISMATCH);
    }
}
