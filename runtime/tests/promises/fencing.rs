//! A stale claim commits nothing, and a claim whose holder stopped beating goes to another runner.

use crate::script::{Act, job, mark};
use crate::world::{PATIENCE, World, in_time, submit, wait};
use ebbtide_engine::env::Defect;
use ebbtide_runtime::{Filter, JobId, NewJob, Options, Runtime, Status, query};
use std::sync::Arc;
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

/// Lines of the job's history that say a checkpoint was refused.
fn refused(runtime: &Runtime, id: &JobId) -> Vec<(u64, String)> {
    let transitions = runtime.transitions(id).unwrap();
    let refused = transitions
        .into_iter()
        .filter(|line| line.error.as_deref().is_some_and(|text| text.starts_with("the checkpoint to state")));
    refused.map(|line| (line.epoch, line.error.unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_checkpoint_is_on_record_and_disturbs_nobody() {
    let world = World::new();
    let first = world.start().await;
    let id = submit(&first, job([Act::Block, Act::Hold, mark("once")])).await;
    world.stage.entered().await;
    let second = world.start().await;
    world.stage.entered().await;
    // Both steps come back; the second one's claim is the one that counts, and holds in the next state.
    world.stage.open_gate();
    world.stage.entered().await;
    in_time(async {
        while refused(&second, &id).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.stage.release();
    assert_eq!(wait(&second, &id).await.epoch, 2);
    in_time(second.idle()).await;
    let lines = refused(&second, &id);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (epoch, text) = &lines[0];
    assert_eq!(*epoch, 1);
    assert!(
        text.starts_with("the checkpoint to state S1 under epoch 1 was refused: the job is running under epoch 2"),
        "{text}"
    );
    // Nothing of the one that counts was redone for it.
    assert_eq!(world.marks("once"), 1);
    assert_eq!(world.stage.steps().iter().filter(|step| step.starts_with("S1")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_hangs_past_its_time_loses_its_job_to_a_new_claim() {
    let world = World::new();
    let options =
        Options { lease: Duration::from_millis(60), silence_max: Duration::from_millis(300), ..world.options.clone() };
    let runtime = world.start_as(options).await;
    let id = submit(&runtime, job([Act::BlockOnce, mark("once")])).await;
    // The first claim's step blocks its thread. Nobody can stop it, so the job goes on without it.
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch, world.marks("once")), (Status::Completed, 2, 1));
    let retried = runtime.transitions(&id).unwrap().into_iter().find(|line| line.status == Status::Retrying).unwrap();
    assert!(retried.error.as_deref().unwrap().starts_with("the step showed no sign of life for"), "{retried:?}");
    // Let go of at last, it tries to commit what it did.
    world.stage.open_gate();
    in_time(async {
        while refused(&runtime, &id).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(refused(&runtime, &id)[0].1.contains("under epoch 1 was refused: the job is completed under epoch 2"));
    assert_eq!(world.marks("once"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_shows_signs_of_life_keeps_its_job() {
    let world = World::new();
    let options =
        Options { lease: Duration::from_millis(60), silence_max: Duration::from_millis(300), ..world.options.clone() };
    let runtime = world.start_as(options).await;
    // It waits far longer than the limit, and says that it is alive.
    let id = submit(&runtime, job([Act::Alive(Duration::from_millis(900)), mark("once")])).await;
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch, world.marks("once")), (Status::Completed, 1, 1));
}

#[tokio::test]
async fn a_step_that_blocks_the_only_worker_stops_no_beat_and_no_timeout() {
    let world = World::new();
    let options = Options { lease: Duration::from_millis(60), ..world.options.clone() };
    let runtime = world.start_as(options).await;
    // There is one thread for steps, and this test runs on it: nothing but the runtime's own thread is left.
    let new = NewJob { timeout: Some(Duration::from_millis(400)), ..job([Act::Block]) };
    let opener = std::thread::spawn({
        let (engine, stage) = (world.engine.clone(), Arc::clone(&world.stage));
        move || {
            let failed = || {
                let jobs = query::jobs(&engine.snapshot(), Filter::default()).unwrap().page(1).unwrap();
                jobs.first().is_some_and(|job| job.status == Status::Failed)
            };
            let end = std::time::Instant::now() + PATIENCE;
            while !failed() && std::time::Instant::now() < end {
                std::thread::yield_now();
            }
            stage.open_gate();
        }
    });
    let id = submit(&runtime, new).await;
    let job = wait(&runtime, &id).await;
    opener.join().unwrap();
    assert_eq!(job.status, Status::Failed);
    assert!(job.error.unwrap().contains("which is its timeout"));
}
