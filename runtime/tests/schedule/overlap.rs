//! A slot is due while an earlier run is active.

use crate::tick::{Tick, ticking};
use crate::town::{MINUTE, Town, cron, declared, tick};
use ebbtide_runtime::schedule::{Declared, Overlap, RunError, SlotStatus};
use ebbtide_runtime::testing::Moment;
use ebbtide_runtime::{NewJob, Status, Submitted, Trigger};

fn holding(overlap: Overlap) -> Declared {
    Declared { overlap, ..declared("w", cron("*/10 * * * *"), Tick { hold: true, ..Tick::default() }) }
}

/// The first slot has started and holds; the next `more` are due.
async fn overlapped(overlap: Overlap, more: i64) -> Town {
    let mut town = Town::new([holding(overlap)]);
    town.look().await;
    for slot in 1..=1 + more {
        town.world.env.advance(10 * MINUTE);
        town.look_only().await;
        if slot == 1 {
            town.held(1).await;
        }
    }
    town
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_slots_say_what_was_in_their_way() {
    let mut town = overlapped(Overlap::Skip, 2).await;
    assert_eq!(town.ledger("w"), [(10, SlotStatus::Fired), (20, SlotStatus::Skipped), (30, SlotStatus::Skipped)]);
    let job = town.jobs()[0].job_id;
    let skipped = &town.slots("w")[1];
    assert_eq!(skipped.job_id, Some(job));
    assert_eq!(skipped.reason, Some(format!("job {job} is still running")));
    town.release();
    town.look().await;
    assert_eq!(town.jobs().len(), 1);
    town.advance(10 * MINUTE).await;
    assert_eq!(town.jobs().len(), 2);
    town.assert_matched("w");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_queues_and_starts_when_the_job_ends() {
    let mut town = overlapped(Overlap::QueueOne, 2).await;
    assert_eq!(town.ledger("w"), [(10, SlotStatus::Fired), (20, SlotStatus::Queued), (30, SlotStatus::Skipped)]);
    let first = town.jobs()[0].job_id;
    let slots = town.slots("w");
    assert_eq!(slots[1].reason, Some(format!("job {first} is still running and comes first")));
    assert_eq!(slots[2].reason, Some(format!("job {first} is still running, and a run after it is queued already")));
    town.release();
    town.look().await;
    let jobs = town.jobs();
    assert_eq!(
        jobs.iter().map(|job| (job.status, job.trigger)).collect::<Vec<_>>(),
        [(Status::Completed, Trigger::Cron), (Status::Completed, Trigger::FollowUp)]
    );
    let queued = &town.slots("w")[1];
    assert_eq!((queued.status, queued.job_id), (SlotStatus::Fired, Some(jobs[1].job_id)));
    assert_eq!(queued.reason, Some(format!("waited for job {first}")));
    town.assert_matched("w");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_slot_has_its_run_in_the_follow_up_that_takes_its_place() {
    let mut town = overlapped(Overlap::QueueOne, 1).await;
    let runtime = town.world.runtime().await;
    let other = NewJob { follow_up: true, ..NewJob::new("by hand", ticking()).unique(*b"workflow w") };
    let first = town.jobs()[0].job_id;
    assert_eq!(runtime.submit(other).await.unwrap(), Submitted::Existing(first));
    drop(runtime);
    town.release();
    town.look().await;
    let jobs = town.jobs();
    assert_eq!(jobs.iter().map(|job| job.workflow.as_str()).collect::<Vec<_>>(), ["w", "by hand"]);
    let queued = &town.slots("w")[1];
    assert_eq!((queued.status, queued.job_id), (SlotStatus::Fired, Some(jobs[1].job_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_run_is_cancelled_and_the_new_one_follows() {
    let mut town = overlapped(Overlap::CancelOld, 1).await;
    town.held(2).await;
    town.release();
    town.look().await;
    let jobs = town.jobs();
    assert_eq!(jobs.iter().map(|job| job.status).collect::<Vec<_>>(), [Status::Cancelled, Status::Completed]);
    assert_eq!(town.ledger("w"), [(10, SlotStatus::Fired), (20, SlotStatus::Fired)]);
    town.assert_matched("w");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_is_in_the_way_too_and_can_be_cancelled() {
    for (overlap, jobs) in [(Overlap::Skip, 1), (Overlap::CancelOld, 2)] {
        let mut town = overlapped(overlap, 0).await;
        let runtime = town.world.runtime().await;
        let job = town.jobs()[0].job_id;
        runtime.pause(&job).await.unwrap();
        runtime.idle().await;
        town.release();
        drop(runtime);
        town.advance(10 * MINUTE).await;
        assert_eq!(town.jobs().len(), jobs, "{overlap}");
        if overlap == Overlap::Skip {
            assert_eq!(town.slots("w")[1].reason, Some(format!("job {job} is paused")));
        } else {
            town.assert_matched("w");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_keeps_a_queued_slot_once() {
    for overlap in [Overlap::QueueOne, Overlap::CancelOld] {
        let mut deaths = 0;
        for commit in 1..=9 {
            for moment in Moment::ALL {
                let mut town = overlapped(overlap, 0).await;
                town.world.crash_at(commit, moment);
                town.world.env.advance(10 * MINUTE);
                let at = format!("{overlap}, {moment} commit {commit}");
                // The slot is due; the program may die on the way and then comes again.
                let scheduler = town.scheduler().await;
                tokio::select! {
                    biased;
                    () = town.world.died() => town.crash().await,
                    () = scheduler.look_again() => {}
                }
                town.release();
                town.look().await;
                deaths += town.world.crashes();
                let jobs = town.jobs();
                let started = town.slots("w").iter().filter(|slot| slot.job_id.is_some()).count();
                assert_eq!(town.ledger("w").len(), 2, "{at}");
                assert_eq!(town.ledger("w")[0], (10, SlotStatus::Fired), "{at}");
                assert!(town.ledger("w")[1] == (20, SlotStatus::Fired), "{at}: {:?}", town.slots("w"));
                assert_eq!((jobs.len(), started), (2, 2), "{at}: {jobs:?}");
                assert!(jobs.iter().all(|job| job.status.is_terminal()), "{at}: {jobs:?}");
                town.assert_matched("w");
            }
        }
        assert!(deaths >= 12, "{overlap}: the program died {deaths} times only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_is_one_run_and_needs_a_known_name() {
    let off = Declared { enabled: false, ..holding(Overlap::Skip) };
    let mut town = Town::new([off, tick("other", cron("@daily"))]);
    town.look().await;
    let scheduler = town.scheduler().await;
    let first = scheduler.run("w").await.unwrap();
    assert!(matches!(first, Submitted::New(_)));
    assert_eq!(scheduler.run("w").await.unwrap(), Submitted::Existing(*first.id()));
    assert!(town.slots("w").is_empty(), "a run by hand is no slot");
    let unknown = scheduler.run("othr").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no workflow \"othr\", did you mean \"other\"?");
    *town.stage.refusal.lock().unwrap() = Some("the moon is full".to_owned());
    let refused = scheduler.run("other").await.unwrap_err();
    assert!(matches!(refused, RunError::Refused { .. }));
    assert_eq!(refused.to_string(), "workflow other cannot start: the moon is full");
    town.release();
    town.look().await;
    assert_eq!(town.jobs()[0].trigger, Trigger::Manual);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_does_not_start_skips_its_slot_with_the_reason() {
    let mut town = Town::new([tick("w", cron("*/10 * * * *"))]);
    town.look().await;
    *town.stage.refusal.lock().unwrap() = Some("the moon is full".to_owned());
    town.advance(10 * MINUTE).await;
    *town.stage.refusal.lock().unwrap() = None;
    town.advance(10 * MINUTE).await;
    assert_eq!(town.ledger("w"), [(10, SlotStatus::Skipped), (20, SlotStatus::Fired)]);
    assert_eq!(town.slots("w")[0].reason.as_deref(), Some("its kind does not start: the moon is full"));
}
