//! Crontab expressions in a time zone.

use std::fmt;

/// A crontab expression in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    expression: String,
    time_zone: chrono_tz::Tz,
}

/// Why an expression or a time zone is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCron {
    /// The expression.
    #[error("{0}")]
    Expression(String),
    /// The time zone.
    #[error("{0}")]
    TimeZone(String),
}

/// One coming time of a [`Cron`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When, in microseconds since the Unix epoch.
    pub at: i64,
    /// The same on the clock of the time zone, with its offset: `2026-03-29T03:00:00+02:00`.
    pub local: String,
    /// What a change of the clock does to it.
    pub note: Option<Note>,
}

/// What a change of the clock does to an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The time that was asked for is left out by the clock; this is the first instant after the gap.
    Gap,
    /// The clock shows this time twice.
    Overlap,
}

impl Cron {
    /// Reads an expression of five fields, or six with seconds in front, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`,
    /// `@yearly`; in a time zone by its IANA name, as `Europe/Berlin`.
    ///
    /// # Errors
    ///
    /// What is wrong with either, and what would be right.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, BadCron> {
        let time_zone =
            time_zone.parse().map_err(|_| BadCron::TimeZone(format!("unknown time zone \"{time_zone}\"")))?;
        Ok(Self { expression: expression.to_owned(), time_zone })
    }

    /// The first time after `micros`, both in microseconds since the Unix epoch; `None` when there is none.
    pub fn next_after(&self, micros: i64) -> Option<i64> {
        let _ = micros;
        None
    }

    /// The next `count` times after `from`, with what changes of the clock do to them.
    pub fn preview(&self, from: i64, count: usize) -> Vec<Occurrence> {
        let _ = (from, count);
        Vec::new()
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The IANA name of the time zone.
    pub fn time_zone(&self) -> &'static str {
        self.time_zone.name()
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.time_zone.name())
    }
}
