//! The next reading of a clock that matches, with no thought of zones.

use super::fields::Fields;
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

/// Any date that comes again does so within this time: 29 February on a given weekday comes after 40 years at the latest,
/// where a century without a leap day is between.
const DAYS_MAX: u32 = 41 * 366;

/// The first reading that matches, `from` or later. `None` when there is none within 41 years.
pub(super) fn next_reading(fields: &Fields, from: NaiveDateTime) -> Option<NaiveDateTime> {
    let mut date = from.date();
    let mut earliest = (from.hour(), from.minute(), from.second());
    if from.nanosecond() > 0 {
        return next_reading(fields, from.with_nanosecond(0)?.checked_add_signed(chrono::Duration::seconds(1))?);
    }
    let last = date.checked_add_days(chrono::Days::new(DAYS_MAX.into())).unwrap_or(NaiveDate::MAX);
    while date <= last {
        if !fields.month(date.month()) {
            date = first_of_next_month(date)?;
        } else {
            if fields.day(date)
                && let Some((hour, minute, second)) = next_time(fields, earliest)
            {
                return date.and_hms_opt(hour, minute, second);
            }
            date = date.succ_opt()?;
        }
        earliest = (0, 0, 0);
    }
    None
}

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    let (year, month) = if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1)
}

/// The first time of a day that matches, `from` or later.
fn next_time(fields: &Fields, from: (u32, u32, u32)) -> Option<(u32, u32, u32)> {
    let (from_hour, from_minute, from_second) = from;
    let hour = fields.hours.next(from_hour)?;
    if hour > from_hour {
        return Some((hour, fields.minutes.next(0)?, fields.seconds.next(0)?));
    }
    let in_this_hour = fields.minutes.next(from_minute).and_then(|minute| {
        if minute > from_minute {
            return Some((minute, fields.seconds.next(0)?));
        }
        match fields.seconds.next(from_second) {
            Some(second) => Some((minute, second)),
            None => Some((fields.minutes.next(minute + 1)?, fields.seconds.next(0)?)),
        }
    });
    match in_this_hour {
        Some((minute, second)) => Some((hour, minute, second)),
        None => Some((fields.hours.next(hour + 1)?, fields.minutes.next(0)?, fields.seconds.next(0)?)),
    }
}
