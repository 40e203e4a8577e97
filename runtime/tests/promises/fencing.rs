//! A stale claim commits nothing, and a claim whose holder stopped beating goes to another runner.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, submit, wait};
use ebbtide_engine::env::Defect;
use ebbtide_runtime::{Options, Status};
use std::time::Duration;

/// Two runtimes on one engine: the second takes the job over while the first still works on it, deaf to everything.
async fn overtaken(world: &World) -> i64 {
    let first = world.start().await;
    let id = submit(&first, job([Act::Deaf, mark("once")])).await;
    world.stage.entered().await;

    // Of the same node, so the first one's claim counts as left behind by an earlier life.
    let second = world.start().await;
    world.stage.entered().await;
    // Both steps come back, in whatever order. The stale one must not commit what it did.
    world.stage.release();
    world.stage.release();
    let done = wait(&second, &id).await;
    assert_eq!(done.status, Status::Completed);
    in_time(first.idle()).await;
    in_time(second.idle()).await;
    in_time(first.halt()).await;
    in_time(second.halt()).await;
    world.marks("once")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_claim_commits_nothing() {
    let world = World::new();
    assert_eq!(overtaken(&world).await, 1);
    assert!(world.stage.steps().contains(&"S1 epoch 2 attempt 1".to_owned()));
    assert!(!world.stage.steps().contains(&"S1 epoch 1 attempt 1".to_owned()), "the stale claim got no further");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_above_catches_a_runner_that_does_not_fence() {
    let world = World::new();
    world.env.plant(Defect::StaleClaimCommits);
    assert_eq!(overtaken(&world).await, 2, "with the defect planted the effect happens twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_ran_out_goes_to_another_node() {
    let world = World::new();
    let node =
        |name: &str| Options { node_id: name.to_owned(), lease: Duration::from_millis(300), ..world.options.clone() };
    let first = world.start_as(node("a")).await;
    let id = submit(&first, job([Act::Deaf, mark("once")])).await;
    world.stage.entered().await;
    let second = world.start_as(node("b")).await;
    // It beats, so it keeps its job for longer than a lease.
    let before = first.job(&id).unwrap().unwrap().lease_expires_at.unwrap();
    in_time(async {
        while first.job(&id).unwrap().unwrap().lease_expires_at.unwrap() < before + 600_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(first.job(&id).unwrap().unwrap().epoch, 1, "nobody takes a job whose holder beats");

    drop(first);
    world.stage.entered().await;
    world.stage.release();
    let done = wait(&second, &id).await;
    assert_eq!((done.status, done.epoch, done.node_id.as_deref()), (Status::Completed, 2, Some("b")));
    assert_eq!(world.marks("once"), 1);
}
