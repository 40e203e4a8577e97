//! Has no file hold what was removed.
//!
//! A removal is a mark in the log and later in a file; the bytes themselves stay in the log that they were written to, and in
//! files, until those are replaced. RocksDB does that in its own time. Here it is done now, and looked at afterwards:
//!
//! 1. Every snapshot from before is gone: what one sees is kept. (`pins.rs`)
//! 2. All memtables are written to files, so that no log from before is needed any more.
//! 3. The files that reach into the ranges are written anew, on every level. What is removed is not written again.
//! 4. Every cursor that was opened meanwhile is gone: the files that it reads are kept.
//! 5. None of the logs and files from before is there.

use super::database::Database;
use crate::{Error, KeyRange, Space};
use rocksdb::{BottommostLevelCompaction, ColumnFamily, CompactOptions, FlushOptions};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How long RocksDB's own threads get to unlink what they have taken upon them, and how often that is looked at: they tell
/// nobody when they are done.
const UNLINK_LOOKS_MAX: u32 = 1000;
const UNLINK_LOOK: Duration = Duration::from_millis(10);

/// Steps 2 and 3. Gives the logs and files that must not be there any more.
pub(super) fn rewrite(database: &Database, ranges: &[(Space, KeyRange)]) -> Result<Vec<PathBuf>, Error> {
    // The whole log is let go, so it has to hold nothing that is nowhere else.
    database.db().flush_wal(true).map_err(failed)?;
    let mut old = logs(database)?;
    let mut families: Vec<&ColumnFamily> = Vec::new();
    for space in database.spaces() {
        families.push(database.family(*space)?);
    }
    database.db().flush_cfs_opt(&families, &FlushOptions::default()).map_err(failed)?;
    for (space, range) in ranges.iter().filter(|(_, range)| !range.is_empty()) {
        let family = database.family(*space)?;
        let before: HashSet<PathBuf> = files(database, *space, range)?.into_iter().map(|file| file.path).collect();
        let failed_before = failures(database)?;
        let mut options = CompactOptions::default();
        // One that runs already may have begun when a snapshot still kept what is to go.
        options.set_exclusive_manual_compaction(true);
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        let end = (!range.to.is_empty()).then_some(range.to.as_slice());
        let stayed = || -> Result<Vec<LiveFile>, Error> {
            Ok(files(database, *space, range)?.into_iter().filter(|file| before.contains(&file.path)).collect())
        };
        // A file that is alone on its level is moved to the lowest one as it is, and written anew only there.
        for _ in 0..2 {
            database.db().compact_range_cf_opt(family, Some(range.from.as_slice()), end, &options);
            if stayed()?.is_empty() {
                break;
            }
        }
        // Compacting does not say how it went. What is left now reaches around the range without a key of it, unless it
        // was broken off or failed.
        let stayed = stayed()?;
        let failed = failures(database)? > failed_before || stayed.iter().any(|file| file.is_within(range));
        if database.is_closing() || failed {
            let reason = format!("files of space {:?} could not be written anew", space.name);
            return Err(Error::Unpurged { reason });
        }
        old.extend(before.into_iter().filter(|path| !stayed.iter().any(|file| file.path == *path)));
    }
    Ok(old)
}

/// Step 5.
pub(super) fn gone(database: &Database, old: &[PathBuf]) -> Result<(), Error> {
    for _ in 0..UNLINK_LOOKS_MAX {
        // Allowing it after forbidding it unlinks what is not needed, on this thread, unless another has begun to.
        database.db().disable_file_deletions().map_err(failed)?;
        database.db().enable_file_deletions().map_err(failed)?;
        if !old.iter().any(|file| file.exists()) {
            return Ok(());
        }
        thread::sleep(UNLINK_LOOK);
    }
    let left: Vec<String> = old.iter().filter(|file| file.exists()).map(|file| file.display().to_string()).collect();
    Err(Error::Unpurged { reason: format!("{} stay on the disk", left.join(", ")) })
}

/// How often RocksDB failed to write files in the background. It counts them for all families together, under the default one.
fn failures(database: &Database) -> Result<u64, Error> {
    let count = database.db().property_int_value("rocksdb.background-errors").map_err(failed)?;
    Ok(count.unwrap_or(0))
}

/// A file that the database needs.
struct LiveFile {
    path: PathBuf,
    first: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
}

impl LiveFile {
    fn reaches(&self, range: &KeyRange) -> bool {
        let begins_before = |first: &Vec<u8>| range.to.is_empty() || first < &range.to;
        self.first.as_ref().is_none_or(begins_before) && self.last.as_ref().is_none_or(|last| last >= &range.from)
    }

    /// Whether its first or its last key is of the range. One that reaches around the range may have none of it.
    fn is_within(&self, range: &KeyRange) -> bool {
        let within = |key: &Vec<u8>| key >= &range.from && (range.to.is_empty() || key < &range.to);
        self.first.as_ref().is_none_or(within) || self.last.as_ref().is_none_or(within)
    }
}

/// Files of a space that may hold keys of a range.
fn files(database: &Database, space: Space, range: &KeyRange) -> Result<Vec<LiveFile>, Error> {
    let live = database.db().live_files().map_err(failed)?;
    let here = live.into_iter().filter(|file| file.column_family_name == space.name).map(|file| LiveFile {
        path: database.path().join(file.name.trim_start_matches('/')),
        first: file.start_key,
        last: file.end_key,
    });
    Ok(here.filter(|file| file.reaches(range)).collect())
}

/// The logs that are there and hold something. An empty one is taken further, whatever is written out.
fn logs(database: &Database) -> Result<Vec<PathBuf>, Error> {
    let unread = |error: std::io::Error| Error::Unpurged { reason: format!("the folder cannot be listed: {error}") };
    let mut logs = Vec::new();
    for entry in fs::read_dir(database.path()).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        // One that is gone by now holds nothing.
        if is_log && path.metadata().is_ok_and(|log| log.len() > 0) {
            logs.push(path);
        }
    }
    Ok(logs)
}

fn failed(error: rocksdb::Error) -> Error {
    Error::Unpurged { reason: error.into_string() }
}
