//! What only the engine on RocksDB promises, and the suite that every engine passes.

#![allow(clippy::unwrap_used, reason = "a test may, and its helpers are part of it")]

use ebbtide_engine::env::HeldEnv;
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{
    Cache, Commit, CommitError, Defect, Engine, Env, Error, Expect, Health, KeyRange, Options, SharedEnv, Space, Sync,
    SystemEnv, Write, conformance,
};
use futures::executor::block_on;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

const ROWS: Space = Space { name: "hot", cache: Cache::Shared };
const JOBS: Space = Space { name: "jobs", cache: Cache::Jobs };

fn open(path: &Path) -> Arc<Rocks> {
    open_with(path, &[ROWS, JOBS], &Options::default(), Arc::new(SystemEnv)).unwrap()
}

fn open_with(path: &Path, spaces: &[Space], options: &Options, env: SharedEnv) -> Result<Arc<Rocks>, Error> {
    Rocks::open(path, spaces, options, env)
}

fn put(space: Space, key: &str, value: &str, sync: Sync) -> Commit {
    Commit { writes: vec![Write::put(space, key, value)], sync, ..Commit::default() }
}

fn row() -> Write {
    Write::append(ROWS, "r", ["row"].iter().collect())
}

#[test]
fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    conformance::conformance(dir.path(), |path, env| {
        open_with(path, conformance::SPACES, &Options::default(), env).unwrap()
    });
}

#[test]
fn conforms_with_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        block_cache_bytes_max: 1 << 20,
        jobs_cache_bytes_max: 1 << 20,
        write_buffer_bytes_max: 1 << 20,
        commit_queue_max: 3,
        group_bytes_max: 200,
        background_jobs_max: 1,
        open_files_max: 32,
    };
    conformance::conformance(dir.path(), |path, env| open_with(path, conformance::SPACES, &options, env).unwrap());
}

#[test]
fn what_was_answered_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("live"));
    block_on(engine.commit(Commit { writes: vec![row()], ..Commit::default() })).unwrap();
    block_on(engine.commit(put(JOBS, "a", "1", Sync::Unsynced))).unwrap();
    // The files as a process that is killed now would leave them.
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(dir.path().join("live")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let again = open(&copy);
    assert_eq!(again.last_seq(), 1);
    assert_eq!(again.snapshot().get(JOBS, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(block_on(again.commit(Commit { writes: vec![row()], ..Commit::default() })).unwrap().seqs, Some(2..=2));
}

#[test]
fn a_failed_write_makes_the_engine_read_only_until_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine");
    let options = Options { write_buffer_bytes_max: 1 << 20, ..Options::default() };
    let engine = open_with(&path, &[ROWS, JOBS], &options, Arc::new(SystemEnv)).unwrap();
    block_on(engine.commit(put(ROWS, "before", "1", Sync::Synced))).unwrap();
    let snapshot = engine.snapshot();
    // With its folder gone RocksDB cannot begin the next log, so some write before long fails.
    std::fs::remove_dir_all(&path).unwrap();
    let value = "x".repeat(100_000);
    let mut failed = None;
    for n in 0..1000 {
        if let Err(error) = block_on(engine.commit(put(ROWS, &n.to_string(), &value, Sync::Synced))) {
            failed = Some(error);
            break;
        }
    }
    assert!(
        matches!(&failed, Some(CommitError::Failed { disk_full: false, .. })),
        "the write's own answer: {failed:?}"
    );
    let later = block_on(engine.commit(put(JOBS, "later", "1", Sync::Unsynced)));
    assert!(matches!(&later, Err(CommitError::ReadOnly { .. })), "every later one: {later:?}");
    let mismatch = Commit { expect: vec![Expect::present(JOBS, "no")], ..Commit::default() };
    assert!(matches!(block_on(engine.commit(mismatch)), Err(CommitError::ReadOnly { .. })));
    assert!(matches!(engine.health(), Health::ReadOnly { .. }));
    assert_eq!(snapshot.get(ROWS, b"before").unwrap(), Some(b"1".to_vec()), "reads go on");
    engine.close();
}

/// The next logs of the engine are links to `/dev/full`, which takes nothing: for RocksDB a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { write_buffer_bytes_max: 1 << 20, ..Options::default() };
    let engine = open_with(dir.path(), &[ROWS, JOBS], &options, Arc::new(SystemEnv)).unwrap();
    let links: Vec<_> = (1..200).map(|n| dir.path().join(format!("{n:06}.log"))).filter(|log| !log.exists()).collect();
    for link in &links {
        std::os::unix::fs::symlink("/dev/full", link).unwrap();
    }
    let value = "x".repeat(100_000);
    let answers: Vec<_> =
        (0..50).map(|n| block_on(engine.commit(put(ROWS, &n.to_string(), &value, Sync::Synced)))).collect();
    let answered = answers.iter().take_while(|answer| answer.is_ok()).count();
    assert!(answered > 0);
    assert!(matches!(answers[answered], Err(CommitError::Failed { disk_full: true, .. })), "{:?}", answers[answered]);
    assert!(
        answers[answered + 1..]
            .iter()
            .all(|answer| matches!(answer, Err(CommitError::ReadOnly { disk_full: true, .. }))),
        "{answers:?}"
    );
    drop(engine);
    for link in &links {
        if link.is_symlink() {
            std::fs::remove_file(link).unwrap();
        }
    }
    // Room was made; now it is opened again.
    let engine = open(dir.path());
    let snapshot = engine.snapshot();
    for n in 0..answered {
        assert!(snapshot.get(ROWS, n.to_string().as_bytes()).unwrap().is_some(), "commit {n} was answered");
    }
    for n in answered + 1..answers.len() {
        assert!(snapshot.get(ROWS, n.to_string().as_bytes()).unwrap().is_none(), "commit {n} was refused");
    }
    assert_eq!(engine.health(), Health::ReadWrite);
    block_on(engine.commit(put(ROWS, "again", "1", Sync::Synced))).unwrap();
}

