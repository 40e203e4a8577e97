//! A death at every commit of a flush, flushes as they are declared, and flushes of many tables.

use super::{FlushRows, FlushTables, Flusher, Options};
use crate::kinds::{FILE_TIMESTAMP, Tables};
use crate::testing::{Shore, flush, run, user, world};
use ebbtide_runtime::schedule::{Declared, Scheduler, When};
use ebbtide_runtime::testing::{Env, Moment, START, World, crash_everywhere};
use ebbtide_runtime::{Filter, Job, NewJob, Status, kind};
use ebbtide_store::path::FileName;
use ebbtide_store::{Kind, Table, UserId, hot};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A USER table whose first user has three parts, one of them cold already.
async fn filled() -> (World, Shore, Arc<Table>) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let table = shore.table("messages", Kind::User).await;
    shore.insert(&table, &user("ana"), 0..30).await;
    flush(&mut world, &table).await;
    world.advance(Duration::from_secs(1));
    shore.insert(&table, &user("ana"), 30..250).await;
    shore.insert(&table, &user("ben"), 0..20).await;
    (world, shore, table)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_flush_moves_every_row_once() {
    let present: Mutex<Option<(Shore, Arc<Table>)>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, shore, table) = filled().await;
            *present.lock().unwrap() = Some((shore, table));
            world
        },
        |_| {
            let (_, table) = present.lock().unwrap().clone().unwrap();
            NewJob::new(super::KIND, Box::new(super::Flush::new(&table))).unique(super::trigger::active_key(table.id))
        },
        async |_: &World, job: &Job| {
            let (shore, table) = present.lock().unwrap().clone().unwrap();
            let rows = shore.rows(&table).await;
            assert_eq!(rows["ana"], (0..250).collect::<Vec<_>>());
            assert_eq!(rows["ben"], (0..20).collect::<Vec<_>>());
            assert_eq!(hot::counters(&*shore.store().snapshot(), table.id).unwrap(), hot::Counters::default());
            let segments = shore.segments(&table);
            assert_eq!(segments.iter().map(|segment| segment.rows).sum::<u64>(), 270);
            // What is not named has the timestamp of this job, by which the sweep knows it.
            let stamp = job.parameters.as_ref().unwrap()[FILE_TIMESTAMP].as_i64().unwrap();
            for path in shore.files() {
                let name = FileName::parse(path.rsplit('/').next().unwrap()).unwrap();
                let named = segments.iter().any(|segment| segment.path == path);
                assert!(named || name.stamp_secs == stamp, "{path}");
            }
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Writing", "Deleting", "Done"]);
}

async fn two_tables(world: &mut World, shore: &Shore) -> [Arc<Table>; 2] {
    let tables = [shore.table("messages", Kind::User).await, shore.table("log", Kind::Shared).await];
    shore.insert(&tables[0], &user("ana"), 0..10).await;
    shore.insert(&tables[1], &UserId::shared(), 0..20).await;
    world.advance(Duration::from_secs(1));
    tables
}

async fn flusher(world: &mut World, shore: &Shore) -> Arc<Flusher> {
    let runtime = world.runtime().await;
    Flusher::start(shore.store(), runtime, Options::default())
}

fn cold(shore: &Shore, tables: &[Arc<Table>]) -> Vec<u64> {
    tables.iter().map(|table| shore.segments(table).iter().map(|segment| segment.rows).sum()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_many_tables_starts_one_for_each() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let tables = two_tables(&mut world, &shore).await;
    let flusher = flusher(&mut world, &shore).await;
    let job = run(&mut world, "all tables", Box::new(FlushTables::new(Tables::All))).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let result = job.result.unwrap();
    assert_eq!((&result["tables"], &result["started"]), (&2.into(), &2.into()));
    assert_eq!(cold(&shore, &tables), [10, 20]);
    let flushed = world.list(Filter::default()).into_iter().filter(|job| job.job_type == super::KIND);
    assert_eq!(
        flushed.map(|job| job.job_id.to_string()).filter(|id| result["jobs"].to_string().contains(id)).count(),
        2
    );
    flusher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_many_tables_that_dies_asks_again() {
    for commit in 1..=4 {
        for moment in Moment::ALL {
            let (mut world, shore) = world(Env::held_at(START)).await;
            let tables = two_tables(&mut world, &shore).await;
            // The wait before another try is as long as it may be, not none at all.
            world.env.set_chance(u64::MAX);
            world.crash_at(commit, moment);
            let new = || NewJob::new("all tables", Box::new(FlushTables::new(Tables::Namespace("chat".to_owned()))));
            if world.submit(new()).await.is_err() && world.list(Filter::default()).is_empty() {
                world.submit(new()).await.unwrap();
            }
            // Nobody starts flushes yet, so it comes to rest before it has asked for any.
            world.run_to_idle().await;
            let flusher = flusher(&mut world, &shore).await;
            world.advance(Duration::from_secs(3600));
            world.run_to_idle().await;
            assert_eq!(cold(&shore, &tables), [10, 20], "{moment} commit {commit}");
            let jobs = world.list(Filter::default());
            assert!(jobs.iter().all(|job| job.status == Status::Completed), "{jobs:?}");
            assert_eq!(jobs.len(), 3, "each table once");
            flusher.stop().await;
        }
    }
}

#[test]
fn a_flush_says_which_tables() {
    let parsed: FlushRows = serde_json::from_value(serde_json::json!({ "namespace": "chat" })).unwrap();
    assert_eq!(parsed.tables, Tables::Namespace("chat".to_owned()));
    let error = serde_json::from_value::<FlushRows>(serde_json::json!({})).unwrap_err().to_string();
    assert!(error.starts_with("missing field: say which tables"), "{error}");
}
#[tokio::test(flavor = "multi_thread")]
async fn a_declared_flush_is_run_by_hand_and_counts_its_rows() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let tables = two_tables(&mut world, &shore).await;
    let kind = kind::parse(super::KIND, serde_json::json!({ "table": "chat.log" })).unwrap();
    let declared = Declared::new("nightly", super::KIND, kind, When::Manual);
    let runtime = world.runtime().await;
    let scheduler = Scheduler::start(&runtime, vec![declared]);
    let submitted = scheduler.run("nightly").await.unwrap();
    world.run_to_idle().await;
    let job = world.job(submitted.id());
    assert_eq!((job.status, job.workflow.as_str()), (Status::Completed, "nightly"), "{:?}", job.error);
    assert_eq!(cold(&shore, &tables), [0, 20]);
    scheduler.stop();
}
