use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ebbtide_engine::env::{Defect, Env, SystemEnv};
use tempfile::TempDir;

use super::{dirs::Dirs, *};
use crate::cold::{
    conformance::conformance,
    power_cut::{Event, Journal},
};

fn owner() -> Owner {
    Owner { database_id: "db-1".into(), storage_id: "local".into() }
}

fn open(root: &Path, env: SharedEnv, options: Options) -> Local {
    Local::open_blocking(root, &owner(), env, options).unwrap()
}

fn plain(root: &Path) -> Local {
    open(root, Arc::new(SystemEnv), Options::default())
}

fn temp_files(root: &Path) -> usize {
    std::fs::read_dir(root.join(".ebbtide/tmp")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn local_files_conform() {
    let dir = TempDir::new().unwrap();
    let local = Local::open(dir.path(), owner(), Arc::new(SystemEnv)).await.unwrap();
    conformance(Arc::new(local)).await;
    assert_eq!(temp_files(dir.path()), 0, "temp files are left");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [OWN_FOLDER], "deleting the last object of a folder leaves the folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_is_enough() {
    let dir = TempDir::new().unwrap();
    let options = Options { fsyncs_max: 0, witness: None };
    conformance(Arc::new(open(dir.path(), Arc::new(SystemEnv), options))).await;
}

/// Takes a copy of the storage and its journal whenever a point is reached, as a process that dies there would leave them.
#[derive(Debug)]
struct Images {
    root: PathBuf,
    journal: PathBuf,
    images: Mutex<HashMap<&'static str, TempDir>>,
    forget_fsync: bool,
}

impl Env for Images {
    fn now(&self) -> i64 {
        SystemEnv.now()
    }

    fn id(&self) -> uuid::Uuid {
        SystemEnv.id()
    }

    fn random(&self) -> u64 {
        SystemEnv.random()
    }

    fn reached(&self, point: &'static str) {
        let image = TempDir::new().unwrap();
        copy(&self.root, &image.path().join("root"));
        let moved = image.path().join("root");
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let journal = journal.replace(self.root.to_str().unwrap(), moved.to_str().unwrap());
        std::fs::write(image.path().join("journal"), journal).unwrap();
        self.images.lock().unwrap().insert(point, image);
    }

    fn planted(&self, defect: Defect) -> bool {
        self.forget_fsync && defect == Defect::FsyncForgotten
    }
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

const OBJECT: &str = "chat/users/t/a/ann/2026-11-22T10-00-00.parquet";

/// What is found of an object at each point: after a kill, and after a power cut.
fn crash_everywhere(forget_fsync: bool, write: impl Fn(&Local)) -> HashMap<&'static str, [Option<usize>; 2]> {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap().join("root");
    let journal = dir.path().join("journal");
    let env = Arc::new(Images { root: root.clone(), journal: journal.clone(), images: Mutex::default(), forget_fsync });
    let witness: Arc<dyn Witness> = Arc::new(Journal::open(&journal).unwrap());
    let options = Options { witness: Some(witness), ..Options::default() };
    let local = open(&root, Arc::clone(&env) as SharedEnv, options);
    write(&local);
    let images = env.images.lock().unwrap();
    images.iter().map(|(point, image)| (*point, [false, true].map(|power_cut| found(image, power_cut)))).collect()
}

fn found(image: &TempDir, power_cut: bool) -> Option<usize> {
    let copied = TempDir::new().unwrap();
    let root = copied.path().join("root");
    copy(&image.path().join("root"), &root);
    if power_cut {
        let journal = std::fs::read_to_string(image.path().join("journal")).unwrap();
        let old = image.path().join("root");
        let journal = journal.replace(old.to_str().unwrap(), root.to_str().unwrap());
        std::fs::write(copied.path().join("journal"), journal).unwrap();
        Journal::open(&copied.path().join("journal")).unwrap().cut(&root).unwrap();
    }
    let local = plain(&root);
    assert_eq!(temp_files(local.root()), 0, "opening a root sweeps the temp files of a crash");
    std::fs::read(root.join(OBJECT)).ok().map(|bytes| bytes.len())
}

fn put(local: &Local) {
    local.put_small_blocking(OBJECT, Bytes::from(vec![7; 1_000])).unwrap();
}

fn stream(local: &Local) {
    let mut upload = local.begin_blocking(OBJECT).unwrap();
    upload.write_blocking(Bytes::from(vec![7; 400])).unwrap();
    upload.write_blocking(Bytes::from(vec![7; 600])).unwrap();
    upload.finish_blocking().unwrap();
}

#[test]
fn a_crash_leaves_a_whole_object_or_none() {
    for write in [put, stream] {
        let seen = crash_everywhere(false, write);
        let expected = [
            (points::TEMP_HALF, [None, None]),
            (points::WRITTEN, [None, None]),
            (points::SYNCED, [None, None]),
            // Linked, but a power cut may take the link: an orphan or nothing, never half of it.
            (points::LINKED, [Some(1_000), None]),
            (points::DURABLE, [Some(1_000), Some(1_000)]),
        ];
        assert_eq!(seen, HashMap::from(expected));
    }
}

#[test]
fn a_forgotten_fsync_is_found_by_a_power_cut_and_not_by_a_kill() {
    let seen = crash_everywhere(true, put);
    assert_eq!(seen[points::DURABLE], [Some(1_000), None]);
}

#[test]
fn every_folder_on_the_way_lasts() {
    let dir = TempDir::new().unwrap();
    let journal = dir.path().join("journal");
    let root = dir.path().join("root");
    let objects: Vec<String> = (0..64).map(|n| format!("a/{}/{}/{}/object-{n}", n % 2, n % 5, n % 11)).collect();
    {
        let witness: Arc<dyn Witness> = Arc::new(Journal::open(&journal).unwrap());
        let options = Options { witness: Some(witness), ..Options::default() };
        let local = &open(&root, Arc::new(SystemEnv), options);
        thread::scope(|scope| {
            for object in &objects {
                scope.spawn(move || local.put_small_blocking(object, Bytes::from_static(b"x")).unwrap());
            }
        });
    }
    let lost = Journal::open(&journal).unwrap().cut(&root.canonicalize().unwrap()).unwrap();
    assert_eq!(lost, <[PathBuf; 0]>::default(), "acknowledged, and gone after a power cut");
    let local = plain(&root);
    for object in objects {
        assert!(local.root().join(&object).is_file(), "{object} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_wait_are_written_together() {
    const WAITING: usize = 12;
    /// Holds the first fsync of a folder until all others wait behind it.
    #[derive(Debug, Default)]
    struct Hold {
        puts: std::sync::OnceLock<Arc<Puts>>,
        synced: Mutex<Vec<PathBuf>>,
        journal: Option<Journal>,
    }
    impl Witness for Hold {
        fn saw(&self, event: Event<'_>) {
            self.journal.as_ref().unwrap().saw(event);
            if let Event::SyncingDir(dir) = event
                && let Some(puts) = self.puts.get()
            {
                if self.synced.lock().unwrap().is_empty() {
                    while puts.waiting() < WAITING + 2 {
                        thread::yield_now();
                    }
                }
                self.synced.lock().unwrap().push(dir.to_owned());
            }
        }
    }
    let dir = TempDir::new().unwrap();
    let (root, journal) = (dir.path().join("root"), dir.path().join("journal"));
    let hold = Arc::new(Hold { journal: Some(Journal::open(&journal).unwrap()), ..Hold::default() });
    let options = Options { fsyncs_max: 1, witness: Some(Arc::clone(&hold) as _) };
    let local = open(&root, Arc::new(SystemEnv), options);
    local.disk.put("in", b"the way").unwrap();
    hold.puts.set(Arc::clone(&local.puts)).unwrap();

    // One that is under way, then one for each of many users, one that cannot be, and one that was there already.
    let paths = (0..WAITING).map(|n| format!("users/t/user-{n}/object"));
    let paths: Vec<String> =
        ["first/object".to_owned()].into_iter().chain(paths).chain(["in/it".to_owned(), "in".to_owned()]).collect();
    let mut puts: Vec<_> = paths.iter().map(|path| local.put_small(path, Bytes::from_static(b"x"))).collect();
    assert!(futures::poll!(&mut puts[0]).is_pending());
    while local.puts.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    let results = futures::future::join_all(puts).await;
    let refused: Vec<&str> =
        paths.iter().zip(&results).filter(|(_, result)| result.is_err()).map(|(path, _)| path.as_str()).collect();
    assert_eq!(refused, ["in/it", "in"], "one that fails takes nobody with it");

    let synced = hold.synced.lock().unwrap().clone();
    let root = local.root();
    let times = |folder: &str| synced.iter().filter(|dir| **dir == root.join(folder)).count();
    assert_eq!(
        (times("users/t"), times("users")),
        (1, 1),
        "the folders above all users are synced once for all of them"
    );
    assert_eq!((0..WAITING).map(|n| times(&format!("users/t/user-{n}"))).sum::<usize>(), WAITING);
    let lost = Journal::open(&journal).unwrap().cut(root).unwrap();
    assert_eq!(lost, <[PathBuf; 0]>::default(), "acknowledged, and gone after a power cut");
    for (path, result) in paths.iter().zip(&results) {
        assert_eq!(root.join(path).is_file(), result.is_ok() || path == "in", "{path}");
    }
    assert_eq!(temp_files(root), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_waits_for_is_not_written() {
    /// Lets a thread sync no folder before it may.
    #[derive(Debug, Default)]
    struct Gate(Mutex<bool>, std::sync::Condvar);
    impl Witness for Gate {
        fn saw(&self, event: Event<'_>) {
            if let Event::SyncingDir(_) = event {
                drop(self.1.wait_while(self.0.lock().unwrap(), |shut| *shut).unwrap());
            }
        }
    }
    let dir = TempDir::new().unwrap();
    let gate = Arc::new(Gate::default());
    let options = Options { fsyncs_max: 1, witness: Some(Arc::clone(&gate) as _) };
    let local = open(dir.path(), Arc::new(SystemEnv), options);
    *gate.0.lock().unwrap() = true;
    let mut first = local.put_small("first", Bytes::from_static(b"x"));
    let mut second = local.put_small("second", Bytes::from_static(b"x"));
    let mut third = local.put_small("third", Bytes::from_static(b"x"));
    assert!(futures::poll!(&mut first).is_pending());
    while local.puts.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(futures::poll!(&mut second).is_pending());
    assert!(futures::poll!(&mut third).is_pending());
    drop(second);
    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
    first.await.unwrap();
    third.await.unwrap();
    assert!(local.root().join("first").is_file() && local.root().join("third").is_file());
    assert!(!local.root().join("second").exists());
}

#[test]
fn waiters_share_the_next_fsync_of_their_folder() {
    const WAITERS: usize = 8;
    /// Holds the first fsync until all others wait.
    #[derive(Debug, Default)]
    struct Hold {
        dirs: Dirs,
        fsyncs: AtomicUsize,
    }
    impl Witness for Hold {
        fn saw(&self, event: Event<'_>) {
            let Event::SyncingDir(dir) = event else { return };
            if self.fsyncs.fetch_add(1, Ordering::SeqCst) == 0 {
                while self.dirs.waiting(dir) < WAITERS + 1 {
                    thread::yield_now();
                }
            }
        }
    }
    let dir = TempDir::new().unwrap();
    let hold = Arc::new(Hold::default());
    let disk = Disk::new(dir.path().to_owned(), Arc::new(SystemEnv), Some(Arc::clone(&hold) as _));
    thread::scope(|scope| {
        for _ in 0..=WAITERS {
            scope.spawn(|| hold.dirs.sync(&disk, dir.path()).unwrap());
        }
    });
    assert_eq!(
        hold.fsyncs.load(Ordering::SeqCst),
        2,
        "one fsync that came too early for the others, and one for all of them"
    );
    assert_eq!(hold.dirs.waiting(dir.path()), 0);
}

#[test]
fn a_failed_fsync_of_a_folder_fails_those_it_covers_and_is_not_remembered() {
    let dir = TempDir::new().unwrap();
    let disk = Disk::new(dir.path().to_owned(), Arc::new(SystemEnv), None);
    let dirs = Dirs::default();
    let folder = dir.path().join("a/b");
    let unsettled = dirs.make(&disk, &folder).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    let error = dirs.settle(&disk, &folder, unsettled).unwrap_err();
    assert!(matches!(&error, Error::Sync { path, .. } if *path == folder), "{error}");
    let unsettled = dirs.make(&disk, &folder).unwrap();
    dirs.settle(&disk, &folder, unsettled).unwrap();
    assert!(folder.is_dir());
}

#[test]
fn deleting_beside_a_writer_never_fails_the_writer() {
    let dir = TempDir::new().unwrap();
    let local = &plain(dir.path());
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for n in 0..200 {
                    let path = format!("x/y/{writer}-{n}");
                    local.put_small_blocking(&path, Bytes::from_static(b"x")).unwrap();
                    local.disk.delete(&path).unwrap();
                }
            });
        }
    });
    assert!(!dir.path().join("x").exists());
}

#[test]
fn a_file_in_the_way_is_an_error_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let local = plain(dir.path());
    local.put_small_blocking("a", Bytes::from_static(b"x")).unwrap();
    let error = local.put_small_blocking("a/b", Bytes::from_static(b"y")).unwrap_err();
    assert!(error.to_string().starts_with("cannot create the directory "), "{error}");
    futures::executor::block_on(async { local.disk.delete("a/b") }).unwrap();
    assert!(dir.path().join("a").is_file());
    assert_eq!(temp_files(dir.path()), 0);
}

