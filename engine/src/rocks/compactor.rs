//! Gives back, in the background, what removed ranges still hold.
//!
//! Removing a range writes one mark; what it covers stays in files until they are compacted, and every scan that begins
//! beside it reads blocks of theirs. A key that is written anew keeps its older values until then as well. RocksDB chooses
//! what to compact by other figures and may leave them there for long.
//!
//! A compaction rewrites what is alive. It is made when at least as much is dead, so that no more is rewritten than goes.

use super::database::Database;
use super::purge;
use crate::{Error, KeyRange, Space};
use rocksdb::{BottommostLevelCompaction, CompactOptions};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Requests that wait; what comes on top is dropped, for the next one says the same.
const WAITING_MAX: usize = 16;

/// Fewer dead keys than this are not worth a thought.
const DEAD_KEYS_MIN: u64 = 10_000;

enum Request {
    Compact { space: Space, live_keys: u64, done: oneshot::Sender<()> },
    Rewrite { ranges: Vec<(Space, KeyRange)>, done: oneshot::Sender<Result<Vec<PathBuf>, Error>> },
    Gone { files: Vec<PathBuf>, done: oneshot::Sender<Result<(), Error>> },
}

/// The thread that compacts.
pub(super) struct Compactor {
    running: Mutex<Option<(SyncSender<Request>, JoinHandle<()>)>>,
}

impl Compactor {
    pub(super) fn start(database: Arc<Database>) -> std::io::Result<Compactor> {
        let (requests, taken) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("ebbtide-compact".to_owned()).spawn(move || run(&database, &taken))?;
        Ok(Compactor { running: Mutex::new(Some((requests, thread))) })
    }

    /// Told when it is over, whatever came of it.
    pub(super) fn request(&self, space: Space, live_keys: u64) -> oneshot::Receiver<()> {
        let (done, over) = oneshot::channel();
        self.send(Request::Compact { space, live_keys, done });
        over
    }

    /// What is first done of a purge, see [`purge`].
    pub(super) async fn rewrite(&self, ranges: Vec<(Space, KeyRange)>) -> Result<Vec<PathBuf>, Error> {
        let (done, over) = oneshot::channel();
        self.send(Request::Rewrite { ranges, done });
        over.await.unwrap_or_else(|_| Err(nobody()))
    }

    /// What is looked at in the end of a purge.
    pub(super) async fn gone(&self, files: Vec<PathBuf>) -> Result<(), Error> {
        let (done, over) = oneshot::channel();
        self.send(Request::Gone { files, done });
        over.await.unwrap_or_else(|_| Err(nobody()))
    }

    fn send(&self, request: Request) {
        if let Some((requests, _)) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = requests.try_send(request);
        }
    }

    /// Breaks off what is going on and waits for the thread.
    pub(super) fn stop(&self, database: &Database) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((requests, thread)) = running else { return };
        drop(requests);
        // Compactions end at their next key.
        database.break_off();
        if thread.join().is_err() {
            tracing::error!("the thread that compacts died");
        }
    }
}

fn run(database: &Database, requests: &Receiver<Request>) {
    let mut kept: HashMap<&str, u64> = HashMap::new();
    for request in requests {
        // Nobody may wait for the answer any more.
        match request {
            Request::Compact { space, live_keys, done } => {
                compact(database, space, live_keys, kept.entry(space.name).or_default());
                let _ = done.send(());
            }
            Request::Rewrite { ranges, done } => drop(done.send(purge::rewrite(database, &ranges))),
            Request::Gone { files, done } => drop(done.send(purge::gone(database, &files))),
        }
    }
}

/// A purge that was not made.
fn nobody() -> Error {
    Error::Unpurged { reason: "the engine is closing, or very busy with compactions".to_owned() }
}

