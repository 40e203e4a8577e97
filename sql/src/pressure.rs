//! How full the hot tier is, and what happens when rows come in faster than they leave.
//!
//! A storage that is down keeps its users' rows hot. Without a bound they would fill the disk, and then nothing is written at
//! all. So there is one: from four fifths of it on every table with rows in it is flushed, whatever its triggers say; at the bound writers
//! wait a while for room, and are refused then, with what the rows wait for.

use crate::error::{Error, Result, code};
use ebbtide_runtime::Trigger;
use ebbtide_store::{StorageId, Store, hot};
use ebbtide_workflows::flush::Flusher;
use metrics::gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much of its bound the hot tier holds, from 0 to 1 and beyond: an alarm belongs at 0.8.
pub const HOT_PRESSURE: &str = "ebbtide_hot_pressure";

/// From here on every table with rows in it is flushed.
const HIGH: f64 = 0.8;
/// How often the hot tier is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks between two rounds of flushes; twice as many each time, as long as that does not help.
const LOOKS_PER_FLUSH_MIN: u32 = 20;
const LOOKS_PER_FLUSH_MAX: u32 = 640;
/// How long a writer waits for room.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Tells the recorder what the number is.
pub fn describe() {
    metrics::describe_gauge!(
        HOT_PRESSURE,
        metrics::Unit::Count,
        "How much of [storage] hot_bytes_max the hot tier holds, from 0 to 1; above 0.8 rows leave too slowly."
    );
}

/// How full the hot tier is, as of the last look.
#[derive(Debug)]
pub(crate) struct Pressure {
    bytes_max: u64,
    bytes: AtomicU64,
    looked: Notify,
}

impl Pressure {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, bytes: AtomicU64::new(0), looked: Notify::new() })
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }

    /// Waits until there is room for more rows.
    ///
    /// # Errors
    /// 53400 when there is none for a while, with what the rows wait for.
    pub(crate) async fn room(&self, store: &Store) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        let room = async {
            loop {
                let looked = self.looked.notified();
                if !self.is_full() {
                    return;
                }
                looked.await;
            }
        };
        tokio::time::timeout(WAIT_MAX, room).await.map_err(|_| self.full(store))
    }

    fn full(&self, store: &Store) -> Error {
        let error = Error::new(
            code::CONFIGURATION_LIMIT_EXCEEDED,
            format!(
                "the hot tier holds {} bytes, and may hold {}: rows leave too slowly",
                self.bytes.load(Ordering::Relaxed),
                self.bytes_max
            ),
        )
        .hint("look at system.jobs for flushes that fail, mend what they name, or raise storage.hot_bytes_max");
        match down(store) {
            Some(down) => error.detail(down),
            None => error,
        }
    }

    /// Looks again and again, and flushes while the hot tier is nearly full.
    pub(crate) async fn watch(self: Arc<Self>, store: Arc<Store>, flusher: Arc<Flusher>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let (mut until_flush, mut looks) = (0, LOOKS_PER_FLUSH_MIN);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let looking = store.clone();
            match tokio::task::spawn_blocking(move || hot::bytes(&looking.snapshot())).await {
                Ok(Ok(bytes)) => self.bytes.store(bytes, Ordering::Relaxed),
                // Writers are told of it by the engine itself.
                Ok(Err(error)) => tracing::debug!(%error, "how full the hot tier is cannot be read"),
                Err(_) => return,
            }
            let pressure = self.bytes.load(Ordering::Relaxed) as f64 / self.bytes_max as f64;
            gauge!(HOT_PRESSURE).set(pressure);
            self.looked.notify_waiters();
            if pressure < HIGH {
                (until_flush, looks) = (0, LOOKS_PER_FLUSH_MIN);
            } else if until_flush > 0 {
                until_flush -= 1;
            } else {
                (until_flush, looks) = (looks, (2 * looks).min(LOOKS_PER_FLUSH_MAX));
                let detail = down(&store).unwrap_or_default();
                tracing::warn!(pressure, detail, "the hot tier is nearly full; every table with rows in it is flushed");
                if let Err(error) = flusher.flush_hot(Trigger::Bytes).await {
                    tracing::warn!(%error, "flushes could not be started");
                }
            }
        }
    }
}

/// The storages that cannot be used, with the reason.
fn down(store: &Store) -> Option<String> {
    let storages = store.catalog().storages(&store.snapshot()).ok()?;
    let why = |id: &StorageId| store.objects(id).err().map(|error| error.to_string());
    let down: Vec<String> = storages.iter().filter_map(|storage| why(&storage.id)).collect();
    (!down.is_empty()).then(|| down.join("; "))
}
