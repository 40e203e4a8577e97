//! At every crash point: the job is there or was never acknowledged, it goes on from its last checkpoint by itself, and each
//! effect happens once.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_runtime::{Filter, Status};

fn three_marks() -> [Act; 3] {
    [mark("one"), mark("two"), mark("three")]
}

async fn crashes_at(point: &'static str, passes: u32) {
    let world = World::new();
    world.env.crash_at(point, passes);
    let runtime = world.start().await;
    // The panic at the point takes the task with it, as a crash takes the process: nothing after it happens.
    let submitted = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.submit(job(three_marks()).unique(*b"table")).await }
    });
    let acknowledged = in_time(submitted).await.is_ok();
    in_time(runtime.idle()).await;
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    in_time(runtime.idle()).await;
    let jobs = runtime.jobs(Filter::default(), 10).unwrap();
    assert!(!acknowledged || !jobs.is_empty(), "{point} + {passes}: an acknowledged job is gone");
    for job in jobs {
        assert_eq!(job.status, Status::Completed, "{point} + {passes}: {job:?}");
        for name in ["one", "two", "three"] {
            assert_eq!(world.marks(name), 1, "{point} + {passes}: {name}");
        }
    }
    // The active key is free again, whatever happened.
    submit(&runtime, job([Act::Step]).unique(*b"table")).await;
    in_time(runtime.idle()).await;
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_point_loses_and_doubles_nothing() {
    // The points of a job that ends with its third step, each as often as it is passed.
    let passed = [
        ("job.queued", 1),
        ("job.claimed", 1),
        ("job.step.before_commit", 3),
        ("job.step.after_commit", 3),
        ("job.done", 1),
    ];
    for (point, times) in passed {
        for passes in 0..times {
            crashes_at(point, passes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_from_its_last_checkpoint_when_its_runtime_is_dropped() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([mark("before"), Act::Hold, mark("after")])).await;
    world.stage.entered().await;
    assert_eq!(stored(&runtime, &id).status, Status::Running);
    drop(runtime);

    let runtime = world.start().await;
    world.stage.entered().await;
    world.stage.release();
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch, done.attempt), (Status::Completed, 2, 1), "a crash is no failed try");
    assert_eq!(
        world.stage.steps(),
        ["S0 epoch 1 attempt 1", "S1 epoch 1 attempt 1", "S1 epoch 2 attempt 1", "S2 epoch 2 attempt 1"],
        "the finished step is not done again"
    );
    assert_eq!((world.marks("before"), world.marks("after")), (1, 1));
    assert_eq!(done.parameters, Some(serde_json::json!({ "acts": 3 })));
    assert_eq!(done.result, Some(serde_json::json!({ "acted": 3 })));
    assert!(done.lease_expires_at.is_none() && done.completed_at.is_some() && done.error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_go_on_after_the_engine_was_opened_again() {
    let world = World::new();
    let runtime = world.start().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        let act = if number < 4 { Act::Hold } else { Act::Step };
        ids.push(submit(&runtime, job([Act::Step, act, mark("done")])).await);
    }
    for _ in 0..4 {
        world.stage.entered().await;
    }
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    for _ in 0..4 {
        world.stage.release();
    }
    for id in &ids {
        assert_eq!(wait(&runtime, id).await.status, Status::Completed);
    }
    assert_eq!(world.marks("done"), 20);
    in_time(runtime.halt()).await;
}
