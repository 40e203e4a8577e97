//! DuckDB as a peer: its partitioned COPY of the same rows, where a Python with DuckDB is to be had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::Error;

const SCRIPT: &str = include_str!("duckdb.py");

/// What DuckDB did.
#[derive(Debug, Deserialize)]
pub(super) struct DuckDb {
    pub(super) version: String,
    pub(super) rows: u64,
    pub(super) files: u64,
    /// Per order of the rows in memory: as they arrived, and user by user.
    seconds: BTreeMap<String, f64>,
}

impl DuckDb {
    /// The orders that were measured.
    pub(super) fn orders(&self) -> impl Iterator<Item = &str> {
        self.seconds.keys().map(String::as_str)
    }

    /// How long the rows took in this order.
    pub(super) fn took(&self, order: &str) -> Option<Duration> {
        self.seconds.get(order).map(|seconds| Duration::from_secs_f64(seconds.max(0.0)))
    }
}

/// The first Python that has DuckDB: `EBBTIDE_PYTHON`, the one that `scripts/setup` makes, or one in PATH.
pub(super) fn find() -> Option<PathBuf> {
    let named = std::env::var_os("EBBTIDE_PYTHON").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("EBBTIDE_CACHE").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        cache.map(|cache| cache.join("ebbtide"))
    });
    let tests = cache.map(|cache| cache.join("venv/bin/python"));
    named.into_iter().chain(tests).chain([PathBuf::from("python3")]).find(|python| {
        let has =
            Command::new(python).args(["-c", "import duckdb"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        has.is_ok_and(|status| status.success())
    })
}

/// Reads the segments into memory and copies them from there into `target`, which is removed again.
pub(super) fn copy(python: &Path, segments: &Path, target: &Path, cores: usize) -> Result<DuckDb, Error> {
    let output = Command::new(python).args(["-c", SCRIPT]).arg(segments).arg(target).arg(cores.to_string()).output()?;
    if !output.status.success() {
        return Err(format!("DuckDB failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
