//! Who reads, so that nothing is removed under them.
//!
//! A reader registers, then takes its snapshot. An object is removed only after a commit stopped naming it, and
//! then only when every reader that registered before that commit has gone: later ones cannot have seen it named.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The readers of one process.
#[derive(Debug, Clone, Default)]
pub struct Readers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    active: Mutex<Active>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Active {
    next: u64,
    /// Numbers of the readers that are there.
    numbers: BTreeSet<u64>,
}

/// A moment between two registrations; later moments are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// A registered reader; gone when dropped.
#[derive(Debug)]
pub struct Reading {
    readers: Readers,
    number: u64,
}

impl Readers {
    /// Registers a reader. Only then may it take its snapshot.
    pub fn register(&self) -> Reading {
        let mut active = self.lock();
        let number = active.next;
        active.next += 1;
        active.numbers.insert(number);
        Reading { readers: self.clone(), number }
    }

    /// Now. Taken after a commit, it tells the readers that may still see what the commit took away.
    pub fn now(&self) -> Moment {
        Moment(self.lock().next)
    }

    /// When the oldest reader that is still there registered.
    pub fn oldest(&self) -> Option<Moment> {
        self.lock().numbers.first().copied().map(Moment)
    }

    /// Whether every reader that registered before `moment` has gone.
    pub fn passed(&self, moment: Moment) -> bool {
        self.oldest().is_none_or(|oldest| oldest >= moment)
    }

    /// Waits until every reader that registered before `moment` has gone.
    pub async fn wait_passed(&self, moment: Moment) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            // Before looking, so that one who leaves in between is not missed.
            left.as_mut().enable();
            if self.passed(moment) {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Active> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.readers.lock().numbers.remove(&self.number);
        self.readers.0.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_readers_from_before_are_waited_for() {
        let readers = Readers::default();
        assert_eq!(readers.oldest(), None);
        let first = readers.register();
        let second = readers.register();
        let removed = readers.now();
        let third = readers.register();
        assert!(!readers.passed(removed));
        drop(first);
        assert!(!readers.passed(removed), "the second is still there");
        let waiting = tokio::spawn({
            let readers = readers.clone();
            async move { readers.wait_passed(removed).await }
        });
        drop(second);
        waiting.await.unwrap();
        assert!(readers.passed(removed), "the third came later and is no matter");
        assert_eq!(readers.oldest(), Some(removed));
        drop(third);
        assert_eq!(readers.oldest(), None);
    }
}
