//! One slot, one job.

use crate::town::{DAY, HOUR, MINUTE, Town, cron, tick};
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use ebbtide_runtime::schedule::{Cron, SlotStatus, When, slots};
use ebbtide_runtime::testing::{Moment, START};
use ebbtide_runtime::{Options, Scheduler, Status, Trigger};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_starts_one_job_when_it_is_due() {
    let mut town = Town::new([tick("hourly", cron("@hourly"))]);
    town.look().await;
    assert!(
        town.jobs().is_empty() && town.slots("hourly").is_empty(),
        "what was due before it was declared is not missed"
    );
    town.advance(HOUR - 1).await;
    assert!(town.jobs().is_empty());
    town.advance(1).await;
    let jobs = town.jobs();
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (jobs[0].workflow.as_str(), jobs[0].trigger, jobs[0].status),
        ("hourly", Trigger::Cron, Status::Completed)
    );
    assert_eq!(jobs[0].idempotency_key, Some(format!("hourly {}", START + HOUR)));
    let ledger = town.slots("hourly");
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].nominal_time, ledger[0].status), (START + HOUR, SlotStatus::Fired));
    assert_eq!((ledger[0].job_id, ledger[0].recorded_at), (Some(jobs[0].job_id), START + HOUR));
    town.look().await;
    town.look().await;
    assert_eq!(town.jobs().len(), 1);
    town.assert_matched("hourly");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_schedulers_one_starts_each_slot() {
    let mut town =
        Town::new([tick("often", cron("* * * * *")), tick("pause", When::Interval(Duration::from_secs(90)))]);
    town.look().await;
    let other = town.world.start_as(Options { node_id: "other".to_owned(), ..Options::default() }).await;
    let rival = Scheduler::start(&other, town.declared.clone());
    rival.look_again().await;
    let scheduler = town.scheduler().await;
    for _ in 0..60 {
        town.world.env.advance(MINUTE);
        tokio::join!(scheduler.look_again(), rival.look_again());
        other.look_again();
        other.idle().await;
        town.world.run_to_idle().await;
    }
    town.look().await;
    assert_eq!(town.ledger("often"), (1..=60).map(|minute| (minute, SlotStatus::Fired)).collect::<Vec<_>>());
    assert_eq!(town.slots("pause").len(), 40);
    assert_eq!(town.jobs().len(), 100);
    other.halt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_neither_loses_nor_doubles_a_slot() {
    let mut deaths = 0;
    for commit in 1..=12 {
        for moment in Moment::ALL {
            let mut town = Town::new([tick("a", cron("*/10 * * * *")), tick("b", cron("*/20 * * * *"))]);
            town.look().await;
            town.world.crash_at(commit, moment);
            town.world.crash_again_at(1, moment);
            for _ in 0..4 {
                town.advance(10 * MINUTE).await;
            }
            deaths += town.world.crashes();
            let at = format!("{moment} commit {commit}");
            assert_eq!(town.ledger("a"), [10, 20, 30, 40].map(|at| (at, SlotStatus::Fired)), "{at}");
            assert_eq!(town.ledger("b"), [20, 40].map(|at| (at, SlotStatus::Fired)), "{at} {:?}", town.slots("b"));
            let jobs = town.jobs();
            assert_eq!(jobs.len(), 6, "{at}: {jobs:?}");
            assert!(jobs.iter().all(|job| job.status == Status::Completed), "{at}");
            town.world.assert_sound();
        }
    }
    assert!(deaths >= 60, "the program died {deaths} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_lists_all_workflows_newest_first_and_goes_with_the_jobs_of_its_commit() {
    let mut town = Town::new([tick("a", cron("0 * * * *")), tick("b b", cron("30 * * * *"))]);
    town.look().await;
    for _ in 0..4 {
        town.advance(HOUR / 2).await;
    }
    let mut cursor = slots(&town.world.engine.snapshot(), None).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| cursor.next().unwrap()).collect();
    let listed: Vec<_> =
        all.iter().map(|slot| ((slot.nominal_time - START) / MINUTE, slot.workflow.as_str())).collect();
    assert_eq!(listed, [(120, "a"), (90, "b b"), (60, "a"), (30, "b b")]);
    assert!(slots(&town.world.engine.snapshot(), Some("b")).unwrap().next().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_nights_in_berlin_has_one_run_for_each_date() {
    let zone: Tz = "Europe/Berlin".parse().unwrap();
    let nightly = When::Cron(Cron::parse("30 2 * * *", "Europe/Berlin").unwrap());
    let mut town = Town::new([tick("nightly", nightly)]);
    town.look().await;
    // The clock moves by half a day, so that each run is found late; the program dies now and then.
    for half_day in 0..2 * 365 {
        town.world.env.advance(DAY / 2);
        if half_day % 50 == 49 {
            town.crash().await;
        }
        town.look().await;
    }
    let local = |micros: i64| -> NaiveDate {
        DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone).date_naive()
    };
    let mut dates: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    for slot in town.slots("nightly") {
        assert_eq!(slot.status, SlotStatus::MadeUp);
        *dates.entry(local(slot.nominal_time)).or_default() += 1;
    }
    let every: BTreeMap<_, _> = local(START).iter_days().take(365).map(|date| (date, 1)).collect();
    assert_eq!(dates, every);
    town.assert_matched("nightly");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_keeps_a_bounded_number_of_slots() {
    use ebbtide_runtime::{Declared, Missed};
    let mut town = Town::new([Declared { missed: Missed::Skip, ..tick("often", cron("* * * * *")) }]);
    town.look().await;
    for _ in 0..110 {
        // All but those within the last minute are missed.
        town.advance(100 * MINUTE).await;
    }
    let kept = town.slots("often");
    assert!((10_000..10_600).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().nominal_time, START + 11_000 * MINUTE, "the newest are kept");
    let mut all = slots(&town.world.engine.snapshot(), None).unwrap();
    let listed = std::iter::from_fn(|| all.next().unwrap()).count();
    assert_eq!(listed, kept.len(), "both orders are shortened");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_slots_are_removed_in_batches_and_the_newest_of_each_workflow_stays() {
    use ebbtide_engine::Commit;
    use ebbtide_runtime::schedule::prune;
    let mut town = Town::new([tick("hourly", cron("@hourly")), tick("once", cron("30 1 1 1 *"))]);
    town.look().await;
    for _ in 0..20 {
        town.advance(HOUR / 2).await;
    }
    let (mut after, mut removed, mut batches) = (None, 0, 0);
    loop {
        let batch = prune(&town.world.engine.snapshot(), START + 6 * HOUR, after.as_deref(), 2).unwrap();
        (removed, batches) = (removed + batch.slots, batches + 1);
        town.world.engine.commit(Commit { writes: batch.writes, ..Commit::default() }).await.unwrap();
        after = batch.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((removed, batches), (6, 4));
    assert_eq!(town.ledger("hourly").first(), Some(&(7 * 60, SlotStatus::Fired)));
    assert_eq!(town.ledger("once"), [(90, SlotStatus::Fired)]);
    // A restart finds its place by what is left.
    town.crash().await;
    town.advance(HOUR).await;
    assert_eq!(town.jobs().len(), 12);
}
