//! A start finds what an earlier life left, makes its claims void at once, and says what it found.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_engine::{Commit, Write};
use ebbtide_runtime::keys::{BODIES, JOBS};
use ebbtide_runtime::{JobId, NewJob, Options, Pause, Runtime, Status, query};
use std::time::Duration;

/// Ends the runtime where it stands, and opens the engine again.
async fn killed(world: World, runtime: Runtime) -> World {
    in_time(runtime.halt()).await;
    drop(runtime);
    world.reopen()
}

async fn put(world: &World, write: Write) {
    world.engine.commit(Commit { writes: vec![write], ..Commit::default() }).await.unwrap();
}

/// No slot of this runtime is ever free for another job than the first.
fn narrow(world: &World) -> Options {
    Options { concurrency_max: 1, ..world.options.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reports_what_became_of_each_unfinished_job() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 16, ..world.options.clone() }).await;
    let mut writing = Vec::new();
    for _ in 0..3 {
        writing.push(submit(&runtime, job([Act::Step, Act::Deaf])).await);
    }
    let first = submit(&runtime, job([Act::Deaf])).await;
    let to_pause = submit(&runtime, job([Act::Deaf])).await;
    let to_cancel = submit(&runtime, job([Act::Deaf]).unique(*b"k")).await;
    let unloadable = submit(&runtime, job([Act::Deaf])).await;
    let damaged = submit(&runtime, job([Act::Deaf])).await;
    for _ in 0..8 {
        world.stage.entered().await;
    }
    let next = NewJob { follow_up: true, ..job([Act::Deaf]).unique(*b"k") };
    runtime.submit(next).await.unwrap();
    assert_eq!(runtime.pause(&to_pause).await.unwrap(), Pause::Asked);
    runtime.cancel(&to_cancel).await.unwrap();
    let world = killed(world, runtime).await;
    put(&world, Write::put(BODIES, [unloadable.as_bytes(), &b"b"[..]].concat(), b"{\"kind\":\"gone\"}")).await;
    put(&world, Write::put(JOBS, *damaged.as_bytes(), b"\xff\xff")).await;

    let runtime = world.start_as(narrow(&world)).await;
    let report = runtime.recovery();
    let scripted = |state: &str, count| ("scripted".to_owned(), state.to_owned(), count);
    assert_eq!(report.resumed, [scripted("S1", 3), scripted("S0", 1)]);
    assert_eq!((report.fenced, report.parked, report.failed), (7, 1, 1));
    let words = report.to_string();
    assert!(
        words.starts_with("4 jobs resumed: 3 scripted from S1, 1 scripted from S0; 7 old claims void; "),
        "{words}"
    );
    world.stage.entered().await;
    assert_eq!(stored(&runtime, &to_pause).status, Status::Paused);
    assert_eq!(stored(&runtime, &to_cancel).status, Status::Cancelled);
    assert_eq!(stored(&runtime, &unloadable).status, Status::Parked);
    // Those without a slot are shown as what they are: not running.
    let waiting = writing.iter().chain([&first]).filter(|id| stored(&runtime, id).status == Status::Pending).count();
    assert_eq!(waiting, 3);

    let nodes = query::nodes(&world.engine.snapshot()).unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].node_id.as_str(), nodes[0].version.as_str()), ("local", env!("CARGO_PKG_VERSION")));
    assert_eq!((&nodes[0].recovery, nodes[0].stopped_at), (&report, None));
    in_time(runtime.shutdown(ebbtide_runtime::Drain::Checkpoint, Duration::from_millis(10))).await;
    assert!(query::nodes(&world.engine.snapshot()).unwrap()[0].stopped_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_claims_are_void_without_waiting_for_their_lease() {
    let world = World::new();
    let runtime = world.start_as(Options { lease: Duration::from_secs(3600), ..world.options.clone() }).await;
    let id = submit(&runtime, job([mark("before"), Act::Hold, mark("after")])).await;
    world.stage.entered().await;
    let world = killed(world, runtime).await;
    let runtime = world.start().await;
    world.stage.entered().await;
    world.stage.release();
    assert_eq!(wait(&runtime, &id).await.epoch, 2);
    let path: Vec<(Status, u64)> =
        runtime.transitions(&id).unwrap().iter().map(|transition| (transition.status, transition.epoch)).collect();
    use Status::{Completed, Pending, Running};
    let expected = [(Pending, 0), (Running, 1), (Running, 1), (Pending, 1), (Running, 2), (Running, 2), (Completed, 2)];
    assert_eq!(path, expected);
    assert_eq!((world.marks("before"), world.marks("after")), (1, 1));
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_another_node_is_left_alone() {
    let world = World::new();
    let named = |name: &str| Options { node_id: name.to_owned(), ..world.options.clone() };
    let first = world.start_as(named("a")).await;
    let id = submit(&first, job([Act::Hold])).await;
    world.stage.entered().await;
    let second = world.start_as(named("b")).await;
    assert_eq!((second.recovery().fenced, second.recovery().resumed.len()), (0, 0));
    assert_eq!(stored(&second, &id).status, Status::Running);
    world.stage.release();
    assert_eq!(wait(&second, &id).await.epoch, 1);
}

/// Interrupts `jobs` running jobs, and starts again.
async fn interrupted(world: World, jobs: usize) -> (World, Runtime, Vec<JobId>) {
    let runtime = world.start_as(Options { concurrency_max: jobs, ..world.options.clone() }).await;
    let submissions = (0..jobs).map(|_| runtime.submit(job([Act::Hold, mark("done")])));
    let ids: Vec<JobId> =
        in_time(futures::future::join_all(submissions)).await.into_iter().map(|new| *new.unwrap().id()).collect();
    for _ in 0..jobs {
        world.stage.entered().await;
    }
    let world = killed(world, runtime).await;
    let runtime = world.start_as(Options { concurrency_max: jobs, ..world.options.clone() }).await;
    (world, runtime, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn more_jobs_than_one_commit_holds_all_go_on() {
    let (world, runtime, ids) = interrupted(World::new(), 1300).await;
    assert_eq!(runtime.recovery().resumed_count(), 1300);
    for _ in &ids {
        world.stage.release();
    }
    for id in &ids {
        assert_eq!(wait(&runtime, id).await.epoch, 2);
    }
    assert_eq!(world.marks("done"), 1300);
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_during_recovery_leaves_the_rest_to_the_next_start() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 600, ..world.options.clone() }).await;
    let submissions = (0..600).map(|_| runtime.submit(job([Act::Hold, mark("done")])));
    let ids: Vec<JobId> =
        in_time(futures::future::join_all(submissions)).await.into_iter().map(|new| *new.unwrap().id()).collect();
    for _ in 0..600 {
        world.stage.entered().await;
    }
    let world = killed(world, runtime).await;
    // After the first commit of two.
    world.env.crash_at("job.recovered", 0);
    let crashed = tokio::spawn({
        let (engine, env, stage) = (world.engine.clone(), world.env.clone(), world.stage.clone());
        async move { Runtime::builder(engine, env).with(stage).start().await }
    });
    assert!(in_time(crashed).await.unwrap_err().is_panic());

    let runtime = world.start_as(Options { concurrency_max: 600, ..world.options.clone() }).await;
    let report = runtime.recovery();
    assert_eq!((report.resumed_count(), report.waiting), (600 - 512, 512));
    for _ in &ids {
        world.stage.release();
    }
    for id in &ids {
        assert_eq!(wait(&runtime, id).await.status, Status::Completed);
    }
    assert_eq!(world.marks("done"), 600);
    in_time(runtime.halt()).await;
}
