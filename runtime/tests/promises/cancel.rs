//! Pending and running jobs stop within a second, and stay cancelled.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, refusal, stored, submit, wait};
use ebbtide_runtime::{Cancel, Error, JobId, Options, Status};
use std::time::{Duration, Instant};

/// The promise of B6.
const LIMIT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_job_is_cancelled_at_once_and_never_runs() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let first = submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    let waiting = submit(&runtime, job([mark("ran")])).await;
    assert_eq!(runtime.cancel(&waiting).await.unwrap(), Cancel::Cancelled);
    let cancelled = stored(&runtime, &waiting);
    assert_eq!((cancelled.status, cancelled.started_at, cancelled.epoch), (Status::Cancelled, None, 0));
    assert!(cancelled.cancelled_at.is_some() && cancelled.completed_at.is_none());
    world.stage.release();
    wait(&runtime, &first).await;
    in_time(runtime.idle()).await;
    assert_eq!(world.marks("ran"), 0);
}

async fn stops_in_time(act: Act) {
    let world = World::new();
    // The default grace: the promise has to hold with it.
    let runtime =
        world.start_as(Options { cancel_grace: Options::default().cancel_grace, ..world.options.clone() }).await;
    let id = submit(&runtime, job([Act::Step, act.clone(), mark("after")]).unique(*b"k")).await;
    world.stage.entered().await;
    let asked = Instant::now();
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Asked);
    let cancelled = wait(&runtime, &id).await;
    let took = asked.elapsed();
    assert!(took < LIMIT, "{act:?} took {took:?}");
    assert_eq!((cancelled.status, cancelled.state.as_str()), (Status::Cancelled, "S1"), "the state is kept");
    assert!(cancelled.cancelled_at.is_some());
    // The key is free, so the next job can start whatever the step still does.
    submit(&runtime, job([Act::Step]).unique(*b"k")).await;
    world.stage.release();
    world.stage.open_gate();
    in_time(runtime.idle()).await;
    assert_eq!(stored(&runtime, &id).status, Status::Cancelled);
    assert_eq!(world.marks("after"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_that_looks_at_its_signal_stops() {
    stops_in_time(Act::Hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_that_does_not_look_is_dropped() {
    stops_in_time(Act::Deaf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_that_blocks_its_thread_is_cancelled_without_it() {
    stops_in_time(Act::Block).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_is_never_overwritten_by_completed() {
    let world = World::new();
    let runtime = world.start().await;
    let mut cancelled = 0;
    for _ in 0..40 {
        let id = submit(&runtime, job([Act::Hold])).await;
        world.stage.entered().await;
        let racing = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.cancel(&id).await }
        });
        world.stage.release();
        let asked = in_time(racing).await.unwrap();
        let end = wait(&runtime, &id).await.status;
        in_time(runtime.idle()).await;
        assert_eq!(stored(&runtime, &id).status, end, "an end is final");
        // Either the wish was accepted and holds, or the job had already completed.
        match asked {
            Ok(_) => assert_eq!(end, Status::Cancelled),
            Err(error) => assert!(matches!(error, Error::Ended { status: Status::Completed, .. }), "{error}"),
        }
        cancelled += usize::from(end == Status::Cancelled);
        // A permit that a cancelled step did not take must not let the next one through.
        if end == Status::Cancelled {
            world.stage.forget_releases();
        }
    }
    tracing::debug!(cancelled, "of 40 races");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_cancellation_survives_a_crash() {
    let world = World::new();
    let runtime = world.start_as(Options { cancel_grace: Duration::from_secs(3600), ..world.options.clone() }).await;
    let id = submit(&runtime, job([Act::Deaf, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Asked);
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Cancelled);
    assert_eq!((world.stage.steps().len(), world.marks("after")), (1, 0));
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_or_unknown_cannot_be_cancelled() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Step])).await;
    wait(&runtime, &id).await;
    assert!(refusal(runtime.cancel(&id).await).ends_with("is already completed"));
    let unknown: JobId = "018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90".parse().unwrap();
    assert!(matches!(runtime.cancel(&unknown).await, Err(Error::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_another_try_is_cancelled_at_once() {
    let world = World::new();
    let options = Options {
        backoff_min: Duration::from_secs(3600),
        backoff_max: Duration::from_secs(3600),
        ..world.options.clone()
    };
    world.env.set_chance(3_600_000_000);
    let runtime = world.start_as(options).await;
    let id = submit(&runtime, job([Act::Fail(1)])).await;
    in_time(runtime.idle()).await;
    assert_eq!(stored(&runtime, &id).status, Status::Retrying);
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Cancelled);
    assert_eq!(stored(&runtime, &id).next_run_at, None);
}
