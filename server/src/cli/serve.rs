//! `ebbtide serve`: the server, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ebbtide_engine::env::SharedEnv;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::config::Source;
use crate::open::Running;

/// Options of `ebbtide serve`; each one goes before the file and the environment.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// The folder of the hot tier and the jobs [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where clients connect, a loopback address; port 0 takes a free one [default: 127.0.0.1:5442]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, env: SharedEnv) -> Outcome {
    // From the first moment on: a signal while jobs are being taken up is not to be missed.
    let mut signals = Signals::new()?;
    let mut settings = args.source.load()?;
    if let Some(data_dir) = args.data_dir {
        settings.storage.data_dir = data_dir;
    }
    if let Some(listen) = args.listen {
        settings.server.listen = listen;
    }
    let running = tokio::select! {
        running = Running::start_in(&settings, env) => running?,
        code = signals.next() => return Ok(code),
    };
    tracing::info!(address = %running.address(), data_dir = %settings.storage.data_dir.display(), "listening");
    println!("listening on {}", running.address());
    std::io::stdout().flush()?;

    signals.next().await;
    let timeout = settings.shutdown.timeout;
    tracing::info!(
        timeout_s = timeout.as_secs(),
        "stopping: jobs go on to a checkpoint; a second signal exits at once"
    );
    tokio::select! {
        () = running.stop(timeout) => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        code = signals.next() => {
            tracing::warn!("a second signal: exiting at once; jobs are taken up again at the next start");
            Ok(code)
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and gives the exit code that shells expect of it.
    async fn next(&mut self) -> ExitCode {
        let signal = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        ExitCode::from(u8::try_from(128 + signal.as_raw_value()).unwrap_or(u8::MAX))
    }
}
