//! Clocks that are set, downtime, and changes of the declaration.

use crate::town::{DAY, HOUR, MINUTE, SECOND, Town, cron, tick};
use ebbtide_runtime::schedule::{Declared, Missed, SlotStatus, When};
use ebbtide_runtime::testing::START;
use std::time::Duration;

fn interval(seconds: u64) -> When {
    When::Interval(Duration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_put_back_starts_nothing_twice() {
    for when in [cron("*/10 * * * *"), interval(600)] {
        let mut town = Town::new([tick("w", when)]);
        town.look().await;
        for minutes in [10, 20, 30] {
            town.set(minutes * MINUTE).await;
        }
        // Back, and through the same times again, with a restart on the way.
        for minutes in [5, 10, 19, 20] {
            town.set(minutes * MINUTE).await;
        }
        town.crash().await;
        for minutes in [25, 30, 39, 40] {
            town.set(minutes * MINUTE).await;
        }
        assert_eq!(town.ledger("w"), [10, 20, 30, 40].map(|at| (at, SlotStatus::Fired)));
        assert_eq!(town.jobs().len(), 4);
        town.world.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_years_ahead_does_not_keep_slots_from_starting() {
    for when in [cron("@daily"), interval(86_400)] {
        let mut town = Town::new([Declared { missed: Missed::Skip, ..tick("w", when) }]);
        town.look().await;
        town.set(DAY).await;
        town.set(3000 * DAY + HOUR).await;
        // The battery was changed.
        town.set(DAY + HOUR).await;
        town.crash().await;
        town.set(2 * DAY).await;
        town.set(3 * DAY).await;
        let fired: Vec<_> = town
            .slots("w")
            .into_iter()
            .filter(|slot| slot.status == SlotStatus::Fired)
            .map(|slot| (slot.nominal_time - START) / DAY)
            .collect();
        assert_eq!(fired, [1, 2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_called_missed_by_a_clock_that_was_ahead_starts_when_its_time_comes() {
    let mut town = Town::new([tick("w", cron("0 * * * *"))]);
    town.look().await;
    town.set(5 * HOUR + 30 * MINUTE).await;
    assert_eq!(town.ledger("w")[3..], [(240, SlotStatus::Missed), (300, SlotStatus::MadeUp)]);
    town.set(30 * MINUTE).await;
    for hour in 1..=6 {
        town.set(hour * HOUR).await;
    }
    let fired = |hour: i64| (hour * 60, SlotStatus::Fired);
    assert_eq!(town.ledger("w"), [fired(1), fired(2), fired(3), fired(4), (300, SlotStatus::MadeUp), fired(6)]);
    town.assert_matched("w");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_one_run_makes_up_or_none_does() {
    for (missed, runs, last) in [(Missed::RunOnce, 1, SlotStatus::MadeUp), (Missed::Skip, 0, SlotStatus::Missed)] {
        let mut town = Town::new([Declared { missed, ..tick("w", cron("0 * * * *")) }]);
        town.look().await;
        town.crash().await;
        town.set(10 * HOUR + 5 * MINUTE).await;
        assert_eq!(town.jobs().len(), runs, "{missed}");
        let slots = town.slots("w");
        assert_eq!(
            slots.iter().map(|slot| (slot.nominal_time - START) / HOUR).collect::<Vec<_>>(),
            (1..=10).collect::<Vec<_>>()
        );
        assert!(slots[..9].iter().all(|slot| slot.status == SlotStatus::Missed && slot.job_id.is_none()));
        assert_eq!(slots[9].status, last);
        let reason = slots[9].reason.as_deref().unwrap();
        match missed {
            Missed::RunOnce => assert_eq!(reason, "started 300 s late, for 9 slots missed before it too"),
            Missed::Skip => assert_eq!(reason, "nobody was there to start it, and missed = skip"),
        }
        town.look().await;
        assert_eq!(town.jobs().len(), runs);
        town.set(11 * HOUR).await;
        assert_eq!(town.jobs().len(), runs + 1, "and it goes on");
        town.assert_matched("w");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_some_seconds_is_no_miss() {
    let mut town = Town::new([Declared { missed: Missed::Skip, ..tick("w", cron("0 3 * * *")) }]);
    town.look().await;
    town.crash().await;
    town.set(3 * HOUR + 20 * SECOND).await;
    assert_eq!(town.ledger("w"), [(180, SlotStatus::Fired)]);
    assert_eq!(town.jobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_downtime_has_a_hundred_rows_and_one_for_the_rest() {
    for when in [cron("* * * * *"), interval(60)] {
        let mut town = Town::new([tick("w", when)]);
        town.look().await;
        town.crash().await;
        town.set(10 * DAY + 90 * SECOND).await;
        let slots = town.slots("w");
        assert_eq!(slots.len(), 102);
        let minutes = 10 * 24 * 60;
        assert_eq!(slots[0].slots, minutes - 100);
        assert_eq!(
            (slots[0].first_nominal_time, slots[0].nominal_time),
            (START + MINUTE, START + (minutes as i64 - 100) * MINUTE)
        );
        assert_eq!(
            slots[0].reason.as_deref(),
            Some("14300 slots: nobody was there to start it; a later slot makes up for it")
        );
        assert_eq!(slots.iter().map(|slot| slot.slots).sum::<u64>(), minutes + 1);
        assert_eq!(slots[101].status, SlotStatus::Fired, "the last one was due within the minute");
        assert_eq!(town.jobs().len(), 1);
        // A clock that wavers counts none of them again.
        town.set(10 * DAY + 80 * SECOND).await;
        town.crash().await;
        town.set(10 * DAY + 100 * SECOND).await;
        assert_eq!((town.slots("w").len(), town.jobs().len()), (102, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downtime_without_end_is_not_counted_to_its_end() {
    for when in [cron("* * * * * *"), interval(1), When::Interval(Duration::from_micros(1))] {
        let mut town = Town::new([tick("w", when)]);
        town.look().await;
        town.crash().await;
        town.set(40 * DAY).await;
        let slots = town.slots("w");
        assert!((100..=102).contains(&slots.len()), "{}", slots.len());
        assert!(slots[0].reason.as_deref().unwrap().starts_with("more than "), "{:?}", slots[0]);
        assert!(slots[0].slots >= 99_000, "{}", slots[0].slots);
        assert_eq!(slots.last().unwrap().nominal_time, START + 40 * DAY);
        assert_eq!(town.jobs().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_longer_than_the_time_between_restarts_comes_to_its_end() {
    let mut town = Town::new([tick("w", interval(3600))]);
    town.look().await;
    for minutes in [20, 40, 59] {
        town.crash().await;
        town.set(minutes * MINUTE).await;
        assert!(town.jobs().is_empty());
    }
    town.crash().await;
    town.set(60 * MINUTE).await;
    assert_eq!(town.ledger("w"), [(60, SlotStatus::Fired)]);
    // Late by a quarter of an hour, and the next one is on time again.
    town.set(135 * MINUTE).await;
    town.set(180 * MINUTE).await;
    assert_eq!(town.ledger("w")[1..], [(120, SlotStatus::MadeUp), (180, SlotStatus::Fired)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_anew_has_missed_nothing() {
    let daily = || tick("w", cron("0 0 * * *"));
    let mut town = Town::new([daily()]);
    town.look().await;
    // Another time of the day, disabled and enabled again, gone and back.
    town.set(DAY - HOUR).await;
    town.replace([tick("w", cron("0 12 * * *"))]).await;
    town.set(DAY + HOUR).await;
    assert!(town.slots("w").is_empty());
    town.replace([Declared { enabled: false, ..tick("w", cron("0 12 * * *")) }]).await;
    town.set(2 * DAY).await;
    town.replace([tick("w", cron("0 12 * * *"))]).await;
    town.set(2 * DAY + HOUR).await;
    assert!(town.slots("w").is_empty());
    town.replace([]).await;
    town.set(4 * DAY).await;
    town.replace([daily()]).await;
    town.set(5 * DAY).await;
    assert_eq!(town.ledger("w"), [(5 * 24 * 60, SlotStatus::Fired)]);
    // The same again, with a restart, changes nothing.
    town.crash().await;
    town.replace([daily()]).await;
    town.set(6 * DAY + 10 * MINUTE).await;
    assert_eq!(town.ledger("w")[1..], [(6 * 24 * 60, SlotStatus::MadeUp)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_says_what_was_what_comes_and_why_not() {
    let mut town = Town::new([
        tick("hourly", cron("@hourly")),
        Declared { enabled: false, ..tick("off", cron("@hourly")) },
        tick("by hand", When::Manual),
        tick("pause", interval(5400)),
    ]);
    town.look().await;
    town.advance(HOUR).await;
    let scheduler = town.scheduler().await;
    let listed = scheduler.list().unwrap();
    let short: Vec<_> =
        listed.iter().map(|it| (it.declared.name.as_str(), it.last_run, it.next_run, it.why_not.as_deref())).collect();
    assert_eq!(
        short,
        [
            ("hourly", Some(START + HOUR), Some(START + 2 * HOUR), None),
            ("off", None, None, Some("it is disabled: enabled = false")),
            ("by hand", None, None, Some("it runs when asked to: RUN WORKFLOW")),
            ("pause", None, Some(START + HOUR + HOUR / 2), None),
        ]
    );
    assert_eq!(listed[0].last_job, Some(town.jobs()[0].job_id));
    assert_eq!(listed[0].last_status, Some(ebbtide_runtime::Status::Completed));
}
