//! How fast the engine commits, beside what the disk itself does. Prints; asserts nothing, for machines differ.
//!
//! `cargo bench -p ebbtide-engine --bench speed`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it prints, and has nobody to give an error to")]

use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, Commit, Engine, Expect, KeyRange, Options, Order, Packed, Space, Sync, SystemEnv, Write};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const CATALOG: Space = Space { name: "catalog", cache: Cache::Shared };
const HOT: Space = Space { name: "hot", cache: Cache::Shared };
const USERS: Space = Space { name: "hot_users", cache: Cache::Shared };
const COUNTERS: Space = Space { name: "hot_counters", cache: Cache::Shared };
const JOBS: Space = Space { name: "jobs", cache: Cache::Jobs };
const SPACES: [Space; 5] = [CATALOG, HOT, USERS, COUNTERS, JOBS];

const ROW_BYTES: usize = 100;

fn main() {
    let dir =
        tempfile::tempdir_in(std::env::var("SPEED_DIR").unwrap_or_else(|_| std::env::temp_dir().display().to_string()))
            .unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for bytes in [300, 1000] {
        print(&format!("the disk: {bytes} bytes appended, fdatasync"), &disk(&dir.path().join("file"), bytes, 2000));
    }
    let engine = Rocks::open(&dir.path().join("engine"), &SPACES, &Options::default(), Arc::new(SystemEnv)).unwrap();
    runtime
        .block_on(engine.commit(Commit { writes: vec![Write::put(CATALOG, "table", "")], ..Commit::default() }))
        .unwrap();
    for (callers, each) in [(1, 2000), (16, 1000), (256, 300)] {
        let name = format!("{callers} callers, one row each, synced");
        print(&name, &callers_commit(&runtime, &engine, callers, each, |caller, _| ingest(caller, 1, Sync::Synced)));
    }
    for (callers, each) in [(1, 2000), (16, 1000), (256, 300)] {
        let name = format!("{callers} callers, a job's checkpoint each, synced");
        print(
            &name,
            &callers_commit(&runtime, &engine, callers, each, move |caller, n| checkpoint(callers * 1000 + caller, n)),
        );
    }
    for (callers, each) in [(1, 10_000), (16, 2000)] {
        let name = format!("{callers} callers, one row each, unsynced");
        print(&name, &callers_commit(&runtime, &engine, callers, each, |caller, _| ingest(caller, 1, Sync::Unsynced)));
    }
    let from = engine.last_seq();
    for rows in [1000, 10_000] {
        let begun = Instant::now();
        let before = engine.last_seq();
        callers_commit(&runtime, &engine, 4, 500_000 / rows, move |caller, _| ingest(caller, rows, Sync::Synced));
        let rate = (engine.last_seq() - before) as f64 / begun.elapsed().as_secs_f64();
        println!(
            "{:<60} {rate:>12.0} rows/s",
            format!("4 callers, chunks of {rows} rows of {ROW_BYTES} bytes, synced")
        );
    }
    print("a scan of 10 rows", &short_scans(&engine));
    let ranges =
        (0..10_000).map(|user| Write::delete_range(HOT, KeyRange::new(format!("u{user:05}"), format!("u{user:05}z"))));
    let begun = Instant::now();
    for some in ranges.collect::<Vec<_>>().chunks(50) {
        runtime
            .block_on(engine.commit(Commit { writes: some.to_vec(), sync: Sync::Unsynced, ..Commit::default() }))
            .unwrap();
    }
    println!("10,000 ranges removed in {:?}", begun.elapsed());
    print("a scan of 10 rows after 10,000 ranges were removed", &short_scans(&engine));
    let begun = Instant::now();
    let mut cursor = engine.snapshot().scan(HOT, KeyRange::all(), Order::Ascending).unwrap();
    let mut count = 0u64;
    while cursor.next().unwrap().is_some() {
        count += 1;
    }
    assert!(count > from);
    println!("{:<60} {:>12.0} rows/s", "scan", count as f64 / begun.elapsed().as_secs_f64());
}

fn short_scans(engine: &Arc<Rocks>) -> Figures {
    let begun = Instant::now();
    let each = (0..1000)
        .map(|_| {
            let begun = Instant::now();
            let mut cursor = engine.snapshot().scan(HOT, KeyRange::new("table00000003", ""), Order::Ascending).unwrap();
            for _ in 0..10 {
                assert!(cursor.next().unwrap().is_some());
            }
            begun.elapsed()
        })
        .collect();
    Figures { took: begun.elapsed(), each }
}

/// As INSERT does it: the table must be there; a row, the user's last seq, the table's counters.
fn ingest(caller: usize, rows: usize, sync: Sync) -> Commit {
    let prefix = format!("table{caller:08}");
    let values: Packed = std::iter::repeat_n([7; ROW_BYTES], rows).collect();
    Commit {
        expect: vec![Expect::present(CATALOG, "table")],
        writes: vec![
            Write::append(HOT, prefix.as_str(), values),
            Write::stamp_seq(USERS, prefix.as_str()),
            Write::add(COUNTERS, "table rows", rows as i64),
            Write::add(COUNTERS, "table bytes", (rows * ROW_BYTES) as i64),
        ],
        sync,
    }
}

/// As a job's step does it: the row as last written; row, body, two index entries, a transition, two counters.
fn checkpoint(caller: usize, n: usize) -> Commit {
    let key = |kind: &str| format!("{kind}{caller:08}");
    let row = |n: usize| format!("{n:0>200}");
    Commit {
        expect: vec![match n {
            0 => Expect::absent(JOBS, key("row")),
            _ => Expect::equals(JOBS, key("row"), row(n - 1)),
        }],
        writes: vec![
            Write::put(JOBS, key("row"), row(n)),
            Write::put(JOBS, key("body"), row(n)),
            Write::delete(JOBS, format!("index{n:08}{caller:08}")),
            Write::put(JOBS, format!("index{:08}{caller:08}", n + 1), ""),
            Write::put(JOBS, format!("transition{caller:08}{n:08}"), "running"),
            Write::add(JOBS, "running", 1),
            Write::add(JOBS, "pending", -1),
        ],
        sync: Sync::Synced,
    }
}

struct Figures {
    took: Duration,
    each: Vec<Duration>,
}

fn callers_commit(
    runtime: &Runtime,
    engine: &Arc<Rocks>,
    callers: usize,
    each: usize,
    commit: impl Fn(usize, usize) -> Commit + Copy + Send + 'static,
) -> Figures {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let engine = Arc::clone(engine);
            runtime.spawn(async move {
                let mut times = Vec::with_capacity(each);
                for n in 0..each {
                    let commit = commit(caller, n);
                    let begun = Instant::now();
                    engine.commit(commit).await.unwrap();
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let each = runtime
        .block_on(async { futures::future::join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect() });
    Figures { took: begun.elapsed(), each }
}

fn disk(path: &Path, bytes: usize, times: usize) -> Figures {
    let mut file = File::create(path).unwrap();
    let begun = Instant::now();
    let each = (0..times)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&vec![7; bytes]).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    Figures { took: begun.elapsed(), each }
}

fn print(name: &str, figures: &Figures) {
    let mut each = figures.each.clone();
    each.sort();
    let at = |share: f64| each[((each.len() - 1) as f64 * share) as usize].as_micros();
    let rate = each.len() as f64 / figures.took.as_secs_f64();
    println!("{name:<60} {rate:>10.0}/s   p50 {:>6} us   p99 {:>6} us", at(0.5), at(0.99));
}
