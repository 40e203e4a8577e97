//! Who is being published at this moment: one at a time for each user.
//!
//! Two at once would do no harm but to each other: one of them would be refused, and what it had put would be nobody's.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// The users that somebody is at, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    keys: Mutex<BTreeSet<Vec<u8>>>,
    left: Notify,
    /// Tells whoever publishes in the background that there is something to do.
    pub(super) told: Notify,
}

/// A user's turn, until dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: Vec<u8>,
}

impl Turns {
    /// The turn of this user, once nobody else has it.
    pub(super) async fn enter(&self, key: &[u8]) -> Turn<'_> {
        self.when(|keys| keys.insert(key.to_vec())).await;
        Turn { turns: self, key: key.to_vec() }
    }

    /// Waits until nobody is at a user whose key begins like this.
    pub(crate) async fn wait_without(&self, prefix: &[u8]) {
        self.when(|keys| !keys.range(prefix.to_vec()..).next().is_some_and(|key| key.starts_with(prefix))).await;
    }

    /// There is something to publish.
    pub(crate) fn tell(&self) {
        self.told.notify_one();
    }

    async fn when(&self, mut holds: impl FnMut(&mut BTreeSet<Vec<u8>>) -> bool) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Before looking, so that one who leaves in between is not missed.
            left.as_mut().enable();
            if holds(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner)) {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.turns.left.notify_waiters();
    }
}
