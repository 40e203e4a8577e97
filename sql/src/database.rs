//! A database: engine, store, runtime, flusher and scheduler, opened in the right order and closed in the other.

use crate::error::{Error, Result, code};
use crate::options::Options;
use crate::pressure::Pressure;
use crate::reload::{self, Reading};
use crate::scan::CATALOG;
use crate::session::{Identity, Session};
use crate::system::TalliedGroups;
use crate::{filters, functions, reclaim};
use datafusion::common::config::{ConfigOptions, Dialect};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use ebbtide_config::Settings;
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::{SharedEngine, Space, rocks::Rocks};
use ebbtide_runtime::{Drain, Runtime, Scheduler, Trigger};
use ebbtide_store::{Store, StoreOptions, Worker, deletions, published};
use ebbtide_workflows::flush::{self, Flusher};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where a database lies and what its parts may use.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The folder of the hot tier and the jobs.
    pub engine_directory: PathBuf,
    /// Bounds of the hot tier.
    pub engine: ebbtide_engine::Options,
    /// Where segments go, and bounds of rows.
    pub store: StoreOptions,
    /// How jobs run.
    pub runtime: ebbtide_runtime::Options,
    /// Bounds of flushes.
    pub flush: flush::Options,
    /// Bounds and defaults of statements.
    pub sql: Options,
    /// Every table is flushed before the database closes, as far as the time given for that allows.
    pub final_flush: bool,
    /// How far running jobs get when the database closes.
    pub drain: Drain,
    /// What the declared workflows and the history of jobs are taken from, and what `system.settings` shows. The other fields
    /// are what counts for everything else.
    pub settings: Settings,
}

impl DatabaseOptions {
    /// A database in `directory`, with defaults for everything.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let mut settings = Settings::default();
        settings.storage.data_dir.clone_from(&directory);
        Self {
            engine_directory: directory.join("engine"),
            engine: ebbtide_engine::Options::default(),
            store: StoreOptions::at(directory.join("storage")),
            runtime: ebbtide_runtime::Options::default(),
            flush: flush::Options::default(),
            sql: Options { spill_directory: directory.join("spill"), ..Options::default() },
            final_flush: false,
            drain: Drain::default(),
            settings,
        }
    }
}

impl From<&Settings> for DatabaseOptions {
    fn from(settings: &Settings) -> Self {
        let Settings { storage, engine, flush, jobs, query, transaction, copy, shutdown, .. } = settings;
        let mut options = Self::at(&storage.data_dir);
        options.store = StoreOptions::at(storage.local_path());
        options.engine.block_cache_bytes_max = engine.block_cache_bytes_max;
        options.engine.jobs_cache_bytes_max = engine.jobs_cache_bytes_max;
        options.engine.write_buffer_bytes_max = engine.write_buffer_bytes_max;
        options.engine.commit_queue_max = engine.commit_queue_max;
        options.engine.group_bytes_max = engine.group_bytes_max;
        options.flush.memory_bytes_max = flush.memory_bytes_max;
        options.flush.row_group_rows_max = flush.row_group_rows_max;
        options.flush.row_group_bytes_max = flush.row_group_bytes_max;
        options.flush.segment_rows_max = flush.segment_rows_max;
        options.flush.segment_bytes_max = flush.segment_bytes_max;
        options.flush.encoders = flush.encoders;
        options.flush.uploads_in_flight_max = flush.uploads_in_flight_max;
        // On a local disk they all wait for it; a lower bound of its own would make the setting say too much.
        options.store.local.fsyncs_max = flush.uploads_in_flight_max;
        options.flush.upload_attempts_max = flush.upload_attempts_max;
        options.flush.users_failed_in_a_row_max = flush.users_failed_in_a_row_max;
        options.runtime.concurrency_max = jobs.concurrency_max;
        options.runtime.attempts_max = jobs.attempts_max;
        options.runtime.backoff_min = jobs.backoff_min;
        options.runtime.backoff_max = jobs.backoff_max;
        options.runtime.lease = jobs.lease;
        options.sql.memory_bytes_max = query.memory_bytes_max;
        options.sql.statement_memory_bytes_max = query.memory_bytes_max;
        options.sql.partitions = query.target_partitions;
        options.sql.batch_rows = query.batch_rows;
        options.sql.transaction_bytes_max = transaction.bytes_max;
        options.sql.insert_bytes_max = transaction.bytes_max;
        options.sql.copy_chunk_rows_max = copy.chunk_rows_max;
        options.sql.copy_chunk_bytes_max = copy.chunk_bytes_max;
        options.sql.hot_bytes_max = storage.hot_bytes_max;
        options.sql.flush.interval = flush.default_interval;
        options.sql.flush.rows = flush.default_row_threshold;
        options.final_flush = shutdown.final_flush;
        options.drain = match shutdown.drain {
            ebbtide_config::Drain::Checkpoint => Drain::Checkpoint,
            ebbtide_config::Drain::Finish => Drain::Finish,
        };
        options.settings = settings.clone();
        options
    }
}

