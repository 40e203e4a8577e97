//! Readers that are not ours: Python scripts with DuckDB and pyarrow, in an environment that `scripts/setup` makes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Runs `tests/readers/<script>` and gives the JSON that it prints.
pub(crate) fn read(script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Value {
    let output = Command::new(interpreter())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("readers").join(script))
        .args(arguments)
        .output()
        .expect("the interpreter is there");
    assert!(output.status.success(), "{script}:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{script} printed no JSON ({error}):\n{}", String::from_utf8_lossy(&output.stdout))
    })
}

/// The interpreter with the packages of `tests/requirements.txt`.
fn interpreter() -> PathBuf {
    program("python")
}

/// A program of that environment. Not being there is a failure, not a reason to skip: a file that nobody else has read
/// proves little.
pub(crate) fn program(name: &str) -> PathBuf {
    let program = cache().join("venv/bin").join(name);
    assert!(
        program.is_file(),
        "the Python environment with what these tests need is missing ({}): run scripts/setup",
        program.display()
    );
    program
}

/// Where `scripts/setup` puts what it installs.
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("EBBTIDE_CACHE").map(PathBuf::from).or_else(|| {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        cache.map(|cache| cache.join("ebbtide"))
    });
    cache.expect("HOME is set")
}
