//! Parameters of a prepared statement: from the bytes of a Bind message to values.
//!
//! A client may say which PostgreSQL type it sends; the statement knows which Arrow type it wants. The bytes are read
//! as the first and cast to the second, and a value that does not fit is refused, never cut.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;

use super::errors::{Problem, sqlstate};
use super::{numeric, temporal};

/// The zone that instants are sent in.
const UTC: &str = "+00:00";

/// The Arrow type that a declared PostgreSQL type stands for, as a hint to whoever plans the statement.
pub(crate) fn arrow_type(kind: &Type) -> Option<DataType> {
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::JSONB | Type::UUID => {
            DataType::Utf8
        }
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        // NUMERIC comes without precision and scale; the statement knows better. The same with unknown ones.
        _ => return None,
    })
}

/// The PostgreSQL type that a client should send for a parameter: what it declared, or what the statement wants.
pub(crate) fn pg_type(declared: Option<&Type>, wanted: &DataType) -> Result<Type, Problem> {
    match declared {
        Some(kind) if *kind != Type::UNKNOWN => Ok(kind.clone()),
        _ if wanted.is_null() => Ok(Type::TEXT),
        _ => super::encode::pg_type(&Arc::new(Field::new("parameter", wanted.clone(), true))),
    }
}

/// One parameter as a value of type `wanted`. `number` counts from 1, for errors.
pub(crate) fn decode(
    number: usize,
    bytes: Option<&[u8]>,
    binary: bool,
    kind: &Type,
    wanted: &DataType,
) -> Result<ScalarValue, Problem> {
    let wanted = if wanted.is_null() { &DataType::Utf8 } else { wanted };
    let Some(bytes) = bytes else {
        return ScalarValue::try_from(wanted).map_err(|error| internal(number, &error.to_string()));
    };
    let value =
        if binary { from_binary(number, bytes, kind, wanted)? } else { from_text(number, bytes, kind, wanted)? };
    if ebbtide_sql::is_of(&value, wanted) {
        return Ok(value);
    }
    value.cast_to(wanted).map_err(|_| {
        let message = format!("parameter ${number}: \"{value}\" is no {wanted}, or out of its range");
        Problem::error(unfit(&value, wanted), message)
    })
}

/// Why a value does not become what is wanted: it reads as nothing of that kind, or is too large for it.
fn unfit(value: &ScalarValue, wanted: &DataType) -> &'static str {
    let number = match value {
        ScalarValue::Utf8(Some(text)) => text.parse::<f64>().is_ok(),
        value => value.data_type().is_numeric(),
    };
    match wanted {
        wanted if wanted.is_temporal() => sqlstate::INVALID_DATETIME,
        wanted if wanted.is_numeric() && number => sqlstate::NUMERIC_OUT_OF_RANGE,
        _ => sqlstate::INVALID_TEXT,
    }
}

fn internal(number: usize, why: &str) -> Problem {
    Problem::error(sqlstate::FEATURE_NOT_SUPPORTED, format!("parameter ${number}: {why}"))
}

fn utf8(number: usize, bytes: &[u8]) -> Result<&str, Problem> {
    let refuse = |why: &str| Problem::error(sqlstate::NOT_IN_REPERTOIRE, format!("parameter ${number}: {why}"));
    let text = std::str::from_utf8(bytes).map_err(|error| {
        refuse(&format!("invalid byte sequence for encoding \"UTF8\" at byte {}", error.valid_up_to()))
    })?;
    if text.contains('\0') {
        return Err(refuse("a text cannot hold the zero byte; send it as BYTEA"));
    }
    Ok(text)
}

fn from_text(number: usize, bytes: &[u8], kind: &Type, wanted: &DataType) -> Result<ScalarValue, Problem> {
    let text = utf8(number, bytes)?;
    let invalid = |what: &str| {
        Problem::error(
            sqlstate::INVALID_TEXT,
            format!("parameter ${number}: invalid input syntax for type {what}: \"{text}\""),
        )
    };
    match (wanted, kind) {
        (DataType::Boolean, _) | (_, &Type::BOOL) => {
            let value = match text.trim().to_ascii_lowercase().as_str() {
                "t" | "true" | "y" | "yes" | "on" | "1" => true,
                "f" | "false" | "n" | "no" | "off" | "0" => false,
                _ => return Err(invalid("boolean")),
            };
            Ok(ScalarValue::Boolean(Some(value)))
        }
        (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, _) | (_, &Type::BYTEA) => {
            bytea(text).map(|bytes| ScalarValue::Binary(Some(bytes))).ok_or_else(|| invalid("bytea"))
        }
        (kind, _) if kind.is_numeric() => Ok(ScalarValue::Utf8(Some(text.trim().to_owned()))),
        _ => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
    }
}

