//! Which snapshots are open. What they see stays in files, removed or not, so a purge waits for those from before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The open snapshots of one database. Cursors keep theirs open.
#[derive(Debug, Default)]
pub(super) struct Pins {
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    numbers: BTreeSet<u64>,
}

/// One open snapshot; gone when dropped.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Arc<Pins>,
    number: u64,
}

impl Pins {
    /// To be called before the snapshot is taken.
    pub(super) fn pin(self: &Arc<Self>) -> Pin {
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.numbers.insert(number);
        Pin { pins: Arc::clone(self), number }
    }

    /// Waits until every snapshot is gone that is open now. Others may come meanwhile.
    pub(super) async fn wait_passed(&self) {
        let moment = self.lock().next;
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Before looking, so that one who leaves in between is not missed.
            left.as_mut().enable();
            if self.lock().numbers.first().is_none_or(|oldest| *oldest >= moment) {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.lock().numbers.remove(&self.number);
        self.pins.left.notify_waiters();
    }
}
