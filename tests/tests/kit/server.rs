//! `ebbtide serve` in a process of its own, with a folder that outlives it.
//!
//! The process is `victim` (src/bin/victim.rs): the server with an environment that can die at a named point.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio_postgres::{Client, NoTls};

use super::PATIENCE;
use super::fulldisk::FullDisk;
use super::output::Output;
use super::powercut::{Lost, PowerCut};

/// A temporary folder with a server's data and settings. Servers come and go, it stays until dropped.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    power: Option<PowerCut>,
}

impl Place {
    /// An empty one, with default settings.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("data")).expect("a new folder");
        let place = Self { folder, power: None };
        place.settings("");
        place
    }

    /// An empty one whose power can be cut.
    pub(crate) fn with_power_cut() -> Self {
        let mut place = Self::new();
        place.power = Some(PowerCut::arm(&place.data()));
        place
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of the storage `local`.
    pub(crate) fn local_storage(&self) -> PathBuf {
        self.data().join("storage")
    }

    /// Writes `ebbtide.toml` for servers that start from now on.
    pub(crate) fn settings(&self, toml: &str) {
        std::fs::write(self.settings_file(), toml).expect("a file of our own");
    }

    /// The folder itself, with everything in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.path().join("ebbtide.toml")
    }

    /// Starts a server that nothing is going to happen to by itself; back when it listens.
    pub(crate) async fn start(&self) -> Server {
        self.start_with(&Plan::default()).await
    }

    /// Starts a server with a plan; back when it listens. A test fails here when it does not come that far.
    pub(crate) async fn start_with(&self, plan: &Plan) -> Server {
        let mut server = self.spawn(plan);
        let listens = server.wait_until_it_listens().await;
        assert!(listens, "the server does not listen; it said:\n{}", server.output.tail());
        server
    }

    /// Starts a server and does not wait: for plans that end it before it listens.
    pub(crate) fn spawn(&self, plan: &Plan) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(self.settings_file())
            .arg("--data-dir")
            .arg(self.data())
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .envs(plan.environment());
        if let Some(power) = &self.power {
            command.envs(power.environment());
        }
        Server::spawn(command)
    }

    /// Cuts the power: what the dead server did not sync is gone. Takes the server, so that it is dead.
    pub(crate) async fn cut_power(&self, mut server: Server, seed: u64) -> Lost {
        server.kill().await;
        self.power.as_ref().expect("made with `with_power_cut`").cut(seed)
    }

    /// All files with this extension below the data folder, sorted.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).expect("a folder of ours") {
                let path = entry.expect("it can be listed").path();
                if path.is_dir() {
                    walk(&path, extension, found);
                } else if path.extension().is_some_and(|found| found == extension) {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.data(), extension, &mut found);
        found.sort();
        found
    }
}

/// What is going to happen to a server. Nothing, by default.
#[derive(Clone, Default, Debug)]
pub(crate) struct Plan {
    crash: Option<(String, u32)>,
    held: Option<&'static str>,
    trace: bool,
    log: Option<&'static str>,
    planted: Option<&'static str>,
    disk: Vec<(&'static str, String)>,
}

impl Plan {
    /// The process dies, as by kill -9, when `point` is reached for the `nth` time (from 1).
    pub(crate) fn crash_at(mut self, point: &str, nth: u32) -> Self {
        self.crash = Some((point.to_owned(), nth));
        self
    }

    /// Whoever reaches `point` stays there until the server ends.
    pub(crate) fn hold_at(mut self, point: &'static str) -> Self {
        self.held = Some(point);
        self
    }

    /// The process prints each point it reaches; see [`Server::points`].
    pub(crate) fn trace(mut self) -> Self {
        self.trace = true;
        self
    }

    /// The log says this and what is worse.
    pub(crate) fn log(mut self, level: &'static str) -> Self {
        self.log = Some(level);
        self
    }

    /// A known bug is planted, by the name that `victim` has for it (`fsync-forgotten`).
    pub(crate) fn plant(mut self, defect: &'static str) -> Self {
        self.planted = Some(defect);
        self
    }

