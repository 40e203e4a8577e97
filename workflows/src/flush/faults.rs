//! Flushes to a storage whose requests fail by chance: whatever fails, no row is lost or doubled, and when the storage is
//! well again nothing is left over.

use super::Options;
use crate::job_cleanup::JobCleanup;
use crate::kinds::Span;
use crate::orphan_sweep::OrphanSweep;
use crate::testing::{Shore, run, user, world_by};
use ebbtide_engine::{KeyRange, Order};
use ebbtide_runtime::testing::{Env, Moment, START, World};
use ebbtide_runtime::{NewJob, Status};
use ebbtide_store::cold::faults::{Bucket, Fault, Operation, Rule, Struck};
use ebbtide_store::cold::{self, Objects};
use ebbtide_store::published::{self, Manifest, ObjectName, publish_due};
use ebbtide_store::{Kind, StorageId, Table, deletions, hot, manifest, quarantine, reclaim};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const SEA: &str = "sea";
const PREFIX: &str = "deep/down";

/// Files of a few KiB that stream, and therefore come to the bucket in parts; smaller ones go whole.
fn options() -> Options {
    Options {
        row_group_rows_max: 40,
        segment_rows_max: 100,
        row_group_bytes_max: 3 << 10,
        encoders: 1,
        ..Options::default()
    }
}

/// A table whose users' files go to a bucket.
async fn by_the_sea() -> (World, Shore, Arc<Table>) {
    let (mut world, shore) = world_by(Env::held_at(START), Bucket::default(), options()).await;
    let storage = shore.cloud(SEA, PREFIX).await;
    let table = shore.table_in(storage, "messages", Kind::User).await;
    world.runtime().await;
    (world, shore, table)
}

/// What lies in the storage, without faults.
async fn lies(shore: &Shore) -> (Arc<dyn Objects>, Vec<String>) {
    let beneath = shore.bucket.beneath(PREFIX).unwrap();
    let mut paths: Vec<String> = beneath.list("").map_ok(|object| object.path).try_collect().await.unwrap();
    paths.sort();
    (beneath, paths)
}