fn refusal(root: &Path, database_id: &str, storage_id: &str) -> Error {
    let owner = Owner { database_id: database_id.into(), storage_id: storage_id.into() };
    Local::open_blocking(root, &owner, Arc::new(SystemEnv), Options::default()).unwrap_err()
}

#[test]
fn a_root_belongs_to_one_storage_of_one_database() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("made/on/the/way");
    drop(plain(&root));
    drop(plain(&root));
    for (database_id, storage_id) in [("db-2", "local"), ("db-1", "other")] {
        let error = refusal(&root, database_id, storage_id);
        assert!(matches!(&error, Error::Owned { found, .. } if *found == owner()), "{error}");
        assert!(error.to_string().contains("belongs to storage \"local\" of database db-1"), "{error}");
    }
}

#[test]
fn a_root_inside_or_around_another_is_refused() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("a/b/c");
    drop(plain(&root));
    for (other, relation) in [("a/b/c/d/e", "inside"), ("a", "around"), ("a/b", "around")] {
        let error = refusal(&dir.path().join(other), "db-1", "other");
        assert!(error.to_string().contains(relation), "{other}: {error}");
        assert!(!dir.path().join(other).join(".ebbtide/owner.json").exists(), "{other} was claimed all the same");
    }
    drop(plain(&dir.path().join("a/b/d")));
    drop(plain(&root));
}

