//! A power cut, simulated: what a process wrote and did not sync is gone.
//!
//! `kill -9` keeps the page cache, so it can never find a forgotten fsync. Here `powercut/shim.c` is loaded into the
//! process and writes down what was synced; once the process is dead, [`PowerCut::cut`] takes the rest away:
//!
//! - a file that is longer than at its last sync ends at a random length between the two; one never synced, between
//!   nothing and all;
//! - an entry that was not in its directory at the directory's last sync is removed, with all that is below it.
//!
//! Files of RocksDB are treated like all others.
//!
//! What the model does not do, so what it cannot find:
//!
//! - Deletes, renames over an existing name, truncations and writes in place are not undone, although a file system may
//!   lose them as well.
//! - A lost tail is missing; it is not zeros or old bytes.
//! - An entry that was not synced always goes. On a real disk it may stay, and another one go.
//! - Only fsync and fdatasync through the C library count. A process that syncs by other means (O_SYNC, msync, raw
//!   system calls) looks worse here than it is, never better.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::shim;

/// A folder whose writers are watched, so that their power can be cut.
pub(crate) struct PowerCut {
    root: PathBuf,
    log: tempfile::TempPath,
}

impl PowerCut {
    /// Starts to watch `root`. What lies there now counts as durable.
    pub(crate) fn arm(root: &Path) -> Self {
        let log = tempfile::Builder::new()
            .prefix("powercut")
            .tempfile_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("the folder for temporary files of tests is writable")
            .into_temp_path();
        let cut = Self { root: root.to_owned(), log };
        cut.all_is_durable();
        cut
    }

    /// What a process needs in its environment to be watched. It may die and be started again between two cuts.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", shim::library("powercut")), ("POWERCUT_LOG", self.log.to_path_buf())]
    }

    /// Cuts the power. No watched process may be alive. Afterwards all that is left counts as durable.
    pub(crate) fn cut(&self, seed: u64) -> Lost {
        let lost = cut(&self.root, &self.log, seed);
        self.all_is_durable();
        lost
    }

    /// Everything that lies there now counts as durable, whoever wrote it.
    pub(crate) fn all_is_durable(&self) {
        let mut lines = Vec::new();
        describe(&self.root, &mut lines);
        fs::write(&self.log, lines).expect("the log was made by us");
    }
}

/// What a power cut took.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lost {
    /// Files that are shorter now: path, bytes before, bytes after.
    pub(crate) shortened: Vec<(PathBuf, u64, u64)>,
    /// Entries that are not there any more.
    pub(crate) removed: Vec<PathBuf>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lost in the power cut:")?;
        for (path, before, after) in &self.shortened {
            writeln!(f, "  shortened {} from {before} to {after} bytes", path.display())?;
        }
        for path in &self.removed {
            writeln!(f, "  removed   {}", path.display())?;
        }
        Ok(())
    }
}

/// Takes from `root` what `log` does not show as synced; chance follows `seed`.
pub(crate) fn cut(root: &Path, log: &Path, seed: u64) -> Lost {
    let durable = Durable::read(log);
    let mut lost = Lost::default();
    cut_directory(root, &durable, &mut Chance(seed), &mut lost);
    lost
}

fn cut_directory(directory: &Path, durable: &Durable, chance: &mut Chance, lost: &mut Lost) {
    let nothing = HashSet::new();
    let synced = durable.entries.get(&identity(directory)).unwrap_or(&nothing);
    for (name, path) in sorted_entries(directory) {
        let about = fs::symlink_metadata(&path).expect("an entry that was just listed");
        if !synced.contains(&name) {
            if about.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .expect("nobody else uses the folder");
            lost.removed.push(path);
        } else if about.is_dir() {
            cut_directory(&path, durable, chance, lost);
        } else if about.is_file() {
            let synced = durable.bytes.get(&identity(&path)).copied().unwrap_or(0);
            if about.len() > synced {
                let left = synced + chance.below(about.len() - synced + 1);
                let file = fs::OpenOptions::new().write(true).open(&path);
                file.and_then(|file| file.set_len(left)).expect("a file that its owner can write");
                lost.shortened.push((path, about.len(), left));
            }
        }
    }
}

