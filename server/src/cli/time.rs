//! Moments as people write and read them.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use ebbtide_engine::env::{Env, SystemEnv};

/// Microseconds since the Unix epoch as `2026-03-29T01:00:00Z`.
pub(super) fn show(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The other way round: a moment with its offset, or a date, which begins at midnight UTC.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_micros());
    }
    text.parse::<NaiveDate>()
        .ok()
        .and_then(|date| date.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc().timestamp_micros())
        .ok_or_else(|| "write a date as 2026-03-28, or a moment as 2026-03-28T18:00:00Z".to_owned())
}

/// Now, by the clock of this machine, in microseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    SystemEnv.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("2026-03-28", "2026-03-28T00:00:00Z"),
            ("2026-03-28T18:00:00Z", "2026-03-28T18:00:00Z"),
            ("2026-03-28T18:00:00+02:00", "2026-03-28T16:00:00Z"),
        ] {
            assert_eq!(show(parse(text).expect("right")), shown);
        }
        assert!(parse("tomorrow").is_err());
    }
}
