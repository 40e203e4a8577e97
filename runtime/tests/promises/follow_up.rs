//! What was asked for while a job held the active key starts once, in the commit that ends the job.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, submit, wait};
use ebbtide_runtime::{Filter, NewJob, Status, Submitted, Trigger};

fn next() -> NewJob {
    NewJob { follow_up: true, ..job([mark("next")]).unique(*b"table") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_starts_once_when_the_job_ends() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Hold]).unique(*b"table")).await;
    world.stage.entered().await;
    for _ in 0..3 {
        assert_eq!(runtime.submit(next()).await.unwrap(), Submitted::Existing(id));
    }
    world.stage.release();
    wait(&runtime, &id).await;
    in_time(runtime.idle()).await;
    assert_eq!(world.marks("next"), 1);
    let jobs = runtime.jobs(Filter::default(), 10).unwrap();
    assert_eq!(jobs.len(), 2);
    assert_eq!((jobs[0].status, jobs[0].trigger), (Status::Completed, Trigger::FollowUp));
    assert!(jobs[0].created_at >= jobs[1].completed_at.unwrap());
    // And the key is free again.
    assert!(matches!(runtime.submit(next()).await.unwrap(), Submitted::New(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_survives_a_crash_and_follows_a_cancelled_job_too() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Hold]).unique(*b"table")).await;
    world.stage.entered().await;
    runtime.submit(next()).await.unwrap();
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    world.stage.entered().await;
    runtime.cancel(&id).await.unwrap();
    assert_eq!(wait(&runtime, &id).await.status, Status::Cancelled);
    in_time(runtime.idle()).await;
    assert_eq!(world.marks("next"), 1);
    in_time(runtime.halt()).await;
}
