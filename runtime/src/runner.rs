//! Which job runs now: the queue, the claims of this process, and the loop that fills free slots.

use crate::awake::Awake;
use crate::drive::{self, After};
use crate::error::Error;
use crate::held::Held;
use crate::job::JobId;
use crate::keys::{self, INDEX};
use crate::live::Live;
use crate::queue::Queue;
use crate::runtime::Options;
use crate::services::Services;
use crate::signal::Stop;
use crate::status::Status;
use crate::waiters::Waiters;
use crate::watch::Watch;
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::{CommitError, KeyRange, Order, SharedEngine};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all parts of one runtime share.
pub(crate) struct Shared {
    pub(crate) engine: SharedEngine,
    pub(crate) env: SharedEnv,
    pub(crate) options: Options,
    pub(crate) services: Services,
    pub(crate) waiters: Waiters,
    /// No new claims and no new jobs.
    pub(crate) stopping: AtomicBool,
    /// Running jobs are to stop at their next checkpoint.
    pub(crate) checkpointing: AtomicBool,
    /// Everything this runtime has spawned ends when this is cancelled …
    pub(crate) killed: CancellationToken,
    /// … and is spawned here, so that its end can be waited for.
    pub(crate) tasks: TaskTracker,
    /// Where steps run: the runtime that this one was started in.
    pub(crate) workers: tokio::runtime::Handle,
    /// Where no step runs.
    pub(crate) supervisor: OnceLock<tokio::runtime::Handle>,
    /// The clock that leases and timeouts are judged by.
    pub(crate) awake: Awake,
    /// Claims of others.
    pub(crate) watch: Watch,
    /// Claims in a row that could not be taken because of the engine.
    pub(crate) claims_failed: AtomicU32,
    jobs: Mutex<Jobs>,
    /// The scheduler should look again.
    wake: Notify,
    /// The last running job left its slot.
    quiet: Notify,
    stalled: OnceLock<String>,
}

struct Jobs {
    queue: Queue,
    running: HashMap<JobId, Place>,
    /// How many slots were ever given out.
    slots: u64,
}

/// A job among the running ones.
struct Place {
    slot: u64,
    /// Absent while the claim is being taken.
    live: Option<Arc<Live>>,
}

/// A place among the running jobs, given back by dropping it.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    id: JobId,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let nobody_left = {
            let mut jobs = self.shared.jobs();
            // The job may have been taken from a step that hangs, and have another slot by now.
            if jobs.running.get(&self.id).is_some_and(|place| place.slot == self.number) {
                jobs.running.remove(&self.id);
            }
            jobs.running.is_empty()
        };
        self.shared.wake.notify_one();
        if nobody_left {
            self.shared.quiet.notify_waiters();
        }
    }
}

impl Shared {
    pub(crate) fn new(engine: SharedEngine, env: SharedEnv, options: Options, services: Services) -> Self {
        let queue = Queue::new(options.queue_jobs_max);
        let lease = options.lease;
        Self {
            engine,
            env,
            options,
            services,
            waiters: Waiters::default(),
            stopping: AtomicBool::new(false),
            checkpointing: AtomicBool::new(false),
            killed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            workers: tokio::runtime::Handle::current(),
            supervisor: OnceLock::new(),
            awake: Awake::new(2 * beat_interval(lease)),
            watch: Watch::default(),
            claims_failed: AtomicU32::new(0),
            jobs: Mutex::new(Jobs { queue, running: HashMap::new(), slots: 0 }),
            wake: Notify::new(),
            quiet: Notify::new(),
            stalled: OnceLock::new(),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the job claimed at `at`, by the clock of the environment.
    pub(crate) fn enqueue(&self, id: JobId, at: i64) {
        self.jobs().queue.push(at, id);
        self.wake.notify_one();
    }

    /// Makes the scheduler look at the clock again.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
        self.quiet.notify_waiters();
    }

    /// The claim of a job that runs here.
    pub(crate) fn live(&self, id: &JobId) -> Option<Arc<Live>> {
        self.jobs().running.get(id)?.live.clone()
    }

    /// All claims of this process.
    pub(crate) fn lives(&self) -> Vec<Arc<Live>> {
        self.jobs().running.values().filter_map(|place| place.live.clone()).collect()
    }

    pub(crate) fn has_slot(&self, id: &JobId) -> bool {
        self.jobs().running.contains_key(id)
    }

    /// Makes a claim reachable. One that was taken while a shutdown began is told at once.
    pub(crate) fn enter(&self, live: &Arc<Live>) {
        if let Some(place) = self.jobs().running.get_mut(&live.id) {
            place.live = Some(Arc::clone(live));
        }
        if self.killed.is_cancelled() {
            live.signal.trip(Stop::ClaimLost);
        } else if self.checkpointing.load(Ordering::Acquire) {
            live.signal.trip(Stop::ShuttingDown);
        }
    }

    /// Frees the slot of a claim whose step hangs.
    pub(crate) fn detach(&self, live: &Arc<Live>) {
        let is_it = |place: &Place| place.live.as_ref().is_some_and(|there| Arc::ptr_eq(there, live));
        {
            let mut jobs = self.jobs();
            if jobs.running.get(&live.id).is_some_and(is_it) {
                jobs.running.remove(&live.id);
            }
        }
        self.look_again();
    }

    /// How often own claims are looked after.
    pub(crate) fn beat_interval(&self) -> Duration {
        beat_interval(self.options.lease)
    }

    /// The engine takes no more writes: nothing can go on, and everybody who waits is told.
    pub(crate) fn stall(&self, error: &CommitError) {
        let reason = error.to_string();
        if self.stalled.set(reason.clone()).is_ok() && !self.killed.is_cancelled() {
            tracing::error!(reason, "jobs stop here: the engine takes no more writes until a restart");
        }
        self.waiters.wake_all();
        self.look_again();
    }

    pub(crate) fn stalled(&self) -> Option<Error> {
        self.stalled.get().map(|reason| Error::Stalled { reason: reason.clone() })
    }

    fn takes_jobs(&self) -> bool {
        !self.stopping.load(Ordering::Acquire) && self.stalled.get().is_none()
    }

    /// Gives a slot to the first job that is due.
    fn take_due(self: &Arc<Self>) -> Option<Slot> {
        if !self.takes_jobs() {
            return None;
        }
        let now = self.env.now();
        let mut jobs = self.jobs();
        let Jobs { queue, running, slots } = &mut *jobs;
        if running.len() >= self.options.concurrency_max {
            return None;
        }
        let id = queue.take(now, |id| !running.contains_key(id))?;
        *slots += 1;
        running.insert(id, Place { slot: *slots, live: None });
        Some(Slot { shared: Arc::clone(self), id, number: *slots })
    }

    /// Comes back when nothing runs and nothing is due.
    pub(crate) async fn idle(&self) {
        self.until_quiet(|jobs| jobs.running.is_empty() && !(self.takes_jobs() && jobs.queue.has_due(self.env.now())))
            .await;
    }

    /// Comes back when nothing runs.
    pub(crate) async fn drained(&self) {
        self.until_quiet(|jobs| jobs.running.is_empty()).await;
    }

    async fn until_quiet(&self, is_quiet: impl Fn(&Jobs) -> bool) {
        loop {
            let changed = self.quiet.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_quiet(&self.jobs()) {
                return;
            }
            changed.await;
        }
    }

    /// Ends everything this runtime has spawned, as a crash would: no claim is released.
    pub(crate) fn kill(&self) {
        self.stopping.store(true, Ordering::Release);
        self.killed.cancel();
        for live in self.lives() {
            live.signal.trip(Stop::ClaimLost);
        }
        self.waiters.wake_all();
    }

    /// Runs `work` to its end even if the caller goes away. What is committed has consequences in memory (a new job has to be
    /// queued), and a caller that is dropped between the two would leave the job lying until the next start.
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.tasks.spawn(work).await {
            Ok(done) => done,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(Error::ShuttingDown),
        }
    }

