//! Counters, gauges and histograms as Prometheus reads them: `http://…/metrics`.
//!
//! Counters and histograms are kept where things happen (`ebbtide_engine::metrics`, `ebbtide_runtime::metrics`,
//! `ebbtide_workflows::flush::metrics`). Gauges of what is stored are set here, when they are asked for, from counters that are
//! stored with it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ebbtide_engine::env::SharedEnv;
use ebbtide_sql::Database;
use ebbtide_workflows::flush;
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ages::{Ages, LOOK_EVERY, Look};
use super::http::{Listener, Page};

/// Rows that no segment holds yet, by `table`.
pub const HOT_ROWS: &str = "ebbtide_hot_rows";
/// Their bytes in the hot tier, by `table`.
pub const HOT_BYTES: &str = "ebbtide_hot_bytes";
/// Seconds since the oldest of them came in, by `table`; to within ten seconds.
pub const HOT_OLDEST_AGE_SECONDS: &str = "ebbtide_hot_oldest_age_seconds";
/// Tables there are, also those beyond `[metrics] tables_max`.
pub const TABLES: &str = "ebbtide_tables";

/// Whether a storage can be used, 1 or 0, by `storage`.
pub const STORAGE_UP: &str = "ebbtide_storage_up";

/// Where it is served.
const PATH: &str = "/metrics";
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Upper bounds of histograms, in seconds: from a sync of a fast disk to a job that waited for its turn.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];
/// A gauge that was not set for so long is of something that is gone.
const GAUGES_KEPT: Duration = Duration::from_secs(300);

/// Why the numbers are not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other machines could read them.
    #[error(
        "[metrics] listen: {listen} can be reached from other machines, and the numbers tell names of tables; take a loopback \
         address such as 127.0.0.1:{port}, or say beyond_loopback = true", port = .listen.port()
    )]
    NotLoopback {
        /// The address that was asked for.
        listen: SocketAddr,
    },
    /// The address is not to be had.
    #[error("[metrics] listen: cannot listen on {listen}: {source}")]
    Bind {
        /// The address that was asked for.
        listen: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another recorder is there already.
    #[error("the numbers of this process are kept by somebody else: {0}")]
    Recorder(#[from] BuildError),
}

/// Numbers that are kept from now on. Before the database opens, so that nothing is missed.
pub(crate) struct Kept(PrometheusHandle, ebbtide_config::Metrics);

impl Kept {
    /// None unless there is an address to serve them at.
    pub(crate) fn start(settings: &ebbtide_config::Metrics) -> Result<Option<Self>, Error> {
        let Some(listen) = settings.listen else { return Ok(None) };
        if !listen.ip().is_loopback() && !settings.beyond_loopback {
            return Err(Error::NotLoopback { listen });
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .idle_timeout(MetricKindMask::GAUGE, Some(GAUGES_KEPT));
        let kept = Self(recorder.install_recorder()?, settings.clone());
        describe();
        Ok(Some(kept))
    }

    /// Serves them, with what is stored in `database`.
    pub(crate) async fn serve(self, database: Database, env: SharedEnv) -> Result<Served, Error> {
        let Self(handle, settings) = self;
        let listen = settings.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let gather = Arc::new(Gather { database, env, tables_max: settings.tables_max, ages: Mutex::default() });
        let page: Page = {
            let (gather, handle) = (gather.clone(), handle.clone());
            Arc::new(move || {
                let (gather, handle) = (gather.clone(), handle.clone());
                Box::pin(async move {
                    gather.set().await?;
                    Ok(handle.render())
                })
            })
        };
        let bind = |source| Error::Bind { listen, source };
        let listener = Listener::start(listen, PATH, CONTENT_TYPE, page).await.map_err(bind)?;
        tracing::info!(address = %listener.address(), "numbers at http://{}{PATH}", listener.address());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(look_on(gather, handle)));
        Ok(Served { listener, _stop: stop.drop_guard() })
    }
}

/// Numbers that can be asked for.
pub(crate) struct Served {
    listener: Listener,
    _stop: DropGuard,
}

impl Served {
    /// Answers nobody any more.
    pub(crate) async fn stop(self) {
        self.listener.stop().await;
    }
}

/// Ages are as true as the looks are frequent, whoever asks; and samples that nobody fetched do not pile up.
async fn look_on(gather: Arc<Gather>, handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = gather.set().await {
            tracing::debug!(error, "the numbers of tables could not be read");
        }
        handle.run_upkeep();
    }
}

fn describe() {
    ebbtide_engine::metrics::describe();
    ebbtide_runtime::metrics::describe();
    flush::metrics::describe();
    ebbtide_store::cold::cloud::describe();
    ebbtide_sql::pressure::describe();
    describe_gauge!(HOT_ROWS, Unit::Count, "Rows that no segment holds yet, by table.");
    describe_gauge!(HOT_BYTES, Unit::Bytes, "Their bytes in the hot tier, by table.");
    describe_gauge!(
        HOT_OLDEST_AGE_SECONDS,
        Unit::Seconds,
        "Since the oldest of them came in, by table, to within ten seconds; after a start at most the time since the last flush."
    );
    describe_gauge!(STORAGE_UP, Unit::Count, "Whether a storage can be used, 1 or 0.");
    describe_gauge!(TABLES, Unit::Count, "Tables, also those whose numbers are left out for [metrics] tables_max.");
}

/// Sets the gauges of what is stored.
struct Gather {
    database: Database,
    env: SharedEnv,
    tables_max: usize,
    ages: Mutex<Ages>,
}

impl Gather {
    async fn set(self: &Arc<Self>) -> Result<(), String> {
        let this = self.clone();
        // Reads block.
        let set = tokio::task::spawn_blocking(move || this.set_now()).await;
        set.map_err(|error| error.to_string())?.map_err(|error| format!("the numbers cannot be read: {error}"))
    }

    fn set_now(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let snapshot = self.database.engine().snapshot();
        ebbtide_runtime::metrics::record_jobs(&*snapshot)?;
        let view = self.database.store().catalog().view(&snapshot)?;
        let now = self.env.now();
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = 0;
        for table in view.tables(None) {
            tables += 1;
            if tables > self.tables_max {
                continue;
            }
            let hot = ebbtide_store::hot::counters(&*snapshot, table.id)?;
            let last_cut = flush::last_cut(&*snapshot, table.id)?;
            let look = Look { at: now, rows: hot.rows, created_at: table.created_at, last_cut };
            let age = ages.look(table.id, look);
            let name = table.qualified_name();
            gauge!(HOT_ROWS, "table" => name.clone()).set(hot.rows as f64);
            gauge!(HOT_BYTES, "table" => name.clone()).set(hot.bytes as f64);
            gauge!(HOT_OLDEST_AGE_SECONDS, "table" => name).set(age.as_secs_f64());
        }
        for storage in view.storages() {
            let up = self.database.store().objects(&storage.id).is_ok();
            gauge!(STORAGE_UP, "storage" => storage.id.to_string()).set(f64::from(u8::from(up)));
        }
        ages.forget_before(now);
        gauge!(TABLES).set(tables as f64);
        Ok(())
    }
}
