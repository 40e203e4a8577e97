//! A server and commands in processes of their own.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a test waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// A temporary folder with settings.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a settings file and gives its path.
    pub(crate) fn settings(&self, toml: &str) -> PathBuf {
        let file = self.0.path().join("ebbtide.toml");
        std::fs::write(&file, toml).unwrap();
        file
    }

    /// The folder of the server's data.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Starts a server; back when it listens.
    pub(crate) fn serve(&self, settings: &Path) -> Server {
        let mut child = ebbtide()
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(settings)
            .arg("--data-dir")
            .arg(self.data())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        let mut server = Server { child, url: String::new(), stdout, log };
        let address = server.says("listening on ");
        server.url = format!("postgres://admin@{address}/ebbtide");
        server
    }
}

/// The command, with nothing of this process's environment that would change what it does.
fn ebbtide() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbtide"));
    for (name, _) in std::env::vars() {
        if name.starts_with("EBBTIDE_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    stdout: Receiver<String>,
    log: Receiver<String>,
}

impl Server {
    /// Waits for a line on standard output with this in it, and gives what comes after.
    pub(crate) fn says(&self, text: &str) -> String {
        find(&self.stdout, text)
    }

    /// Waits for a line of the log with this in it, and gives what comes after.
    pub(crate) fn logs(&self, text: &str) -> String {
        find(&self.log, text)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Runs a command that asks this server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&[arguments, &["--url", &self.url]].concat())
    }

    /// Runs SQL, which has to succeed, and gives what it prints.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.run(&["sql", "-c", sql]).succeeded()
    }

    /// Waits for its end and gives the exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(lines: &Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => match line.split_once(text) {
                Some((_, after)) => return after.to_owned(),
                None => seen.push(line),
            },
            Err(error) => panic!("{text:?} was not said ({error}); this was:\n{}", seen.join("\n")),
        }
    }
}

/// What became of a command.
pub(crate) struct Ran {
    arguments: String,
    output: Output,
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    let output = ebbtide().args(arguments).output().unwrap();
    Ran { arguments: arguments.join(" "), output }
}

impl Ran {
    fn text(&self) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.output.stdout), text(&self.output.stderr))
    }

    /// What it printed; a test fails here when it failed.
    pub(crate) fn succeeded(&self) -> String {
        let (stdout, stderr) = self.text();
        assert!(self.output.status.success(), "{}: {}\n{stdout}\n{stderr}", self.arguments, self.output.status);
        stdout
    }

    /// What it said; a test fails here when it did not end with 1.
    pub(crate) fn failed(&self) -> String {
        let (stdout, stderr) = self.text();
        assert_eq!(self.output.status.code(), Some(1), "{}\n{stdout}\n{stderr}", self.arguments);
        format!("{stdout}{stderr}")
    }
}