/// An open database. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone)]
pub struct Database(Arc<Inner>);

/// What all sessions share.
pub(crate) struct Inner {
    pub(crate) env: SharedEnv,
    pub(crate) engine: SharedEngine,
    pub(crate) store: Arc<Store>,
    pub(crate) runtime: Runtime,
    pub(crate) flusher: Arc<Flusher>,
    /// Starts declared workflows.
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) options: Options,
    /// What was configured; the workflows in it as of the last reload.
    pub(crate) settings: RwLock<Arc<Settings>>,
    /// Where a reload reads the settings from.
    pub(crate) reading: RwLock<Option<Arc<Reading>>>,
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Functions, rules and settings that every statement starts from.
    pub(crate) planning: SessionState,
    pub(crate) memory: Arc<dyn MemoryPool>,
    /// How full the hot tier is.
    pub(crate) pressure: Arc<Pressure>,
    final_flush: bool,
    drain: Drain,
    /// Removes objects when they are due.
    deleting: Worker,
    /// Describes the segments of users beside them.
    publisher: Worker,
    /// Dropped tables being cleared away.
    pub(crate) reclaiming: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Every keyspace of the database.
fn spaces() -> Vec<Space> {
    [ebbtide_store::SPACES, ebbtide_runtime::SPACES, ebbtide_workflows::SPACES].concat()
}

impl Database {
    /// Opens a database, making it if there is none, and takes up the jobs that stand there.
    ///
    /// # Errors
    /// When another process has the folder, the storage `local` is another database's, or what is there cannot be read.
    pub async fn open(options: impl Into<DatabaseOptions>, env: SharedEnv) -> Result<Self> {
        let DatabaseOptions { engine_directory, engine, store, runtime, flush, sql, final_flush, drain, settings } =
            options.into();
        // Before anything is made on disk.
        let declared = reload::declared(&settings)?;
        let (planning, memory) = planning(&sql)?;
        let opened = {
            let env = env.clone();
            // Opening replays the log, which takes as long as it takes.
            tokio::task::spawn_blocking(move || Rocks::open(&engine_directory, &spaces(), &engine, env))
        };
        let engine: SharedEngine =
            opened.await.map_err(|error| Error::internal(format!("opening the engine: {error}")))??;
        let store = Store::open(engine.clone(), env.clone(), store).await?;
        let resources = Arc::new(flush::Resources::new(flush.clone()));
        let runtime = Runtime::builder(engine.clone(), env.clone())
            .options(runtime)
            .with(store.clone())
            .with(resources)
            .start()
            .await
            .map_err(|error| Error::new(code::IO_ERROR, error.to_string()))?;
        let flusher = Flusher::start(store.clone(), runtime.clone(), flush);
        let scheduler = Scheduler::start(&runtime, declared);
        let deleting = deletions::start(store.clone());
        let publisher = published::start(store.clone());
        let (pressure, stop) = (Pressure::new(sql.hot_bytes_max), CancellationToken::new());
        tokio::spawn(pressure.clone().watch(store.clone(), flusher.clone(), stop.clone()));
        let inner = Arc::new(Inner {
            env,
            engine,
            store,
            runtime,
            flusher,
            scheduler,
            options: sql,
            settings: RwLock::new(Arc::new(settings)),
            reading: RwLock::new(None),
            reloading: tokio::sync::Mutex::new(()),
            planning,
            memory,
            pressure,
            final_flush,
            drain,
            deleting,
            publisher,
            reclaiming: TaskTracker::new(),
            stop,
        });
        reclaim::leftovers(&inner)?;
        Ok(Self(inner))
    }

