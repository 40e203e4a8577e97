//! What each storage may have on its way, so that one that hangs holds up its own users alone.
//!
//! All flushes of a process share one budget of memory. A storage that answers slowly, or not at all, would come to hold all
//! of it, and with it the users of every other. So each storage has a lane: a bound on the parts that wait for it, and on its
//! share of the budget: three quarters, and half once there is more than one lane. An encoder that finds a lane full takes another user first.

use ebbtide_store::StorageId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Parts that wait for one storage, at most: enough to keep any of them busy.
const PARTS_MAX: usize = 256;

/// The lanes of a process.
#[derive(Debug)]
pub(super) struct Lanes {
    budget_kib: usize,
    lanes: Mutex<HashMap<StorageId, Lane>>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Lane {
    parts: usize,
    kib: usize,
}

/// A part in its lane, until dropped.
#[derive(Debug)]
pub(super) struct InLane {
    lanes: Arc<Lanes>,
    storage: StorageId,
    kib: usize,
}

impl Lanes {
    /// Lanes over a budget of so many KiB.
    pub(super) fn new(budget_kib: usize) -> Arc<Self> {
        Arc::new(Self { budget_kib, lanes: Mutex::default(), freed: Notify::new() })
    }

    /// A place in a storage's lane, if there is room.
    pub(super) fn try_enter(self: &Arc<Self>, storage: &StorageId) -> Option<InLane> {
        let mut lanes = self.lock();
        let others = lanes.iter().any(|(other, lane)| other != storage && lane.parts > 0);
        let lane = lanes.entry(storage.clone()).or_default();
        // Alone it leaves a quarter too: whoever comes next would wait for it otherwise.
        let kib_max = if others { self.budget_kib / 2 } else { self.budget_kib / 4 * 3 };
        let full = lane.parts >= PARTS_MAX || (lane.parts > 0 && lane.kib >= kib_max);
        if full {
            return None;
        }
        lane.parts += 1;
        Some(InLane { lanes: self.clone(), storage: storage.clone(), kib: 0 })
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>, storage: &StorageId) -> InLane {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before looking, so that one who leaves in between is not missed.
            freed.as_mut().enable();
            if let Some(entered) = self.try_enter(storage) {
                return entered;
            }
            freed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StorageId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InLane {
    /// It holds so much of the budget now.
    pub(super) fn holds(&mut self, bytes: usize) {
        let kib = bytes.div_ceil(1024);
        if let Some(lane) = self.lanes.lock().get_mut(&self.storage) {
            lane.kib = lane.kib.saturating_sub(self.kib) + kib;
        }
        self.kib = kib;
    }
}

impl Drop for InLane {
    fn drop(&mut self) {
        {
            let mut lanes = self.lanes.lock();
            if let Some(lane) = lanes.get_mut(&self.storage) {
                lane.parts -= 1;
                lane.kib = lane.kib.saturating_sub(self.kib);
                if lane.parts == 0 {
                    lanes.remove(&self.storage);
                }
            }
        }
        self.lanes.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn id(text: &str) -> StorageId {
        StorageId::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_lane_that_is_full_leaves_room_for_others() {
        let lanes = Lanes::new(100);
        let mut slow = lanes.try_enter(&id("slow")).unwrap();
        slow.holds(74 << 10);
        assert!(lanes.try_enter(&id("slow")).is_some(), "alone it may have three quarters");
        slow.holds(75 << 10);
        assert!(lanes.try_enter(&id("slow")).is_none());
        let _fast = lanes.try_enter(&id("fast")).unwrap();
        assert!(lanes.try_enter(&id("slow")).is_none(), "beside another one half");
        assert!(lanes.try_enter(&id("fast")).is_some());
        let slow_id = id("slow");
        let mut waiting = Box::pin(lanes.enter(&slow_id));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(slow);
        waiting.await;
    }

    #[tokio::test]
    async fn a_lane_holds_so_many_parts() {
        let lanes = Lanes::new(100);
        let parts: Vec<_> = (0..PARTS_MAX).map(|_| lanes.try_enter(&id("s")).unwrap()).collect();
        assert!(lanes.try_enter(&id("s")).is_none());
        drop(parts);
        assert!(lanes.try_enter(&id("s")).is_some());
        assert!(lanes.lock().len() <= 1, "an empty lane is forgotten");
    }
}
