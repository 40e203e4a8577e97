//! Jobs of every kind of end, some old and some young, and what a cleanup leaves of them.

use super::{JobCleanup, KIND};
use crate::testing::{run, world};
use crate::user_erase::records::ERASED_OBJECTS;
use crate::user_export::records::EXPORTED_FILES;
use crate::verify::{Finding, Problem, findings};
use ebbtide_engine::{Commit, KeyRange, Order, Write};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{BoxFuture, Filter, Job, JobId, NewJob, Status, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A job that ends as it is told.
#[derive(Serialize, Deserialize)]
enum Brief {
    Completes,
    Fails,
    Over,
}

#[typetag::serde(name = "test_brief")]
impl Workflow for Brief {
    fn step<'a>(self: Box<Self>, _: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            match *self {
                Brief::Fails => Err(StepError::fail("as told")),
                _ => Ok(Box::new(Brief::Over) as Box<dyn Workflow>),
            }
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Brief::Over => View::new("test_brief", "Over").done(),
            _ => View::new("test_brief", "Told"),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn finding(number: i64, found_at: i64) -> Finding {
    Finding {
        found_at,
        job_id: format!("00000000-0000-0000-0000-00000000000{number}").parse().unwrap(),
        namespace: "chat".to_owned(),
        table: "messages".to_owned(),
        user: "ana".to_owned(),
        storage: "local".to_owned(),
        path: format!("{number}.parquet"),
        from_seq: 1,
        problem: Problem::Missing,
        expected: "5 bytes".to_owned(),
        found: "no such object".to_owned(),
    }
}

/// Twelve completed and four failed jobs of 40 days ago, as many of 10 days ago, a cleanup of each time; and a finding of
/// each time.
async fn history() -> World {
    let (mut world, shore) = world(Env::held_at(START)).await;
    for (day, number) in [(0, 1), (30, 2)] {
        world.env.hold(START + day * 86_400_000_000);
        for job in 0..16 {
            let body = if job % 4 == 0 { Brief::Fails } else { Brief::Completes };
            world.submit(NewJob::new("brief", Box::new(body))).await.unwrap();
        }
        world.run_to_idle().await;
        run(&mut world, KIND, Box::new(JobCleanup { dry_run: true, ..JobCleanup::default() }.job())).await;
        let writes = vec![finding(number, START + day * 86_400_000_000).put(1)];
        shore.store().engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
    }
    world.advance(10 * DAY);
    world
}

fn stored(world: &World) -> usize {
    world.list(Filter::default()).len()
}

/// How many records jobs have left.
fn records(world: &World) -> usize {
    let mut count = 0;
    for space in [ERASED_OBJECTS, EXPORTED_FILES] {
        let mut cursor = world.engine.snapshot().scan(space, KeyRange::all(), Order::Ascending).unwrap();
        while cursor.next().unwrap().is_some() {
            count += 1;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn old_jobs_go_and_others_stay() {
    let mut world = history().await;
    assert_eq!(stored(&world), 34);
    let parameters = JobCleanup { failed_retention_days: Some(60), ..JobCleanup::default() };
    // Of a job that failed, and of one that is no more.
    let failed = world.list(Filter { statuses: vec![Status::Failed], ..Filter::default() })[0].job_id;
    let gone: JobId = "ffffffff-ffff-ffff-ffff-ffffffffffff".parse().unwrap();
    let record = |space, job: &JobId| Write::put(space, [job.as_bytes(), &b"what it wrote down"[..]].concat(), []);
    let writes =
        [ERASED_OBJECTS, EXPORTED_FILES].into_iter().flat_map(|space| [record(space, &failed), record(space, &gone)]);
    world.engine.commit(Commit { writes: writes.collect(), ..Commit::default() }).await.unwrap();

    let dry = run(&mut world, KIND, Box::new(JobCleanup { dry_run: true, ..parameters.clone() }.job())).await;
    let said = dry.result.unwrap();
    assert_eq!(said["message"], "would delete 13 jobs, the oldest ended 2030-01-01T00:00:00Z");
    assert_eq!((&said["jobs"], &said["findings"]), (&13.into(), &1.into()));
    assert_eq!((stored(&world), records(&world)), (35, 4), "a dry run deletes nothing");

    let job = run(&mut world, KIND, Box::new(parameters.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let result = job.result.unwrap();
    assert_eq!(result["by_status"], serde_json::json!({ "completed": 13 }), "failed ones are kept for 60 days");
    assert_eq!(result["findings"], 1);
    assert_eq!(stored(&world), 35 - 13 + 1, "with an old run of its own kind, and never itself");
    assert_eq!(findings(world.engine.snapshot()).unwrap().count(), 1);
    assert_eq!(records(&world), 2, "a job that failed may go on");
    assert_eq!(world.path(&job.job_id), ["Queued", "Snapshotting", "Deleting", "Done"]);

    let again = run(&mut world, KIND, Box::new(parameters.job())).await;
    assert_eq!(again.result.unwrap()["message"], "deleted no jobs");
    let all = run(&mut world, KIND, Box::new(JobCleanup { retention_days: 0, ..JobCleanup::default() }.job())).await;
    assert_eq!(all.status, Status::Completed);
    assert_eq!((stored(&world), records(&world)), (1, 0), "all that is over is gone");
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_cleanup_removes_the_same() {
    let deaths = crash_everywhere(
        history,
        |_| NewJob::new(KIND, Box::new(JobCleanup::default().job())),
        async |world: &World, job: &Job| {
            assert_eq!(job.result.as_ref().unwrap()["jobs"], 17);
            assert_eq!(stored(world), 35 - 17);
            assert_eq!(findings(world.engine.snapshot()).unwrap().count(), 1);
            world.assert_sound();
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Deleting", "Done"]);
    assert_eq!(deaths.unreached, 0);
}
