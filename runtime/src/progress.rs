//! Live numbers between checkpoints.

use crate::cpu;
use crate::workflow::Progress;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where a running step says how far it is, between its checkpoints. Cheap to clone; usable from any thread.
///
/// The numbers start from the last checkpoint and only grow. They are lost in a crash, which is all right: the checkpoint
/// has the numbers that hold.
#[derive(Clone, Default)]
pub struct ProgressHandle(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    users_done: AtomicU64,
    users_total: AtomicU64,
    rows_done: AtomicU64,
    bytes_done: AtomicU64,
    memory_peak: AtomicU64,
    cpu_nanos: AtomicU64,
    /// Raised by whatever shows that the step lives.
    signs: AtomicU64,
    subject: Mutex<Option<String>>,
}

/// The live numbers of a running job at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// What is being worked on.
    pub subject: Option<String>,
    /// How far it has come.
    pub progress: Progress,
    /// The highest number of bytes reserved at once.
    pub memory_used: u64,
    /// Thread CPU time in microseconds.
    pub cpu_used: u64,
}

impl ProgressHandle {
    /// Shows that the step is alive. Polls of the step and every number said here do so too; a step that waits long for
    /// something outside, without either, calls this now and then, or it is given up after
    /// [`Options::silence_max`](crate::Options::silence_max).
    pub fn alive(&self) {
        self.0.signs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn signs(&self) -> u64 {
        self.0.signs.load(Ordering::Relaxed)
    }

    /// Says what is being worked on now, until the next checkpoint says it.
    pub fn set_subject(&self, subject: &str) {
        self.alive();
        let mut shown = self.0.subject.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_deref() != Some(subject) {
            *shown = Some(subject.to_owned());
        }
    }

    /// Adds rows that are done.
    pub fn add_rows(&self, rows: u64) {
        self.alive();
        self.0.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Adds bytes that are written.
    pub fn add_bytes(&self, bytes: u64) {
        self.alive();
        self.0.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says how many users are finished.
    pub fn set_users_done(&self, users: u64) {
        self.alive();
        self.0.users_done.fetch_max(users, Ordering::Relaxed);
    }

    /// Says how many users there are to do.
    pub fn set_users_total(&self, users: u64) {
        self.alive();
        self.0.users_total.fetch_max(users, Ordering::Relaxed);
    }

    /// Says how many bytes are reserved at this moment; the highest of these is shown.
    pub fn reserve_memory(&self, bytes_now: u64) {
        self.alive();
        self.0.memory_peak.fetch_max(bytes_now, Ordering::Relaxed);
    }

    /// Charges CPU time that another thread spent for this job. Polls of the step itself are counted already.
    pub fn add_cpu(&self, spent: Duration) {
        self.alive();
        self.0.cpu_nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Runs a blocking section on the present thread and charges its CPU time. Not for code inside the step's own future,
    /// whose polls are counted already.
    pub fn charge<T>(&self, section: impl FnOnce() -> T) -> T {
        self.alive();
        let before = cpu::thread_time();
        let done = section();
        self.add_cpu(cpu::thread_time().saturating_sub(before));
        done
    }

    /// The numbers at this moment.
    pub fn figures(&self) -> Figures {
        Figures {
            subject: self.0.subject.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            progress: Progress {
                users_done: self.0.users_done.load(Ordering::Relaxed),
                users_total: self.0.users_total.load(Ordering::Relaxed),
                rows_done: self.0.rows_done.load(Ordering::Relaxed),
                bytes_done: self.0.bytes_done.load(Ordering::Relaxed),
            },
            memory_used: self.memory_peak(),
            cpu_used: self.cpu_micros(),
        }
    }

    pub(crate) fn memory_peak(&self) -> u64 {
        self.0.memory_peak.load(Ordering::Relaxed)
    }

    pub(crate) fn cpu_micros(&self) -> u64 {
        self.0.cpu_nanos.load(Ordering::Relaxed) / 1000
    }

    /// Takes over what a checkpoint says, where it says more.
    pub(crate) fn catch_up(&self, checkpoint: &Progress, memory_used: u64) {
        self.0.users_done.fetch_max(checkpoint.users_done, Ordering::Relaxed);
        self.0.users_total.fetch_max(checkpoint.users_total, Ordering::Relaxed);
        self.0.rows_done.fetch_max(checkpoint.rows_done, Ordering::Relaxed);
        self.0.bytes_done.fetch_max(checkpoint.bytes_done, Ordering::Relaxed);
        self.0.memory_peak.fetch_max(memory_used, Ordering::Relaxed);
    }

    /// A checkpoint was committed: it says itself what is worked on next.
    pub(crate) fn checkpointed(&self, checkpoint: &Progress) {
        self.catch_up(checkpoint, 0);
        *self.0.subject.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts from what earlier claims have used.
    pub(crate) fn begin(checkpoint: &Progress, memory_used: u64, cpu_used: u64) -> Self {
        let handle = Self::default();
        handle.catch_up(checkpoint, memory_used);
        handle.0.cpu_nanos.store(cpu_used.saturating_mul(1000), Ordering::Relaxed);
        handle
    }
}

impl fmt::Debug for ProgressHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProgressHandle").field(&self.figures()).finish()
    }
}
