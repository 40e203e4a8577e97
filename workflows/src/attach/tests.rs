//! A database whose engine is lost, with all that its storage may hold by then, and what another one makes of it.

use super::{KIND, job};
use crate::flush::{self, Flush};
use crate::kinds::{Span, Tables};
use crate::orphan_sweep::{self, OrphanSweep};
use crate::segment_retention::{self, SegmentRetention};
use crate::testing::{Shore, flush as flush_table, run, user, world};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, Status};
use ebbtide_store::published::publish_due;
use ebbtide_store::{Claim, Kind, NewStorage, StorageId, StorageType, Table, UserId, deletions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What is left of the lost database: a folder, and nothing else.
struct Lost {
    folder: tempfile::TempDir,
}

async fn publish(shore: &Shore) {
    let (outcome, _) = publish_due(&shore.store(), None, usize::MAX).await.unwrap();
    assert_eq!(outcome.failed, 0);
}

/// ana: 250 rows in three parts that are published, 50 rows that were removed, 20 rows that came after the last manifest.
/// ben: 10 rows that are published. cleo: 10 rows, and no manifest yet. SHARED: 30 rows. Hot rows of ana, which are lost.
/// Beside them what deaths leave: a second copy of a file that counts, one of a file that came later, and half a file.
async fn lost() -> Lost {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let (messages, log) = (shore.table("messages", Kind::User).await, shore.table("log", Kind::Shared).await);
    shore.insert(&messages, &user("ana"), 1000..1050).await;
    flush_table(&mut world, &messages).await;
    publish(&shore).await;
    world.advance(10 * DAY);
    shore.insert(&messages, &user("ana"), 0..250).await;
    shore.insert(&messages, &user("ben"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 0..30).await;
    flush_table(&mut world, &messages).await;
    flush_table(&mut world, &log).await;
    let old = SegmentRetention {
        tables: Tables::All,
        age: Span::days(5),
        grace: Span(Duration::from_secs(3600)),
        rewrite: false,
        dry_run: false,
    };
    let removed = run(&mut world, segment_retention::KIND, Box::new(old.job())).await;
    assert_eq!(removed.result.unwrap()["rows_removed"], 50);
    // The object of the 50 rows lies there still: its grace has not passed.
    publish(&shore).await;
    shore.insert(&messages, &user("ana"), 250..270).await;
    shore.insert(&messages, &user("cleo"), 0..10).await;
    flush_table(&mut world, &messages).await;
    shore.insert(&messages, &user("ana"), 270..280).await;

    let folder = tempfile::tempdir().unwrap();
    copy(&shore.root(), folder.path());
    let segments = shore.segments(&messages);
    let ana: Vec<&str> =
        segments.iter().filter(|segment| segment.user.as_str() == "ana").map(|segment| segment.path.as_str()).collect();
    let again = |path: &str| PathBuf::from(path.replace(".parquet", "-a2.parquet"));
    for path in [ana[0], ana[ana.len() - 1]] {
        std::fs::copy(folder.path().join(path), folder.path().join(again(path))).unwrap();
    }
    let torn = folder.path().join(ana[0].replace(".parquet", "-a3.parquet"));
    std::fs::write(torn, b"PAR1 and then the power went").unwrap();
    Lost { folder }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn storage(root: &Path) -> NewStorage {
    NewStorage {
        id: StorageId::new("old").unwrap(),
        name: None,
        description: None,
        storage_type: StorageType::Filesystem,
        base_directory: root.to_str().unwrap().to_owned(),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    }
}

fn table(shore: &Shore, namespace: &str, name: &str) -> Arc<Table> {
    let store = shore.store();
    store.catalog().table(&store.snapshot(), namespace, name).unwrap().expect("it was attached")
}

async fn assert_attached(shore: &Shore) {
    let rows = shore.rows(&table(shore, "chat", "messages")).await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["ana", "ben", "cleo"]);
    assert_eq!(
        rows["ana"],
        (0..270).collect::<Vec<_>>(),
        "each once; those that were hot are lost, those removed stay so"
    );
    assert_eq!((rows["ben"].len(), rows["cleo"].len()), (10, 10));
    assert_eq!(shore.rows(&table(shore, "chat", "log")).await[""].len(), 30);
}

/// A new database with the storage of the lost one registered, and nothing taken in yet.
async fn found(lost: &Lost) -> (World, Shore) {
    let (mut world, shore) = world(Env::held_at(START + 40 * 86_400_000_000)).await;
    // Each world has its own copy: what one does to it is not what the next one finds.
    let root = shore.root().with_file_name("old");
    copy(lost.folder.path(), &root);
    shore.store().attach_storage(storage(&root), Claim::TakeOver).await.unwrap();
    world.runtime().await;
    (world, shore)
}

async fn attach(world: &mut World) -> Job {
    let job = job(&StorageId::new("old").unwrap());
    let done = run(world, KIND, job.body).await;
    assert_eq!(done.status, Status::Completed, "{:?}", done.error);
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_storage_of_a_lost_database_comes_back_once() {
    let lost = lost().await;
    let (mut world, shore) = found(&lost).await;
    let done = attach(&mut world).await;
    assert_eq!(world.path(&done.job_id), ["Queued", "Described", "Bare", "Done"]);
    let result = done.result.unwrap();
    assert_eq!((&result["folders"], &result["rows"]), (&4.into(), &320.into()), "{result}");
    assert_eq!((&result["failed_folders"], &result["missing_files"]), (&0.into(), &0.into()), "{result}");
    // The removed file, the two second copies, the torn one.
    assert_eq!(result["ignored_files"], 4, "{result}");
    assert_attached(&shore).await;

    // It goes on: seqs and names are above what was found, and the folders say whose they are now.
    let messages = table(&shore, "chat", "messages");
    let before = shore.segments(&messages);
    shore.insert(&messages, &user("ana"), 270..300).await;
    flush_table(&mut world, &messages).await;
    let after = shore.segments(&messages);
    let new: Vec<_> = after.iter().filter(|segment| !before.contains(segment)).collect();
    assert_eq!(new.len(), 1);
    assert!(before.iter().all(|old| old.to_seq < new[0].from_seq && old.path != new[0].path), "{new:?}");
    assert_eq!(shore.rows(&messages).await["ana"], (0..300).collect::<Vec<_>>());
    publish(&shore).await;
    world.advance(DAY);
    deletions::delete_due(&shore.store(), 1000).await.unwrap();
    let folder = shore.root().with_file_name("old").join("chat/users/messages/ana");
    let manifests = std::fs::read_dir(folder)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("_ebbtide-"));
    assert_eq!(manifests.count(), 1, "the lost database's manifest went when ours was there");

    // Once more changes nothing.
    let again = attach(&mut world).await.result.unwrap();
    assert_eq!((&again["folders"], &again["rows"]), (&0.into(), &0.into()), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attaching_that_dies_anywhere_comes_to_the_same() {
    let lost = lost().await;
    let shores: std::sync::Mutex<Option<Shore>> = std::sync::Mutex::new(None);
    crash_everywhere(
        async || {
            let (world, shore) = found(&lost).await;
            *shores.lock().unwrap() = Some(shore);
            world
        },
        |_| job(&StorageId::new("old").unwrap()),
        async |_, job| {
            assert_eq!(job.status, Status::Completed, "{:?}", job.error);
            let shore = shores.lock().unwrap().clone().unwrap();
            assert_attached(&shore).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_of_another_database_is_not_taken_by_chance() {
    let lost = lost().await;
    let (_world, shore) = world(Env::held_at(START + 1_000_000)).await;
    let store = shore.store();
    let error = store.create_storage(storage(lost.folder.path())).await.unwrap_err();
    assert!(error.to_string().contains("belongs to storage"), "{error}");
    let error = store.attach_storage(storage(lost.folder.path()), Claim::Respect).await.unwrap_err();
    assert!(error.to_string().contains("belongs to storage 'local' of database"), "{error}");
    assert!(error.hint().unwrap().contains("TAKE OVER"), "{error:?}");
    store.attach_storage(storage(lost.folder.path()), Claim::TakeOver).await.unwrap();
    // Now it is ours, and nobody else's.
    let (_world, other) = world(Env::held_at(START + 2_000_000)).await;
    let error = other.store().attach_storage(storage(lost.folder.path()), Claim::TakeOver).await.unwrap_err();
    assert!(error.to_string().contains("open in another process"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_two_counts_are_never_mixed() {
    let lost = lost().await;
    let (mut world, shore) = found(&lost).await;
    // Somebody was too quick: the same table, made by hand, with rows.
    let messages = shore.table("messages", Kind::User).await;
    shore.insert(&messages, &user("ana"), 0..5).await;
    let result = attach(&mut world).await.result.unwrap();
    assert_eq!(result["folders"], 1, "the SHARED table alone: {result}");
    let failures = result["failures"].to_string();
    assert!(failures.contains("Table chat.messages already exists"), "{failures}");
    assert_eq!(shore.rows(&messages).await["ana"].len(), 5);

    // The table is the attached one, and a user wrote before his folder was taken in.
    let (mut world, shore) = found(&lost).await;
    attach_all_but(&mut world, &shore, "ana").await;
    let messages = table(&shore, "chat", "messages");
    shore.insert(&messages, &user("ana"), 0..5).await;
    put_back(&shore, "ana");
    let result = attach(&mut world).await.result.unwrap();
    assert!(result["failures"].to_string().contains("rows that are not flushed here already"), "{result}");
    let body = Box::new(Flush::new(&messages));
    world.advance(DAY);
    assert_eq!(run(&mut world, flush::KIND, body).await.status, Status::Completed);
    let result = attach(&mut world).await.result.unwrap();
    assert!(result["failures"].to_string().contains("segments that overlap these here already"), "{result}");
    assert_eq!((&result["folders"], shore.rows(&messages).await["ana"].len()), (&0.into(), 5), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_wrote_before_his_folder_was_taken_in_is_told_of() {
    let lost = lost().await;
    let (mut world, shore) = found(&lost).await;
    attach_all_but(&mut world, &shore, "ana").await;
    put_back(&shore, "ana");
    let messages = table(&shore, "chat", "messages");
    shore.insert(&messages, &user("ana"), 1000..1005).await;
    flush_table(&mut world, &messages).await;
    publish(&shore).await;
    let store = shore.store();
    store.attach_storage(storage(&shore.root().with_file_name("old")), Claim::Respect).await.unwrap();
    let result = attach(&mut world).await.result.unwrap();
    assert!(result["failures"].to_string().contains("rows were written into"), "{result}");
    assert_eq!(shore.rows(&messages).await["ana"], (1000..1005).collect::<Vec<_>>());
    assert!(is_attaching(&shore), "his files are no orphans");
}

fn is_attaching(shore: &Shore) -> bool {
    let store = shore.store();
    store.catalog().storage(&store.snapshot(), "old").unwrap().expect("it is registered").attaching
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_an_orphan_until_all_is_taken_in() {
    let lost = lost().await;
    let (mut world, shore) = found(&lost).await;
    let none = Span(Duration::ZERO);
    let sweep = async |world: &mut World| {
        world.advance(DAY);
        let parameters = OrphanSweep { grace: none, quarantine: none, ..OrphanSweep::default() };
        run(world, orphan_sweep::KIND, Box::new(parameters.job())).await.result.unwrap()
    };
    let files = || walk(&shore.root().with_file_name("old"));
    let all = files();
    for _ in 0..2 {
        let result = sweep(&mut world).await;
        assert!(result["failures"].to_string().contains("still being taken in"), "{result}");
    }
    // A folder that cannot be taken in yet.
    let torn = folder_of(&shore, "ben").join("_ebbtide-0000000009.json");
    std::fs::write(&torn, "{\"ebbtide_manifest\": 99}").unwrap();
    let newest = std::fs::read_dir(folder_of(&shore, "ben")).unwrap().map(|entry| entry.unwrap().path());
    let newest = newest.filter(|path| path.extension().is_some_and(|end| end == "json") && *path != torn);
    for path in newest.collect::<Vec<_>>() {
        std::fs::rename(&path, path.with_extension("aside")).unwrap();
    }
    let result = attach(&mut world).await.result.unwrap();
    assert_eq!(result["failed_folders"], 1, "{result}");
    assert!(result["failures"].to_string().contains("form 99"), "{result}");
    sweep(&mut world).await;
    sweep(&mut world).await;
    assert!(
        is_attaching(&shore)
            && all.iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")).all(|path| path.exists())
    );

    // It can be, now.
    std::fs::remove_file(&torn).unwrap();
    let aside = std::fs::read_dir(folder_of(&shore, "ben")).unwrap().map(|entry| entry.unwrap().path());
    for path in aside.filter(|path| path.extension().is_some_and(|end| end == "aside")).collect::<Vec<_>>() {
        std::fs::rename(&path, path.with_extension("json")).unwrap();
    }
    let result = attach(&mut world).await.result.unwrap();
    assert_eq!((&result["failed_folders"], &result["folders"]), (&0.into(), &1.into()), "{result}");
    assert!(!is_attaching(&shore));
    assert_attached(&shore).await;
    sweep(&mut world).await;
    sweep(&mut world).await;
    assert_attached(&shore).await;
    let parquet =
        |paths: Vec<PathBuf>| paths.iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")).count();
    assert_eq!(parquet(files()) + 4, parquet(all), "the four that counted for nothing are gone");
    let waiting = deletions::pending(shore.store().snapshot(), None, 100).unwrap();
    assert!(waiting.iter().all(|deletion| deletion.error.is_none() && !deletion.path.is_empty()), "{waiting:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn folder_of(shore: &Shore, whom: &str) -> PathBuf {
    shore.root().with_file_name("old").join("chat/users/messages").join(whom)
}

/// As if this user's folder had come late, from another disk.
async fn attach_all_but(world: &mut World, shore: &Shore, whom: &str) {
    let aside = shore.root().with_file_name("aside");
    std::fs::rename(folder_of(shore, whom), &aside).unwrap();
    attach(world).await;
}

fn put_back(shore: &Shore, whom: &str) {
    std::fs::rename(shore.root().with_file_name("aside"), folder_of(shore, whom)).unwrap();
}
