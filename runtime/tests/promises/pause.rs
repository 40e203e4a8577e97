//! A paused job stands where it stood, keeps its key, and goes on only when it is resumed.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, refusal, stored, submit, wait};
use ebbtide_runtime::{Cancel, Error, JobId, Options, Pause, Runtime, Status, Submitted};
use std::time::Duration;

/// Waits for nothing to run, and says how the job stands then.
async fn standing(runtime: &Runtime, id: &JobId) -> (Status, String) {
    in_time(runtime.idle()).await;
    let job = stored(runtime, id);
    (job.status, job.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_is_held_back_at_once_and_over_restarts() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let first = submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    let id = submit(&runtime, job([mark("ran")]).unique(*b"k")).await;
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Paused);
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Paused, "twice is as once");
    world.stage.release();
    wait(&runtime, &first).await;
    assert_eq!(standing(&runtime, &id).await, (Status::Paused, "S0".into()));
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    assert_eq!(standing(&runtime, &id).await, (Status::Paused, "S0".into()));
    assert_eq!(world.marks("ran"), 0);
    let held = runtime.submit(job([Act::Step]).unique(*b"k")).await.unwrap();
    assert_eq!(held, Submitted::Existing(id), "it keeps its active key");
    runtime.resume(&id).await.unwrap();
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    assert_eq!(world.marks("ran"), 1);
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_stops_at_its_next_safe_point() {
    let world = World::new();
    let runtime = world.start().await;
    // One that looks at its signal stops where it is.
    let id = submit(&runtime, job([mark("first"), Act::Hold, mark("last")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Asked);
    assert_eq!(standing(&runtime, &id).await, (Status::Paused, "S1".into()));
    let paused = stored(&runtime, &id);
    assert_eq!((paused.node_id, paused.lease_expires_at, paused.pause_requested), (None, None, false));

    // One that does not is let reach its checkpoint: a pause drops no work.
    let deaf = submit(&runtime, job([Act::Deaf, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.pause(&deaf).await.unwrap(), Pause::Asked);
    assert!(stored(&runtime, &deaf).pause_requested);
    world.stage.release();
    assert_eq!(standing(&runtime, &deaf).await, (Status::Paused, "S1".into()));
    assert_eq!(world.marks("after"), 0);

    for id in [&id, &deaf] {
        runtime.resume(id).await.unwrap();
        world.stage.release();
        let done = wait(&runtime, id).await;
        assert_eq!((done.status, done.epoch, done.attempt), (Status::Completed, 2, 1), "a pause is no failed try");
    }
    assert_eq!((world.marks("first"), world.marks("last"), world.marks("after")), (1, 1, 1));
    let path: Vec<Status> = runtime.transitions(&deaf).unwrap().iter().map(|transition| transition.status).collect();
    use Status::{Completed, Paused, Pending, Running};
    assert_eq!(path, [Pending, Running, Running, Paused, Pending, Running, Completed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_pause_survives_a_crash() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Deaf, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Asked);
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    assert_eq!(standing(&runtime, &id).await, (Status::Paused, "S0".into()));
    assert_eq!(world.stage.steps().len(), 1, "it was not stepped again");
    runtime.resume(&id).await.unwrap();
    world.stage.entered().await;
    world.stage.release();
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_was_not_followed_yet_can_be_taken_back() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Deaf, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Asked);
    runtime.resume(&id).await.unwrap();
    world.stage.release();
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    assert!(runtime.transitions(&id).unwrap().iter().all(|transition| transition.status != Status::Paused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_can_be_killed_and_frees_its_key() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Hold]).unique(*b"k")).await;
    world.stage.entered().await;
    runtime.pause(&id).await.unwrap();
    assert_eq!(standing(&runtime, &id).await.0, Status::Paused);
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Cancelled);
    submit(&runtime, job([Act::Step]).unique(*b"k")).await;
    assert_eq!(standing(&runtime, &id).await.0, Status::Cancelled);

    // A kill outweighs a pause that was asked for before it.
    let id = submit(&runtime, job([Act::Deaf, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Asked);
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Asked);
    let error = runtime.pause(&id).await.unwrap_err();
    assert!(matches!(error, Error::Ended { status: Status::Cancelled, .. }), "{error}");
    assert_eq!(wait(&runtime, &id).await.status, Status::Cancelled);
    assert_eq!(world.marks("after"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_paused_between_two_tries_goes_on_with_the_next_one() {
    let world = World::new();
    world.env.set_chance(3_600_000_000);
    let hour = Duration::from_secs(3600);
    let options = Options { attempts_max: 3, backoff_min: hour, backoff_max: hour, ..world.options.clone() };
    let runtime = world.start_as(options).await;
    let id = submit(&runtime, job([Act::Fail(1), mark("after")])).await;
    assert_eq!(standing(&runtime, &id).await.0, Status::Retrying);
    assert_eq!(runtime.pause(&id).await.unwrap(), Pause::Paused);
    assert_eq!(stored(&runtime, &id).next_run_at, None);
    runtime.resume(&id).await.unwrap();
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    assert_eq!(world.stage.steps(), ["S0 epoch 1 attempt 1", "S0 epoch 2 attempt 2", "S1 epoch 2 attempt 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_elsewhere_hears_of_its_pause() {
    let world = World::new();
    let node =
        |name: &str| Options { node_id: name.to_owned(), lease: Duration::from_millis(300), ..world.options.clone() };
    let first = world.start_as(node("a")).await;
    let second = world.start_as(node("b")).await;
    let id = submit(&first, job([Act::Hold])).await;
    world.stage.entered().await;
    // The first one meets the wish at its next beat.
    assert_eq!(second.pause(&id).await.unwrap(), Pause::Asked);
    assert_eq!(standing(&first, &id).await, (Status::Paused, "S0".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_cannot_be_paused_and_what_is_not_paused_cannot_be_resumed() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Step])).await;
    wait(&runtime, &id).await;
    let error = refusal(runtime.pause(&id).await);
    assert!(
        error.ends_with("is completed and cannot be paused; only a pending, retrying or running job can"),
        "{error}"
    );
    let error = refusal(runtime.resume(&id).await);
    assert!(error.contains("is completed, not paused"), "{error}");
    let unknown: JobId = "018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90".parse().unwrap();
    assert!(matches!(runtime.pause(&unknown).await, Err(Error::NotFound { .. })));
    assert!(matches!(runtime.resume(&unknown).await, Err(Error::NotFound { .. })));
}
