//! Files that the manifest names and others that it does not: which of them go, and when.

use super::{KIND, OrphanSweep};
use crate::testing::{Shore, flush, run, user, world};
use bytes::Bytes;
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{BoxFuture, Job, NewJob, Status, Step, StepError, View, Workflow};
use ebbtide_store::{Kind, StorageId, Table, deletions, published, quarantine};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86_400);

/// A name as flushes give them, of a time before any of them ran.
const ORPHAN: &str = "chat/users/messages/ana/2020-01-01T00-00-00.parquet";
/// One that is written when the test begins.
const YOUNG: &str = "2030-01-01T00-00-00.parquet";
/// A name that a failed job has used.
const OF_A_JOB: &str = "chat/users/messages/ana/2020-02-02T00-00-00-p0002.parquet";

/// A job that was writing files when it failed.
#[derive(Serialize, Deserialize)]
struct Writer;

#[typetag::serde(name = "test_writer")]
impl Workflow for Writer {
    fn step<'a>(self: Box<Self>, _: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async { Err(StepError::fail("its storage is full")) })
    }

    fn view(&self) -> View<'_> {
        let stamp = 1_580_601_600; // 2020-02-02
        View { parameters: serde_json::json!({ "file_timestamp": stamp }), ..View::new("test_writer", "Writing") }
    }
}

async fn put(shore: &Shore, path: &str) {
    let objects = shore.store().objects(&StorageId::local()).unwrap();
    objects.put_small(path, Bytes::from_static(b"bytes")).await.unwrap();
}

/// A manifest that nobody noted.
const MANIFEST: &str = "chat/users/messages/ana/_ebbtide-0000000009.json";

/// A flushed table, an orphan, a file of a failed job, one that is not ours and one that is too young. The clock of the
/// files is the system's, which is years behind.
async fn littered() -> (World, Shore, Arc<Table>) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let table = shore.table("messages", Kind::User).await;
    for name in ["ana", "ben"] {
        shore.insert(&table, &user(name), 0..30).await;
    }
    flush(&mut world, &table).await;
    for path in [ORPHAN, OF_A_JOB, "chat/users/messages/ana/notes.txt", YOUNG] {
        put(&shore, path).await;
    }
    let young = std::fs::File::options().write(true).open(shore.root().join(YOUNG)).unwrap();
    young.set_modified(UNIX_EPOCH + Duration::from_micros(START.unsigned_abs())).unwrap();
    run(&mut world, "writer", Box::new(Writer)).await;
    (world, shore, table)
}

fn quarantined(shore: &Shore) -> Vec<String> {
    quarantine::scan(shore.store().snapshot(), None).unwrap().map(|found| found.unwrap().path).collect()
}