#[test]
fn a_root_that_is_open_cannot_be_opened_again() {
    let dir = TempDir::new().unwrap();
    let local = plain(dir.path());
    let error = refusal(dir.path(), "db-1", "local");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    drop(local);
    drop(plain(dir.path()));
}

#[test]
fn an_owner_object_that_says_nothing_is_not_overruled() {
    let dir = TempDir::new().unwrap();
    drop(plain(dir.path()));
    for text in ["", "{}", "not JSON"] {
        std::fs::write(dir.path().join(".ebbtide/owner.json"), text).unwrap();
        let error = refusal(dir.path(), "db-1", "local");
        assert!(matches!(error, Error::OwnerUnreadable { .. }), "{error}");
    }
}

#[test]
fn only_the_owner_sweeps() {
    let dir = TempDir::new().unwrap();
    drop(plain(dir.path()));
    let left = dir.path().join(".ebbtide/tmp/left.tmp");
    std::fs::write(&left, "half").unwrap();
    refusal(dir.path(), "db-2", "local");
    assert!(left.exists());
    drop(plain(dir.path()));
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_temp_files_are_swept_while_the_storage_is_open() {
    let dir = TempDir::new().unwrap();
    let local = plain(dir.path());
    std::fs::write(dir.path().join(".ebbtide/tmp/left.tmp"), "half an object").unwrap();
    let now = SystemEnv.now();
    let hour = 3_600_000_000;
    assert_eq!(local.sweep_temp(now - hour, false).await.unwrap(), 0, "too young");
    assert_eq!(local.sweep_temp(now + hour, true).await.unwrap(), 1, "only counted");
    assert_eq!(temp_files(dir.path()), 1);
    let mut upload = local.begin("a/b.parquet").await.unwrap();
    upload.write(Bytes::from_static(b"in the middle")).await.unwrap();
    assert_eq!(local.sweep_temp(now + hour, false).await.unwrap(), 2);
    assert_eq!(temp_files(dir.path()), 0);
    upload.finish().await.expect_err("an upload whose temp file is gone makes no object");
    assert!(!dir.path().join("a/b.parquet").exists());
    local.put_small("a/b.parquet", Bytes::from_static(b"again")).await.unwrap();
}
