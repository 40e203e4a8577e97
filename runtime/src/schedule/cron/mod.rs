//! Crontab expressions in a time zone. The only place that knows `croner`, `chrono` and the zones.
//!
//! `croner` reads the expression and says which dates match; the search for the next time and everything about changes of the
//! clock is done here. The rule:
//!
//! - An expression that names hours (`0 3 * * *`, `30 2-4 * * MON`) means times on the clock of the zone. Each happens once:
//!   times that the clock leaves out happen together at the first instant after the gap, and a time that the clock shows twice
//!   happens at the first. So a change of the clock neither doubles nor drops a daily run.
//! - An expression that allows every hour (`*/15 * * * *`, `0 * * * *`) follows real time: it happens at every instant whose
//!   reading of the clock matches, also when the same reading comes again an hour later.

mod fields; // an expression, field by field
mod walk; // the next reading of the clock that matches

use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use fields::Fields;
use std::fmt;
use std::sync::Arc;

/// A crontab expression in a time zone.
#[derive(Clone)]
pub struct Cron {
    expression: String,
    time_zone: Tz,
    fields: Arc<Fields>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The clock leaves out the time that was asked for; this is the first instant after the gap.
    Moved,
    /// The clock shows this time twice; it runs at the first.
    Once,
    /// The clock was put forward since the run before. Nothing is left out, as this expression follows real time.
    Forward,
    /// The clock shows this time twice, and it runs at both, as this expression follows real time.
    Twice,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Note::Moved => "the clock leaves out the time asked for; first instant after the gap",
            Note::Once => "the clock shows this time twice; runs at the first",
            Note::Forward => "the clock was put forward since the run before",
            Note::Twice => "the clock shows this time twice; runs at both",
        })
    }
}

/// A time that was found, before it is shown.
struct Found {
    at: DateTime<Utc>,
    note: Option<Note>,
}

