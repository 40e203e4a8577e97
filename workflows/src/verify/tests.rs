//! Files that are what the manifest says, and files that are not.

use super::{KIND, Problem, VerifySegments, findings};
use crate::kinds::Tables;
use crate::testing::{Shore, flush, run, user, world};
use bytes::Bytes;
use ebbtide_engine::Commit;
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, NewJob, Status};
use ebbtide_store::cold::faults::{Fault, Operation, Rule};
use ebbtide_store::manifest::{self, Start};
use ebbtide_store::{Kind, Segment, Table, cold};
use std::sync::{Arc, Mutex};

const ALL: VerifySegments = VerifySegments { tables: Tables::All, rows: true };

/// Two tables: four users with a file each, and a SHARED one of three parts.
async fn flushed() -> (World, Shore, Arc<Table>, Arc<Table>) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let (messages, log) = (shore.table("messages", Kind::User).await, shore.table("log", Kind::Shared).await);
    for name in ["ana", "ben", "cleo", "dan"] {
        shore.insert(&messages, &user(name), 0..50).await;
    }
    shore.insert(&log, &ebbtide_store::UserId::shared(), 0..250).await;
    flush(&mut world, &messages).await;
    flush(&mut world, &log).await;
    (world, shore, messages, log)
}

fn problems(shore: &Shore) -> Vec<(String, Problem)> {
    let found = findings(shore.store().snapshot()).unwrap();
    let mut found: Vec<_> = found.map(Result::unwrap).map(|finding| (finding.user, finding.problem)).collect();
    found.reverse();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_flushed_is_what_the_manifest_says() {
    let (mut world, shore, ..) = flushed().await;
    let job = run(&mut world, KIND, Box::new(ALL.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let result = job.result.unwrap();
    let parts = result["segments"].as_u64().unwrap() - 4;
    assert!(parts >= 3, "{parts} parts of the SHARED table");
    assert_eq!((&result["tables"], &result["rows"], &result["findings"]), (&2.into(), &450.into(), &0.into()));
    assert_eq!(problems(&shore), []);
    assert_eq!(world.path(&job.job_id), ["Queued", "Snapshotting", "Reading", "Done"]);

    let one = VerifySegments { tables: Tables::Table("chat.log".to_owned()), rows: false };
    let job = run(&mut world, KIND, Box::new(one.job())).await;
    assert_eq!(job.result.unwrap()["rows"], 250);
    assert_eq!(job.table_name.as_deref(), Some("log"));
    let none = VerifySegments { tables: Tables::Table("chat.nothing".to_owned()), rows: true };
    let job = run(&mut world, KIND, Box::new(none.job())).await;
    assert_eq!(job.error.as_deref(), Some("Table chat.nothing not found"));
}

/// Has the manifest say something else of a file than it says itself: it is copied under another name, so that its size
/// and checksum hold.
async fn misdescribe(shore: &Shore, table: &Table, name: &str, change: impl Fn(&mut Segment)) {
    let store = shore.store();
    let entries = manifest::entries(store.snapshot(), table.id, Start::Beginning).unwrap();
    let entry = entries.map(Result::unwrap).find(|entry| entry.segment.user.as_str() == name).unwrap();
    let bytes = std::fs::read(shore.root().join(&entry.segment.path)).unwrap();
    let mut segment = Segment { path: format!("copies/{name}.parquet"), ..entry.segment.clone() };
    store.objects(&segment.storage).unwrap().put_small(&segment.path, Bytes::from(bytes)).await.unwrap();
    change(&mut segment);
    let (expect, writes) = manifest::replace(&entry, &segment);
    store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_and_said() {
    let (mut world, shore, messages, log) = flushed().await;
    let path = |name: &str| {
        let segments = shore.segments(&messages);
        shore.root().join(&segments.iter().find(|segment| segment.user.as_str() == name).unwrap().path)
    };
    std::fs::remove_file(path("ana")).unwrap();
    let mut bytes = std::fs::read(path("ben")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path("ben"), &bytes).unwrap();
    let short = std::fs::read(path("cleo")).unwrap();
    std::fs::write(path("cleo"), &short[..short.len() - 1]).unwrap();
    misdescribe(&shore, &messages, "dan", |segment| {
        segment.from_seq += 1;
        segment.rows -= 1;
        segment.schema_version = 7;
    })
    .await;
    misdescribe(&shore, &log, "", |segment| segment.to_seq -= 1).await;

    let job = run(&mut world, KIND, Box::new(ALL.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let found = problems(&shore);
    let of =
        |name: &str| found.iter().filter(|(user, _)| user == name).map(|(_, problem)| *problem).collect::<Vec<_>>();
    assert_eq!(of("ana"), [Problem::Missing]);
    assert_eq!(of("ben"), [Problem::Checksum]);
    assert_eq!(of("cleo"), [Problem::Size, Problem::Checksum]);
    let twice = [Problem::RowCount, Problem::SeqRange];
    assert_eq!(of("dan"), [&twice[..], &[Problem::Footer], &twice].concat(), "the footer and the rows");
    assert_eq!(of(""), [Problem::SeqRange, Problem::SeqRange]);
    let result = job.result.unwrap();
    assert_eq!((&result["segments_bad"], &result["findings"]), (&5.into(), &found.len().into()));
    let first = findings(shore.store().snapshot()).unwrap().map(Result::unwrap).find(|one| one.user == "ana").unwrap();
    assert_eq!((first.namespace.as_str(), first.table.as_str(), first.job_id), ("chat", "messages", job.job_id));
    assert_eq!(first.found, "no such object");
}

/// An object that lost its end is not what was written. A read that lost its end says nothing of the object.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_cut_off_is_told_from_a_read_that_is() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let storage = shore.cloud("sea", "deep").await;
    let table = shore.table_in(storage, "messages", Kind::User).await;
    for name in ["ana", "ben", "cleo"] {
        shore.insert(&table, &user(name), 0..50).await;
    }
    flush(&mut world, &table).await;
    let beneath = shore.bucket.beneath("deep").unwrap();
    let path = shore.segments(&table)[0].path.clone();
    let bytes = cold::read(&*beneath, &path).await.unwrap().unwrap();
    beneath.delete(&path).await.unwrap();
    beneath.put_small(&path, bytes.slice(..bytes.len() - 1)).await.unwrap();
    shore.bucket.faults().add(Rule::new(Operation::Get, Fault::Truncated(100)).at("/ben/").time(1));

    let job = run(&mut world, KIND, Box::new(ALL.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    let expected = [("ana", Problem::Size), ("ana", Problem::Checksum), ("ben", Problem::Unreadable)];
    assert_eq!(problems(&shore), expected.map(|(user, problem)| (user.to_owned(), problem)));
    let ben = findings(shore.store().snapshot()).unwrap().map(Result::unwrap).find(|one| one.user == "ben").unwrap();
    assert!(ben.found.contains("ended after 100 of"), "{}", ben.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_verification_finds_the_same() {
    let present: Mutex<Option<Shore>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, shore, messages, _) = flushed().await;
            std::fs::remove_file(shore.root().join(&shore.segments(&messages)[1].path)).unwrap();
            *present.lock().unwrap() = Some(shore);
            world
        },
        |_| NewJob::new(KIND, Box::new(ALL.job())),
        async |_: &World, job: &Job| {
            let shore = present.lock().unwrap().clone().unwrap();
            let result = job.result.as_ref().unwrap();
            assert_eq!((&result["rows"], &result["findings"]), (&450.into(), &1.into()), "{result}");
            assert_eq!(problems(&shore), [("ben".to_owned(), Problem::Missing)]);
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Reading", "Done"]);
    assert_eq!(deaths.unreached, 0);
}
