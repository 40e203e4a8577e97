//! Processes killed, and single tasks held past their lease and let go, over and over: no job is lost, no effect is committed
//! twice, and the checkpoints of stale tasks are refused and on record.

use crate::gate::GatedWorld;
use crate::script::{job, mark};
use crate::world::{in_time, stored};
use ebbtide_runtime::{JobId, Options, Runtime, Status, Submitted};
use std::ops::Range;
use std::time::Duration;

const ROUNDS: u32 = 6;
const JOBS: usize = 8;
const STEPS: usize = 3;

fn options() -> Options {
    Options {
        concurrency_max: JOBS,
        // A held task counts as a failed try, and there are many.
        attempts_max: 1000,
        lease: Duration::from_millis(30),
        silence_max: Duration::from_millis(120),
        ..GatedWorld::options()
    }
}

/// Submits a job for each number that has none, as a client would that heard nothing of the first try.
async fn submit_all(runtime: &Runtime, numbers: Range<usize>) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in numbers {
        let marks = (0..STEPS).map(|step| mark(&format!("{number}/{step}")));
        let mut new = job(marks);
        new.idempotency_key = Some(format!("job {number}"));
        match in_time(runtime.submit(new)).await.unwrap() {
            Submitted::New(id) | Submitted::Existing(id) => ids.push(id),
        }
    }
    ids
}

/// Checkpoints of stale tasks that were refused, over all jobs.
fn refused(runtime: &Runtime, ids: &[JobId]) -> usize {
    let lines = ids.iter().flat_map(|id| runtime.transitions(id).unwrap());
    lines.filter(|line| line.error.as_deref().is_some_and(|text| text.starts_with("the checkpoint to state"))).count()
}

/// Waits until the held task has lost its job to another claim: nobody is left who runs, but for the held one.
async fn all_over(runtime: &Runtime, ids: &[JobId]) {
    for id in ids {
        in_time(runtime.wait(id)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled() {
    for round in 0..ROUNDS {
        let mut world = GatedWorld::new();
        // The process dies a few times on the way, each time a bit later.
        for (kill, point) in ["job.claimed", "job.step.before_commit", "job.step.after_commit"].into_iter().enumerate()
        {
            world.env.crash_at(point, round * 3 + u32::try_from(kill).unwrap());
            let runtime = world.start_as(options()).await;
            // The point takes a task with it; the others stop wherever they are.
            submit_all(&runtime, 0..JOBS).await;
            if round % 2 == 0 {
                in_time(runtime.idle()).await;
            }
            in_time(runtime.halt()).await;
            drop(runtime);
            world = world.reopen();
        }
        // And one task is held before its commit, until its job has gone on and ended without it.
        world.env.hold_at("job.step.before_commit", round);
        let runtime = world.start_as(options()).await;
        let ids = submit_all(&runtime, 0..2 * JOBS).await;
        all_over(&runtime, &ids).await;
        assert!(world.env.holds_one(), "round {round}: nobody reached the point");
        let before = refused(&runtime, &ids);
        world.env.let_go();
        in_time(async {
            while refused(&runtime, &ids) == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        in_time(runtime.idle()).await;
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(stored(&runtime, id).status, Status::Completed, "round {round}: job {number}");
            for step in 0..STEPS {
                assert_eq!(world.marks(&format!("{number}/{step}")), 1, "round {round}: {number}/{step}");
            }
        }
        in_time(runtime.halt()).await;
    }
}