/// `kept` is how many keys the last compaction kept beyond the live ones that it was told of: snapshots see them, or nobody
/// counted them. They do not count as a reason for another.
fn compact(database: &Database, space: Space, live_keys: u64, kept: &mut u64) {
    let Some(dead) = dead_keys(database, space, live_keys) else { return };
    let rewritten = live_keys.saturating_add(*kept);
    if dead < DEAD_KEYS_MIN || dead.saturating_sub(*kept) < rewritten {
        return;
    }
    let Ok(family) = database.family(space) else { return };
    let mut options = CompactOptions::default();
    // Compactions that are due for other reasons go on beside it.
    options.set_exclusive_manual_compaction(false);
    if *kept > 0 {
        // They are at the bottom, where a compaction comes only to what it brings new keys to.
        options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
    }
    database.db().compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
    *kept = dead_keys(database, space, live_keys).unwrap_or(0);
    tracing::debug!(space = space.name, live_keys, dead_keys = dead, kept = *kept, "compacted");
}

fn dead_keys(database: &Database, space: Space, live_keys: u64) -> Option<u64> {
    let family = database.family(space).ok()?;
    let keys = database.db().property_int_value_cf(family, "rocksdb.estimate-num-keys").ok()??;
    Some(keys.saturating_sub(live_keys))
}

impl fmt::Debug for Compactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocks::Rocks;
    use crate::{Cache, Commit, Engine, KeyRange, Options, Order, SystemEnv, Write};
    use futures::executor::block_on;
    use std::ops::Range;

    const ROWS: Space = Space { name: "rows", cache: Cache::Shared };

    fn write(engine: &Rocks, writes: Vec<Write>) {
        block_on(engine.commit(Commit { writes, ..Commit::default() })).unwrap();
    }

    fn put(engine: &Rocks, keys: Range<u32>) {
        write(engine, keys.map(|n| Write::put(ROWS, n.to_be_bytes(), [7; 20])).collect());
    }

    fn remove(engine: &Rocks, keys: Range<u32>) {
        let range = KeyRange::new(keys.start.to_be_bytes(), keys.end.to_be_bytes());
        write(engine, vec![Write::delete_range(ROWS, range)]);
    }

    fn dead(engine: &Rocks, live_keys: u64) -> u64 {
        dead_keys(engine.shared.database(), ROWS, live_keys).unwrap()
    }

    fn count(snapshot: Arc<dyn crate::Snapshot>) -> u32 {
        let mut cursor = snapshot.scan(ROWS, KeyRange::all(), Order::Ascending).unwrap();
        let mut count = 0;
        while cursor.next().unwrap().is_some() {
            count += 1;
        }
        count
    }

    #[test]
    fn what_is_removed_is_given_back_once_it_is_worth_it() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Rocks::open(dir.path(), &[ROWS], &Options::default(), Arc::new(SystemEnv)).unwrap();
        put(&engine, 0..60_000);
        remove(&engine, 0..20_000);
        block_on(engine.compact(ROWS, 40_000));
        assert!(dead(&engine, 40_000) >= 20_000, "more would be rewritten than given back");

        let reader = engine.snapshot();
        remove(&engine, 20_000..50_000);
        block_on(engine.compact(ROWS, 10_000));
        assert_eq!((count(reader.clone()), count(engine.snapshot())), (40_000, 10_000), "what a snapshot sees is kept");
        let kept = dead(&engine, 10_000);
        assert!((25_000..35_000).contains(&kept), "{kept} keys are kept for it, and the first 20,000 are gone");
        block_on(engine.compact(ROWS, 10_000));
        assert!(dead(&engine, 10_000) >= 25_000, "what had to be kept is no reason to begin again");
        drop(reader);

        put(&engine, 100_000..180_000);
        remove(&engine, 100_000..180_000);
        block_on(engine.compact(ROWS, 10_000));
        assert!(dead(&engine, 10_000) < 100, "{} dead keys are left", dead(&engine, 10_000));
        assert_eq!(count(engine.snapshot()), 10_000);
        engine.close();
        block_on(engine.compact(ROWS, 0));
    }
}