/// `\x0a1b`, or the older form with `\\` and `\012`.
fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = digits
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let whole = digits.len().is_multiple_of(2);
        return whole.then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => return None,
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    Some(out)
}

fn from_binary(number: usize, bytes: &[u8], kind: &Type, wanted: &DataType) -> Result<ScalarValue, Problem> {
    let invalid = || {
        let message = format!("parameter ${number}: {} bytes are no binary value of type {}", bytes.len(), kind.name());
        Problem::error(sqlstate::INVALID_BINARY, message)
    };
    let out_of_range = || {
        let message = format!("parameter ${number}: the {} is out of range", kind.name());
        Problem::error(sqlstate::DATETIME_OUT_OF_RANGE, message)
    };
    fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.try_into().ok()
    }
    let value = match *kind {
        Type::BOOL => ScalarValue::Boolean(Some(exactly::<1>(bytes).ok_or_else(invalid)? != [0])),
        Type::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::OID => {
            let oid = u32::from_be_bytes(exactly(bytes).ok_or_else(invalid)?);
            ScalarValue::Int64(Some(i64::from(oid)))
        }
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::NUMERIC => {
            let message = || {
                Problem::error(sqlstate::INVALID_BINARY, format!("parameter ${number}: no finite NUMERIC"))
                    .hint("NaN and the infinities cannot be stored in a DECIMAL.")
            };
            ScalarValue::Utf8(Some(numeric::from_binary(bytes).ok_or_else(message)?))
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON | Type::UNKNOWN => {
            ScalarValue::Utf8(Some(utf8(number, bytes)?.to_owned()))
        }
        Type::JSONB => match bytes.split_first() {
            // The one version of the binary form there is.
            Some((1, text)) => ScalarValue::Utf8(Some(utf8(number, text)?.to_owned())),
            _ => return Err(invalid()),
        },
        Type::UUID => ScalarValue::Utf8(Some(uuid(exactly(bytes).ok_or_else(invalid)?))),
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::DATE => {
            let days = temporal::date_from_binary(exactly(bytes).ok_or_else(invalid)?);
            ScalarValue::Date32(Some(days.ok_or_else(out_of_range)?))
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(exactly(bytes).ok_or_else(invalid)?))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = temporal::timestamp_from_binary(exactly(bytes).ok_or_else(invalid)?);
            let zone = (*kind == Type::TIMESTAMPTZ).then(|| match wanted {
                // The same text, shared: a new one for each parameter would be an allocation for each.
                DataType::Timestamp(_, Some(zone)) if **zone == *UTC => Arc::clone(zone),
                _ => UTC.into(),
            });
            ScalarValue::TimestampMicrosecond(Some(micros.ok_or_else(out_of_range)?), zone)
        }
        _ => {
            return Err(Problem::error(
                sqlstate::FEATURE_NOT_SUPPORTED,
                format!("parameter ${number}: binary values of type {} are not taken", kind.name()),
            )
            .hint("Send it as text."));
        }
    };
    Ok(value)
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(digit), 16).expect("four bits are one digit"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, wanted: &DataType) -> Result<ScalarValue, Problem> {
        decode(1, Some(value.as_bytes()), false, &Type::UNKNOWN, wanted)
    }

    fn binary(value: &[u8], kind: &Type, wanted: &DataType) -> Result<ScalarValue, Problem> {
        decode(1, Some(value), true, kind, wanted)
    }

    #[test]
    fn texts_become_what_the_statement_wants() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        assert_eq!(text("7", &DataType::Int32), Ok(ScalarValue::Int32(Some(7))));
        assert_eq!(text(" 7 ", &DataType::Int64), Ok(ScalarValue::Int64(Some(7))));
        assert_eq!(text("1.5", &DataType::Float64), Ok(ScalarValue::Float64(Some(1.5))));
        assert_eq!(text("1.50", &DataType::Decimal128(10, 2)), Ok(ScalarValue::Decimal128(Some(150), 10, 2)));
        assert_eq!(text("yes", &DataType::Boolean), Ok(ScalarValue::Boolean(Some(true))));
        assert_eq!(text("\\x00ff", &DataType::Binary), Ok(ScalarValue::Binary(Some(vec![0, 255]))));
        assert_eq!(text("a\\000\\\\", &DataType::Binary), Ok(ScalarValue::Binary(Some(b"a\0\\".to_vec()))));
        assert_eq!(text("2018-05-02", &DataType::Date32), Ok(ScalarValue::Date32(Some(17_653))));
        assert_eq!(
            text("2018-05-02 21:38:15+02", &utc),
            Ok(ScalarValue::TimestampMicrosecond(Some(1_525_289_895_000_000), Some("+00:00".into())))
        );
        assert_eq!(
            text("2018-05-02T19:38:15.25", &DataType::Timestamp(TimeUnit::Microsecond, None)),
            Ok(ScalarValue::TimestampMicrosecond(Some(1_525_289_895_250_000), None))
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let state = |result: Result<ScalarValue, Problem>| result.expect_err("refused").sqlstate;
        assert_eq!(state(text("seven", &DataType::Int32)), sqlstate::INVALID_TEXT);
        assert_eq!(state(text("3000000000", &DataType::Int32)), sqlstate::NUMERIC_OUT_OF_RANGE);
        assert_eq!(state(text("2018-02-30", &DataType::Date32)), sqlstate::INVALID_DATETIME);
        assert_eq!(state(text("maybe", &DataType::Boolean)), sqlstate::INVALID_TEXT);
        assert_eq!(state(text("\\xf", &DataType::Binary)), sqlstate::INVALID_TEXT);
        assert_eq!(state(text("a\0b", &DataType::Utf8)), sqlstate::NOT_IN_REPERTOIRE);
        assert_eq!(state(binary(&[0xff], &Type::TEXT, &DataType::Utf8)), sqlstate::NOT_IN_REPERTOIRE);
        assert_eq!(state(binary(&[0; 3], &Type::INT4, &DataType::Int32)), sqlstate::INVALID_BINARY);
        assert_eq!(
            state(binary(&3_000_000_000_i64.to_be_bytes(), &Type::INT8, &DataType::Int32)),
            sqlstate::NUMERIC_OUT_OF_RANGE
        );
        assert_eq!(
            state(binary(&i32::MAX.to_be_bytes(), &Type::DATE, &DataType::Date32)),
            sqlstate::DATETIME_OUT_OF_RANGE
        );
        assert_eq!(state(binary(&[0; 8], &Type::POINT, &DataType::Utf8)), sqlstate::FEATURE_NOT_SUPPORTED);
    }

    #[test]
    fn binaries_become_what_the_statement_wants() {
        assert_eq!(binary(&7_i64.to_be_bytes(), &Type::INT8, &DataType::Int32), Ok(ScalarValue::Int32(Some(7))));
        assert_eq!(
            binary(&[0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94], &Type::NUMERIC, &DataType::Decimal128(10, 2)),
            Ok(ScalarValue::Decimal128(Some(12_345), 10, 2))
        );
        assert_eq!(
            binary(&[0; 8], &Type::TIMESTAMPTZ, &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
            Ok(ScalarValue::TimestampMicrosecond(Some(946_684_800_000_000), Some("+00:00".into())))
        );
        assert_eq!(
            binary(&[0x11; 16], &Type::UUID, &DataType::Utf8),
            Ok(ScalarValue::Utf8(Some("11111111-1111-1111-1111-111111111111".to_owned())))
        );
        assert_eq!(binary(b"\x01{}", &Type::JSONB, &DataType::Utf8), Ok(ScalarValue::Utf8(Some("{}".to_owned()))));
    }

    #[test]
    fn null_has_the_wanted_type() {
        assert_eq!(decode(1, None, true, &Type::INT4, &DataType::Int32), Ok(ScalarValue::Int32(None)));
        assert_eq!(decode(1, None, false, &Type::TEXT, &DataType::Null), Ok(ScalarValue::Utf8(None)));
    }
}