async fn sweep(world: &mut World) {
    let zero = Span(Duration::ZERO);
    let parameters = OrphanSweep { grace: zero, quarantine: zero, ..OrphanSweep::default() };
    let job = run(world, crate::orphan_sweep::KIND, Box::new(parameters.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
}

/// A flush that may fail or be interrupted.
async fn try_flush(world: &mut World, table: &Table) {
    world.advance(Duration::from_secs(1));
    let new = NewJob::new(super::KIND, Box::new(super::Flush::new(table))).unique(super::trigger::active_key(table.id));
    // It may die while it is submitted.
    let _ = world.submit(new).await;
    world.run_to_end().await;
}

/// The storage is well again, and everything that is kept going in the background has its turn.
async fn calm(world: &mut World, shore: &Shore, table: &Table) {
    shore.bucket.faults().calm();
    shore.bucket.faults().arrive().await;
    // A life that began in the storm may not have been able to open it.
    let probe = shore.store().check_storage(&StorageId::new(SEA).unwrap()).await.unwrap();
    assert!(probe.is_healthy(), "{probe:?}");
    try_flush(world, table).await;
    // Failed jobs keep their files, so that they can be tried again, until they are forgotten.
    world.advance(DAY);
    let forget = JobCleanup { retention_days: 0, ..JobCleanup::default() };
    run(world, crate::job_cleanup::KIND, Box::new(forget.job())).await;
    for _ in 0..2 {
        let (outcome, _) = publish_due(&shore.store(), None, usize::MAX).await.unwrap();
        assert_eq!(outcome.failed, 0);
        world.advance(DAY);
        sweep(world).await;
        deletions::delete_due(&shore.store(), usize::MAX).await.unwrap();
    }
}

/// Asserts that every row is there once, that each file is as the manifest says, that beside them lies what says so, and that
/// there is nothing else.
async fn assert_all_is_well(shore: &Shore, table: &Arc<Table>, rows: &BTreeMap<String, i64>, about: &str) {
    let store = shore.store();
    let found = shore.rows(table).await;
    let expected: BTreeMap<String, Vec<i64>> = rows.iter().map(|(user, n)| (user.clone(), (0..*n).collect())).collect();
    assert_eq!(found, expected, "{about}");
    assert_eq!(hot::counters(&*store.snapshot(), table.id).unwrap().rows, 0, "{about}: all of them are cold");
    let (beneath, lies) = lies(shore).await;
    let segments = shore.segments(table);
    for segment in &segments {
        let stored = cold::checksum(&*beneath, &segment.path).await.unwrap();
        let stored = stored.unwrap_or_else(|| panic!("{about}: {} is not there", segment.path));
        assert_eq!((stored.bytes, stored.crc32c), (segment.bytes, segment.crc32c), "{about}: {}", segment.path);
    }
    let mut named: Vec<String> = segments.iter().map(|segment| segment.path.clone()).collect();
    let snapshot = store.snapshot();
    for whom in rows.keys() {
        let whom = user(whom);
        assert!(!published::is_due(&*snapshot, table.id, &whom).unwrap(), "{about}: {whom} is published");
        for (folder, last) in published::of_user(&snapshot, table.id, &whom).unwrap() {
            let text = cold::read(&*beneath, &last.path).await.unwrap();
            let text = text.unwrap_or_else(|| panic!("{about}: {} is not there", last.path));
            let said = Manifest::read(&text).unwrap();
            let of_folder =
                |segment: &&ebbtide_store::Segment| segment.path.starts_with(&format!("{}/", folder.folder));
            let truth: Vec<_> = segments.iter().filter(of_folder).cloned().collect();
            assert_eq!(said.segments, truth, "{about}: {}", last.path);
            assert_eq!(said.watermark, manifest::watermark(&*snapshot, table.id, &whom).unwrap().seq, "{about}");
            named.push(last.path);
        }
    }
    named.sort();
    assert_eq!(lies, named, "{about}: what lies there is what is named");
    assert_eq!(deletions::pending(store.snapshot(), None, 10).unwrap(), [], "{about}");
    assert_eq!(quarantine::scan(store.snapshot(), None).unwrap().count(), 0, "{about}");
}

/// Multipart uploads that the database could end.
fn known_uploads(shore: &Shore) -> usize {
    let snapshot = shore.store().snapshot();
    let mut cursor = snapshot.scan(ebbtide_store::MULTIPARTS, KeyRange::all(), Order::Ascending).unwrap();
    let mut known = 0;
    while cursor.next().unwrap().is_some() {
        known += 1;
    }
    known
}

/// Rounds of rows, flushes, and whatever else goes on, under chance.
async fn whatever_fails(seed: u64) -> Vec<Struck> {
    let (mut world, shore, table) = by_the_sea().await;
    let about = format!("seed {seed}");
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    shore.bucket.faults().chance(seed, 5 + seed % 5 * 10);
    for round in 0..4 {
        let many = [("ana", 130), ("ben", 20), ("cy", 3), ("dan", 60)];
        for (whom, more) in many.into_iter().filter(|(whom, _)| *whom != "dan" || round % 2 == 0) {
            let from = rows.entry(whom.to_owned()).or_default();
            shore.insert(&table, &user(whom), *from..*from + more).await;
            *from += more;
        }
        if (seed + round).is_multiple_of(3) {
            world.crash_at(2 + seed % 4, Moment::ALL[(seed % 3) as usize]);
            try_flush(&mut world, &table).await;
            // Should it have ended before that.
            world.crash().await;
            world.runtime().await;
        } else {
            try_flush(&mut world, &table).await;
        }
        match (seed / 3 + round) % 4 {
            0 => drop(shore.bucket.faults().arrive().await),
            1 => drop(publish_due(&shore.store(), None, usize::MAX).await.unwrap()),
            2 => sweep(&mut world).await,
            _ => {
                world.advance(2 * DAY);
                deletions::delete_due(&shore.store(), usize::MAX).await.unwrap();
            }
        }
    }
    calm(&mut world, &shore, &table).await;
    assert_all_is_well(&shore, &table, &rows, &about).await;
    // Uploads that were left open are ended by the next life. Of one whose id was lost on its way no part was ever sent.
    world.crash().await;
    world.runtime().await;
    assert_eq!((known_uploads(&shore), shore.bucket.memory().open_parts()), (0, 0), "{about}");
    shore.bucket.faults().struck()
}

/// Seeds that are tried.
const SEEDS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_every_row_is_there_once_and_nothing_is_left_over() {
    let mut struck = BTreeSet::new();
    for seed in 0..SEEDS {
        struck.extend(whatever_fails(seed).await.into_iter().map(|struck| struck.operation));
    }
    assert_eq!(struck, BTreeSet::from(Operation::ALL), "every operation has failed");
}

/// A delete whose answer was lost is done again. By then its name may be another object's.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_done_again_spares_what_has_come_since() {
    for fault in [Fault::After, Fault::Late] {
        let (mut world, shore, dropped) = by_the_sea().await;
        shore.insert(&dropped, &user("ana"), 0..5).await;
        try_flush(&mut world, &dropped).await;
        publish_due(&shore.store(), None, usize::MAX).await.unwrap();
        let store = shore.store();
        store.catalog().drop_table("chat", "messages").await.unwrap();
        reclaim::reclaim(&store, dropped.id, 0).await.unwrap();
        shore.bucket.faults().add(Rule::new(Operation::Delete, fault).at("_ebbtide-"));
        assert_eq!(deletions::delete_due(&store, usize::MAX).await.unwrap().failed, 1);
        shore.bucket.faults().calm();

        // The same folder again, and its first manifest.
        let table = shore.table_in(StorageId::new(SEA).unwrap(), "messages", Kind::User).await;
        shore.insert(&table, &user("ana"), 0..7).await;
        try_flush(&mut world, &table).await;
        publish_due(&shore.store(), None, usize::MAX).await.unwrap();
        calm(&mut world, &shore, &table).await;
        let rows = BTreeMap::from([("ana".to_owned(), 7)]);
        assert_all_is_well(&shore, &table, &rows, &format!("{fault:?}")).await;
    }
}

/// A delete that was acknowledged and not done leaves what nothing names. The sweep finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_was_lost_is_done_by_the_sweep() {
    let (mut world, shore, table) = by_the_sea().await;
    let mut rows = BTreeMap::new();
    for round in 1..=3 {
        shore.insert(&table, &user("ana"), (round - 1) * 5..round * 5).await;
        rows.insert("ana".to_owned(), round * 5);
        try_flush(&mut world, &table).await;
        publish_due(&shore.store(), None, usize::MAX).await.unwrap();
    }
    shore.bucket.faults().add(Rule::new(Operation::Delete, Fault::Lost));
    world.advance(DAY);
    assert_eq!(deletions::delete_due(&shore.store(), usize::MAX).await.unwrap().objects, 2);
    let (_, there) = lies(&shore).await;
    assert_eq!(there.iter().filter(|path| ObjectName::parse(path.rsplit('/').next().unwrap()).is_some()).count(), 3);
    // The sweep's own deletes are lost as well, until they are not.
    sweep(&mut world).await;
    assert_eq!(lies(&shore).await.1, there);
    calm(&mut world, &shore, &table).await;
    assert_all_is_well(&shore, &table, &rows, "lost deletes").await;
}