#[test]
fn spaces_can_come_and_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    block_on(engine.commit(put(JOBS, "a", "1", Sync::Synced))).unwrap();
    drop(engine);
    let engine = open_with(dir.path(), &[ROWS], &Options::default(), Arc::new(SystemEnv)).unwrap();
    assert!(matches!(engine.snapshot().get(JOBS, b"a"), Err(Error::UnknownSpace { name: "jobs" })));
    drop(engine);
    assert_eq!(open(dir.path()).snapshot().get(JOBS, b"a").unwrap(), Some(b"1".to_vec()), "a space left out is kept");
}

#[test]
fn bad_spaces_and_folders_in_use_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for bad in [&[ROWS, ROWS][..], &[Space { name: "", ..ROWS }], &[Space { name: "engine", ..ROWS }]] {
        let refused = open_with(dir.path(), bad, &Options::default(), Arc::new(SystemEnv));
        assert!(matches!(refused, Err(Error::BadSpace { .. })), "{bad:?}");
    }
    let _engine = open(dir.path());
    let second = open_with(dir.path(), &[ROWS, JOBS], &Options::default(), Arc::new(SystemEnv));
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    let file = dir.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let refused = open_with(&file, &[ROWS], &Options::default(), Arc::new(SystemEnv));
    assert!(matches!(refused, Err(Error::Open { .. })), "{refused:?}");
}

#[test]
fn an_engine_can_be_dropped_by_the_task_that_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for _ in 0..20 {
        let engine = open(dir.path());
        runtime.block_on(async move {
            let calls: Vec<_> = (0..50)
                .map(|n| {
                    let engine = Arc::clone(&engine);
                    tokio::spawn(
                        async move { engine.commit(put(ROWS, &n.to_string(), "", Sync::Unsynced)).await.is_ok() },
                    )
                })
                .collect();
            drop(engine);
            for call in calls {
                assert!(call.await.unwrap());
            }
        });
        // The last task may still be letting go of the engine.
        while matches!(
            open_with(dir.path(), &[ROWS, JOBS], &Options::default(), Arc::new(SystemEnv)),
            Err(Error::InUse { .. })
        ) {
            std::thread::yield_now();
        }
    }
}

