//! Who wants to hear that a job ended.

use crate::job::JobId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<JobId, Arc<Notify>>>);

/// The wish of one caller; it is withdrawn by dropping this.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: JobId,
    pub(crate) ended: Arc<Notify>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(&self, id: &JobId) -> Waiter<'_> {
        let ended = Arc::clone(self.lock().entry(*id).or_default());
        Waiter { waiters: self, id: *id, ended }
    }

    pub(crate) fn wake(&self, id: &JobId) {
        if let Some(waiting) = self.lock().get(id) {
            waiting.notify_waiters();
        }
    }

    /// Lets everybody look again, as when no job can go on any more.
    pub(crate) fn wake_all(&self) {
        self.lock().values().for_each(|waiting| waiting.notify_waiters());
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut all = self.waiters.lock();
        // The map and this waiter hold one each: nobody else waits.
        if Arc::strong_count(&self.ended) <= 2 {
            all.remove(&self.id);
        }
    }
}
