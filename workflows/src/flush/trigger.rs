//! Who asks for a flush: a statement, or a table's own interval, rows or bytes.
//!
//! The triggers keep nothing that a restart would miss: pending rows are the engine's counters, the last cut is a
//! record, the wish for a follow-up is a record. What is in memory is only when to look next.

use super::{
    Flush, KIND, Options, Resources,
    records::{Flushed, FollowUp},
};
use ebbtide_engine::Commit;
use ebbtide_runtime::{JobId, NewJob, Runtime, Submitted, Trigger};
use ebbtide_store::{Store, Table, TableId, hot};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Why no flush was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such table.
    #[error("Table {namespace}.{table} not found")]
    NotFound {
        /// The namespace as asked.
        namespace: String,
        /// The table as asked.
        table: String,
    },
    /// The catalog could not be read.
    #[error(transparent)]
    Store(#[from] ebbtide_store::Error),
    /// The job could not be made durable.
    #[error(transparent)]
    Runtime(#[from] ebbtide_runtime::Error),
    /// The engine could not be read or written.
    #[error(transparent)]
    Engine(#[from] ebbtide_engine::Error),
    /// The wish for a follow-up could not be made durable.
    #[error(transparent)]
    Commit(#[from] ebbtide_engine::CommitError),
}

/// Starts flushes, when asked and by itself.
pub struct Flusher {
    store: Arc<Store>,
    runtime: Runtime,
    options: Options,
    wakes: Arc<Wakes>,
    stop: CancellationToken,
    looping: Mutex<Option<JoinHandle<()>>>,
}

/// Tables to look at, gathered until the loop gets to them.
#[derive(Debug, Default)]
struct Wakes {
    tables: Mutex<HashSet<TableId>>,
    notify: Notify,
}

impl Wakes {
    fn wake(&self, table: TableId) {
        let new = self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(table);
        if new {
            self.notify.notify_one();
        }
    }

    fn take(&self) -> HashSet<TableId> {
        std::mem::take(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The key that makes a table's flush unique: absent when none is active.
pub(super) fn active_key(table: TableId) -> Vec<u8> {
    let mut key = format!("{KIND}/").into_bytes();
    key.extend_from_slice(&table.0.to_be_bytes());
    key
}

impl std::fmt::Debug for Flusher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flusher").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Flusher {
    /// Starts the triggers. Every table is looked at once, so rows that were pending when the process died count.
    pub fn start(store: Arc<Store>, runtime: Runtime, options: Options) -> Arc<Self> {
        let flusher = Arc::new(Self {
            store,
            runtime,
            options,
            wakes: Arc::default(),
            stop: CancellationToken::new(),
            looping: Mutex::new(None),
        });
        if let Some(resources) = flusher.runtime.get::<Resources>() {
            resources.set_flusher(&flusher);
        }
        let task = tokio::spawn(flusher.clone().run());
        *flusher.looping.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        flusher
    }

    /// Stops the triggers; flushes that run go on.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.looping.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // The loop ends by its token; that it was cancelled or panicked is no reason not to stop.
            let _ = task.await;
        }
    }

    /// Asks for a flush of one table. While one is active its id comes back, and if rows arrived after its cut
    /// one more follows when it ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown table; otherwise the engine's.
    pub async fn flush_table(&self, namespace: &str, table: &str, trigger: Trigger) -> Result<Submitted, Error> {
        let snapshot = self.store.engine().snapshot();
        let table = self
            .store
            .catalog()
            .table(&snapshot, namespace, table)?
            .ok_or_else(|| Error::NotFound { namespace: namespace.to_owned(), table: table.to_owned() })?;
        self.submit(&table, trigger).await
    }

    /// Asks for a flush of every table, or of every table of one namespace.
    ///
    /// # Errors
    /// The engine's. Flushes already started stay started.
    pub async fn flush_all(
        &self,
        namespace: Option<&str>,
        trigger: Trigger,
    ) -> Result<Vec<(Arc<Table>, Submitted)>, Error> {
        let snapshot = self.store.engine().snapshot();
        let mut started = Vec::new();
        for table in self.store.catalog().tables(&snapshot, namespace)? {
            let submitted = self.submit(&table, trigger).await?;
            started.push((table, submitted));
        }
        Ok(started)
    }

    /// Flushes every table that has hot rows.
    ///
    /// # Errors
    /// As [`Flusher::flush_table`].
    pub async fn flush_hot(&self, trigger: Trigger) -> Result<(), Error> {
        let snapshot = self.store.engine().snapshot();
        for table in self.store.catalog().tables(&snapshot, None)? {
            if hot::counters(&*snapshot, table.id)?.rows > 0 {
                self.submit(&table, trigger).await?;
            }
        }
        Ok(())
    }

    /// Rows of this table were acknowledged: its triggers are looked at soon.
    pub fn note_rows(&self, table: TableId) {
        self.wakes.wake(table);
    }

    /// A table was made or dropped: its triggers are looked at soon.
    pub fn note_table(&self, table: TableId) {
        self.wakes.wake(table);
    }

    async fn submit(&self, table: &Table, trigger: Trigger) -> Result<Submitted, Error> {
        let job = NewJob {
            unique: Some(active_key(table.id)),
            trigger,
            expect: vec![table.expect_present()],
            ..NewJob::new(KIND, Box::new(Flush::new(table)))
        };
        let submitted = self.runtime.submit(job).await?;
        if let Submitted::Existing(id) = &submitted
            && trigger == Trigger::Manual
        {
            let wish = FollowUp { through_seq: self.store.engine().last_seq() };
            let commit = Commit {
                expect: vec![table.expect_present()],
                writes: vec![wish.write(table.id)],
                ..Commit::default()
            };
            self.store.engine().commit(commit).await?;
            tracing::debug!(job_id = %id, table = %table.qualified_name(), "a flush is active already");
        }
        self.wakes.wake(table.id);
        Ok(submitted)
    }

    async fn run(self: Arc<Self>) {
        let mut due: HashMap<TableId, i64> = HashMap::new();
        let mut ticks: HashMap<TableId, (i64, i64)> = HashMap::new();
        let mut watched: HashSet<JobId> = HashSet::new();
        match self.store.catalog().tables(&self.store.snapshot(), None) {
            Ok(tables) => tables.iter().for_each(|table| self.wakes.wake(table.id)),
            Err(error) => {
                tracing::error!(%error, "the triggers cannot read the catalog; tables are looked at when written to")
            }
        }
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel::<(JobId, TableId)>();
        loop {
            let now = self.store.env().now();
            let next = due.values().copied().min();
            let sleep = next
                .map_or(Duration::from_secs(3600), |at| Duration::from_micros(u64::try_from(at - now).unwrap_or(0)));
            tokio::select! {
                () = self.stop.cancelled() => return,
                // Rows of many commits are counted once.
                () = self.wakes.notify.notified() => tokio::time::sleep(self.options.trigger_delay).await,
                Some((job, table)) = ends.recv() => {
                    watched.remove(&job);
                    self.wakes.wake(table);
                }
                () = tokio::time::sleep(sleep) => {}
            }
            let now = self.store.env().now();
            let mut tables = self.wakes.take();
            tables.extend(due.iter().filter(|(_, at)| **at <= now).map(|(table, _)| *table));
            for table in tables {
                let look = match self.look(table, now, &mut ticks).await {
                    Ok(look) => look,
                    Err(error) => {
                        tracing::warn!(table = table.0, %error, "a trigger could not be looked at; it is looked at again");
                        Look::At(now + RETRY_LOOK.as_micros() as i64)
                    }
                };
                match look {
                    Look::Never => {
                        due.remove(&table);
                    }
                    Look::At(at) => {
                        due.insert(table, at);
                    }
                    Look::WhenEnded(job) => {
                        due.remove(&table);
                        if watched.insert(job) {
                            let (runtime, ended) = (self.runtime.clone(), ended.clone());
                            tokio::spawn(async move {
                                // An error says the runtime is closing; then nobody listens any more either.
                                let _ = runtime.wait(&job).await;
                                let _ = ended.send((job, table));
                            });
                        }
                    }
                }
            }
        }
    }

    /// Looks at one table: starts a flush if one is due, and says when to look again.
    ///
    /// `ticks` holds, once a table has pending rows, the tick of the interval that they wait for, and the cut that the
    /// interval counts from.
    async fn look(&self, id: TableId, now: i64, ticks: &mut HashMap<TableId, (i64, i64)>) -> Result<Look, Error> {
        let snapshot = self.store.engine().snapshot();
        let Some(table) = self.store.catalog().table_by_id(&snapshot, id)? else { return Ok(Look::Never) };
        let flushed = Flushed::read(&*snapshot, id)?.unwrap_or_default();
        let pending = hot::counters(&*snapshot, id)?;
        let stuck = now < flushed.retry_at;
        let rows = pending.rows.saturating_sub(if stuck { flushed.stuck_rows } else { 0 });
        let bytes = pending.bytes.saturating_sub(if stuck { flushed.stuck_bytes } else { 0 });

        if let Some(wish) = FollowUp::read(&*snapshot, id)? {
            let forget = Commit { writes: vec![wish.forget(id)], ..Commit::default() };
            if wish.through_seq > flushed.cut && rows > 0 {
                let submitted = self.submit(&table, Trigger::FollowUp).await?;
                // While the flush that was active then still is, the wish stays: its cut may not be fixed yet.
                if let Submitted::New(_) = &submitted {
                    self.store.engine().commit(forget).await?;
                }
                return Ok(Look::WhenEnded(*submitted.id()));
            }
            self.store.engine().commit(forget).await?;
        }
        let policy = &table.flush;
        let trigger = if policy.rows.is_some_and(|threshold| rows >= threshold) {
            Some(Trigger::Rows)
        } else if policy.bytes.is_some_and(|threshold| bytes >= threshold) {
            Some(Trigger::Bytes)
        } else {
            None
        };
        let retry = (stuck && pending.rows > 0).then_some(flushed.retry_at);
        if let Some(trigger) = trigger {
            let submitted = self.submit(&table, trigger).await?;
            return Ok(Look::WhenEnded(*submitted.id()));
        }
        let Some(interval) = policy.interval else { return Ok(retry.map_or(Look::Never, Look::At)) };
        if rows == 0 {
            // Rows that come in wake the loop, and then the tick they wait for is known.
            return Ok(retry.map_or(Look::Never, Look::At));
        }
        let last = if flushed.taken_at > 0 { flushed.taken_at } else { table.created_at };
        // A flush resets the interval, whoever asked for it.
        let tick = match ticks.get(&id) {
            Some((since, tick)) if *since == last => *tick,
            _ => next_tick(last, interval, now),
        };
        ticks.insert(id, (last, tick));
        if tick <= now {
            ticks.remove(&id);
            let submitted = self.submit(&table, Trigger::Interval).await?;
            return Ok(Look::WhenEnded(*submitted.id()));
        }
        Ok(Look::At(retry.map_or(tick, |retry| retry.min(tick))))
    }
}

/// When to look at a table again.
enum Look {
    /// When rows come in.
    Never,
    /// At this time, microseconds since the Unix epoch.
    At(i64),
    /// When this job has ended.
    WhenEnded(JobId),
}

/// After an error that may pass.
const RETRY_LOOK: Duration = Duration::from_secs(1);

/// The first tick after `now` of a clock that started at `last`. Rows of a table that was idle for long wait for the
/// next tick like any others, and so arrive in one file rather than in one each.
fn next_tick(last: i64, interval: Duration, now: i64) -> i64 {
    let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    let passed = now.saturating_sub(last).max(0) / interval;
    last.saturating_add(interval.saturating_mul(passed + 1))
}

/// When the interval of a table is up next, in microseconds since the Unix epoch, should rows be pending then; none for a
/// table without one.
///
/// # Errors
/// The engine's.
pub fn next_interval(
    snapshot: &dyn ebbtide_engine::Snapshot,
    table: &Table,
    now: i64,
) -> Result<Option<i64>, ebbtide_engine::Error> {
    let Some(interval) = table.flush.interval else { return Ok(None) };
    let flushed = Flushed::read(snapshot, table.id)?.unwrap_or_default();
    let last = if flushed.taken_at > 0 { flushed.taken_at } else { table.created_at };
    Ok(Some(next_tick(last, interval, now)))
}

/// When a table was last cut for a flush that has handed over, and what of it stayed hot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCut {
    /// Microseconds since the Unix epoch.
    pub taken_at: i64,
    /// Rows of the cut that stayed hot, because the writes of their users failed.
    pub stuck_rows: u64,
}

/// The last cut of a table; none before its first flush.
///
/// # Errors
/// The engine's.
pub fn last_cut(
    snapshot: &dyn ebbtide_engine::Snapshot,
    table: TableId,
) -> Result<Option<LastCut>, ebbtide_engine::Error> {
    let flushed = Flushed::read(snapshot, table)?;
    Ok(flushed.map(|Flushed { taken_at, stuck_rows, .. }| LastCut { taken_at, stuck_rows }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_whole_intervals_after_the_last_cut() {
        let second = Duration::from_secs(1);
        for (last, now, expected) in [
            (0, 0, 1_000_000),
            (0, 999_999, 1_000_000),
            (0, 1_000_000, 2_000_000),
            (500, 10_000_600, 11_000_500),
            (2_000_000, 1_000_000, 3_000_000), // the clock fell back
        ] {
            assert_eq!(next_tick(last, second, now), expected, "last {last}, now {now}");
        }
    }
}
