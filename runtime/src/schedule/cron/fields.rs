//! A crontab expression, field by field. `croner` reads each field and knows the days; what it lets pass is caught here.

use crate::nearest::nearest;
use chrono::{Datelike, NaiveDate};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What a field is called, what it takes, and the words it knows.
struct Form {
    name: &'static str,
    takes: &'static str,
    words: &'static [&'static str],
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] =
    &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L", "SUNL", "MONL", "TUEL", "WEDL", "THUL", "FRIL", "SATL"];

const FORMS: [Form; 6] = [
    Form { name: "second", takes: "0-59", words: &[] },
    Form { name: "minute", takes: "0-59", words: &[] },
    Form { name: "hour", takes: "0-23", words: &[] },
    Form { name: "day of month", takes: "1-31, L for the last, 15W for the nearest weekday", words: &["L", "W"] },
    Form { name: "month", takes: "1-12 or JAN-DEC", words: MONTHS },
    Form {
        name: "day of week",
        takes: "0-7 or SUN-SAT (0 and 7 are Sunday), 5L for the last Friday, 5#2 for the second",
        words: WEEKDAYS,
    },
];

/// Where the weekday stands among six fields.
const DAY_OF_WEEK: usize = 5;

/// A set of numbers below 64.
#[derive(Clone, Copy)]
pub(super) struct Set(u64);

impl Set {
    fn of(count: u32, matches: impl Fn(u32) -> Result<bool, CronError>) -> Self {
        let all = 0..count;
        Self(all.filter(|number| matches(*number).unwrap_or(false)).fold(0, |set, number| set | 1 << number))
    }

    /// The least one that is `from` or more.
    pub(super) fn next(self, from: u32) -> Option<u32> {
        let rest = self.0.checked_shr(from).filter(|rest| *rest != 0)?;
        Some(from + rest.trailing_zeros())
    }

    fn contains(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// An expression that was read.
pub(super) struct Fields {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
    months: Set,
    days: Cron,
}

impl Fields {
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let written = match expression.trim() {
            nickname if nickname.starts_with('@') => expanded(nickname)?,
            written => written,
        };
        let mut parts: Vec<String> = written.split_whitespace().map(str::to_uppercase).collect();
        match parts.len() {
            5 => parts.insert(0, "0".to_owned()),
            6 => {}
            count => {
                return Err(format!(
                    "\"{expression}\" has {count} fields; a crontab expression has five (minute, hour, day of month, month, \
                     day of week), or six with seconds in front"
                ));
            }
        }
        for (index, form) in FORMS.iter().enumerate() {
            let Form { name, takes, .. } = form;
            let written = parts[index].clone();
            let refused = |why: &str| format!("\"{written}\" is no {name}{why}; it takes {takes}");
            check(form, &written).map_err(|why| refused(&format!(": {why}")))?;
            if !stands_alone(index, &mut parts) {
                return Err(refused(""));
            }
        }
        let days = croner(&parts).ok_or_else(|| format!("\"{expression}\" is no crontab expression"))?;
        let pattern = &days.pattern;
        Ok(Self {
            seconds: Set::of(60, |second| pattern.second_match(second)),
            minutes: Set::of(60, |minute| pattern.minute_match(minute)),
            hours: Set::of(24, |hour| pattern.hour_match(hour)),
            months: Set::of(13, |month| pattern.month_match(month)),
            days,
        })
    }

    /// Whether it may happen in every hour of a day.
    pub(super) fn every_hour(&self) -> bool {
        self.hours.0 == (1 << 24) - 1
    }

    pub(super) fn month(&self, month: u32) -> bool {
        self.months.contains(month)
    }

    /// Whether the date is right by its day of the month and its weekday. When both are limited, either is enough.
    pub(super) fn day(&self, date: NaiveDate) -> bool {
        // It only fails for dates that do not exist.
        self.days.pattern.day_match(date.year(), date.month(), date.day()).unwrap_or(false)
    }
}

fn expanded(nickname: &str) -> Result<&'static str, String> {
    let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(nickname));
    known.map(|(_, expression)| *expression).ok_or_else(|| {
        let names = NICKNAMES.iter().map(|(name, _)| *name);
        match nearest(nickname, names.clone()) {
            Some(near) => format!("unknown schedule \"{nickname}\", did you mean \"{near}\"?"),
            None => format!("unknown schedule \"{nickname}\"; known are {}", names.collect::<Vec<_>>().join(", ")),
        }
    })
}

/// What croner would let pass: empty items (an empty field never happens), and the words of one field in another (it reads
/// `MAR` as a weekday, 3, and `MON` as a month, 1).
fn check(form: &Form, part: &str) -> Result<(), String> {
    for item in part.split(',') {
        if item.is_empty() {
            return Err("an item of the list is empty".to_owned());
        }
        if item.starts_with('+') {
            return Err("\"+\" has no meaning here".to_owned());
        }
        if form.name != "day of month" && item == "L" {
            return Err("L needs its weekday, as in 5L".to_owned());
        }
        for word in item.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
            if !form.words.contains(&word) {
                return Err(format!("\"{word}\" has no meaning here"));
            }
        }
    }
    Ok(())
}

/// Whether croner takes one field with all others free, so that a complaint is about this one.
fn stands_alone(index: usize, parts: &mut [String]) -> bool {
    if index == DAY_OF_WEEK {
        // croner takes Sunday as 7 in lists and ranges, but forgets `7L`.
        parts[index] = parts[index].replace("7L", "0L");
    }
    let mut fields = vec!["*".to_owned(); FORMS.len()];
    fields[index].clone_from(&parts[index]);
    croner(&fields).is_some()
}

fn croner(parts: &[String]) -> Option<Cron> {
    CronParser::builder().year(Year::Disallowed).build().parse(&parts.join(" ")).ok()
}