    /// Comes back when everything spawned is gone, and with it its hold on the engine.
    pub(crate) async fn gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Time until the first job that is not due yet.
    fn next_due_in(&self) -> Option<Duration> {
        let now = self.env.now();
        let at = self.jobs().queue.next_after(now)?;
        Some(Duration::from_micros(u64::try_from(at.saturating_sub(now)).unwrap_or(0)))
    }

    /// Reads the queue from the engine. Blocking.
    ///
    /// Claims of others are in it once they were given up.
    pub(crate) fn read_queue(&self) -> Result<u64, Error> {
        let mut found = 0;
        for status in [Status::Pending, Status::Retrying, Status::Running] {
            let snapshot = self.engine.snapshot();
            let range = KeyRange::prefix(&keys::by_status(status));
            let mut cursor = Arc::clone(&snapshot).scan(INDEX, range, Order::Ascending)?;
            while let Some((key, value)) = cursor.next()? {
                let Some((_, id)) = keys::indexed_parts(key) else {
                    continue;
                };
                if self.has_slot(&id) {
                    continue;
                }
                let at = match status {
                    Status::Running => match Held::read(&*snapshot, &id) {
                        Ok(Some(held)) if self.watch.gave_up(&id, &held.row) => 0,
                        Ok(_) | Err(Error::Corrupt { .. }) => continue,
                        Err(error) => return Err(error),
                    },
                    _ => value.try_into().map_or(0, i64::from_be_bytes),
                };
                self.enqueue(id, at);
                found += 1;
            }
        }
        Ok(found)
    }
}

/// Three beats a lease, so that two may be late.
fn beat_interval(lease: Duration) -> Duration {
    (lease / 3).max(Duration::from_millis(1))
}

/// Fills free slots until the runtime ends. There is one timer, for the next due job; everything else wakes it.
pub(crate) async fn schedule(shared: Arc<Shared>) {
    loop {
        while let Some(slot) = shared.take_due() {
            shared.tasks.spawn_on(occupy(Arc::clone(&shared), slot), &shared.workers);
        }
        if shared.jobs().queue.take_spilled() {
            refill(&shared).await;
            continue;
        }
        let due = shared.next_due_in();
        tokio::select! {
            () = shared.killed.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => shared.quiet.notify_waiters(),
        }
    }
}

async fn refill(shared: &Arc<Shared>) {
    let reader = Arc::clone(shared);
    match shared.tasks.spawn_blocking(move || reader.read_queue()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "waiting jobs could not be read back"),
        Err(panic) => tracing::error!(%panic, "reading waiting jobs back panicked"),
    }
}

async fn occupy(shared: Arc<Shared>, slot: Slot) {
    let id = slot.id;
    let killed = shared.killed.clone();
    let after = tokio::select! {
        biased;
        () = killed.cancelled() => After::Over,
        after = drive::drive(&shared, id) => after,
    };
    // Queued again before the slot is given back: there is no instant at which the job is neither.
    if let After::Again { at } = after {
        shared.enqueue(id, at);
    }
    drop(slot);
}
