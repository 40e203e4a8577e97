//! A full disk, simulated: no file below a folder may grow beyond a size, until there is room again.
//!
//! `fulldisk/shim.c` is loaded into the process. What fits is written, and the rest refused with ENOSPC, as a file system
//! does it: a record in a log is torn. New names (folders, links, empty files) are not refused. Room for small files and
//! none for large ones stands for a disk on which the last blocks are taken by whoever comes first.

use std::fs;
use std::path::{Path, PathBuf};

use super::shim;

/// A folder whose disk can be filled.
pub(crate) struct FullDisk {
    root: PathBuf,
    suffix: &'static str,
    mark: tempfile::TempDir,
}

impl FullDisk {
    /// The disk of `root`, with room enough for now.
    pub(crate) fn of(root: &Path) -> Self {
        let root = fs::canonicalize(root).expect("the folder is there");
        Self { root, suffix: "", mark: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Only files whose names end so find no room.
    pub(crate) fn only(mut self, suffix: &'static str) -> Self {
        self.suffix = suffix;
        self
    }

    /// From now on no file may have more bytes than this; what is longer already stays.
    pub(crate) fn fill(&self, file_bytes_max: u64) {
        // In one step: the process reads it at every write.
        let fresh = self.mark.path().join("fresh");
        fs::write(&fresh, file_bytes_max.to_string()).expect("a folder of our own");
        fs::rename(fresh, self.full()).expect("a folder of our own");
    }

    /// There is room again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.full()).expect("it was full");
    }

    /// What a process needs in its environment to find the disk full.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("temporary folders have plain names").to_owned();
        vec![
            ("LD_PRELOAD", text(&shim::library("fulldisk"))),
            ("FULLDISK_ROOT", text(&self.root)),
            ("FULLDISK_MARK", text(&self.full())),
            ("FULLDISK_SUFFIX", self.suffix.to_owned()),
        ]
    }

    fn full(&self) -> PathBuf {
        self.mark.path().join("full")
    }
}