/// Stops the first group before it is written, and counts groups and syncs.
#[derive(Debug)]
struct Counting {
    held: HeldEnv,
    first: Barrier,
    groups: AtomicUsize,
    syncs: AtomicUsize,
}

impl Env for Counting {
    fn now(&self) -> i64 {
        self.held.now()
    }
    fn id(&self) -> uuid::Uuid {
        self.held.id()
    }
    fn random(&self) -> u64 {
        self.held.random()
    }
    fn reached(&self, point: &'static str) {
        if point == "engine.commit.before_write" && self.groups.fetch_add(1, Ordering::SeqCst) == 0 {
            self.first.wait();
            self.first.wait();
        }
        if point == "engine.commit.synced" {
            self.syncs.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn commits_that_wait_share_one_write_and_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let env = Arc::new(Counting {
        held: HeldEnv::at(0),
        first: Barrier::new(2),
        groups: AtomicUsize::new(0),
        syncs: AtomicUsize::new(0),
    });
    let engine = open_with(dir.path(), &[ROWS, JOBS], &Options::default(), env.clone()).unwrap();
    let first = engine.commit(put(ROWS, "first", "", Sync::Unsynced));
    env.first.wait();
    let calls: Vec<_> = (0..500)
        .map(|n| engine.commit(put(ROWS, &n.to_string(), "", if n == 250 { Sync::Synced } else { Sync::Unsynced })))
        .collect();
    env.first.wait();
    block_on(first).unwrap();
    for call in calls {
        block_on(call).unwrap();
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    assert_eq!((count(&env.groups), count(&env.syncs)), (2, 1), "all that waited went in one group, synced once");
}

#[derive(Debug)]
struct Planted(HeldEnv);

impl Env for Planted {
    fn now(&self) -> i64 {
        self.0.now()
    }
    fn id(&self) -> uuid::Uuid {
        self.0.id()
    }
    fn random(&self) -> u64 {
        self.0.random()
    }
    fn planted(&self, defect: Defect) -> bool {
        defect == Defect::SeqFromHotRows
    }
}

#[test]
fn the_planted_defect_gives_seqs_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    block_on(engine.commit(Commit { writes: vec![row(), row(), row()], ..Commit::default() })).unwrap();
    let last = KeyRange::new([b"r", &2u64.to_be_bytes()[..]].concat(), "");
    block_on(engine.commit(Commit { writes: vec![Write::delete_range(ROWS, last)], ..Commit::default() })).unwrap();
    drop(engine);
    assert_eq!(open(dir.path()).last_seq(), 3, "without the defect");
    let env = Arc::new(Planted(HeldEnv::at(0)));
    let planted = open_with(dir.path(), &[ROWS, JOBS], &Options::default(), env).unwrap();
    assert_eq!(planted.last_seq(), 1, "with it, seqs that rows once had are given out again");
}

#[test]
fn a_look_sees_what_was_answered_beside_the_owner_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let look = || Rocks::look(dir.path(), &[JOBS], &Options::default());
    let error = look().map(drop).unwrap_err().to_string();
    assert!(error.contains("there is no database"), "{error}");

    let engine = open(dir.path());
    block_on(engine.commit(put(JOBS, "a", "1", Sync::Synced))).unwrap();
    let seen = look().unwrap();
    block_on(engine.commit(put(JOBS, "b", "2", Sync::Synced))).unwrap();
    assert_eq!(seen.get(JOBS, b"a").unwrap(), Some(b"1".to_vec()), "the log was read");
    assert_eq!(seen.get(JOBS, b"b").unwrap(), None, "it is one moment");
    assert_eq!(look().unwrap().get(JOBS, b"b").unwrap(), Some(b"2".to_vec()));

    // The owner goes on, and opens again while the look is held.
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.snapshot().get(JOBS, b"b").unwrap(), Some(b"2".to_vec()));
    assert_eq!(seen.get(JOBS, b"a").unwrap(), Some(b"1".to_vec()));
}

