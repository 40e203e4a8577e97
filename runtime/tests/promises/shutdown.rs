//! A shutdown takes nothing new, lets running jobs reach a checkpoint, gives their claims back, and has an end.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_engine::{Commit, CommitError};
use ebbtide_runtime::{Drain, Error, Options, Shutdown, Status};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn running_jobs_stop_at_a_checkpoint_and_go_on_at_the_next_start() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let running = submit(&runtime, job([mark("before"), Act::Hold, mark("after")])).await;
    world.stage.entered().await;
    let waiting = submit(&runtime, job([mark("waiting")])).await;
    let outcome = in_time(runtime.shutdown(Drain::Checkpoint, LONG)).await;
    assert_eq!(outcome, Shutdown { released: vec![running], ..Shutdown::default() });
    let released = stored(&runtime, &running);
    assert_eq!((released.status, released.state.as_str()), (Status::Pending, "S1"));
    assert_eq!((released.node_id, released.lease_expires_at, released.attempt), (None, None, 1));
    assert_eq!(stored(&runtime, &waiting).epoch, 0, "nothing new was claimed");
    assert!(matches!(runtime.submit(job([Act::Step])).await, Err(Error::ShuttingDown)));
    assert!(matches!(in_time(runtime.wait(&running)).await, Err(Error::ShuttingDown)));
    drop(runtime);

    // The engine is free: nothing of the runtime holds it any more.
    let world = world.reopen();
    let runtime = world.start().await;
    world.stage.release();
    assert_eq!(wait(&runtime, &running).await.status, Status::Completed);
    assert_eq!(wait(&runtime, &waiting).await.status, Status::Completed);
    assert_eq!((world.marks("before"), world.marks("after"), world.marks("waiting")), (1, 1, 1));
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_stop_is_dropped_at_the_time_limit_and_released() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Deaf])).await;
    world.stage.entered().await;
    let outcome = in_time(runtime.shutdown(Drain::Checkpoint, Duration::from_millis(50))).await;
    assert_eq!(outcome.released, [id]);
    assert_eq!(stored(&runtime, &id).status, Status::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_blocks_its_thread_does_not_hold_the_shutdown_up() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Block])).await;
    world.stage.entered().await;
    let outcome = in_time(runtime.shutdown(Drain::Checkpoint, Duration::from_millis(50))).await;
    assert_eq!(outcome.abandoned, [id]);
    world.stage.open_gate();
    // What it does afterwards counts for nothing; the next start has the job.
    in_time(runtime.halt()).await;
    let runtime = world.start().await;
    assert_eq!(wait(&runtime, &id).await.epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_in_time_has_ended() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Deaf])).await;
    world.stage.entered().await;
    let ending = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.shutdown(Drain::Checkpoint, LONG).await }
    });
    world.stage.release();
    let outcome = in_time(ending).await.unwrap();
    assert_eq!(outcome.ended, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_lets_jobs_finish_does_not_stop_them_in_time() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let running = submit(&runtime, job([Act::Hold, Act::Hold, mark("after")])).await;
    world.stage.entered().await;
    let waiting = submit(&runtime, job([mark("waiting")])).await;
    let ending = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.shutdown(Drain::Finish, LONG).await }
    });
    // It is on its way once nothing new is taken.
    in_time(async {
        while runtime.submit(job([Act::Step]).unique(*b"asked")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stage.release();
    world.stage.entered().await;
    world.stage.release();
    let outcome = in_time(ending).await.unwrap();
    assert_eq!(outcome, Shutdown { ended: vec![running], ..Shutdown::default() });
    assert_eq!((world.marks("after"), stored(&runtime, &waiting).epoch), (1, 0), "it finished, and nothing else began");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_time_stops_at_a_checkpoint() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([mark("before"), Act::Hold])).await;
    world.stage.entered().await;
    let outcome = in_time(runtime.shutdown(Drain::Finish, Duration::from_millis(500))).await;
    assert_eq!(outcome, Shutdown { released: vec![id], ..Shutdown::default() });
    let released = stored(&runtime, &id);
    assert_eq!((released.status, released.state.as_str()), (Status::Pending, "S1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_engine_takes_no_more_writes() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    let waiting = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.wait(&id).await }
    });
    world.engine.close();
    assert!(matches!(world.engine.commit(Commit::default()).await, Err(CommitError::Closed)));
    world.stage.release();
    let error = in_time(waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    in_time(runtime.idle()).await;
    assert_eq!(stored(&runtime, &id).state, "S0", "it stands at its last checkpoint");
}
