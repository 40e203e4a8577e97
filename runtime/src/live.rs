//! A claim of this process.

use crate::held::Held;
use crate::job::JobId;
use crate::progress::ProgressHandle;
use crate::row::Row;
use crate::signal::{Signal, Stop};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A claim of this process, as others in the process reach it.
pub(crate) struct Live {
    pub(crate) id: JobId,
    pub(crate) epoch: u64,
    pub(crate) signal: Signal,
    pub(crate) progress: ProgressHandle,
    /// When this claim began, in time lived, and how long the job had run before.
    pub(crate) began: Duration,
    pub(crate) ran_before_micros: u64,
    /// The signs of life at the last look, and when that was.
    pub(crate) last_sign: Mutex<(u64, Duration)>,
    /// Locked for the time of a commit, so that heartbeats and cancellations do not make a step's commit fail.
    pub(crate) held: tokio::sync::Mutex<Held>,
}

impl Live {
    /// Tells the step what others, perhaps in another process, have written into the row as their wish.
    pub(crate) fn heed(&self, row: &Row) {
        if row.cancel_requested {
            self.signal.trip(Stop::Cancelled);
        } else if row.pause_requested {
            self.signal.trip(Stop::Paused);
        }
    }

    /// For how long the step has shown no sign of life, as far as looks at it can tell.
    pub(crate) fn silent_since(&self, lived: Duration) -> Duration {
        let signs = self.progress.signs();
        let mut last = self.last_sign.lock().unwrap_or_else(PoisonError::into_inner);
        // A commit under way is the engine's time, not the step's.
        if last.0 != signs || self.held.try_lock().is_err() {
            *last = (signs, lived);
        }
        lived.saturating_sub(last.1)
    }
}
