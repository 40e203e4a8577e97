//! A storage whose reads and listings fail, or end early, while it is attached: what lies there is not lost by it.

use super::job;
use crate::flush::Options;
use crate::kinds::Span;
use crate::orphan_sweep::OrphanSweep;
use crate::testing::{Shore, flush, in_bucket, run, user, world_by};
use ebbtide_runtime::Status;
use ebbtide_runtime::testing::{Env, START, World};
use ebbtide_store::cold::faults::{Bucket, Fault, Operation, Rule};
use ebbtide_store::published::publish_due;
use ebbtide_store::{Claim, Kind, StorageId, UserId};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const PREFIX: &str = "lost/one";

fn options() -> Options {
    Options { row_group_rows_max: 40, segment_rows_max: 100, encoders: 1, ..Options::default() }
}

/// What is left of a database: ana has files that her manifest names and one that came later; ben's are all named; cleo's
/// folder has no manifest; a SHARED table.
async fn lost() -> Bucket {
    let (mut world, shore) = world_by(Env::held_at(START), Bucket::default(), options()).await;
    let storage = shore.cloud("sea", PREFIX).await;
    let messages = shore.table_in(storage.clone(), "messages", Kind::User).await;
    let log = shore.table_in(storage, "log", Kind::Shared).await;
    shore.insert(&messages, &user("ana"), 0..250).await;
    shore.insert(&messages, &user("ben"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 0..30).await;
    flush(&mut world, &messages).await;
    flush(&mut world, &log).await;
    publish_due(&shore.store(), None, usize::MAX).await.unwrap();
    shore.insert(&messages, &user("ana"), 250..270).await;
    shore.insert(&messages, &user("cleo"), 0..10).await;
    flush(&mut world, &messages).await;
    shore.bucket.clone()
}

fn old() -> StorageId {
    StorageId::new("old").unwrap()
}

/// A new database that the storage is registered in, and nothing taken in yet.
async fn found(bucket: Bucket) -> (World, Shore) {
    let (mut world, shore) = world_by(Env::held_at(START + 40 * 86_400_000_000), bucket, options()).await;
    shore.store().attach_storage(in_bucket("old", PREFIX), Claim::TakeOver).await.unwrap();
    world.runtime().await;
    (world, shore)
}

/// Attaches, as often as the job itself tries. Gives what came of it, if it came to its end.
async fn attach(world: &mut World) -> Option<serde_json::Value> {
    let id = world.submit(job(&old())).await.unwrap();
    world.run_to_end().await;
    let done = world.job(&id);
    (done.status == Status::Completed).then(|| done.result.unwrap())
}

/// The strictest of sweeps, twice.
async fn sweep(world: &mut World) {
    let zero = Span(Duration::ZERO);
    let parameters = OrphanSweep { grace: zero, quarantine: zero, ..OrphanSweep::default() };
    for _ in 0..2 {
        world.advance(DAY);
        run(world, crate::orphan_sweep::KIND, Box::new(parameters.job())).await;
    }
}

async fn assert_attached(shore: &Shore, about: &str) {
    let store = shore.store();
    let mut rows = BTreeMap::new();
    for name in ["messages", "log"] {
        let table = store.catalog().table(&store.snapshot(), "chat", name).unwrap();
        let table = table.unwrap_or_else(|| panic!("{about}: {name} is not there"));
        for segment in shore.segments(&table) {
            let beneath = shore.bucket.beneath(PREFIX).unwrap();
            let stored = ebbtide_store::cold::checksum(&*beneath, &segment.path).await.unwrap();
            let stored = stored.unwrap_or_else(|| panic!("{about}: {} is gone", segment.path));
            assert_eq!((stored.bytes, stored.crc32c), (segment.bytes, segment.crc32c), "{about}: {}", segment.path);
        }
        rows.extend(shore.rows(&table).await.into_iter().map(|(user, ids)| ((name, user), ids.len())));
    }
    let expected = [("log", "", 30), ("messages", "ana", 270), ("messages", "ben", 10), ("messages", "cleo", 10)];
    let expected = expected.map(|(table, user, rows)| ((table, user.to_owned()), rows));
    assert_eq!(rows, BTreeMap::from(expected), "{about}");
}

/// How many requests of this operation an attaching makes when nothing fails.
async fn requests(operation: Operation) -> u64 {
    let (mut world, shore) = found(lost().await).await;
    // Struck and done all the same.
    shore.bucket.faults().add(Rule::new(operation, Fault::Slow(Duration::ZERO)));
    attach(&mut world).await.expect("nothing fails");
    shore.bucket.faults().struck().len() as u64
}

/// Strikes one request of an attaching after the other.
async fn struck_anywhere(operation: Operation, faults: &[Fault]) {
    for number in 1..=requests(operation).await {
        for fault in faults {
            let about = format!("{operation:?} {number} {fault:?}");
            let (mut world, shore) = found(lost().await).await;
            shore.bucket.faults().add(Rule::new(operation, *fault).time(number));
            let result = attach(&mut world).await.unwrap_or_else(|| panic!("{about}: the job tries again"));
            assert_eq!(result["missing_files"], 0, "{about}: {result}");
            if operation == Operation::Get {
                assert_eq!(
                    (&result["folders"], &result["failed_folders"]),
                    (&4.into(), &0.into()),
                    "{about}: {result}"
                );
            }
            assert_eq!(shore.bucket.faults().struck().len(), 1, "{about}");
            sweep(&mut world).await;
            // A listing of all folders that ended early has left some out, or those that say what a table looks like: they are
            // there still, and taken in by another run.
            attach(&mut world).await.unwrap();
            assert_attached(&shore, &about).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_or_ends_early_loses_nothing() {
    struck_anywhere(Operation::Get, &[Fault::Busy, Fault::Truncated(0), Fault::Truncated(9)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_or_ends_early_loses_nothing() {
    struck_anywhere(Operation::List, &[Fault::Before, Fault::Short(0), Fault::Short(1), Fault::Short(3)]).await;
}
