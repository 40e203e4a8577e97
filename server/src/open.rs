//! A database from its settings with a listener in front of it, and the orderly end of both.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide_config::Settings;
use ebbtide_engine::env::{SharedEnv, SystemEnv};
use ebbtide_sql::{Database, DatabaseOptions};

use crate::keys;
use crate::observe::numbers::{self, Kept, Served};
use crate::wire::{self, Server};

/// How much of the time for stopping the sessions get; jobs get the rest.
const SESSIONS_TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no folder for the data, and none could be made.
    #[error("cannot make the data directory {}: {source}", data_dir.display())]
    DataDir {
        /// The folder.
        data_dir: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database did not open.
    #[error("{0}{hint}", hint = .0.hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
    Database(#[from] ebbtide_sql::Error),
    /// The keys that seal credentials cannot be had.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// It opened, and nobody could connect.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// Its numbers cannot be served.
    #[error(transparent)]
    Numbers(#[from] numbers::Error),
}

/// A database that is being served.
pub struct Running {
    server: Server,
    database: Database,
    numbers: Option<Served>,
}

impl Running {
    /// Opens the database in `settings.storage.data_dir`, takes up the jobs that stand there, and listens.
    ///
    /// # Errors
    /// When the folder is in use by another process or cannot be read, or the address is taken or not a loopback one.
    pub async fn start(settings: &Settings) -> Result<Self, Error> {
        Self::start_in(settings, Arc::new(SystemEnv)).await
    }

    /// The same in an environment of the caller's, whose clock or end he holds.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub async fn start_in(settings: &Settings, env: SharedEnv) -> Result<Self, Error> {
        // Before anything is made on disk.
        wire::check_loopback(settings.server.listen)?;
        let kept = Kept::start(&settings.metrics)?;
        let data_dir = &settings.storage.data_dir;
        std::fs::create_dir_all(data_dir).map_err(|source| Error::DataDir { data_dir: data_dir.clone(), source })?;
        let mut database = DatabaseOptions::from(settings);
        database.store.keyring = keys::keyring(settings)?;
        let database = Database::open(database, env.clone()).await?;
        let options = wire::Options {
            connections_max: settings.server.connections_max,
            message_bytes_max: settings.server.message_bytes_max,
        };
        match listen(settings, &database, options, kept, env).await {
            Ok((server, numbers)) => Ok(Self { server, database, numbers }),
            Err(error) => {
                database.close(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// The database itself, for whoever runs it in the same process.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// No new connections, sessions told, jobs at a checkpoint within `timeout`, everything written and closed.
    pub async fn stop(self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        // A statement that does not give its thread back is not waited for; nothing that it did was acknowledged.
        if tokio::time::timeout(timeout.min(SESSIONS_TIMEOUT), self.server.stop()).await.is_err() {
            tracing::warn!("a session did not end in time");
        }
        if let Some(numbers) = self.numbers {
            numbers.stop().await;
        }
        self.database.close(deadline.saturating_duration_since(Instant::now())).await;
    }
}

/// Where clients connect, and where numbers are asked for.
async fn listen(
    settings: &Settings,
    database: &Database,
    options: wire::Options,
    kept: Option<Kept>,
    env: SharedEnv,
) -> Result<(Server, Option<Served>), Error> {
    let numbers = match kept {
        Some(kept) => Some(kept.serve(database.clone(), env).await?),
        None => None,
    };
    Ok((Server::start(settings.server.listen, database.clone(), options).await?, numbers))
}
