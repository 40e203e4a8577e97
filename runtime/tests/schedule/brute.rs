//! A crontab that looks at every minute: slow, and with nothing in common with the one under test but the zones' tables.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;
use std::collections::BTreeSet;

/// An expression as sets of numbers. An absent day means any.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) minutes: BTreeSet<u32>,
    pub(crate) hours: BTreeSet<u32>,
    pub(crate) days: Option<BTreeSet<u32>>,
    pub(crate) months: BTreeSet<u32>,
    pub(crate) weekdays: Option<BTreeSet<u32>>,
}

impl Spec {
    /// As a crontab, with every number written out.
    pub(crate) fn expression(&self) -> String {
        let list = |set: &BTreeSet<u32>| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let any = |set: &Option<BTreeSet<u32>>| set.as_ref().map_or_else(|| "*".to_owned(), list);
        let Spec { minutes, hours, days, months, weekdays } = self;
        format!("{} {} {} {} {}", list(minutes), list(hours), any(days), list(months), any(weekdays))
    }

    fn on(&self, date: NaiveDate) -> bool {
        let day = self.days.as_ref().map(|days| days.contains(&date.day()));
        let weekday = self.weekdays.as_ref().map(|days| days.contains(&date.weekday().num_days_from_sunday()));
        self.months.contains(&date.month())
            && match (day, weekday) {
                (Some(day), Some(weekday)) => day || weekday,
                (day, weekday) => day.or(weekday).unwrap_or(true),
            }
    }

    fn matches(&self, reading: NaiveDateTime) -> bool {
        self.minutes.contains(&reading.minute()) && self.hours.contains(&reading.hour()) && self.on(reading.date())
    }

    /// Every time after `from` and not after `to`, in seconds since the epoch.
    pub(crate) fn times(&self, minutes: &Minutes) -> Vec<i64> {
        let every_hour = self.hours.len() == 24;
        let minute = Duration::minutes(1);
        let mut latest = minutes.shown[0].1;
        let mut times = Vec::new();
        for (at, shown) in &minutes.shown {
            let due = if every_hour {
                self.matches(*shown)
            } else {
                // Everything that the clock has come past, and never before.
                let mut due = false;
                while latest < *shown {
                    latest += minute;
                    due |= self.matches(latest);
                }
                due
            };
            if due && *at > minutes.from {
                times.push(*at);
            }
        }
        times
    }
}

/// What the clock of a zone shows at every minute.
pub(crate) struct Minutes {
    from: i64,
    shown: Vec<(i64, NaiveDateTime)>,
}

impl Minutes {
    /// From `from` to `to`, and some days before, so that what the clock showed earlier is known.
    pub(crate) fn of(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let mut shown = Vec::new();
        let mut at = from - Duration::days(3);
        while at <= to {
            shown.push((at.timestamp(), at.with_timezone(&zone).naive_local()));
            at += Duration::minutes(1);
        }
        Self { from: from.timestamp(), shown }
    }
}
