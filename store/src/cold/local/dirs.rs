//! Directories that last: made, and synced no more often than needed.
//!
//! A new entry lasts once its directory was fsynced after it was made. Of many writers that wait for one directory, one syncs it,
//! and every writer whose entry was there when that fsync began is covered by it.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use super::super::{Error, power_cut::Event};
use super::disk::Disk;

/// How many directories are remembered as lasting. Forgetting one costs an fsync; remembering a million would cost memory.
const DURABLE_MAX: usize = 16_384;

/// How often a directory may vanish while something is put into it. Only a delete in the same folder does that.
pub(super) const TRIES_MAX: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Dirs {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    turns: HashMap<PathBuf, Turns>,
    durable: HashSet<PathBuf>,
    /// Counts removals, so that nobody remembers a directory that was removed while its parent was synced.
    removals: u64,
}

/// The fsyncs of one directory, numbered, for as long as somebody waits for one.
#[derive(Debug, Default)]
struct Turns {
    waiting: usize,
    begun: u64,
    finished: u64,
    failed: Vec<(u64, Arc<io::Error>)>,
}

/// Directories that exist and are not yet known to last.
#[derive(Debug)]
#[must_use = "the directories do not last before `settle`"]
pub(super) struct Unsettled {
    made: Vec<PathBuf>,
    removals: u64,
}

impl Dirs {
    /// Makes `dir` and what is missing above it, up to the root, which exists. Syncs nothing: the entries can share the next fsync.
    pub(super) fn make(&self, disk: &Disk, dir: &Path) -> Result<Unsettled, Error> {
        let mut tries = 0;
        loop {
            match self.try_make(disk, dir) {
                // A delete beside us found one of them empty and removed it.
                Err((_, error)) if error.kind() == io::ErrorKind::NotFound && tries < TRIES_MAX => {
                    tries += 1;
                    self.forget(dir);
                }
                Err((failed, error)) => {
                    return Err(Error::io("create the directory", &failed)(error));
                }
                Ok(unsettled) => return Ok(unsettled),
            }
        }
    }

    fn try_make(&self, disk: &Disk, dir: &Path) -> Result<Unsettled, (PathBuf, io::Error)> {
        let mut unknown = Vec::new();
        let removals = {
            let state = self.lock();
            for dir in dir.ancestors().take_while(|dir| *dir != disk.root()) {
                if state.durable.contains(dir) {
                    break;
                }
                unknown.push(dir.to_owned());
            }
            state.removals
        };
        for dir in unknown.iter().rev() {
            match std::fs::create_dir(dir) {
                Ok(()) => disk.saw(Event::Made(dir)),
                // Perhaps another writer made it a moment ago, or a process that died before it synced. So it counts as new.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match std::fs::metadata(dir) {
                    Ok(found) if found.is_dir() => {}
                    Ok(_) => return Err((dir.clone(), error)),
                    Err(gone) => return Err((dir.clone(), gone)),
                },
                Err(error) => return Err((dir.clone(), error)),
            }
        }
        Ok(Unsettled { made: unknown, removals })
    }

    /// Waits until the entries of `dir` that exist now, and the directories of `unsettled`, last.
    pub(super) fn settle(&self, disk: &Disk, dir: &Path, unsettled: Unsettled) -> Result<(), Error> {
        self.settle_all(disk, vec![(dir, unsettled)]).pop().expect("one directory has one result")
    }

    /// [`Dirs::settle`] for several, of which many have the same parents: each directory is synced once.
    pub(super) fn settle_all(&self, disk: &Disk, dirs: Vec<(&Path, Unsettled)>) -> Vec<Result<(), Error>> {
        let mut synced: HashMap<PathBuf, Option<Arc<io::Error>>> = HashMap::new();
        let mut sync = |dir: &Path| -> Result<(), Error> {
            let failed = match synced.get(dir) {
                Some(failed) => failed.clone(),
                None => {
                    let failed = self.sync(disk, dir).err();
                    synced.insert(dir.to_owned(), failed.clone());
                    failed
                }
            };
            failed.map_or(Ok(()), |source| Err(Error::Sync { path: dir.to_owned(), source }))
        };
        let mut settle = |(dir, unsettled): (&Path, Unsettled)| {
            sync(dir)?;
            for made in &unsettled.made {
                sync(made.parent().expect("a directory below the root has a parent"))?;
            }
            let mut state = self.lock();
            if state.removals == unsettled.removals {
                if state.durable.len() + unsettled.made.len() > DURABLE_MAX {
                    state.durable.clear();
                }
                state.durable.extend(unsettled.made);
            }
            Ok(())
        };
        dirs.into_iter().map(&mut settle).collect()
    }

    /// `dir` or something above it was removed: none of them is believed any more.
    pub(super) fn forget(&self, dir: &Path) {
        let mut state = self.lock();
        state.removals += 1;
        for dir in dir.ancestors() {
            state.durable.remove(dir);
        }
    }

    /// Removes `dir` and the directories above it that are empty, up to the root.
    pub(super) fn prune(&self, disk: &Disk, dir: &Path) {
        for dir in dir.ancestors().take_while(|dir| *dir != disk.root()) {
            // Under the lock, so that a writer that finds the directory also finds it remembered, or neither.
            let mut state = self.lock();
            let known = state.durable.remove(dir);
            if std::fs::remove_dir(dir).is_err() {
                // It has something in it, which is the ordinary case.
                if known {
                    state.durable.insert(dir.to_owned());
                }
                return;
            }
            state.removals += 1;
            drop(state);
            disk.saw(Event::Removed(dir));
        }
    }

    pub(super) fn sync(&self, disk: &Disk, dir: &Path) -> Result<(), Arc<io::Error>> {
        if disk.forgets_fsync() {
            return Ok(());
        }
        let mut state = self.lock();
        let turns = state.turns.entry(dir.to_owned()).or_default();
        turns.waiting += 1;
        // One that began earlier may have looked at the directory before the entry was there.
        let mine = turns.begun + 1;
        loop {
            let turns = state.turns.get_mut(dir).expect("kept while somebody waits");
            if turns.finished >= mine {
                break;
            }
            if turns.begun > turns.finished {
                state = self.finished.wait(state).expect(LOCK);
                continue;
            }
            turns.begun += 1;
            drop(state);
            disk.saw(Event::SyncingDir(dir));
            let result = sync_dir(dir);
            if result.is_ok() {
                disk.saw(Event::SyncedDir(dir));
            }
            state = self.lock();
            let turns = state.turns.get_mut(dir).expect("kept while somebody waits");
            turns.finished += 1;
            if let Err(error) = result {
                turns.failed.push((turns.finished, Arc::new(error)));
            }
            self.finished.notify_all();
        }
        let turns = state.turns.get_mut(dir).expect("kept while somebody waits");
        let failed = turns.failed.iter().find(|(turn, _)| *turn == mine).map(|(_, error)| Arc::clone(error));
        turns.waiting -= 1;
        if turns.waiting == 0 {
            state.turns.remove(dir);
        }
        failed.map_or(Ok(()), Err)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self, dir: &Path) -> usize {
        self.lock().turns.get(dir).map_or(0, |turns| turns.waiting)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(LOCK)
    }
}

const LOCK: &str = "nothing panics while it holds this lock";

/// Makes the entries of a directory last.
pub(in crate::cold) fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::fs::File::open(dir)?.sync_all();
    // Elsewhere a directory cannot be opened; its file system writes entries with the files.
    #[cfg(not(unix))]
    return Ok(());
}
