//! Bounds of a flush. One set for the process: all flushes that run at once share them.

use super::Flusher;
use super::lanes::Lanes;
use super::upload::StorageHealth;
use ebbtide_runtime::{JobId, ProgressHandle};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a flush may use, and when it gives up on a user. Every field is a bound.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes all running flushes may hold at once: encoders' row groups and finished bytes on their way out.
    pub memory_bytes_max: usize,
    /// Rows in a row group, at most.
    pub row_group_rows_max: usize,
    /// Bytes of Arrow data in a row group, at most; the row group is cut at whichever bound comes first.
    pub row_group_bytes_max: usize,
    /// Rows in one file; a user with more gets further parts, each committed by itself.
    pub segment_rows_max: u64,
    /// Bytes in one file, at most, looked at between row groups.
    pub segment_bytes_max: u64,
    /// Threads that scan, decode and encode. 0: one per core.
    pub encoders: usize,
    /// Uploads and local syncs that wait at once.
    pub uploads_in_flight_max: usize,
    /// Users handed over by one commit, at most.
    pub users_per_commit_max: usize,
    /// Uploads of one file that are tried before its user counts as failed.
    pub upload_attempts_max: u32,
    /// A storage that failed this many users in a row fails the remaining ones of this flush at once.
    pub users_failed_in_a_row_max: u32,
    /// How long a user whose write failed counts for no trigger; doubled with each failure.
    pub failed_user_backoff_min: Duration,
    /// The upper end of that doubling.
    pub failed_user_backoff_max: Duration,
    /// How long acknowledged rows may wait before they are counted against the triggers.
    pub trigger_delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            row_group_rows_max: 65_536,
            row_group_bytes_max: 4 << 20,
            segment_rows_max: 4_000_000,
            segment_bytes_max: 256 << 20,
            encoders: 0,
            uploads_in_flight_max: 16,
            users_per_commit_max: 256,
            upload_attempts_max: 3,
            users_failed_in_a_row_max: 3,
            failed_user_backoff_min: Duration::from_secs(10),
            failed_user_backoff_max: Duration::from_secs(3600),
            trigger_delay: Duration::from_millis(20),
        }
    }
}

/// What an encoder works with beside its row group: pages and dictionaries of a few columns, a batch of rows.
const ENCODER_BYTES: usize = 6 << 20;

/// Far more than flushes run at once.
const CLAIMS_REMEMBERED_MAX: usize = 1024;

/// The options with the permits that enforce them.
#[derive(Debug)]
pub struct Resources {
    pub(super) options: Options,
    pub(super) encoders: usize,
    /// One permit is one KiB of finished bytes.
    memory_kib: Arc<Semaphore>,
    memory_kib_max: usize,
    pub(super) uploads: Semaphore,
    pub(super) lanes: Arc<Lanes>,
    pub(super) health: StorageHealth,
    /// The claims that started a pipeline lately, and how many each started.
    started: Mutex<VecDeque<(JobId, u64, u32)>>,
    /// Who starts flushes, once somebody does. Weak: he holds the runtime, which holds these.
    flusher: Mutex<Weak<Flusher>>,
}

impl Resources {
    /// The permits for `options`.
    pub fn new(options: Options) -> Self {
        let wanted = match options.encoders {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        // Each encoder may hold a row group as pages, the same on its way out, and what its columns work with. No more
        // of them than leave half of the budget for bytes that wait for their storage.
        let encoder_bytes = 2 * options.row_group_bytes_max + ENCODER_BYTES;
        let encoders = wanted.min(options.memory_bytes_max / 2 / encoder_bytes).max(1);
        let encoding = encoders * encoder_bytes;
        let finished = options.memory_bytes_max.saturating_sub(encoding).max(2 * options.row_group_bytes_max);
        let memory_kib_max = (finished >> 10).min(Semaphore::MAX_PERMITS);
        Self {
            encoders,
            memory_kib: Arc::new(Semaphore::new(memory_kib_max)),
            memory_kib_max,
            uploads: Semaphore::new(options.uploads_in_flight_max.max(1)),
            lanes: Lanes::new(memory_kib_max),
            health: StorageHealth::new(options.users_failed_in_a_row_max),
            started: Mutex::default(),
            flusher: Mutex::default(),
            options,
        }
    }

    pub(super) fn set_flusher(&self, flusher: &Arc<Flusher>) {
        *self.flusher.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(flusher);
    }

    /// Who starts flushes.
    pub(super) fn flusher(&self) -> Option<Arc<Flusher>> {
        self.flusher.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// How many tries of a file's name the earlier pipelines of this claim may have used up. A claim has more than one
    /// pipeline when what it read was changed meanwhile.
    pub(super) fn tries_before(&self, job: &JobId, epoch: u64) -> u32 {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = match started.iter_mut().find(|(id, claim, _)| id == job && *claim == epoch) {
            Some((_, _, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                started.push_back((*job, epoch, 1));
                0
            }
        };
        if started.len() > CLAIMS_REMEMBERED_MAX {
            started.pop_front();
        }
        earlier.saturating_mul(self.options.upload_attempts_max)
    }

    /// Bytes held at this moment: what encoders may hold, and what waits to be written.
    pub(super) fn memory_reserved(&self) -> u64 {
        let waiting = self.memory_kib_max.saturating_sub(self.memory_kib.available_permits()) << 10;
        (self.encoders * (2 * self.options.row_group_bytes_max + ENCODER_BYTES) + waiting) as u64
    }

    /// Holds part of the budget until dropped, for work beside the flushes that decodes and encodes rows as they do.
    pub(crate) async fn reserve(&self, bytes: usize, progress: &ProgressHandle) -> OwnedSemaphorePermit {
        let permit = self.permit(bytes).await;
        progress.reserve_memory((permit.num_permits() as u64) << 10);
        permit
    }

    /// A part of the budget, or all of it for what is larger: that has to be alone.
    pub(crate) async fn permit(&self, bytes: usize) -> OwnedSemaphorePermit {
        let kib = u32::try_from(bytes.div_ceil(1024).min(self.memory_kib_max)).unwrap_or(u32::MAX);
        self.memory_kib.clone().acquire_many_owned(kib).await.expect("the semaphore is never closed")
    }

    /// The options these permits enforce.
    pub fn options(&self) -> &Options {
        &self.options
    }
}
