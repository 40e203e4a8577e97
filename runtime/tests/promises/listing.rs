//! Newest first, by id, by status, by scope, by time, in pages.

use crate::script::{Act, job, mark, scripted};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_runtime::{Filter, Job, JobId, NewJob, Options, Runtime, Status, query};

const START: i64 = 1_800_000_000_000_000;

fn of(table: &str, act: Act) -> NewJob {
    let mut body = scripted([act]);
    body.scope = Some(("chat".to_owned(), table.to_owned()));
    NewJob::new(if table == "a" { "first" } else { "others" }, body)
}

/// Thirty jobs, a second apart: of three tables in turn, every fifth of them failed.
async fn thirty(world: &World) -> (Runtime, Vec<JobId>) {
    world.env.hold(START);
    let runtime = world.start().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        let act = if number % 5 == 0 { Act::GiveUp } else { Act::Step };
        ids.push(submit(&runtime, of(["a", "b", "c"][number % 3], act)).await);
        world.env.advance(1_000_000);
    }
    in_time(runtime.idle()).await;
    (runtime, ids)
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_and_the_newest_comes_first() {
    let world = World::new();
    let (runtime, made) = thirty(&world).await;
    let newest: Vec<JobId> = made.iter().rev().copied().collect();
    let list = |filter: Filter| ids(&runtime.jobs(filter, 1000).unwrap());
    let pick = |keep: &dyn Fn(usize) -> bool| -> Vec<JobId> {
        (0..30).rev().filter(|number| keep(*number)).map(|number| made[number]).collect()
    };
    assert_eq!(list(Filter::default()), newest);
    assert_eq!(list(Filter::statuses([Status::Failed])), pick(&|number| number % 5 == 0));
    assert_eq!(list(Filter::statuses([Status::Completed, Status::Failed, Status::Running])), newest);
    assert_eq!(list(Filter::scope("chat", "b")), pick(&|number| number % 3 == 1));
    assert_eq!(list(Filter::scope("chat", "d")), []);
    assert_eq!(list(Filter::workflow("first")), pick(&|number| number % 3 == 0));
    assert_eq!(list(Filter::workflow("second")), []);
    let failed_of_others = Filter { statuses: vec![Status::Failed], ..Filter::workflow("others") };
    assert_eq!(list(failed_of_others), pick(&|number| number % 5 == 0 && number % 3 != 0));
    assert_eq!(list(Filter { workflow: Some("first".to_owned()), ..Filter::scope("chat", "b") }), []);
    assert_eq!(list(Filter { kind: Some("scripted".to_owned()), ..Filter::default() }), newest);
    assert_eq!(list(Filter { kind: Some("flush".to_owned()), ..Filter::default() }), []);
    let failed_of_a = Filter { statuses: vec![Status::Failed], ..Filter::scope("chat", "a") };
    assert_eq!(list(failed_of_a), pick(&|number| number % 15 == 0));
    let waiting_of_a = Filter { statuses: vec![Status::Pending, Status::Running], ..Filter::scope("chat", "a") };
    assert_eq!(list(waiting_of_a), []);
    let between = Filter {
        created_from: Some(START + 10_000_000),
        created_before: Some(START + 13_000_000),
        ..Filter::default()
    };
    assert_eq!(list(between), [made[12], made[11], made[10]]);
    let nothing = Filter { created_from: Some(START + 9), created_before: Some(START + 3), ..Filter::default() };
    assert_eq!(list(nothing), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_meet_without_a_gap_or_a_double() {
    let world = World::new();
    let (runtime, made) = thirty(&world).await;
    for filter in [Filter::default(), Filter::statuses([Status::Completed, Status::Failed])] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = runtime.jobs(Filter { after, ..filter.clone() }, 7).unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.job_id));
            seen.extend(ids(&page));
        }
        seen.reverse();
        assert_eq!(seen, made);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lists_one_instant() {
    let world = World::new();
    let runtime = world.start().await;
    let snapshot = world.engine.snapshot();
    let id = submit(&runtime, job([Act::Step])).await;
    in_time(runtime.idle()).await;
    assert!(query::job(&*snapshot, &id).unwrap().is_none());
    assert!(query::jobs(&snapshot, Filter::default()).unwrap().next().unwrap().is_none());
    assert!(query::transitions(&snapshot, None).unwrap().next().unwrap().is_none());
    let counts = query::counts(&*snapshot).unwrap();
    assert!(counts.iter().all(|(_, count)| *count == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_result_are_left_out_on_request() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let id = submit(&runtime, of("a", Act::Step)).await;
    in_time(runtime.idle()).await;
    let whole = stored(&runtime, &id);
    assert_eq!(whole.parameters, Some(serde_json::json!({ "acts": 1 })));
    let lean = runtime.jobs(Filter { without_payload: true, ..Filter::default() }, 1).unwrap().remove(0);
    assert_eq!((lean.parameters, lean.result), (None, None));
    assert_eq!((lean.namespace.as_deref(), lean.table_name.as_deref()), (Some("chat"), Some("a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_jobs_than_fit_in_memory_all_run() {
    let world = World::new();
    let narrow = Options { queue_jobs_max: 4, concurrency_max: 2, ..world.options.clone() };
    let runtime = world.start_as(narrow.clone()).await;
    for _ in 0..2 {
        submit(&runtime, job([Act::Hold])).await;
        world.stage.entered().await;
    }
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(submit(&runtime, job([mark("ran")])).await);
    }
    // Also when they are read back at a start.
    drop(runtime);
    let runtime = world.start_as(narrow).await;
    world.stage.release();
    world.stage.release();
    for id in &waiting {
        assert_eq!(wait(&runtime, id).await.status, Status::Completed);
    }
    assert_eq!(world.marks("ran"), 40);
}
