//! Small libraries in C, loaded before a process's own, that watch or spoil what it asks of the system.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiled `tests/<name>/shim.c`. Built once; two tests that build it at once replace it by the same.
pub(crate) fn library(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-shim.so"));
    let changed = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    if changed(&library) <= changed(&source) {
        let fresh = tempfile::Builder::new()
            .tempfile_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("the folder for temporary files of tests is writable")
            .into_temp_path();
        let compiled = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-pthread", "-o"])
            .args([fresh.as_os_str(), source.as_os_str(), OsStr::new("-ldl")])
            .output()
            .expect("these tests need a C compiler, cc: run scripts/setup");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        fresh.persist(&library).expect("a rename within one folder");
    }
    library
}
