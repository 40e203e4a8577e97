//! A database as a server opens it, with tables to load rows into and flush.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide_config::Settings;
use ebbtide_engine::{SharedEngine, SystemEnv};
use ebbtide_runtime::{Job, Status, Trigger};
use ebbtide_sql::Database;
use ebbtide_store::{FlushPolicy, Kind, Name, NewTable, StorageId, Store, Table, UserId, hot, manifest};

use super::Error;
use super::load::load;
use super::rows::{Shape, columns, user_name};
use super::rss::cpu_seconds;
use crate::wire::{self, Server};

/// The namespace of all tables of a bench.
pub(super) const NAMESPACE: &str = "bench";

/// Settings as they are by default or as the environment has them (`EBBTIDE_FLUSH__ENCODERS=1`), with the data here.
pub(super) fn settings(dir: &Path) -> Settings {
    let mut settings = Settings::load(None, std::env::vars()).unwrap_or_else(|errors| {
        tracing::warn!(%errors, "the environment's settings are left out");
        Settings::default()
    });
    settings.storage.data_dir = dir.to_owned();
    settings
}

/// An open database.
pub(super) struct Bed {
    database: Database,
}

/// How a flush went.
pub(super) struct Flushed {
    /// From the request to the job's end.
    pub(super) took: Duration,
    /// CPU time of all threads of the process meanwhile.
    pub(super) cpu: Duration,
    pub(super) job: Job,
    /// How long the job stood in each of its states, in order.
    pub(super) states: Vec<(String, Duration)>,
}

impl Flushed {
    /// The states in one line.
    pub(super) fn states(&self) -> String {
        let states = self.states.iter().map(|(state, took)| format!("{state} {:.0} ms", took.as_secs_f64() * 1e3));
        states.collect::<Vec<_>>().join(", ")
    }

    /// A figure of the job's result.
    pub(super) fn result(&self, name: &str) -> u64 {
        self.job.result.as_ref().and_then(|result| result[name].as_u64()).unwrap_or(0)
    }
}

impl Bed {
    pub(super) async fn open(dir: &Path) -> Result<Bed, Error> {
        Ok(Bed { database: Database::open(&settings(dir), Arc::new(SystemEnv)).await? })
    }

    /// Lets clients connect, on a free port.
    pub(super) async fn serve(&self) -> Result<Server, Error> {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Ok(Server::start(listen, self.database.clone(), wire::Options::default()).await?)
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        self.database.store()
    }

    pub(super) fn engine(&self) -> &SharedEngine {
        self.database.engine()
    }

    /// Makes a USER table for chat messages that no trigger flushes.
    pub(super) async fn make_table(&self, name: &str) -> Result<Arc<Table>, Error> {
        self.make_table_on(name, &StorageId::local()).await
    }

    /// The same on another storage.
    pub(super) async fn make_table_on(&self, name: &str, storage: &StorageId) -> Result<Arc<Table>, Error> {
        let catalog = self.database.store().catalog();
        let namespace = Name::new(NAMESPACE)?;
        if catalog.namespace(&self.engine().snapshot(), NAMESPACE)?.is_none() {
            catalog.create_namespace(&namespace).await?;
        }
        let new = NewTable {
            namespace,
            name: Name::new(name)?,
            kind: Kind::User,
            columns: columns(),
            storage: storage.clone(),
            use_user_storage: false,
            sharding: "alphabetic".to_owned(),
            flush: FlushPolicy { rows: Some(u64::MAX), ..FlushPolicy::default() },
        };
        Ok(catalog.create_table(new).await?)
    }

    /// The table of this name.
    pub(super) fn table(&self, name: &str) -> Result<Arc<Table>, Error> {
        let table = self.database.store().catalog().table(&self.engine().snapshot(), NAMESPACE, name)?;
        table.ok_or_else(|| format!("there is no table {NAMESPACE}.{name}").into())
    }

    /// Adds rows `first_row..` of each user of the shape, durable.
    pub(super) async fn load(&self, table: &Arc<Table>, shape: Shape, first_row: u32) -> Result<(), Error> {
        load(self.engine(), table, shape, first_row).await
    }

    /// Bytes of a table's hot rows.
    pub(super) fn hot_bytes(&self, table: &Table) -> Result<u64, Error> {
        Ok(hot::counters(&*self.engine().snapshot(), table.id)?.bytes)
    }

    /// Flushes a table as a statement would ask for it, and waits until the job is over.
    pub(super) async fn flush(&self, table: &Table, rows: u64) -> Result<Flushed, Error> {
        let (begun, cpu_before) = (Instant::now(), cpu_seconds()?);
        let submitted = self.database.flusher().flush_table(&table.namespace, &table.name, Trigger::Manual).await?;
        let job = self.database.runtime().wait(submitted.id()).await?;
        let took = begun.elapsed();
        let cpu = Duration::from_secs_f64(cpu_seconds()? - cpu_before);
        let moves = self.database.runtime().transitions(submitted.id())?;
        let states = moves.windows(2).filter_map(|pair| {
            let micros = u64::try_from(pair[1].at - pair[0].at).ok()?;
            Some((pair[0].to_state.clone(), Duration::from_micros(micros)))
        });
        let flushed = Flushed { took, cpu, states: merged(states), job };
        if flushed.job.status != Status::Completed || flushed.result("records_flushed") != rows {
            return Err(format!(
                "the flush is {} with {} of {rows} rows: {:?}",
                flushed.job.status,
                flushed.result("records_flushed"),
                flushed.job.error
            )
            .into());
        }
        Ok(flushed)
    }

    /// Up to where a user's rows are in files.
    pub(super) fn watermark(&self, table: &Table, user: u32) -> Result<u64, Error> {
        Ok(manifest::watermark(&*self.engine().snapshot(), table.id, &UserId::new(&user_name(user))?)?.seq)
    }

    pub(super) async fn close(self) {
        self.database.close(Duration::from_secs(30)).await;
    }
}

/// One entry per stay in a state: a claim is a transition too.
fn merged(states: impl Iterator<Item = (String, Duration)>) -> Vec<(String, Duration)> {
    let mut merged: Vec<(String, Duration)> = Vec::new();
    for (state, took) in states {
        match merged.last_mut() {
            Some((last, so_far)) if *last == state => *so_far += took,
            _ => merged.push((state, took)),
        }
    }
    merged
}