    /// A session of this identity. It is up to the caller to have made sure of it.
    pub fn session(&self, identity: Identity) -> Session {
        Session::new(self.0.clone(), identity)
    }

    /// The engine everything is in.
    pub fn engine(&self) -> &SharedEngine {
        &self.0.engine
    }

    /// The tables' store.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// The jobs.
    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// Starts declared workflows, when asked and by itself.
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        &self.0.scheduler
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Starts flushes, when asked and by itself.
    pub fn flusher(&self) -> &Arc<Flusher> {
        &self.0.flusher
    }

    /// Waits until what dropped tables left behind is gone.
    #[cfg(test)]
    pub(crate) async fn reclaimed(&self) {
        self.0.reclaiming.close();
        self.0.reclaiming.wait().await;
        self.0.reclaiming.reopen();
        while ebbtide_store::deletions::delete_due(&self.0.store, 256).await.unwrap().more {}
    }

    /// Closes it: nothing more is started; running jobs get `timeout` to reach a checkpoint, or their end if the options say
    /// so, and go on at the next start. Statements that still run get errors. To close twice does nothing.
    pub async fn close(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let inner = &self.0;
        // Who starts jobs goes first, then the jobs, then what they write to.
        inner.scheduler.stop();
        inner.flusher.stop().await;
        if inner.final_flush {
            // What is not flushed in time stays hot, and is flushed after the next start.
            if tokio::time::timeout(timeout, flush_everything(inner)).await.is_err() {
                tracing::warn!("not every table could be flushed in time; the rest stays hot");
            }
        }
        inner.stop.cancel();
        inner.reclaiming.close();
        inner.reclaiming.wait().await;
        inner.deleting.stop().await;
        inner.publisher.stop().await;
        inner.runtime.shutdown(inner.drain, deadline.saturating_duration_since(Instant::now())).await;
        let engine = inner.engine.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || engine.close()).await {
            tracing::error!(%error, "the engine did not close in order; its log has everything that was acknowledged");
        }
    }
}

async fn flush_everything(inner: &Inner) {
    match inner.flusher.flush_all(None, Trigger::Shutdown).await {
        Ok(started) => {
            for (table, job) in started {
                if let Err(error) = inner.runtime.wait(job.id()).await {
                    tracing::warn!(table = %table.qualified_name(), %error, "the last flush did not end");
                }
            }
        }
        Err(error) => tracing::warn!(%error, "the last flush could not be started"),
    }
}

/// What planning a statement starts from, and the memory that all statements share.
fn planning(options: &Options) -> Result<(SessionState, Arc<dyn MemoryPool>)> {
    // The first thing that a fresh database needs of its folder.
    std::fs::create_dir_all(&options.spill_directory).map_err(|error| {
        Error::internal(format!("making the folder {} for spilled rows: {error}", options.spill_directory.display()))
    })?;
    let memory: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(options.memory_bytes_max));
    let environment: RuntimeEnv = RuntimeEnvBuilder::new()
        .with_memory_pool(memory.clone())
        .with_temp_file_path(&options.spill_directory)
        .with_max_temp_directory_size(options.spill_bytes_max)
        .with_metadata_cache_limit(options.footer_cache_bytes_max)
        .build()?;
    let mut settings = ConfigOptions::new();
    settings.sql_parser.dialect = Dialect::PostgreSQL;
    settings.sql_parser.map_string_types_to_utf8view = false;
    // Errors can then say where.
    settings.sql_parser.collect_spans = true;
    settings.execution.collect_statistics = false;
    settings.execution.parquet.schema_force_view_types = false;
    let config = SessionConfig::from(settings)
        .with_target_partitions(options.partitions())
        .with_batch_size(options.batch_rows)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, "public")
        .with_information_schema(true);
    let mut rules = filters::rules();
    // First of all: later rules put other nodes between an aggregate and what it reads.
    rules.insert(0, Arc::new(TalliedGroups));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::new(environment))
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    Ok((functions::register(state)?, memory))
}
