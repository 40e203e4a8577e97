//! A job that runs longer than it may fails, wherever it stands, and can be run on from there.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_runtime::{NewJob, Options, Pause, Status};
use std::time::Duration;

fn limited(timeout: Duration, script: impl IntoIterator<Item = Act>) -> NewJob {
    NewJob { timeout: Some(timeout), ..job(script) }
}

const SHORT: Duration = Duration::from_millis(200);

async fn fails_in_time(act: Act) {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, limited(SHORT, [Act::Step, act.clone(), mark("after")]).unique(*b"k")).await;
    let failed = wait(&runtime, &id).await;
    assert_eq!((failed.status, failed.state.as_str()), (Status::Failed, "S1"), "{act:?}");
    let error = failed.error.unwrap();
    assert!(
        error.starts_with("it ran for 200ms, which is its timeout, and stands in state S1: RETRY JOB '"),
        "{error}"
    );
    assert!(error.ends_with("raise `timeout` of workflow \"test\""), "{error}");
    assert!(failed.ran_micros >= 200_000, "{}", failed.ran_micros);
    submit(&runtime, job([Act::Step]).unique(*b"k")).await;
    world.stage.release();
    world.stage.open_gate();
    in_time(runtime.idle()).await;
    assert_eq!((stored(&runtime, &id).status, world.marks("after")), (Status::Failed, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_looks_at_its_signal_stops() {
    fails_in_time(Act::Hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_look_is_dropped() {
    fails_in_time(Act::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_blocks_its_thread_is_failed_without_it() {
    fails_in_time(Act::Block).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gives_as_much_time_again() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, limited(SHORT, [mark("first"), Act::Hold, mark("last")])).await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Failed);
    world.stage.release();
    runtime.retry(&id).await.unwrap();
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, world.marks("first"), world.marks("last")), (Status::Completed, 1, 1));
    assert!(done.ran_micros < 200_000, "it counts from nothing again");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_counts_over_all_claims_and_not_between_them() {
    let world = World::new();
    // Beats keep what was used, so that a crash does not forget it.
    let options = Options { lease: Duration::from_millis(30), ..world.options.clone() };
    let runtime = world.start_as(options.clone()).await;
    let hour = Duration::from_secs(3600);
    let id = submit(&runtime, limited(hour, [Act::Hold, Act::Step])).await;
    world.stage.entered().await;
    in_time(async {
        while stored(&runtime, &id).ran_micros < 100_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start_as(options).await;
    world.stage.entered().await;
    assert!(stored(&runtime, &id).ran_micros >= 100_000);
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Asked);
    in_time(runtime.idle()).await;
    let paused = stored(&runtime, &id);
    // A day in which it does not run.
    world.env.advance(86_400_000_000);
    runtime.resume(&id).await.unwrap();
    world.stage.release();
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch), (Status::Completed, 3));
    assert!(done.ran_micros >= paused.ran_micros && done.ran_micros < 60_000_000, "{}", done.ran_micros);
    in_time(runtime.halt()).await;
}