/// Whether any file in the engine's folder holds these bytes.
fn on_disk(path: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(path).unwrap().any(|file| {
        // One that went between the listing and now holds nothing.
        let content = std::fs::read(file.unwrap().path()).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

/// Neither LZ4 nor the log's framing hides it.
const SECRET: &[u8] = b"hk2Qz9w-vX7";

#[test]
fn after_a_purge_no_file_holds_what_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let write = |writes| block_on(engine.commit(Commit { writes, ..Commit::default() })).unwrap();
    let value = |n: u32| [SECRET, &n.to_be_bytes()].concat();
    let (ana, ben) = (|n: u32| format!("ana{n:06}"), |n: u32| format!("ben{n:06}"));
    let all_of_ana = || KeyRange::prefix(b"ana");
    // Once from the log and memory alone, once out of files on the lowest level as well.
    for round in 0..2 {
        write((0..2000).map(|n| Write::put(ROWS, ana(n), value(n))).collect());
        write((0..2000).map(|n| Write::put(ROWS, ben(n), n.to_be_bytes())).collect());
        if round == 1 {
            block_on(engine.purge(vec![(ROWS, KeyRange::all())])).unwrap();
            write(vec![Write::put(ROWS, ana(7), value(8))]);
        }
        let reader = engine.snapshot();
        write(vec![Write::delete_range(ROWS, all_of_ana())]);
        assert!(on_disk(dir.path(), SECRET), "it is removed, and still there");

        let purge = engine.purge(vec![(ROWS, all_of_ana())]);
        let purging = std::thread::spawn(move || block_on(purge));
        assert_eq!(reader.get(ROWS, ana(3).as_bytes()).unwrap(), Some(value(3)), "an open snapshot still sees it");
        assert!(!purging.is_finished(), "and holds the purge up");
        let cursor = reader.clone().scan(ROWS, all_of_ana(), ebbtide_engine::Order::Ascending).unwrap();
        drop(reader);
        assert!(!purging.is_finished(), "so does a cursor of it");
        drop(cursor);
        purging.join().unwrap().unwrap();
        assert!(!on_disk(dir.path(), SECRET), "round {round}");
        assert_eq!(engine.snapshot().get(ROWS, ben(1999).as_bytes()).unwrap(), Some(1999u32.to_be_bytes().to_vec()));
    }
    engine.close();
    assert!(!on_disk(dir.path(), SECRET));
}

#[test]
fn a_purge_that_cannot_write_a_file_anew_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let write = |writes| block_on(engine.commit(Commit { writes, ..Commit::default() })).unwrap();
    write((0..2000).map(|n| Write::put(ROWS, format!("ana{n:06}"), [SECRET, &[0; 100]].concat())).collect());
    block_on(engine.purge(vec![(JOBS, KeyRange::all())])).unwrap();
    write(vec![Write::delete_range(ROWS, KeyRange::prefix(b"ana"))]);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "sst") && bytes.len() > 10_000 {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 1000].iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let purged = block_on(engine.purge(vec![(ROWS, KeyRange::prefix(b"ana"))]));
    assert!(matches!(purged, Err(Error::Unpurged { .. })), "{purged:?}");
    assert!(on_disk(dir.path(), SECRET));
}

#[test]
fn commits_go_on_beside_a_purge_and_a_close_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    std::thread::scope(|scope| {
        let purging = scope.spawn(|| {
            for _ in 0..5 {
                block_on(engine.purge(vec![(ROWS, KeyRange::prefix(b"a")), (JOBS, KeyRange::all())])).unwrap();
            }
        });
        let mut written = 0u32;
        while !purging.is_finished() {
            block_on(engine.commit(put(ROWS, &format!("b{written:06}"), "kept", Sync::Unsynced))).unwrap();
            written += 1;
        }
        let snapshot = engine.snapshot();
        let kept = (0..written).all(|n| snapshot.get(ROWS, format!("b{n:06}").as_bytes()).unwrap().is_some());
        assert!(kept, "all {written} are there");
    });
    engine.close();
    let after = block_on(engine.purge(vec![(ROWS, KeyRange::all())]));
    assert!(matches!(after, Err(Error::Unpurged { .. })), "{after:?}");
}
