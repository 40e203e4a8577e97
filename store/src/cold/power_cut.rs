//! What a power cut would leave of a local storage. For tests.
//!
//! `kill -9` leaves the page cache, so it cannot show a missing fsync. A [`Journal`] beside a storage notes what was made and what was synced;
//! after the process died, [`Journal::cut`] takes away from the directory whatever no fsync had reached.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// A step after which a power cut would leave something else than before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A directory was made.
    Made(&'a Path),
    /// The bytes of a file were synced.
    SyncedFile(&'a Path),
    /// A file got another name.
    Linked {
        /// The name it had.
        from: &'a Path,
        /// The name it got.
        to: &'a Path,
    },
    /// An fsync of a directory begins. Entries noted later are not covered by it.
    SyncingDir(&'a Path),
    /// That fsync is done. There is one at a time for each directory.
    SyncedDir(&'a Path),
    /// A file or directory was removed.
    Removed(&'a Path),
}

/// Told of every [`Event`], right after it happened (and of [`Event::SyncingDir`] right before).
pub trait Witness: Debug + Send + Sync {
    /// Takes note. Called on the thread that writes.
    fn saw(&self, event: Event<'_>);
}

/// A witness that writes to a file, which a killed process leaves behind.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
    path: PathBuf,
}

impl Journal {
    /// Goes on with the journal at `path`, or begins one. A storage keeps one journal over all its restarts.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Journal { file: Mutex::new(file), path: path.to_owned() })
    }

    /// Takes away from `root` what no fsync had reached, with everything in it, and tells what that was. Nobody may be writing.
    ///
    /// What the journal does not mention was there before it and stays. Files whose name lasts and whose bytes were never synced are emptied.
    pub fn cut(&self, root: &Path) -> io::Result<Vec<PathBuf>> {
        let unsynced = Unsynced::read(&std::fs::read_to_string(&self.path)?);
        let mut lost = Vec::new();
        unsynced.cut(root, &mut lost)?;
        Ok(lost)
    }
}

impl Witness for Journal {
    fn saw(&self, event: Event<'_>) {
        let line = match event {
            Event::Made(path) => format!("made\t{}\n", path.display()),
            Event::SyncedFile(path) => format!("synced-file\t{}\n", path.display()),
            Event::Linked { from, to } => format!("linked\t{}\t{}\n", from.display(), to.display()),
            Event::SyncingDir(path) => format!("syncing-dir\t{}\n", path.display()),
            Event::SyncedDir(path) => format!("synced-dir\t{}\n", path.display()),
            Event::Removed(path) => format!("removed\t{}\n", path.display()),
        };
        let mut file = self.file.lock().expect("nothing panics while it holds this lock");
        file.write_all(line.as_bytes()).expect("a test has room for its journal");
    }
}

/// The journal, replayed.
#[derive(Debug, Default)]
struct Unsynced {
    /// Entries that no fsync of their directory has reached.
    entries: HashSet<PathBuf>,
    /// Of those, the ones that an fsync under way will reach, by directory.
    being_synced: HashMap<PathBuf, Vec<PathBuf>>,
    /// Files whose bytes were synced, under each of their names.
    whole: HashSet<PathBuf>,
    /// Files that got their name unsynced.
    hollow: HashSet<PathBuf>,
}

impl Unsynced {
    fn read(journal: &str) -> Unsynced {
        let mut unsynced = Unsynced::default();
        // The last line may have been cut off by the kill. The step it tells of then ended nothing.
        let whole_lines = journal.rfind('\n').map_or("", |end| &journal[..end]);
        for line in whole_lines.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["made", dir] => unsynced.made(dir),
                ["synced-file", file] => {
                    unsynced.whole.insert(file.into());
                }
                ["linked", from, to] => unsynced.linked(from, to),
                ["syncing-dir", dir] => unsynced.syncing(dir),
                ["synced-dir", dir] => unsynced.synced(dir),
                ["removed", path] => unsynced.removed(path),
                _ => panic!("a journal line that was never written: {line:?}"),
            }
        }
        unsynced
    }

    fn made(&mut self, dir: &str) {
        self.entries.insert(dir.into());
    }

    fn linked(&mut self, from: &str, to: &str) {
        let kind = if self.whole.contains(Path::new(from)) { &mut self.whole } else { &mut self.hollow };
        kind.insert(to.into());
        self.entries.insert(to.into());
    }

    fn syncing(&mut self, dir: &str) {
        let dir = Path::new(dir);
        let covered = self.entries.iter().filter(|entry| entry.parent() == Some(dir)).cloned();
        self.being_synced.insert(dir.to_owned(), covered.collect());
    }

    fn synced(&mut self, dir: &str) {
        for entry in self.being_synced.remove(Path::new(dir)).unwrap_or_default() {
            self.entries.remove(&entry);
        }
    }

    /// Whether the removal itself lasts does not matter to anyone: what comes back is an orphan, and swept.
    fn removed(&mut self, path: &str) {
        let path = Path::new(path);
        self.entries.remove(path);
        self.whole.remove(path);
        self.hollow.remove(path);
        for covered in self.being_synced.values_mut() {
            covered.retain(|entry| entry != path);
        }
    }

    fn cut(&self, dir: &Path, lost: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if self.entries.contains(&path) {
                if path.is_dir() {
                    std::fs::remove_dir_all(&path)?
                } else {
                    std::fs::remove_file(&path)?
                }
                lost.push(path);
            } else if path.is_dir() {
                self.cut(&path, lost)?;
            } else if self.hollow.contains(&path) {
                File::create(&path)?;
                lost.push(path);
            }
        }
        Ok(())
    }
}