/// What is known to have been synced, by identity.
#[derive(Default)]
struct Durable {
    bytes: HashMap<String, u64>,
    entries: HashMap<String, HashSet<OsString>>,
}

impl Durable {
    fn read(log: &Path) -> Self {
        let content = fs::read(log).expect("the log of the shim");
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut synced: Vec<Synced<'_>> = lines.map(Synced::parse).collect();
        // The call that began last saw most; the order of the lines is the order in which they ended. Stable, so
        // that of equal times the later line wins.
        synced.sort_by_key(|synced| synced.began);
        let mut durable = Self::default();
        for Synced { identity, what, .. } in synced {
            match what {
                What::Bytes(bytes) => {
                    durable.bytes.insert(identity, bytes);
                }
                What::Entries(names) => {
                    let names = names.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
                    durable.entries.insert(identity, names.map(unescape).collect());
                }
            }
        }
        durable
    }
}

/// A line of the shim.
struct Synced<'a> {
    began: u128,
    identity: String,
    what: What<'a>,
}

enum What<'a> {
    Bytes(u64),
    Entries(&'a [u8]),
}

impl<'a> Synced<'a> {
    fn parse(line: &'a [u8]) -> Self {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let mut part = || parts.next().expect("a line of the shim has four parts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kind = part();
        let began = text(part()).parse().expect("the second part is a time");
        let identity = text(part());
        let what = match (kind, part()) {
            (b"F", bytes) => What::Bytes(text(bytes).parse().expect("a file has a size")),
            (b"D", names) => What::Entries(names),
            (other, _) => panic!("the shim writes no lines of kind {}", text(other)),
        };
        Self { began, identity, what }
    }
}

/// Writes the lines that a shim would have written if all below `directory` had been synced.
fn describe(directory: &Path, lines: &mut Vec<u8>) {
    write!(lines, "D 0 {} ", identity(directory)).expect("memory takes it");
    let entries = sorted_entries(directory);
    for (name, _) in &entries {
        lines.extend(escape(name));
        lines.push(b'/');
    }
    lines.push(b'\n');
    for (_, path) in entries {
        let about = fs::symlink_metadata(&path).expect("an entry that was just listed");
        if about.is_dir() {
            describe(&path, lines);
        } else if about.is_file() {
            writeln!(lines, "F 0 {} {}", identity(&path), about.len()).expect("memory takes it");
        }
    }
}

/// Inode and birth time: stays through a rename, and is new for a new file even where the inode is not.
fn identity(path: &Path) -> String {
    let about = fs::symlink_metadata(path).expect("the path was just listed");
    let born = about
        .created()
        .expect("the power cut needs a file system that keeps birth times (ext4, xfs, btrfs, tmpfs since Linux 6.1)");
    let born = born.duration_since(UNIX_EPOCH).expect("no file is older than 1970");
    format!("{}-{}.{:09}", about.ino(), born.as_secs(), born.subsec_nanos())
}

/// Sorted, so that a seed means the same cut again.
fn sorted_entries(directory: &Path) -> Vec<(OsString, PathBuf)> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()));
    let mut entries: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed"))
        .map(|entry| (entry.file_name(), entry.path()))
        .collect();
    entries.sort();
    entries
}

fn escape(name: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name.as_bytes() {
        match byte {
            b'%' => escaped.extend(b"%25"),
            b'\n' => escaped.extend(b"%0a"),
            other => escaped.push(*other),
        }
    }
    escaped
}

fn unescape(escaped: &[u8]) -> OsString {
    let mut name = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [b'2', b'5', after @ ..]) => {
                name.push(b'%');
                after
            }
            (b'%', [b'0', b'a', after @ ..]) => {
                name.push(b'\n');
                after
            }
            _ => {
                name.push(*first);
                after
            }
        };
    }
    OsString::from_vec(name)
}

/// Chance that repeats (SplitMix64): a failed test prints its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
