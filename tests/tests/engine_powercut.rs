//! The engine alone under a power cut: a synced commit is there, and what is there has no hole.
//!
//! Also the proof that RocksDB opens after the cuts of `kit::powercut`, whatever they took from its log, its manifest
//! and its sorted files.

use std::process::Stdio;
use std::sync::Arc;

use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Engine, KeyRange, Options, Order, SystemEnv, appended};
use ebbtide_tests::rows::{ROWS, row};
use tokio::process::Command;

use crate::kit::output::Output;
use crate::kit::powercut::PowerCut;

/// Acknowledgements to wait for in each round: enough that sorted files have been written by the last one.
const ROUNDS: [u64; 5] = [0, 9, 400, 1100, 1101];

#[tokio::test]
async fn what_was_synced_is_there_and_what_is_there_has_no_hole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let power = PowerCut::arm(folder.path());
    let mut rows_lost = 0;
    for (round, acknowledged_min) in ROUNDS.into_iter().enumerate() {
        let (all, synced) = write_and_kill(folder.path(), &power, acknowledged_min).await;
        let lost = power.cut(round as u64);
        let found = numbers(folder.path());
        let context = format!("round {round}: acknowledged {all:?}, synced {synced:?}, {lost}");
        for (position, number) in found.iter().enumerate() {
            assert_eq!(*number, position as u64, "a hole; {context}");
        }
        let there = found.len() as u64;
        assert!(synced.is_none_or(|synced| there > synced), "only {there} rows are there; {context}");
        // One more may have been committed than was printed.
        assert!(all.is_none_or(|all| there <= all + 2), "{there} rows are there; {context}");
        rows_lost += all.map_or(0, |all| (all + 1).saturating_sub(there));
        // Opening to look has written as well; it was done in this process, so nobody's power was cut.
        power.all_is_durable();
    }
    // Most kills come between two syncs. Had no cut taken a row, the cuts would prove nothing.
    assert!(rows_lost > 0, "no unsynced row was lost in any of {} cuts", ROUNDS.len());
}

/// The last acknowledged and the last synced row of a process that was killed after at least so many.
async fn write_and_kill(
    folder: &std::path::Path,
    power: &PowerCut,
    acknowledged_min: u64,
) -> (Option<u64>, Option<u64>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_victim"))
        .arg("engine")
        .arg(folder)
        .envs(power.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect("the victim was built with this test");
    // Held, as waiting for a child closes its standard input, and the victim ends with that.
    let _stdin = child.stdin.take();
    let output = Output::new();
    let reader = output.collect(child.stdout.take().expect("it is piped"));
    let far_enough = output
        .find(|line| number(line).filter(|number| *number >= acknowledged_min), async {
            let _ = child.wait().await;
        })
        .await;
    assert!(far_enough.is_some(), "the victim ended by itself");
    child.kill().await.expect("it is our child");
    reader.await.expect("a reader does not panic");
    let lines = output.lines();
    let last = |kind: &str| lines.iter().filter(|line| line.ends_with(kind)).filter_map(|line| number(line)).max();
    (last(""), last(" Synced"))
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.split(' ').next()?.parse().ok()
}

/// The numbers of the rows that are there, in the order of their seqs.
fn numbers(folder: &std::path::Path) -> Vec<u64> {
    let engine = Rocks::open(folder, &[ROWS], &Options::default(), Arc::new(SystemEnv))
        .unwrap_or_else(|error| panic!("RocksDB does not open after the cut: {error}"));
    let mut numbers = Vec::new();
    let mut cursor = engine.snapshot().scan(ROWS, KeyRange::all(), Order::Ascending).expect("the space is there");
    while let Some((_, value)) = cursor.next().expect("it can be read") {
        let (_, bytes) = appended(value).expect("an appended row");
        let number = u64::from_be_bytes(bytes[..8].try_into().expect("a row begins with its number"));
        assert!(bytes == row(number), "row {number} is not what was written");
        numbers.push(number);
    }
    drop(cursor);
    engine.close();
    numbers
}
