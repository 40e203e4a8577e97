//! Rows into an engine, one commit each, synced now and then; every acknowledgement is printed.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Commit, Engine, KeyRange, Options, Order, Packed, SharedEnv, Sync, Write};
use ebbtide_tests::rows::{ROWS, row};

/// One commit in this many is synced; those in between are lost in a power cut, or not.
const SYNCED_EVERY: u64 = 50;

pub(crate) fn write_until_killed(folder: &Path, env: SharedEnv) -> ExitCode {
    // Small, so that sorted files, their directory entries and RocksDB's own manifest are written too.
    let options = Options { write_buffer_bytes_max: 1 << 20, ..Options::default() };
    let engine = Rocks::open(folder, &[ROWS], &options, env).expect("the engine opens what the last run left");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without threads");
    let mut number = rows_there(engine.as_ref());
    loop {
        let mut values = Packed::new();
        values.push(&row(number));
        let sync = if number.is_multiple_of(SYNCED_EVERY) { Sync::Synced } else { Sync::Unsynced };
        let writes = vec![Write::Append { space: ROWS, prefix: Vec::new(), values }];
        let commit = Commit { writes, sync, ..Commit::default() };
        runtime.block_on(engine.commit(commit)).expect("nothing is wrong with the disk");
        // Nobody may be left to read it.
        let _ = writeln!(std::io::stdout(), "acknowledged {number} {sync:?}");
        number += 1;
    }
}

fn rows_there(engine: &dyn Engine) -> u64 {
    let mut cursor = engine.snapshot().scan(ROWS, KeyRange::all(), Order::Ascending).expect("the space is there");
    let mut count = 0;
    while cursor.next().expect("it can be read").is_some() {
        count += 1;
    }
    count
}
