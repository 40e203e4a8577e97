//! Scan, encode and upload, over several users at a time, in bounded memory.
//!
//! ```text
//! lister ─► encoders (blocking threads, one per core) ─► uploads (async, bounded) ─► finished()
//! index of    scan hot rows, decode, Parquet               write, sync, link           the step hands over
//! users       one user at a time each
//! ```
//!
//! A dropped pipeline stops everywhere at its next look: encoders look every batch, uploads when they start.

use super::encode::{Encoded, Encoder};
use super::{Cut, Resources, Totals, metrics::Counted, upload};
use ebbtide_engine::{Expect, SharedEngine, SharedEnv};
use ebbtide_runtime::{ProgressHandle, Signal, Step, StepError};
use ebbtide_store::cold::{self, segment};
use ebbtide_store::{Reading, Segment, Store, Table, UserId, hot, manifest::Watermark};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A segment whose bytes are durable, ready to be handed over.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) segment: Segment,
    /// Where its object is.
    pub(super) objects: Arc<dyn cold::Objects>,
    /// That its storage's id means that place still.
    pub(super) registered: Expect,
    /// The user's watermark as it was before these rows were scanned; the commit expects it.
    pub(super) watermark_before: Watermark,
    /// The user's watermark once this part is handed over.
    pub(super) watermark_after: u64,
    /// Bytes the rows took in the hot tier.
    pub(super) bytes_hot: u64,
    /// The user has a record of a failed write, to be forgotten.
    pub(super) failed_before: bool,
    /// Who erases these rows waits for it.
    pub(super) writing: Arc<Reading>,
}

/// A user whose rows stay hot.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) user: UserId,
    pub(super) reason: String,
}

/// What the pipeline finished since the last look.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub(super) parts: Vec<Part>,
    pub(super) failed: Vec<Failed>,
    /// Users that are done or have failed.
    pub(super) users_done: u64,
    /// No user is left.
    pub(super) end: bool,
    /// Why the last failed user of the whole run failed.
    pub(super) last_failure: Option<String>,
}

pub(super) enum Event {
    Part(Box<Part>),
    /// All that the user had up to the cut is in parts that came before.
    Done,
    Failed(UserId, String),
    /// The whole pipeline cannot go on: the engine failed, or the job was stopped.
    Broken(StepError),
}

impl Event {
    /// What nobody will hand over any more leaves no object behind.
    pub(super) async fn discard(self) {
        if let Self::Part(part) = self {
            upload::remove(&part.objects, &part.segment.path).await;
        }
    }
}

/// What all threads of one pipeline share.
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) engine: SharedEngine,
    pub(super) env: SharedEnv,
    pub(super) resources: Arc<Resources>,
    pub(super) table: Arc<Table>,
    pub(super) cut: Cut,
    pub(super) job_id: String,
    pub(super) epoch: u64,
    /// Names of this claim that earlier pipelines may have used: tries of a file start after them.
    pub(super) tries_before: u32,
    pub(super) signal: Signal,
    pub(super) progress: ProgressHandle,
    pub(super) dropped: CancellationToken,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) events: mpsc::Sender<Event>,
    /// Users whose storage had no room when their turn came.
    pub(super) deferred: Mutex<VecDeque<UserId>>,
}

impl Shared {
    /// Puts a user off, unless too many are already.
    pub(super) fn defer(&self, user: &UserId) -> bool {
        let mut deferred = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        let room = deferred.len() < USERS_DEFERRED_MAX;
        if room {
            deferred.push_back(user.clone());
        }
        room
    }

    fn deferred(&self) -> Option<UserId> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Looked at every batch of rows: whether the work is still wanted.
    pub(super) fn check(&self) -> Result<(), StepError> {
        if self.dropped.is_cancelled() {
            return Err(StepError::Stopped(ebbtide_runtime::Stop::ClaimLost));
        }
        self.signal.check()
    }
}

/// A running pipeline; dropping it stops it.
pub(super) struct Pipeline {
    events: mpsc::Receiver<Event>,
    ended: bool,
    last_failure: Option<String>,
    /// Of the parts that were taken last: their commit is over when more are taken.
    handing_over: Vec<Arc<Reading>>,
    /// What of the job's totals the process has counted.
    pub(super) counted: Counted,
    _stop: DropGuard,
}

impl Drop for Pipeline {
    /// Parts that no step took were never in a commit. (Those that a step took may be, whatever was heard of it.)
    fn drop(&mut self) {
        self.events.close();
        while let Ok(event) = self.events.try_recv() {
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(event.discard());
            }
        }
    }
}

/// Users that wait for an encoder: enough to keep all of them busy, few enough to drop without regret.
const USERS_QUEUED_MAX: usize = 64;
/// Users who are put off because their storage has no room; further ones wait for it.
const USERS_DEFERRED_MAX: usize = 4096;
/// Users read from the index at a time.
const USERS_PER_PAGE: usize = 1024;

