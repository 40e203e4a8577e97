//! A PostgreSQL of the bench's own, where there is one to be had.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Error;
use super::place::Place;

/// Nobody waits longer for it to start.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Debian has its servers here, one folder per version, and not in PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Who runs it when we are root, which it refuses to be.
const USER: &str = "postgres";

/// A running server: a child of this process, its data in the bench's folder.
#[derive(Debug)]
pub(super) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    server: Child,
    version: String,
    // Dropped after the server has ended.
    _place: Place,
}

/// The folder with initdb and postgres, the newest where there are several.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| {
        let version = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    folders.extend(versions.into_iter().map(|version| version.join("bin")));
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

impl Postgres {
    /// Makes a cluster and starts it: its own defaults, durable commits, on loopback.
    pub(super) async fn start(bin: PathBuf, place: Place) -> Result<Postgres, Error> {
        let data = place.path().join("data");
        if is_root()? {
            let (user, group) = (id_of("-u")?, id_of("-g")?);
            chown(place.path(), Some(user), Some(group))?;
        }
        let made = command(&bin, "initdb", place.path())?
            .arg("-D")
            .arg(&data)
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"])
            .output()?;
        if !made.status.success() {
            return Err(format!("initdb failed:\n{}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let version = std::fs::read_to_string(data.join("PG_VERSION"))?.trim().to_owned();
        let port = free_port()?;
        let log = std::fs::File::create(place.path().join("log"))?;
        let server = command(&bin, "postgres", place.path())?
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=on", "-c", "synchronous_commit=on", "-c", &format!("port={port}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut postgres = Postgres { bin, data, port, server, version, _place: place };
        postgres.ready().await?;
        Ok(postgres)
    }

    /// How to connect.
    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.server.try_wait()? {
                let log = std::fs::read_to_string(self.data.with_file_name("log"))?;
                return Err(format!("PostgreSQL ended at once ({status}):\n{log}").into());
            }
            match tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > READY_WITHIN => {
                    return Err(format!("PostgreSQL takes no connections: {error}").into());
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

impl Drop for Postgres {
    /// Stopped through its own tool; killed if that does not help. The server is our child, so its process id is its own.
    fn drop(&mut self) {
        let stopped = command(&self.bin, "pg_ctl", &self.data).and_then(|mut stop| {
            let stop = stop.args(["stop", "-m", "fast", "-w", "-t", "30", "-D"]).arg(&self.data);
            stop.stdout(Stdio::null()).stderr(Stdio::null()).status()
        });
        if !stopped.is_ok_and(|status| status.success()) {
            // It may have ended already.
            let _ = self.server.kill();
        }
        if let Err(error) = self.server.wait() {
            eprintln!("ebbtide: PostgreSQL did not end: {error}");
        }
    }
}

/// One of its programs, as the user that may run it.
fn command(bin: &Path, program: &str, folder: &Path) -> io::Result<Command> {
    let program = bin.join(program);
    let mut command = if is_root()? {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    Ok(command)
}

fn is_root() -> io::Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

/// The id of the user or group that runs it.
fn id_of(which: &str) -> Result<u32, Error> {
    let output = Command::new("id").args([which, USER]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| format!("there is no user {USER} to run PostgreSQL as, which refuses to be root").into())
}

/// A port that is free now. Somebody may take it before PostgreSQL does; then its start says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
