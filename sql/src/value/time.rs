//! Text as dates and times. Months and days are written as numbers, the year first.

use super::Problem;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use datafusion::arrow::compute::kernels::cast_utils::string_to_datetime;
use ebbtide_store::ColumnType;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `2026-11-22`, as days since the Unix epoch.
pub(super) fn date(text: &str) -> Result<i32, Problem> {
    let trimmed = text.trim();
    // A timestamp in a date column keeps its day, as in PostgreSQL.
    let day = trimmed.split_once([' ', 'T']).map_or(trimmed, |(day, _)| day);
    let parsed = NaiveDate::parse_from_str(day, "%Y-%m-%d").map_err(|_| problem(ColumnType::Date, text))?;
    Ok(days(parsed))
}

fn days(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).expect("chrono's years fit in 32 bits")
}

/// `10:30`, `10:30:00.123456`, as microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, Problem> {
    let trimmed = text.trim();
    if matches!(trimmed, "24:00" | "24:00:00") {
        return Ok(MICROS_PER_DAY);
    }
    let parsed = NaiveTime::parse_from_str(trimmed, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(trimmed, "%H:%M"))
        .map_err(|_| problem(ColumnType::Time, text))?;
    Ok(i64::from(parsed.num_seconds_from_midnight()) * 1_000_000 + i64::from(parsed.nanosecond() / 1000))
}

/// `2026-11-22 10:30:00.5`, `2026-11-22T10:30:00Z`, `2026-11-22`, as microseconds since the Unix epoch.
/// Without a zone it is UTC; a TIMESTAMP without time zone ignores one that is given, as in PostgreSQL.
pub(super) fn timestamp(text: &str, column_type: ColumnType) -> Result<i64, Problem> {
    let trimmed = text.trim();
    let text_read = match trimmed.len() {
        0..=10 => {
            return date(trimmed).map(|days| i64::from(days) * MICROS_PER_DAY).map_err(|_| problem(column_type, text));
        }
        _ => trimmed,
    };
    if column_type == ColumnType::Timestamp {
        return Ok(local(text_read).ok_or_else(|| problem(column_type, text))?.and_utc().timestamp_micros());
    }
    let instant: DateTime<Utc> =
        string_to_datetime(&Utc, &padded(text_read)).map_err(|_| problem(column_type, text))?.to_utc();
    Ok(instant.timestamp_micros())
}

/// The part before the zone.
fn local(text: &str) -> Option<NaiveDateTime> {
    let (day, rest) = text.split_once([' ', 'T'])?;
    let rest = rest.trim();
    let clock = rest.find(['+', '-', 'Z', 'z', ' ']).map_or(rest, |end| &rest[..end]);
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let clock =
        NaiveTime::parse_from_str(clock, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(clock, "%H:%M")).ok()?;
    Some(day.and_time(clock))
}

/// PostgreSQL writes `+02` where Arrow reads `+02:00`, and lets seconds be left out.
fn padded(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(hours) = text.len().checked_sub(3)
        && text.len() > 13
        && text.is_char_boundary(hours)
        && text[hours..].starts_with(['+', '-'])
        && text[hours + 1..].bytes().all(|b| b.is_ascii_digit())
    {
        text.push_str(":00");
    }
    text
}

/// Dates that read as such but lie outside of what is kept are told from text that is no date.
fn problem(column_type: ColumnType, text: &str) -> Problem {
    let trimmed = text.trim();
    let digits = trimmed.bytes().filter(u8::is_ascii_digit).count();
    if trimmed.eq_ignore_ascii_case("infinity") || trimmed.eq_ignore_ascii_case("-infinity") {
        return Problem::time_range(text);
    }
    let shaped = trimmed.bytes().all(|b| b.is_ascii_digit() || b"-+:. TZ".contains(&b)) && digits >= 6;
    if shaped { Problem::time_range(text) } else { Problem::syntax(column_type, text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code;

    #[test]
    fn timestamps_are_read_as_postgresql_writes_them() {
        for text in [
            "2026-11-22 10:30:00",
            "2026-11-22T10:30:00",
            "2026-11-22 10:30:00Z",
            "2026-11-22 10:30:00+00",
            "2026-11-22 12:30:00+02",
            "2026-11-22 12:30:00+02:00",
            "2026-11-22 10:30:00.000",
            " 2026-11-22 10:30:00 ",
        ] {
            assert_eq!(timestamp(text, ColumnType::TimestampTz), Ok(1_795_343_400_000_000), "{text}");
        }
        assert_eq!(timestamp("2026-11-22", ColumnType::TimestampTz), Ok(1_795_305_600_000_000));
        assert_eq!(timestamp("1969-12-31 23:59:59.999999", ColumnType::Timestamp), Ok(-1));
        assert_eq!(timestamp("2026-11-22 12:30:00+02", ColumnType::Timestamp), Ok(1_795_350_600_000_000));
        assert_eq!(timestamp("0001-01-01 00:00:00", ColumnType::Timestamp), Ok(-62_135_596_800_000_000));
    }

    #[test]
    fn dates_and_times_are_read() {
        assert_eq!(date("1970-01-02"), Ok(1));
        assert_eq!(date("1969-12-31"), Ok(-1));
        assert_eq!(time("00:00:01.5"), Ok(1_500_000));
        assert_eq!(time("23:59"), Ok(86_340_000_000));
    }

    #[test]
    fn what_is_no_date_is_told_from_one_that_cannot_be() {
        let sqlstate = |text| timestamp(text, ColumnType::TimestampTz).unwrap_err().sqlstate;
        assert_eq!(sqlstate("yesterday"), code::INVALID_DATETIME_FORMAT);
        assert_eq!(sqlstate(""), code::INVALID_DATETIME_FORMAT);
        assert_eq!(sqlstate("2026-02-30 00:00:00"), code::DATETIME_FIELD_OVERFLOW);
        assert_eq!(sqlstate("infinity"), code::DATETIME_FIELD_OVERFLOW);
        assert_eq!(date("2026-13-01").unwrap_err().sqlstate, code::DATETIME_FIELD_OVERFLOW);
    }
}