impl Pipeline {
    pub(super) fn start(
        store: Arc<Store>,
        resources: Arc<Resources>,
        table: Arc<Table>,
        cut: &Cut,
        totals: &Totals,
        cx: &Step,
    ) -> Result<Self, StepError> {
        let options = resources.options();
        let format = segment::Options {
            row_group_rows_max: options.row_group_rows_max,
            row_group_bytes_max: options.row_group_bytes_max,
            ..segment::Options::default()
        };
        let schema = ebbtide_store::arrow_schema(&table);
        let layout = segment::Layout::new(schema, &table.qualified_name(), table.schema_version, format)
            .map_err(super::retry("laying out segments"))?;
        let dropped = CancellationToken::new();
        let (events, finished) = mpsc::channel(resources.options().users_per_commit_max.max(1));
        resources.health.begin();
        let shared = Arc::new(Shared {
            store,
            engine: cx.engine().clone(),
            env: cx.env().clone(),
            table,
            cut: cut.clone(),
            job_id: cx.job_id().to_string(),
            epoch: cx.epoch(),
            tries_before: resources.tries_before(cx.job_id(), cx.epoch()),
            signal: cx.signal(),
            progress: cx.progress().clone(),
            dropped: dropped.clone(),
            runtime: tokio::runtime::Handle::current(),
            events,
            deferred: Mutex::default(),
            resources,
        });
        let (users, queued) = mpsc::channel(USERS_QUEUED_MAX);
        let queued = Arc::new(Mutex::new(queued));
        let lister = shared.clone();
        tokio::task::spawn_blocking(move || list_users(&lister, &users));
        for _ in 0..shared.resources.encoders {
            let (shared, layout, queued) = (shared.clone(), layout.clone(), queued.clone());
            tokio::task::spawn_blocking(move || in_the_background(|| encode_users(&shared, layout, &queued)));
        }
        let counted = Counted::from(totals);
        Ok(Self {
            events: finished,
            ended: false,
            last_failure: None,
            handing_over: Vec::new(),
            counted,
            _stop: dropped.drop_guard(),
        })
    }

    /// Waits until something is finished, then takes all that is, up to `users_max` parts.
    pub(super) async fn finished(&mut self, users_max: usize) -> Result<Finished, StepError> {
        self.handing_over.clear();
        let mut finished = Finished::default();
        let mut first = if self.ended { None } else { self.events.recv().await };
        loop {
            let event = match first.take() {
                Some(event) => event,
                None => match self.events.try_recv() {
                    Ok(event) => event,
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        self.ended = true;
                        break;
                    }
                },
            };
            match event {
                Event::Part(part) => {
                    self.handing_over.push(part.writing.clone());
                    finished.parts.push(*part);
                }
                Event::Done => finished.users_done += 1,
                Event::Failed(user, reason) => {
                    self.last_failure = Some(match user.is_shared() {
                        true => reason.clone(),
                        false => format!("user {user}: {reason}"),
                    });
                    finished.failed.push(Failed { user, reason });
                    finished.users_done += 1;
                }
                Event::Broken(error) => return Err(error),
            }
            if finished.parts.len() + finished.failed.len() >= users_max {
                break;
            }
        }
        finished.end = self.ended;
        finished.last_failure.clone_from(&self.last_failure);
        Ok(finished)
    }
}

/// Hands out the users of the index of those with hot rows. A user that comes into the index meanwhile has only rows
/// above the cut, so missing him is right.
fn list_users(shared: &Shared, users: &mpsc::Sender<UserId>) {
    let mut after: Option<UserId> = None;
    loop {
        let snapshot = shared.engine.snapshot();
        let page = match hot::users(snapshot, shared.table.id, after.as_ref(), USERS_PER_PAGE) {
            Ok(page) => page,
            Err(error) => {
                let error = super::retry("reading the index of users")(error);
                let _ = shared.events.blocking_send(Event::Broken(error));
                return;
            }
        };
        let Some((last, _)) = page.last() else { return };
        after = Some(last.clone());
        for (user, _) in page {
            // Fails only when no encoder is left, which says the pipeline was dropped or broke.
            if users.blocking_send(user).is_err() {
                return;
            }
        }
    }
}

/// A thread or task of the pipeline that panics must not look like one that had nothing left to do.
pub(super) fn panicked(what: &str) -> StepError {
    StepError::retry(format!("{what} panicked; the log has the message"))
}

/// How much less of the processor an encoder wants than a statement that somebody waits for, as `nice` counts: a third of its
/// share while both want it, all of it otherwise.
const NICE: i32 = 5;

/// Runs this on a thread of its own, which gives way to others where a thread can. (One that has given way cannot take that back,
/// so it is none of the pool's.)
fn in_the_background(work: impl FnOnce() + Send) {
    let work = Mutex::new(Some(work));
    let run = || {
        if let Some(work) = work.lock().unwrap_or_else(PoisonError::into_inner).take() {
            work();
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("ebbtide-encode".to_owned());
        let given_way = thread.spawn_scoped(scope, || {
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!(%error, "an encoder does not give way");
            }
            run();
        });
        if let Err(error) = given_way {
            tracing::debug!(%error, "there is no thread for an encoder alone");
            run();
        }
    });
}

/// One encoder thread: a user at a time, until none is left.
fn encode_users(shared: &Arc<Shared>, layout: Arc<segment::Layout>, queued: &Mutex<mpsc::Receiver<UserId>>) {
    let encoder = Encoder::new(shared.clone(), layout);
    loop {
        let next = queued.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        // Who was put off comes after all others, and then waits for room.
        let (user, wait) = match next {
            Some(user) => (user, false),
            None => match shared.deferred() {
                Some(user) => (user, true),
                None => return,
            },
        };
        let encoded = std::panic::catch_unwind(AssertUnwindSafe(|| {
            shared.check()?;
            match encoder.encode(&user, wait)? {
                Encoded::Finished => Ok(()),
                Encoded::Later if shared.defer(&user) => Ok(()),
                Encoded::Later => encoder.encode(&user, true).map(drop),
            }
        }));
        if let Err(error) = encoded.unwrap_or_else(|_| Err(panicked("encoding"))) {
            let _ = shared.events.blocking_send(Event::Broken(error));
            return;
        }
    }
}
