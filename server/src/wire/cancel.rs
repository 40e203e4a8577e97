//! Cancel requests: they come over a connection of their own and name a session by its id and secret.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pgwire::messages::ProtocolVersion;
use pgwire::messages::startup::SecretKey;
use tokio_util::sync::CancellationToken;

/// The sessions that can be cancelled.
#[derive(Debug)]
pub(crate) struct Registry {
    next_id: AtomicI32,
    sessions: Mutex<HashMap<Key, Arc<Interrupt>>>,
}

type Key = (i32, Bytes);

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { next_id: AtomicI32::new(1), sessions: Mutex::default() })
    }

    /// Gives a new session its id and secret; it can be cancelled until the entry is dropped.
    pub(crate) fn enter(self: &Arc<Self>, version: ProtocolVersion) -> Entry {
        let secret = match version {
            ProtocolVersion::PROTOCOL3_0 => SecretKey::I32(rand::random()),
            _ => SecretKey::Bytes(Bytes::copy_from_slice(&rand::random::<[u8; 32]>())),
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let interrupt = Arc::new(Interrupt::default());
        lock(&self.sessions).insert((id, secret.to_bytes()), Arc::clone(&interrupt));
        Entry { registry: Arc::clone(self), id, secret, interrupt }
    }

    /// Cancels what the session is doing, if there is such a session. As in PostgreSQL, nobody is told.
    pub(crate) fn cancel(&self, id: i32, secret: &SecretKey) {
        let session = lock(&self.sessions).get(&(id, secret.to_bytes())).cloned();
        if let Some(session) = session {
            lock(&session.running).cancel();
        }
    }
}

/// A session's place in the registry.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    pub(crate) id: i32,
    pub(crate) secret: SecretKey,
    interrupt: Arc<Interrupt>,
}

impl Entry {
    /// A statement begins: the token it is to look at. A request that came before has no effect on it.
    pub(crate) fn begin(&self) -> CancellationToken {
        let fresh = CancellationToken::new();
        *lock(&self.interrupt.running) = fresh.clone();
        fresh
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&(self.id, self.secret.to_bytes()));
    }
}

#[derive(Debug, Default)]
struct Interrupt {
    running: Mutex<CancellationToken>,
}

/// Neither map nor token can be left half changed, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_cancels_and_only_what_runs_now() {
        let registry = Registry::new();
        let session = registry.enter(ProtocolVersion::PROTOCOL3_2);
        let earlier = session.begin();
        let now = session.begin();
        registry.cancel(session.id, &SecretKey::I32(0));
        assert!(!now.is_cancelled(), "a wrong secret");
        registry.cancel(session.id, &session.secret);
        assert!(now.is_cancelled());
        assert!(!earlier.is_cancelled());
        assert!(!session.begin().is_cancelled(), "the next statement is not touched");
    }

    #[test]
    fn a_key_of_four_bytes_is_the_same_in_both_versions_of_the_protocol() {
        let registry = Registry::new();
        let session = registry.enter(ProtocolVersion::PROTOCOL3_0);
        let running = session.begin();
        registry.cancel(session.id, &SecretKey::Bytes(session.secret.to_bytes()));
        assert!(running.is_cancelled());
    }

    #[test]
    fn sessions_that_ended_leave_nothing_behind() {
        let registry = Registry::new();
        drop(registry.enter(ProtocolVersion::PROTOCOL3_0));
        assert!(lock(&registry.sessions).is_empty());
    }
}
