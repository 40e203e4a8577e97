//! Failures are tried again with backoff and jitter up to a limit; then the job is failed and keeps its state.

use crate::script::{Act, job, mark};
use crate::world::{PATIENCE, World, in_time, refusal, stored, submit, wait};
use ebbtide_runtime::{Error, NewJob, Options, Retry, Runtime, Status};
use std::time::Duration;

const NOON: i64 = 1_800_000_000_000_000;

/// Waits until nothing runs, and gives the time of the next try after `now`.
async fn wait_of(runtime: &Runtime, id: &ebbtide_runtime::JobId, now: i64) -> i64 {
    in_time(runtime.idle()).await;
    stored(runtime, id).next_run_at.expect("it waits for another try") - now
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_doubles_up_to_its_bound_and_chance_takes_any_part_of_it() {
    let world = World::new();
    world.env.hold(NOON);
    let options = Options {
        attempts_max: 9,
        backoff_min: Duration::from_secs(1),
        backoff_max: Duration::from_secs(10),
        ..world.options.clone()
    };
    let runtime = world.start_as(options).await;
    // Chance far above every bound, and one that is the whole of none but the last.
    world.env.set_chance(u64::MAX);
    let id = submit(&runtime, job([Act::Fail(6), mark("done")])).await;
    let mut now = NOON;
    for (attempt, bound) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10)] {
        let wait = wait_of(&runtime, &id, now).await;
        let bound_micros = bound * 1_000_000_u64;
        assert_eq!(wait.cast_unsigned(), u64::MAX % (bound_micros + 1), "after try {attempt}");
        let job = stored(&runtime, &id);
        assert_eq!((job.status, job.attempt, job.epoch), (Status::Retrying, attempt, u64::from(attempt)));
        assert_eq!(job.error.as_deref(), Some(format!("failure {attempt}").as_str()));
        // Not a microsecond early.
        world.env.advance(wait - 1);
        runtime.look_again();
        in_time(runtime.idle()).await;
        assert_eq!(stored(&runtime, &id).status, Status::Retrying);
        world.env.advance(1);
        runtime.look_again();
        now += wait;
    }
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch, done.error), (Status::Completed, 7, None));
    assert_eq!(world.marks("done"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_try_is_kept_over_a_restart() {
    let world = World::new();
    world.env.hold(NOON);
    world.env.set_chance(5_000_000);
    let options = Options { backoff_min: Duration::from_secs(8), backoff_max: PATIENCE, ..world.options.clone() };
    let runtime = world.start_as(options.clone()).await;
    let id = submit(&runtime, job([Act::Fail(1)])).await;
    assert_eq!(wait_of(&runtime, &id, NOON).await, 5_000_000);
    drop(runtime);
    let runtime = world.start_as(options).await;
    in_time(runtime.idle()).await;
    assert_eq!(stored(&runtime, &id).epoch, 1, "its time has not come");
    world.env.advance(5_000_000);
    runtime.look_again();
    assert_eq!(wait(&runtime, &id).await.epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_last_try_the_job_is_failed_and_keeps_state_and_error() {
    let world = World::new();
    let runtime = world.start().await;
    let new = NewJob {
        retry: Retry { attempts_max: Some(3), ..Retry::default() },
        ..job([mark("first"), Act::Fail(u32::MAX), mark("last")]).unique(*b"k")
    };
    let id = submit(&runtime, new).await;
    let failed = wait(&runtime, &id).await;
    assert_eq!((failed.status, failed.state.as_str(), failed.attempt), (Status::Failed, "S1", 3));
    assert_eq!(failed.error.as_deref(), Some("failure 3"));
    assert_eq!(failed.max_attempts, 3);
    assert_eq!(world.stage.steps().len(), 1 + 3);
    assert_eq!((world.marks("first"), world.marks("last")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_count_from_one_again_once_a_checkpoint_is_reached() {
    let world = World::new();
    let runtime = world.start_as(Options { attempts_max: 3, ..world.options.clone() }).await;
    let id = submit(&runtime, job([Act::Fail(2), Act::Fail(2), Act::Fail(2)])).await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    let tries: Vec<u32> = runtime
        .transitions(&id)
        .unwrap()
        .iter()
        .filter(|transition| transition.status == Status::Retrying)
        .map(|transition| transition.attempt)
        .collect();
    assert_eq!(tries, [1, 2, 1, 2, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_can_be_run_on_from_where_it_stood() {
    let world = World::new();
    let runtime = world.start_as(Options { attempts_max: 1, ..world.options.clone() }).await;
    let id = submit(&runtime, job([mark("first"), Act::Expect("in the way".into()), Act::GiveUp]).unique(*b"k")).await;
    assert_eq!(wait(&runtime, &id).await.state, "S2");

    // Another job has the key by now.
    let other = submit(&runtime, job([Act::Hold]).unique(*b"k")).await;
    assert!(matches!(runtime.retry(&id).await, Err(Error::KeyHeld { by }) if by == other));
    world.stage.entered().await;
    world.stage.release();
    wait(&runtime, &other).await;

    runtime.retry(&id).await.unwrap();
    let again = wait(&runtime, &id).await;
    assert_eq!((again.status, again.state.as_str(), again.attempt, again.epoch), (Status::Failed, "S2", 1, 2));
    assert_eq!(world.marks("first"), 1, "what was done is not done again");
    assert!(refusal(runtime.retry(&other).await).contains("is completed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_try_and_costs_no_slot() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let id = submit(&runtime, job([Act::Panic, mark("after")])).await;
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch), (Status::Completed, 2));
    let errors: Vec<_> =
        runtime.transitions(&id).unwrap().into_iter().filter_map(|transition| transition.error).collect();
    assert_eq!(errors, ["the step panicked: the step's own bug"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_stepped_again_and_has_an_end() {
    let world = World::new();
    let runtime = world.start_as(Options { attempts_max: 2, ..world.options.clone() }).await;
    let id = submit(&runtime, job([mark("in the way"), Act::Expect("in the way".into())])).await;
    let failed = wait(&runtime, &id).await;
    assert_eq!((failed.status, failed.state.as_str()), (Status::Failed, "S1"));
    assert_eq!(failed.error.as_deref(), Some("marks changed under the step 100 times in a row"));
    assert_eq!(world.stage.steps().len(), 1 + 2 * 100);
    assert_eq!(world.marks("expected"), 0, "nothing of a refused commit was written");

    let id = submit(&runtime, job([Act::Conflict])).await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_writes_nonsense_fails_alone() {
    let world = World::new();
    let runtime = world.start().await;
    let stray = submit(&runtime, job([Act::Stray])).await;
    let failed = wait(&runtime, &stray).await;
    assert_eq!(failed.status, Status::Failed);
    assert!(failed.error.unwrap().contains("nowhere"));
    let fine = submit(&runtime, job([mark("fine")])).await;
    assert_eq!(wait(&runtime, &fine).await.status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service_is_named() {
    let world = World::new();
    let runtime = ebbtide_runtime::Runtime::builder(world.engine.clone(), world.env.clone()).start().await.unwrap();
    let id = submit(&runtime, job([Act::Step])).await;
    let error = wait(&runtime, &id).await.error.unwrap();
    assert!(error.contains("script::Stage") && error.ends_with("registered are: none"), "{error}");
}
