//! A body that this program cannot load is set aside with a clear error, and the queue goes on.

use crate::script::{Act, job, mark, scripted};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_engine::{Commit, Write};
use ebbtide_runtime::keys::BODIES;
use ebbtide_runtime::{Cancel, JobId, Options, Runtime, Status, Workflow};

/// Stores `body` in place of the job's own, as another version of the program might have.
async fn rewrite(world: &World, id: &JobId, body: &[u8]) {
    let key = [id.as_bytes(), &b"b"[..]].concat();
    let commit = Commit { writes: vec![Write::put(BODIES, key, body)], ..Commit::default() };
    world.engine.commit(commit).await.unwrap();
}

/// A job that waits while another one has the only slot, with a body of an unknown kind.
async fn unloadable(world: &World) -> (Runtime, JobId) {
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    let id = submit(&runtime, job([mark("ran")]).unique(*b"k")).await;
    rewrite(world, &id, br#"{"kind":"from the future","depth":3}"#).await;
    world.stage.release();
    in_time(runtime.idle()).await;
    (runtime, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_listed_with_its_error_and_the_queue_goes_on() {
    let world = World::new();
    let (runtime, id) = unloadable(&world).await;
    let parked = stored(&runtime, &id);
    assert_eq!((parked.status, parked.job_type.as_str(), parked.state.as_str()), (Status::Parked, "scripted", "S0"));
    let error = parked.error.unwrap();
    assert!(
        error.starts_with("this version cannot load the stored body: unknown variant `from the future`"),
        "{error}"
    );
    let next = submit(&runtime, job([mark("next")])).await;
    assert_eq!(wait(&runtime, &next).await.status, Status::Completed);
    assert_eq!(world.marks("ran"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_program_that_can_load_it_runs_it() {
    let world = World::new();
    let (runtime, id) = unloadable(&world).await;
    drop(runtime);
    // Another start of the same program changes nothing.
    let runtime = world.start().await;
    in_time(runtime.idle()).await;
    let transitions = runtime.transitions(&id).unwrap();
    assert_eq!(transitions.iter().filter(|transition| transition.status == Status::Parked).count(), 1);
    drop(runtime);

    let body: Box<dyn Workflow> = scripted([mark("ran")]);
    rewrite(&world, &id, &serde_json::to_vec(&body).unwrap()).await;
    let runtime = world.start().await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    assert_eq!(world.marks("ran"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_cancelled_and_frees_its_key() {
    let world = World::new();
    let (runtime, id) = unloadable(&world).await;
    assert!(
        matches!(runtime.submit(job([Act::Step]).unique(*b"k")).await.unwrap(), ebbtide_runtime::Submitted::Existing(by) if by == id)
    );
    assert_eq!(runtime.cancel(&id).await.unwrap(), Cancel::Cancelled);
    submit(&runtime, job([Act::Step]).unique(*b"k")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_tried_again_by_hand() {
    let world = World::new();
    let (runtime, id) = unloadable(&world).await;
    runtime.retry(&id).await.unwrap();
    in_time(runtime.idle()).await;
    assert_eq!(stored(&runtime, &id).status, Status::Parked);
    let body: Box<dyn Workflow> = scripted([mark("ran")]);
    rewrite(&world, &id, &serde_json::to_vec(&body).unwrap()).await;
    runtime.retry(&id).await.unwrap();
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
}