    /// The process finds this disk full when it is.
    pub(crate) fn on(mut self, disk: &FullDisk) -> Self {
        self.disk = disk.environment();
        self
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = self.disk.clone();
        if let Some((point, nth)) = &self.crash {
            environment.push(("VICTIM_CRASH_AT", format!("{point}:{nth}")));
        }
        if let Some(point) = self.held {
            environment.push(("VICTIM_HOLD_AT", point.to_owned()));
        }
        if self.trace {
            environment.push(("VICTIM_TRACE", "1".to_owned()));
        }
        if let Some(level) = self.log {
            environment.push(("RUST_LOG", level.to_owned()));
        }
        if let Some(defect) = self.planted {
            environment.push(("VICTIM_PLANT", defect.to_owned()));
        }
        environment
    }
}

/// What `victim` prints before the name of a point.
const REACHED: &str = "victim reached ";

/// What it prints before that of the point at which it is going to die.
const DIES: &str = "victim dies";

/// A running server. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Open as long as this is; taken out of the child, as waiting for a child closes what it still holds.
    _stdin: ChildStdin,
    address: Option<SocketAddr>,
    pub(crate) output: Output,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Server {
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            // The server ends when its standard input does: no test that is killed leaves one behind.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the victim was built with this test");
        let stdin = child.stdin.take().expect("it is piped");
        let output = Output::new();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let readers = vec![output.collect(stdout), output.collect(stderr)];
        Self { child, _stdin: stdin, address: None, output, readers }
    }

    /// Whether it came to listen; false when it ended before.
    pub(crate) async fn wait_until_it_listens(&mut self) -> bool {
        self.address = self
            .find(|line| {
                let (_, after) = line.split_once("listening on ")?;
                after.split_whitespace().next()?.parse().ok()
            })
            .await;
        self.address.is_some()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("the server listens")
    }

    /// A connection as this user; `admin` is the service.
    pub(crate) async fn connect(&self, user: &str) -> Client {
        self.try_connect(user)
            .await
            .unwrap_or_else(|error| panic!("{user} cannot connect: {error}; the server said:\n{}", self.output.tail()))
    }

    /// A connection, or why there is none: for a server that may just be dying.
    pub(crate) async fn try_connect(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        Self::open(&self.connection(user)).await
    }

    /// Where and as whom to connect, for a task that outlives the borrow of this server.
    pub(crate) fn connection(&self, user: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address().port()).user(user).dbname("ebbtide");
        config
    }

    /// Connects.
    pub(crate) async fn open(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client or the server; the client hears of it either way.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Waits until a point was reached more than so many times. Needs [`Plan::trace`].
    pub(crate) async fn reached_more_than(&mut self, point: &str, times: usize) {
        let wanted = format!("{REACHED}{point}");
        let mut seen = 0;
        let found = self
            .find(|line| {
                seen += usize::from(line == wanted);
                (seen > times).then_some(())
            })
            .await;
        assert!(found.is_some(), "{point} was not reached again; the server said:\n{}", self.output.tail());
    }

    /// Waits until it has said this, on standard output or in its log.
    pub(crate) async fn says(&mut self, words: &str) {
        let said = self.find(|line| line.contains(words).then_some(())).await;
        assert!(said.is_some(), "it did not say {words:?}; the server said:\n{}", self.output.tail());
    }

    /// The points reached so far, in order, each as often as it was reached. Needs [`Plan::trace`].
    pub(crate) fn points(&self) -> Vec<String> {
        self.output.lines().iter().filter_map(|line| line.strip_prefix(REACHED)).map(str::to_owned).collect()
    }

    /// Whether the process ends before the point is reached; waits for the one or the other. Needs [`Plan::trace`].
    pub(crate) async fn dies_before(&mut self, point: &str) -> bool {
        let wanted = format!("{REACHED}{point}");
        let lives = self.find(|line| match line {
            DIES => Some(false),
            line => (line == wanted).then_some(true),
        });
        lives.await != Some(true)
    }

    /// SIGTERM: an orderly end is asked for.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it was not reaped");
        kill_process(pid, Signal::TERM).expect("it is our child");
    }

    /// kill -9, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        // An error says that it is dead already, which is what is wanted.
        let _ = self.child.start_kill();
        self.ended().await;
    }

    /// Waits for its end, by itself or by a crash.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("the server does not end; it said:\n{}", self.output.tail()))
            .expect("it is our child");
        for reader in self.readers.drain(..) {
            // What it printed last is read too.
            reader.await.expect("a reader does not panic");
        }
        status
    }

    async fn find<T>(&mut self, find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let Self { child, output, readers, .. } = self;
        output
            .find(find, async {
                let _ = child.wait().await;
                for reader in readers.drain(..) {
                    let _ = reader.await;
                }
            })
            .await
    }
}