impl Cron {
    /// Reads an expression of five fields, or six with seconds in front, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`,
    /// `@yearly`; in a time zone by its IANA name, as `Europe/Berlin`.
    ///
    /// ```
    /// use ebbtide_runtime::schedule::Cron;
    /// let nightly = Cron::parse("30 2 * * *", "Europe/Berlin")?;
    /// let evening = 1_774_720_800_000_000; // 2026-03-28T18:00:00Z: in the night the clock goes from 2:00 to 3:00
    /// assert_eq!(nightly.preview(evening, 1)[0].local, "2026-03-29T03:00:00+02:00");
    /// # Ok::<(), ebbtide_runtime::schedule::BadCron>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with either, and what would be right. An expression that never happens is refused too.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, BadCron> {
        let time_zone = zone(time_zone)?;
        let fields = Fields::parse(expression).map_err(BadCron::Expression)?;
        let start = DateTime::UNIX_EPOCH.naive_utc() + Duration::days(50 * 365);
        if walk::next_reading(&fields, start).is_none() {
            let reason = format!("\"{expression}\" never happens: no date has this day, month and weekday");
            return Err(BadCron::Expression(reason));
        }
        Ok(Self { expression: expression.to_owned(), time_zone, fields: Arc::new(fields) })
    }

    /// The first time after `micros`, both in microseconds since the Unix epoch; `None` beyond the calendar.
    pub fn next_after(&self, micros: i64) -> Option<i64> {
        self.find(micros).map(|found| found.at.timestamp_micros())
    }

    /// The next `count` times after `from`, with what changes of the clock do to them.
    pub fn preview(&self, from: i64, count: usize) -> Vec<Occurrence> {
        let mut after = from;
        let next = || {
            let Found { at, note } = self.find(after)?;
            after = at.timestamp_micros();
            let local = at.with_timezone(&self.time_zone).format("%Y-%m-%dT%H:%M:%S%:z").to_string();
            Some(Occurrence { at: after, local, note })
        };
        std::iter::from_fn(next).take(count).collect()
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The IANA name of the time zone.
    pub fn time_zone(&self) -> &'static str {
        self.time_zone.name()
    }

    fn find(&self, after_micros: i64) -> Option<Found> {
        let after = DateTime::from_timestamp(after_micros.div_euclid(1_000_000), 0)?;
        if self.fields.every_hour() { self.find_in_real_time(after) } else { self.find_on_the_clock(after) }
    }

    /// The first instant after `after` whose reading matches.
    fn find_in_real_time(&self, after: DateTime<Utc>) -> Option<Found> {
        let mut from = after.checked_add_signed(Duration::seconds(1))?;
        let mut forward = false;
        loop {
            let offset = self.offset(from);
            let reading = walk::next_reading(&self.fields, from.naive_utc().checked_add_signed(offset)?)?;
            let at = reading.checked_sub_signed(offset)?.and_utc();
            match self.first_change(from, at) {
                Some(change) => {
                    forward |= self.offset(change) > offset;
                    from = change;
                }
                None => {
                    let twice = self.time_zone.from_local_datetime(&reading).single().is_none();
                    let note = if twice { Some(Note::Twice) } else { forward.then_some(Note::Forward) };
                    return Some(Found { at, note });
                }
            }
        }
    }

    /// The first instant after `after` at which a reading that matches is due. Each reading is due at one instant, and a later
    /// reading is never due earlier, so they can be tried in order.
    fn find_on_the_clock(&self, after: DateTime<Utc>) -> Option<Found> {
        let mut reading = after.naive_utc().checked_add_signed(self.offset(after))?;
        loop {
            reading = walk::next_reading(&self.fields, reading)?;
            if let Some(found) = self.due(reading).filter(|found| found.at > after) {
                return Some(found);
            }
            reading = reading.checked_add_signed(Duration::seconds(1))?;
        }
    }

    /// When a reading of the clock is due.
    fn due(&self, reading: NaiveDateTime) -> Option<Found> {
        use chrono::offset::LocalResult::{Ambiguous, None as Gap, Single};
        match self.time_zone.from_local_datetime(&reading) {
            Single(at) => Some(Found { at: at.to_utc(), note: None }),
            Ambiguous(one, other) => Some(Found { at: one.min(other).to_utc(), note: Some(Note::Once) }),
            Gap => {
                let after_gap = GapInfo::new(&reading, &self.time_zone)?.end?;
                Some(Found { at: after_gap.to_utc(), note: Some(Note::Moved) })
            }
        }
    }

    /// How far the clock of the zone is ahead of UTC.
    fn offset(&self, at: DateTime<Utc>) -> Duration {
        let offset = self.time_zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        Duration::seconds(offset.local_minus_utc().into())
    }

    /// The first instant after `from` and not after `to` at which the offset is another one than at `from`.
    fn first_change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let before = self.offset(from);
        // No zone changes its clock there and back within a day.
        let day = Duration::days(1);
        let mut same = from;
        let mut other = loop {
            let next = same.checked_add_signed(day).map_or(to, |next| next.min(to));
            if self.offset(next) != before {
                break next;
            }
            if next == to {
                return None;
            }
            same = next;
        };
        while other - same > Duration::seconds(1) {
            let middle = same + Duration::seconds((other - same).num_seconds() / 2);
            if self.offset(middle) == before { same = middle } else { other = middle }
        }
        Some(other)
    }
}

fn zone(name: &str) -> Result<Tz, BadCron> {
    name.parse().map_err(|_| {
        let lower = name.to_lowercase();
        let distance = |zone: &&Tz| strsim::damerau_levenshtein(&lower, &zone.name().to_lowercase());
        let nearest = TZ_VARIANTS.iter().min_by_key(distance).filter(|zone| distance(zone) <= 3);
        BadCron::TimeZone(match nearest {
            Some(zone) => format!("unknown time zone \"{name}\", did you mean \"{}\"?", zone.name()),
            None => format!("unknown time zone \"{name}\"; write an IANA name such as \"Europe/Berlin\" or \"UTC\""),
        })
    })
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.expression, self.time_zone) == (&other.expression, other.time_zone)
    }
}

impl Eq for Cron {}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" in {}", self.expression, self.time_zone.name())
    }
}
