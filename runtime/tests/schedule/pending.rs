//! Triggers by rows and bytes.

use crate::tick::Tick;
use crate::town::{MINUTE, SECOND, Town, declared, tick};
use ebbtide_runtime::kind::Pending;
use ebbtide_runtime::schedule::{SlotStatus, When};
use ebbtide_runtime::{Status, Trigger};

fn put(town: &Town, rows: u64, bytes: u64) {
    *town.stage.pending.lock().unwrap() = Some(Pending { rows, bytes });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_when_enough_waits() {
    let mut town = Town::new([tick("rows", When::Rows(100)), tick("bytes", When::Bytes(1000))]);
    put(&town, 99, 999);
    town.look().await;
    assert!(town.jobs().is_empty());
    put(&town, 100, 0);
    town.advance(SECOND).await;
    put(&town, 0, 1000);
    town.advance(SECOND).await;
    put(&town, 0, 0);
    town.advance(SECOND).await;
    let jobs = town.jobs();
    assert_eq!(
        jobs.iter().map(|job| (job.workflow.as_str(), job.trigger)).collect::<Vec<_>>(),
        [("rows", Trigger::Rows), ("bytes", Trigger::Bytes)]
    );
    assert_eq!(town.slots("rows").iter().map(|slot| slot.status).collect::<Vec<_>>(), [SlotStatus::Fired]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_is_active_nothing_is_recorded() {
    let mut town = Town::new([declared("w", When::Rows(1), Tick { hold: true, ..Tick::default() })]);
    put(&town, 5, 5);
    town.look_only().await;
    town.held(1).await;
    for _ in 0..5 {
        town.world.env.advance(SECOND);
        town.look_only().await;
    }
    assert_eq!((town.jobs().len(), town.slots("w").len()), (1, 1));
    put(&town, 0, 0);
    town.release();
    town.look().await;
    assert_eq!(town.jobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_is_not_started_again_at_once() {
    let mut town = Town::new([declared("w", When::Rows(1), Tick { fail: true, ..Tick::default() })]);
    put(&town, 5, 5);
    town.look().await;
    assert_eq!(town.jobs()[0].status, Status::Failed);
    // The longest wait between two tries, as the runtime's options have it.
    for _ in 0..59 {
        town.advance(SECOND).await;
    }
    assert_eq!(town.jobs().len(), 1);
    town.advance(2 * SECOND).await;
    assert_eq!(town.jobs().len(), 2);
    town.advance(MINUTE + SECOND).await;
    assert_eq!(town.jobs().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_does_not_count_says_so_in_the_list() {
    let mut town = Town::new([tick("w", When::Rows(1))]);
    town.look().await;
    let scheduler = town.scheduler().await;
    let listed = scheduler.list().unwrap();
    assert_eq!(
        listed[0].why_not.as_deref(),
        Some("kind tick counts no rows or bytes: give the workflow another trigger")
    );
    put(&town, 1, 1);
    town.advance(SECOND).await;
    assert_eq!(scheduler.list().unwrap()[0].why_not.as_deref(), Some("it runs as soon as 1 rows wait"));
}
