//! The real messages: a wheel from PyPI, fetched by its package's name and kept for the next time.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

const PACKAGE: &str = "chitchat-dataset==0.9.0";
const WHEEL: &str = "chitchat_dataset-0.9.0-py3-none-any.whl";
/// 8 MB; who has no network finds out sooner.
const TIMEOUT: Duration = Duration::from_secs(180);

/// The wheel, from the cache or from PyPI; an error says why it could not be had.
pub(super) async fn wheel() -> Result<PathBuf, String> {
    let cache = cache_dir();
    let wheel = cache.join(WHEEL);
    if wheel.is_file() {
        return Ok(wheel);
    }
    // A folder of its own, so that half a file is never taken for a whole one.
    let download = cache.join(format!("download-{}", std::process::id()));
    let fetched = fetch(&download, &wheel).await;
    // What is left of a failed download has no use; the next one makes its own folder.
    let _ = std::fs::remove_dir_all(&download);
    fetched.map(|()| wheel)
}

async fn fetch(download: &Path, wheel: &Path) -> Result<(), String> {
    std::fs::create_dir_all(download).map_err(|error| format!("cannot make {}: {error}", download.display()))?;
    println!("fetching {PACKAGE} (MIT licence) from PyPI …");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--retries", "1"])
        .args(["--only-binary", ":all:", "--dest"])
        .arg(download)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, pip.output())
        .await
        .map_err(|_| format!("pip did not finish within {} s", TIMEOUT.as_secs()))?
        .map_err(|error| format!("python3 cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it did not say why");
        return Err(format!("pip could not fetch {PACKAGE}: {last}"));
    }
    std::fs::rename(download.join(WHEEL), wheel).map_err(|error| format!("pip left no {WHEEL}: {error}"))
}

/// Where fetched files are kept: `$XDG_CACHE_HOME/ebbtide`, `~/.cache/ebbtide`, or among temporary files.
fn cache_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".cache"));
    set("XDG_CACHE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir).join("ebbtide")
}