async fn sweep(world: &mut World, parameters: &OrphanSweep) -> serde_json::Value {
    let job = run(world, KIND, Box::new(parameters.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(world.path(&job.job_id), ["Queued", "Snapshotting", "Listing", "Deleting", "Done"]);
    job.result.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_quarantined_first_and_goes_later() {
    let (mut world, shore, table) = littered().await;
    let before = shore.files();
    assert_eq!(before.len(), 6);
    std::fs::write(shore.root().join(".ebbtide/tmp/left.tmp"), "half").unwrap();

    let dry = sweep(&mut world, &OrphanSweep { dry_run: true, ..OrphanSweep::default() }).await;
    for (what, count) in
        [("objects", 6), ("quarantined", 1), ("of_jobs", 1), ("foreign", 1), ("young", 1), ("temp_files", 1)]
    {
        assert_eq!(dry[what], count, "{what} of {dry}");
    }
    assert_eq!(dry["foreign_paths"], serde_json::json!(["chat/users/messages/ana/notes.txt"]));
    assert!(quarantined(&shore).is_empty(), "a dry run changes nothing");
    assert!(shore.root().join(".ebbtide/tmp/left.tmp").exists());

    let first = sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!((&first["quarantined"], &first["deleted"], &first["temp_files"]), (&1.into(), &0.into(), &1.into()));
    assert_eq!(quarantined(&shore), [ORPHAN]);
    assert_eq!(shore.files(), before, "nothing has gone");

    let soon = sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!((&soon["known"], &soon["deleted"]), (&1.into(), &0.into()), "it is held back for a day");

    world.advance(DAY);
    // By now the one that was too young is old enough to be judged.
    let later = sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!(
        (&later["deleted"], &later["quarantined"], &later["young"]),
        (&1.into(), &1.into(), &0.into()),
        "{later}"
    );
    let left: Vec<_> = before.iter().filter(|path| *path != ORPHAN).cloned().collect();
    assert_eq!(shore.files(), left);
    assert_eq!(quarantined(&shore), [YOUNG]);
    assert_eq!(deletions::pending(shore.store().snapshot(), None, 10).unwrap(), []);
    assert_eq!(shore.rows(&table).await["ana"].len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_found_is_held_back_anew() {
    let (mut world, shore, _) = littered().await;
    sweep(&mut world, &OrphanSweep::default()).await;
    std::fs::write(shore.root().join(ORPHAN), "other bytes").unwrap();
    world.advance(DAY);
    let changed = sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!((&changed["released"], &changed["deleted"]), (&1.into(), &0.into()));
    assert!(shore.root().join(ORPHAN).exists());
    std::fs::remove_file(shore.root().join(ORPHAN)).unwrap();
    world.advance(2 * DAY);
    let gone = sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!((&gone["released"], &gone["deleted"]), (&1.into(), &1.into()), "the other was young at first");
    assert!(quarantined(&shore).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_not_there_is_named() {
    let (mut world, _) = world(Env::held_at(START)).await;
    let parameters = OrphanSweep { storage: Some("elsewhere".to_owned()), ..OrphanSweep::default() };
    let job = run(&mut world, KIND, Box::new(parameters.job())).await;
    assert_eq!(job.error.as_deref(), Some("Storage 'elsewhere' does not exist"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_sweep_removes_the_same() {
    let present: Mutex<Option<(Shore, Arc<Table>)>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (mut world, shore, table) = littered().await;
            sweep(&mut world, &OrphanSweep::default()).await;
            world.advance(2 * DAY);
            put(&shore, "chat/users/messages/ben/2020-03-03T00-00-00.parquet").await;
            *present.lock().unwrap() = Some((shore, table));
            world
        },
        |_| NewJob::new(KIND, Box::new(OrphanSweep::default().job())),
        async |_: &World, job: &Job| {
            let (shore, table) = present.lock().unwrap().clone().unwrap();
            let result = job.result.as_ref().unwrap();
            assert_eq!((&result["deleted"], &result["quarantined"]), (&1.into(), &2.into()), "{result}");
            assert!(!shore.root().join(ORPHAN).exists());
            let expected = [YOUNG, "chat/users/messages/ben/2020-03-03T00-00-00.parquet"];
            assert_eq!(quarantined(&shore), expected);
            assert_eq!(shore.files().len(), 6);
            assert_eq!(shore.rows(&table).await["ben"].len(), 30);
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Listing", "Deleting", "Done"]);
    assert_eq!(deaths.unreached, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_published_manifests_the_last_one_stays() {
    let (mut world, shore, _) = littered().await;
    published::publish_due(&shore.store(), None, usize::MAX).await.unwrap();
    put(&shore, MANIFEST).await;
    sweep(&mut world, &OrphanSweep::default()).await;
    assert_eq!(quarantined(&shore), [ORPHAN, MANIFEST], "and not those that are the last of their folders");
    world.advance(DAY);
    sweep(&mut world, &OrphanSweep::default()).await;
    assert!(!shore.root().join(MANIFEST).exists());
    for whom in ["ana", "ben"] {
        assert!(shore.root().join(format!("chat/users/messages/{whom}/_ebbtide-0000000001.json")).exists());
    }
}
