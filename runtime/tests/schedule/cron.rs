//! Expressions over years in awkward zones, against a crontab that looks at every minute.

use crate::brute::{Minutes, Spec};
use chrono::{DateTime, Duration, TimeZone, Utc};
use chrono_tz::Tz;
use ebbtide_runtime::schedule::{Cron, Note};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection, option, sample};
use std::collections::{BTreeMap, BTreeSet};

/// Daylight saving by an hour in both halves of the year and of the world, by half an hour, an offset of 45 minutes, none at
/// all, at midnight, twice a year around a month of the moon, and a day that was left out.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Pacific/Apia",
];

const HOUR: i64 = 3600;

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Every time after `from` and not after `to`, in seconds since the epoch.
fn times(cron: &Cron, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<i64> {
    let mut times = Vec::new();
    let mut at = from.timestamp_micros();
    while let Some(next) = cron.next_after(at).filter(|next| *next <= to.timestamp_micros()) {
        assert!(next > at && next % 1_000_000 == 0);
        times.push(next / 1_000_000);
        at = next;
    }
    times
}

fn shown(cron: &Cron, from: &str, count: usize) -> Vec<(String, Option<Note>)> {
    let from = utc(from).timestamp_micros();
    cron.preview(from, count).into_iter().map(|occurrence| (occurrence.local, occurrence.note)).collect()
}

fn all(count: u32) -> BTreeSet<u32> {
    (0..count).collect()
}

fn every(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    numbers.into_iter().collect()
}

/// The forms that people write, with what they mean.
fn usual() -> Vec<(&'static str, Spec)> {
    let any = Spec { minutes: every([0]), hours: all(24), days: None, months: (1..13).collect(), weekdays: None };
    vec![
        ("@hourly", any.clone()),
        ("*/15 * * * *", Spec { minutes: every([0, 15, 30, 45]), ..any.clone() }),
        ("0 */2 * * *", Spec { hours: (0..24).step_by(2).collect(), ..any.clone() }),
        ("@daily", Spec { hours: every([0]), ..any.clone() }),
        ("30 2 * * *", Spec { minutes: every([30]), hours: every([2]), ..any.clone() }),
        ("10-50/20 1-3 * * *", Spec { minutes: every([10, 30, 50]), hours: every([1, 2, 3]), ..any.clone() }),
        (
            "15 2 * * MON-FRI",
            Spec { minutes: every([15]), hours: every([2]), weekdays: Some((1..6).collect()), ..any.clone() },
        ),
        (
            "0 3 1,15 * SUN",
            Spec { hours: every([3]), days: Some(every([1, 15])), weekdays: Some(every([0])), ..any.clone() },
        ),
        ("0 0 31 MAR,OCT *", Spec { hours: every([0]), days: Some(every([31])), months: every([3, 10]), ..any }),
    ]
}

#[test]
fn usual_expressions_agree_with_a_look_at_every_minute() {
    // Three changes of the clock in each zone that has them, and the day that Samoa left out.
    let years = |zone: &str| match zone {
        "Pacific/Apia" => (utc("2010-06-01T00:00:00Z"), utc("2012-06-01T00:00:00Z")),
        _ => (utc("2024-02-01T00:00:00Z"), utc("2025-06-01T00:00:00Z")),
    };
    for name in ZONES {
        let (from, to) = years(name);
        let minutes = Minutes::of(zone(name), from, to);
        for (expression, spec) in usual() {
            let cron = Cron::parse(expression, name).unwrap();
            assert_eq!(times(&cron, from, to), spec.times(&minutes), "{expression} in {name}");
        }
    }
}

fn spec() -> impl Strategy<Value = Spec> {
    let some = |range: std::ops::Range<u32>, most: usize| collection::btree_set(range, 1..=most);
    let minutes = prop_oneof![
        some(0..60, 4),
        Just(every([0])),
        (1_u32..60).prop_map(|step| (0..60).step_by(step as usize).collect())
    ];
    // Hours around the changes more often than others.
    let hours = prop_oneof![some(0..24, 5), some(0..4, 3), Just(all(24))];
    (
        minutes,
        hours,
        option::weighted(0.3, some(1..32, 8)),
        prop_oneof![Just((1..13).collect()), some(1..13, 8)],
        option::weighted(0.3, some(0..7, 4)),
    )
        .prop_map(|(minutes, hours, days, months, weekdays)| Spec { minutes, hours, days, months, weekdays })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 192, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_expression_agrees_with_a_look_at_every_minute(
        spec in spec(),
        name in sample::select(&ZONES[..]),
        day in 0_i64..365 * 30,
        minute in 0_i64..1440,
    ) {
        let from = utc("2008-01-01T00:00:00Z") + Duration::days(day) + Duration::minutes(minute);
        let to = from + Duration::days(45);
        let Ok(cron) = Cron::parse(&spec.expression(), name) else {
            // The 31st of months that have none.
            assert!(spec.weekdays.is_none() && spec.days.as_ref().is_some_and(|days| days.iter().all(|day| *day > 29)), "{spec:?}");
            return Ok(());
        };
        assert_eq!(times(&cron, from, to), spec.times(&Minutes::of(zone(name), from, to)), "{} in {name} from {from}", spec.expression());
    }

    #[test]
    fn no_text_makes_it_panic(expression in "[0-9A-Z*/,#@ -]{0,24}", zone in any::<String>(), from in any::<i64>()) {
        let _ = Cron::parse("* * * * *", &zone);
        if let Ok(cron) = Cron::parse(&expression, "Europe/Berlin") {
            assert!(cron.next_after(from).is_none_or(|next| next > from));
        }
    }
}

#[test]
fn a_daily_run_happens_on_every_date_once_over_fifty_years() {
    for name in ZONES {
        let zone = zone(name);
        for hour in 0..4 {
            let cron = Cron::parse(&format!("30 {hour} * * *"), name).unwrap();
            let (from, to) = (utc("1990-01-01T12:00:00Z"), utc("2040-01-01T12:00:00Z"));
            let times = times(&cron, from, to);
            let mut by_date: BTreeMap<_, u32> = BTreeMap::new();
            for at in &times {
                *by_date.entry(zone.timestamp_opt(*at, 0).unwrap().date_naive()).or_default() += 1;
            }
            let first = from.with_timezone(&zone).date_naive();
            let mut missing: Vec<_> = first
                .iter_days()
                .skip(1)
                .take_while(|date| *date < to.with_timezone(&zone).date_naive())
                .filter(|date| by_date.remove(date) != Some(1))
                .collect();
            // The day that Samoa left out: its run is the first thing of the day after, which then has two.
            missing.retain(|date| {
                !(name == "Pacific/Apia" && ["2011-12-30", "2011-12-31"].contains(&date.to_string().as_str()))
            });
            assert!(missing.is_empty(), "30 {hour} in {name}: {missing:?}");
            let days = (to - from).num_days();
            assert!((times.len() as i64 - days).abs() <= 1, "30 {hour} in {name}: {} runs in {days} days", times.len());
        }
    }
}

#[test]
fn a_run_every_quarter_of_an_hour_follows_real_time() {
    for name in ZONES {
        let cron = Cron::parse("*/15 * * * *", name).unwrap();
        let times = times(&cron, utc("2010-01-01T00:00:00Z"), utc("2020-01-01T00:00:00Z"));
        let wrong: Vec<_> = times.windows(2).filter(|pair| pair[1] - pair[0] != HOUR / 4).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}

#[test]
fn changes_of_the_clock_are_marked() {
    let nightly = Cron::parse("30 2 * * *", "Europe/Berlin").unwrap();
    assert_eq!(
        shown(&nightly, "2026-03-27T12:00:00Z", 3),
        [
            ("2026-03-28T02:30:00+01:00".to_owned(), None),
            ("2026-03-29T03:00:00+02:00".to_owned(), Some(Note::Moved)),
            ("2026-03-30T02:30:00+02:00".to_owned(), None),
        ]
    );
    assert_eq!(
        shown(&nightly, "2026-10-24T12:00:00Z", 2),
        [("2026-10-25T02:30:00+02:00".to_owned(), Some(Note::Once)), ("2026-10-26T02:30:00+01:00".to_owned(), None),]
    );
    let hourly = Cron::parse("@hourly", "Europe/Berlin").unwrap();
    assert_eq!(
        shown(&hourly, "2026-03-28T23:30:00Z", 3),
        [
            ("2026-03-29T01:00:00+01:00".to_owned(), None),
            ("2026-03-29T03:00:00+02:00".to_owned(), Some(Note::Forward)),
            ("2026-03-29T04:00:00+02:00".to_owned(), None),
        ]
    );
    assert_eq!(
        shown(&hourly, "2026-10-24T23:30:00Z", 3),
        [
            ("2026-10-25T02:00:00+02:00".to_owned(), Some(Note::Twice)),
            ("2026-10-25T02:00:00+01:00".to_owned(), Some(Note::Twice)),
            ("2026-10-25T03:00:00+01:00".to_owned(), None),
        ]
    );
    let lord_howe = Cron::parse("15 2 * * *", "Australia/Lord_Howe").unwrap();
    assert_eq!(
        shown(&lord_howe, "2026-10-03T10:00:00Z", 1),
        [("2026-10-04T02:30:00+11:00".to_owned(), Some(Note::Moved))]
    );
}

#[test]
fn several_runs_of_one_gap_are_one() {
    let often = Cron::parse("*/20 2-3 * * *", "America/New_York").unwrap();
    assert_eq!(
        shown(&often, "2026-03-08T05:00:00Z", 4),
        [
            ("2026-03-08T03:00:00-04:00".to_owned(), Some(Note::Moved)),
            ("2026-03-08T03:20:00-04:00".to_owned(), None),
            ("2026-03-08T03:40:00-04:00".to_owned(), None),
            ("2026-03-09T02:00:00-04:00".to_owned(), None),
        ]
    );
}

#[test]
fn seconds_and_the_days_that_only_croner_knows() {
    let cases = [
        (
            "*/20 30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T00:29:50Z",
            vec![
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:30:20+02:00",
                "2026-10-25T02:30:40+02:00",
                "2026-10-26T02:30:00+01:00",
            ],
        ),
        ("0 0 L * *", "UTC", "2028-01-31T12:00:00Z", vec!["2028-02-29T00:00:00+00:00", "2028-03-31T00:00:00+00:00"]),
        ("0 0 * * 5L", "UTC", "2026-01-01T00:00:00Z", vec!["2026-01-30T00:00:00+00:00", "2026-02-27T00:00:00+00:00"]),
        ("0 0 * * 7L", "UTC", "2026-01-01T00:00:00Z", vec!["2026-01-25T00:00:00+00:00"]),
        ("0 0 * * 7#1", "UTC", "2026-01-01T00:00:00Z", vec!["2026-01-04T00:00:00+00:00"]),
        (
            "0 0 * * SAT-SUN",
            "UTC",
            "2026-01-01T00:00:00Z",
            vec!["2026-01-03T00:00:00+00:00", "2026-01-04T00:00:00+00:00"],
        ),
        ("0 0 15W * *", "UTC", "2026-02-01T00:00:00Z", vec!["2026-02-16T00:00:00+00:00"]),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", vec!["2104-02-29T00:00:00+00:00"]),
        ("30 4 * * Mon#2", "UTC", "2026-06-01T00:00:00Z", vec!["2026-06-08T04:30:00+00:00"]),
    ];
    for (expression, zone, from, expected) in cases {
        let cron = Cron::parse(expression, zone).unwrap();
        let got: Vec<_> = shown(&cron, from, expected.len()).into_iter().map(|(local, _)| local).collect();
        assert_eq!(got, expected, "{expression}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_could() {
    let cases = [
        (
            "",
            "UTC",
            "\"\" has 0 fields; a crontab expression has five (minute, hour, day of month, month, day of week), or six with seconds in front",
        ),
        (
            "0 3 * *",
            "UTC",
            "\"0 3 * *\" has 4 fields; a crontab expression has five (minute, hour, day of month, month, day of week), or six with seconds in front",
        ),
        (
            "0 0 3 * * * 2026",
            "UTC",
            "\"0 0 3 * * * 2026\" has 7 fields; a crontab expression has five (minute, hour, day of month, month, day of week), or six with seconds in front",
        ),
        ("60 3 * * *", "UTC", "\"60\" is no minute; it takes 0-59"),
        ("0 25 * * *", "UTC", "\"25\" is no hour; it takes 0-23"),
        ("0 5-3 * * *", "UTC", "\"5-3\" is no hour; it takes 0-23"),
        ("*/0 * * * *", "UTC", "\"*/0\" is no minute; it takes 0-59"),
        ("1,,2 * * * *", "UTC", "\"1,,2\" is no minute: an item of the list is empty; it takes 0-59"),
        ("0 0 * MON *", "UTC", "\"MON\" is no month: \"MON\" has no meaning here; it takes 1-12 or JAN-DEC"),
        (
            "0 0 * * MAR",
            "UTC",
            "\"MAR\" is no day of week: \"MAR\" has no meaning here; it takes 0-7 or SUN-SAT (0 and 7 are Sunday), 5L for the last Friday, 5#2 for the second",
        ),
        (
            "0 0 * * L",
            "UTC",
            "\"L\" is no day of week: L needs its weekday, as in 5L; it takes 0-7 or SUN-SAT (0 and 7 are Sunday), 5L for the last Friday, 5#2 for the second",
        ),
        (
            "0 0 * * +1",
            "UTC",
            "\"+1\" is no day of week: \"+\" has no meaning here; it takes 0-7 or SUN-SAT (0 and 7 are Sunday), 5L for the last Friday, 5#2 for the second",
        ),
        ("0 0 30 2 *", "UTC", "\"0 0 30 2 *\" never happens: no date has this day, month and weekday"),
        ("@dayly", "UTC", "unknown schedule \"@dayly\", did you mean \"@daily\"?"),
        (
            "@reboot",
            "UTC",
            "unknown schedule \"@reboot\"; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
        ),
        ("@daily", "Europe/Berln", "unknown time zone \"Europe/Berln\", did you mean \"Europe/Berlin\"?"),
        ("@daily", "europe/berlin", "unknown time zone \"europe/berlin\", did you mean \"Europe/Berlin\"?"),
        (
            "@daily",
            "the moon",
            "unknown time zone \"the moon\"; write an IANA name such as \"Europe/Berlin\" or \"UTC\"",
        ),
    ];
    for (expression, zone, message) in cases {
        assert_eq!(Cron::parse(expression, zone).unwrap_err().to_string(), message, "{expression} {zone}");
    }
}
