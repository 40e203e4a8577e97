//! KILL at each instant, before, in and after each commit of a job: it is cancelled or completed, never both, and what was
//! done is what its state says.

use crate::gate::GatedWorld;
use crate::script::{job, mark};
use crate::world::{in_time, stored};
use ebbtide_runtime::{Error, Filter, Status};

/// Kills a job of three steps while the one task that reaches this point is held there.
async fn kills_at(point: &'static str, passes: u32, waits: bool) -> Option<Status> {
    let world = GatedWorld::new();
    let runtime = world.start_as(GatedWorld::options()).await;
    world.env.hold_at(point, passes);
    let submitting = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.submit(job([mark("0"), mark("1"), mark("2")]).unique(*b"k")).await }
    });
    in_time(async {
        while !world.env.holds_one() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // In the commit of the submission there is no job yet, and nobody to kill.
    let Some(id) = runtime.jobs(Filter::default(), 1).unwrap().first().map(|job| job.job_id) else {
        world.env.let_go();
        in_time(submitting).await.unwrap().unwrap();
        in_time(runtime.idle()).await;
        return None;
    };
    let killing = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.cancel(&id).await }
    });
    // Where the held task is in nobody's way, the kill is over before it goes on.
    let killed = if waits {
        let killed = in_time(killing).await.unwrap();
        world.env.let_go();
        killed
    } else {
        world.env.let_go();
        in_time(killing).await.unwrap()
    };
    in_time(submitting).await.unwrap().unwrap();
    let end = in_time(runtime.wait(&id)).await.unwrap();
    in_time(runtime.idle()).await;

    let place = format!("{point} + {passes}");
    assert_eq!(stored(&runtime, &id).status, end.status, "{place}: an end is final");
    match killed {
        Ok(_) => assert_eq!(end.status, Status::Cancelled, "{place}: an accepted kill holds"),
        Err(Error::Ended { status, .. }) => {
            assert_eq!((status, end.status), (Status::Completed, Status::Completed), "{place}");
        }
        Err(error) => panic!("{place}: {error}"),
    }
    // Effects up to the state it stands in are there, once; later ones are not.
    let done: usize = end.state.strip_prefix('S').unwrap().parse().unwrap();
    let marks = [world.marks("0"), world.marks("1"), world.marks("2")];
    let expected: Vec<i64> = (0..3).map(|step| i64::from(step < done)).collect();
    assert_eq!(marks.as_slice(), expected, "{place}: {end:?}");
    assert_eq!(end.status == Status::Completed, done == 3, "{place}");
    // A claim that was taken when the kill came may still try to checkpoint, which is refused and on record.
    let history = runtime.transitions(&id).unwrap();
    let ends = history.iter().filter(|change| change.status.is_terminal() && change.error.is_none()).count();
    assert_eq!(ends, 1, "{place}: one end");
    assert!(runtime.submit(job([mark("again")]).unique(*b"k")).await.unwrap().id() != &id, "{place}: the key is free");
    in_time(runtime.halt()).await;
    Some(end.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_killed_at_any_instant_is_cancelled_or_completed() {
    let mut ends = Vec::new();
    for passes in 0..3 {
        ends.push(kills_at("job.step.before_commit", passes, true).await);
        ends.push(kills_at("job.step.after_commit", passes, passes < 2).await);
    }
    for point in ["job.queued", "job.claimed"] {
        ends.push(kills_at(point, 0, true).await);
    }
    ends.push(kills_at("job.done", 0, false).await);
    // Inside the engine: the commits of the submission, the claim, and the three steps.
    for point in ["engine.commit.before_write", "engine.commit.after_write", "engine.commit.synced"] {
        for passes in 0..5 {
            ends.push(kills_at(point, passes, false).await);
        }
    }
    assert!(ends.contains(&Some(Status::Cancelled)) && ends.contains(&Some(Status::Completed)), "{ends:?}");
}
