//! Parameters, as the wire decoded them.

use super::{Builder, Problem};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use ebbtide_store::ColumnType;

impl Builder {
    /// Adds a parameter's value. Text is read as a quoted literal would be.
    pub(crate) fn push_scalar(&mut self, value: &ScalarValue) -> Result<(), Problem> {
        use ScalarValue as S;
        match value {
            value if value.is_null() => {
                self.push_null();
                Ok(())
            }
            S::Utf8(Some(text)) | S::LargeUtf8(Some(text)) | S::Utf8View(Some(text)) => self.push_text(text),
            S::Boolean(Some(value)) => self.push_boolean(*value),
            S::Int8(Some(value)) => self.push_int(i64::from(*value)),
            S::Int16(Some(value)) => self.push_int(i64::from(*value)),
            S::Int32(Some(value)) => self.push_int(i64::from(*value)),
            S::Int64(Some(value)) => self.push_int(*value),
            S::UInt8(Some(value)) => self.push_int(i64::from(*value)),
            S::UInt16(Some(value)) => self.push_int(i64::from(*value)),
            S::UInt32(Some(value)) => self.push_int(i64::from(*value)),
            S::UInt64(Some(value)) => self.push_number(&value.to_string()),
            S::Float32(Some(value)) => self.push_double(f64::from(*value)),
            S::Float64(Some(value)) => self.push_double(*value),
            S::Decimal128(Some(digits), _, scale) => self.push_number(&decimal(*digits, *scale)),
            S::Binary(Some(bytes)) | S::LargeBinary(Some(bytes)) | S::BinaryView(Some(bytes)) => self.push_bytes(bytes),
            S::Date32(Some(days)) => self.push_instant(i64::from(*days), ColumnType::Date),
            S::Time64Microsecond(Some(micros)) => self.push_instant(*micros, ColumnType::Time),
            S::Time64Nanosecond(Some(nanos)) => self.push_instant(nanos / 1000, ColumnType::Time),
            S::TimestampSecond(Some(seconds), zone) => self.push_instant(seconds * 1_000_000, stamp(zone)),
            S::TimestampMillisecond(Some(millis), zone) => self.push_instant(millis * 1000, stamp(zone)),
            S::TimestampMicrosecond(Some(micros), zone) => self.push_instant(*micros, stamp(zone)),
            S::TimestampNanosecond(Some(nanos), zone) => self.push_instant(nanos.div_euclid(1000), stamp(zone)),
            other => Err(Problem::mismatch(self.column_type, &other.data_type().to_string())),
        }
    }
}

/// Whether a value is of exactly this type. The usual ones are told without making the value's type, which allocates
/// or counts references.
pub fn is_of(value: &ScalarValue, data_type: &DataType) -> bool {
    use ScalarValue as S;
    match (value, data_type) {
        (S::Utf8(_), DataType::Utf8)
        | (S::Boolean(_), DataType::Boolean)
        | (S::Int16(_), DataType::Int16)
        | (S::Int32(_), DataType::Int32)
        | (S::Int64(_), DataType::Int64)
        | (S::Float64(_), DataType::Float64) => true,
        (S::TimestampMicrosecond(_, zone), DataType::Timestamp(TimeUnit::Microsecond, wanted)) => zone == wanted,
        _ => value.data_type() == *data_type,
    }
}

fn stamp(zone: &Option<std::sync::Arc<str>>) -> ColumnType {
    match zone {
        Some(_) => ColumnType::TimestampTz,
        None => ColumnType::Timestamp,
    }
}

/// A decimal's digits with the point where it belongs.
pub(super) fn decimal(digits: i128, scale: i8) -> String {
    if scale <= 0 {
        return format!("{digits}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    }
    let scale = usize::from(scale.unsigned_abs());
    let sign = if digits < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_with_their_point() {
        for (digits, scale, text) in [(5, 2, "0.05"), (-5, 2, "-0.05"), (1234, 2, "12.34"), (7, 0, "7"), (7, -2, "700")]
        {
            assert_eq!(decimal(digits, scale), text);
        }
    }

    #[test]
    fn a_type_is_told_as_if_it_had_been_made() {
        let zones = [None, Some("+00:00".into()), Some("+02:00".into())];
        let mut values = vec![
            ScalarValue::Utf8(None),
            ScalarValue::LargeUtf8(None),
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Int16(None),
            ScalarValue::Int32(Some(1)),
            ScalarValue::Int64(Some(1)),
            ScalarValue::Float64(None),
            ScalarValue::Decimal128(None, 10, 2),
            ScalarValue::Decimal128(None, 10, 3),
        ];
        values.extend(zones.iter().cloned().map(|zone| ScalarValue::TimestampMicrosecond(None, zone)));
        values.extend(zones.iter().cloned().map(|zone| ScalarValue::TimestampNanosecond(None, zone)));
        for value in &values {
            for other in values.iter().map(ScalarValue::data_type) {
                assert_eq!(is_of(value, &other), value.data_type() == other, "{value:?} and {other}");
            }
        }
    }
}
