//! A program in a process of its own that ends with the test, however the test ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// A test that is killed cannot kill its children, but its end of their standard input closes: then the watcher kills
/// the process, which is the program by then. The watcher lives no longer than the leash.
const LEASH: &str = r#"
exec 3<&0 </dev/null
{ cat <&3; kill -KILL $$; } >/dev/null 2>&1 &
exec "$@" 3<&-
"#;

/// A running program. It is killed when dropped.
pub(crate) struct Leashed {
    child: Child,
    leash: Option<ChildStdin>,
    log: PathBuf,
}

impl Leashed {
    /// Starts a program. What it prints is added to the file `log`.
    pub(crate) fn start(program: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>, log: &Path) -> Self {
        let printed = || File::options().create(true).append(true).open(log).expect("a file of our own");
        let mut child = Command::new("sh")
            .args(["-c", LEASH, "leash"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(printed())
            .stderr(printed())
            .spawn()
            .expect("there is a shell");
        let leash = child.stdin.take();
        Self { child, leash, log: log.to_owned() }
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // Not by its number: the watcher would kill that again, when it may be another's.
        self.leash = None;
        let _ = self.child.wait();
    }

    /// It stands still, and its connections with it; back when all of its threads do.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), options).expect("it is our child");
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is our child");
    }

    /// What it printed last, for the message of a failed test.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.kill();
    }
}
