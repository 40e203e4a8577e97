//! Dates and times as PostgreSQL writes them, in text and in binary.
//!
//! PostgreSQL counts from the year 2000 and Arrow from 1970; both count days and microseconds in the proleptic Gregorian calendar. Written here rather than through a
//! calendar library because these run once per cell of a result, and because a library's range is smaller than that of the stored integers.

use std::fmt::Write;

/// Days from 1970-01-01 to 2000-01-01.
const POSTGRES_EPOCH_DAYS: i32 = 10_957;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Microseconds from 1970-01-01 to 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = POSTGRES_EPOCH_DAYS as i64 * MICROS_PER_DAY;

/// Writes days since 1970 as `2018-05-02`.
pub(crate) fn date_text(days: i32, out: &mut String) {
    if let Some(era) = write_date(i64::from(days), out) {
        out.push_str(era);
    }
}

/// Writes microseconds since 1970 as `2018-05-02 19:38:15.25`; with an offset also the `+00` of UTC.
pub(crate) fn timestamp_text(micros: i64, with_offset: bool, out: &mut String) {
    let era = write_date(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(' ');
    time_text(micros.rem_euclid(MICROS_PER_DAY), out);
    if with_offset {
        out.push_str("+00");
    }
    if let Some(era) = era {
        out.push_str(era);
    }
}

/// Writes microseconds since midnight as `19:38:15.25`.
pub(crate) fn time_text(micros: i64, out: &mut String) {
    let seconds = micros / MICROS_PER_SECOND;
    let fraction = micros % MICROS_PER_SECOND;
    let written = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    written.expect("a String takes everything that is written to it");
    if fraction != 0 {
        let written = write!(out, ".{fraction:06}");
        written.expect("a String takes everything that is written to it");
        let trimmed = out.trim_end_matches('0').len();
        out.truncate(trimmed);
    }
}

/// Days since 1970 as PostgreSQL's four bytes, or nothing where its range ends.
pub(crate) fn date_binary(days: i32) -> Option<[u8; 4]> {
    Some(days.checked_sub(POSTGRES_EPOCH_DAYS)?.to_be_bytes())
}

/// Microseconds since 1970 as PostgreSQL's eight bytes, or nothing where its range ends.
pub(crate) fn timestamp_binary(micros: i64) -> Option<[u8; 8]> {
    Some(micros.checked_sub(POSTGRES_EPOCH_MICROS)?.to_be_bytes())
}

/// Days since 1970 from PostgreSQL's four bytes.
pub(crate) fn date_from_binary(bytes: [u8; 4]) -> Option<i32> {
    i32::from_be_bytes(bytes).checked_add(POSTGRES_EPOCH_DAYS)
}

/// Microseconds since 1970 from PostgreSQL's eight bytes.
pub(crate) fn timestamp_from_binary(bytes: [u8; 8]) -> Option<i64> {
    i64::from_be_bytes(bytes).checked_add(POSTGRES_EPOCH_MICROS)
}

/// Writes the date and returns what follows after the time, in years before the first.
fn write_date(days: i64, out: &mut String) -> Option<&'static str> {
    let (year, month, day) = civil(days);
    let (year, era) = if year > 0 { (year, None) } else { (1 - year, Some(" BC")) };
    let written = write!(out, "{year:04}-{month:02}-{day:02}");
    written.expect("a String takes everything that is written to it");
    era
}

/// Year, month and day of a day counted from 1970-01-01. Years begin in March here, so that the leap day is the last one; 400 of them always have as many days.
fn civil(days: i64) -> (i64, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).expect("days and months are small");
    (year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(micros: i64, with_offset: bool) -> String {
        let mut out = String::new();
        timestamp_text(micros, with_offset, &mut out);
        out
    }

    #[test]
    fn civil_days_agree_with_chrono_over_ten_thousand_years() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        for days in (-3_000_000..3_000_000).step_by(17) {
            let expected = epoch + chrono::Duration::days(days);
            use chrono::Datelike;
            assert_eq!(civil(days), (i64::from(expected.year()), expected.month(), expected.day()), "{days} days");
        }
    }

    #[test]
    fn timestamps_are_written_as_postgresql_does() {
        assert_eq!(timestamp(1_525_289_895_000_000, true), "2018-05-02 19:38:15+00");
        assert_eq!(timestamp(1_525_289_895_250_000, false), "2018-05-02 19:38:15.25");
        assert_eq!(timestamp(-1, false), "1969-12-31 23:59:59.999999");
        assert_eq!(timestamp(-62_135_596_800_000_001, true), "0001-12-31 23:59:59.999999+00 BC");
        // No stored integer may panic.
        assert_eq!(timestamp(i64::MIN, false), "290309-12-21 19:59:05.224192 BC");
        assert_eq!(timestamp(i64::MAX, false), "294247-01-10 04:00:54.775807");
    }

    #[test]
    fn dates_and_times() {
        let mut out = String::new();
        date_text(0, &mut out);
        out.push(' ');
        time_text(86_399_999_999, &mut out);
        out.push(' ');
        time_text(0, &mut out);
        assert_eq!(out, "1970-01-01 23:59:59.999999 00:00:00");
        for days in [i32::MIN, i32::MAX] {
            date_text(days, &mut String::new());
        }
    }

    #[test]
    fn binary_forms_count_from_2000_and_come_back() {
        assert_eq!(date_binary(POSTGRES_EPOCH_DAYS), Some([0; 4]));
        assert_eq!(timestamp_binary(946_684_800_000_000), Some([0; 8]));
        assert_eq!(timestamp_binary(i64::MIN), None);
        for micros in [0, -1, 1_525_289_895_000_000] {
            assert_eq!(timestamp_binary(micros).and_then(timestamp_from_binary), Some(micros));
        }
        assert_eq!(date_binary(-5).and_then(date_from_binary), Some(-5));
        assert_eq!(date_from_binary(i32::MAX.to_be_bytes()), None);
    }
}