/// A listing that ends early looks like fewer objects: the sweep finds less, and takes nothing for gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_whose_listing_ends_early_removes_less_and_never_more() {
    let (mut world, shore, table) = by_the_sea().await;
    let rows = BTreeMap::from([("ana".to_owned(), 130), ("ben".to_owned(), 20)]);
    for (whom, many) in &rows {
        shore.insert(&table, &user(whom), 0..*many).await;
    }
    try_flush(&mut world, &table).await;
    publish_due(&shore.store(), None, usize::MAX).await.unwrap();
    let (beneath, named) = lies(&shore).await;
    let orphans = ["ana", "ben"].map(|whom| format!("chat/users/messages/{whom}/2020-01-01T00-00-00.parquet"));
    for objects in 0..named.len() + orphans.len() {
        for orphan in &orphans {
            if cold::head(&*beneath, orphan).await.unwrap().is_none() {
                beneath.put_small(orphan, "left by nobody".into()).await.unwrap();
            }
        }
        shore.bucket.faults().add(Rule::new(Operation::List, Fault::Short(objects)));
        world.advance(DAY);
        sweep(&mut world).await;
        let (_, there) = lies(&shore).await;
        let left = there.iter().filter(|path| orphans.contains(path)).count();
        assert_eq!(
            there.iter().filter(|path| !orphans.contains(path)).cloned().collect::<Vec<_>>(),
            named,
            "{objects}"
        );
        assert!(left + objects.min(orphans.len()) >= orphans.len(), "of {objects} objects no more were found");
        shore.bucket.faults().calm();
    }
    calm(&mut world, &shore, &table).await;
    assert_all_is_well(&shore, &table, &rows, "short listings").await;
}
