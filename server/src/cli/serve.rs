//! `ebbtide serve`: the server, until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ebbtide_config::{Drain, Settings};
use ebbtide_engine::env::SharedEnv;
use ebbtide_sql::Database;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::config::Source;
use crate::observe::log;
use crate::observe::spans::Spans;
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
    let settings = args.load()?;
    let spans = Spans::start(&settings.tracing)?;
    log::start("info", spans.as_ref());
    let outcome = serve(args, env, &settings, &mut signals).await;
    if let Some(spans) = spans {
        spans.stop().await;
    }
    outcome
}

/// The server itself, with its log going.
async fn serve(args: Args, env: SharedEnv, settings: &Settings, signals: &mut Signals) -> Outcome {
    let running = tokio::select! {
        running = Running::start_in(settings, env) => running?,
        code = signals.next() => return Ok(code),
    };
    let database = running.database();
    database.reload_from(move || args.load().map_err(Into::into));
    tracing::info!(address = %running.address(), data_dir = %settings.storage.data_dir.display(), "listening");
    println!("recovery: {}", database.runtime().recovery());
    println!("listening on {}", running.address());
    std::io::stdout().flush()?;

    signals.next_or(|| reload(database)).await;
    let timeout = settings.shutdown.timeout;
    let until = match settings.shutdown.drain {
        Drain::Checkpoint => "their next checkpoint",
        Drain::Finish => "their end, or to a checkpoint when the time is up",
    };
    tracing::info!(timeout_s = timeout.as_secs(), "stopping: jobs go on to {until}; a second signal exits at once");
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

impl Args {
    /// The settings that count, from file, environment and these options.
    fn load(&self) -> Result<Settings, ebbtide_config::Error> {
        let mut settings = self.source.load()?;
        if let Some(data_dir) = &self.data_dir {
            settings.storage.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = self.listen {
            settings.server.listen = listen;
        }
        Ok(settings)
    }
}

/// SIGHUP: the workflows of the settings file, whole or not at all.
async fn reload(database: &Database) {
    match database.reload_workflows().await {
        Ok(changed) if changed.is_empty() => tracing::info!("SIGHUP: the workflows are as they were"),
        Ok(changed) => {
            for change in changed {
                tracing::info!(workflow = change.workflow, "SIGHUP: {}", change.what.as_str());
            }
        }
        Err(error) => {
            let hint = error.hint.as_deref().unwrap_or_default();
            tracing::error!(hint, "SIGHUP: the workflows stay as they were: {error}");
        }
    }
}

/// SIGTERM and SIGINT, which end the server, and SIGHUP, which does not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the server, and does `hangup` for each of the others.
    async fn next_or<F: Future<Output = ()>>(&mut self, hangup: impl Fn() -> F) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {}
            }
            hangup().await;
        }
    }

    /// Waits for the next one that ends the server, and gives the exit code that shells expect of it.
    async fn next(&mut self) -> ExitCode {
        let signal = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        ExitCode::from(u8::try_from(128 + signal.as_raw_value()).unwrap_or(u8::MAX))
    }
}
