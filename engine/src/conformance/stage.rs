//! An environment that holds the clock, and the committer when asked to.

use crate::env::HeldEnv;
use crate::{
    BoxFuture, Commit, CommitError, Committed, Engine, Env, Error, Health, KeyRange, Memory, Order, Snapshot, Space,
};
use futures::FutureExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How long [`Held::wait`] waits for an engine that never comes to the point, because it has none.
const PATIENCE: Duration = Duration::from_secs(10);

/// A clock that stands until it is moved, and a gate before every write.
#[derive(Debug)]
pub(super) struct Stage {
    held: HeldEnv,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    shut: bool,
    somebody_waits: bool,
}

/// The gate stays shut as long as this lives.
pub(super) struct Held<'a>(&'a Stage);

impl Stage {
    pub(super) fn at(now: i64) -> Stage {
        Stage { held: HeldEnv::at(now), gate: Mutex::default(), moved: Condvar::new() }
    }

    pub(super) fn set_clock(&self, now: i64) {
        self.held.set(now);
    }

    /// Shuts the gate: the next write waits before it.
    pub(super) fn hold(&self) -> Held<'_> {
        self.gate().shut = true;
        Held(self)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// Waits until a write stands before the gate.
    pub(super) fn wait(&self) {
        let waiting = self.0.moved.wait_timeout_while(self.0.gate(), PATIENCE, |gate| !gate.somebody_waits);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.gate().shut = false;
        self.0.moved.notify_all();
    }
}

impl Env for Stage {
    fn now(&self) -> i64 {
        self.held.now()
    }

    fn id(&self) -> Uuid {
        self.held.id()
    }

    fn random(&self) -> u64 {
        self.held.random()
    }

    fn reached(&self, point: &'static str) {
        if point != "engine.commit.before_write" {
            return;
        }
        let mut gate = self.gate();
        if gate.shut {
            gate.somebody_waits = true;
            self.moved.notify_all();
            gate = self.moved.wait_while(gate, |gate| gate.shut).unwrap_or_else(PoisonError::into_inner);
            gate.somebody_waits = false;
        }
    }
}

/// The engine while there is none: it stands in for the closed one until it is opened again.
#[derive(Debug)]
pub(super) struct Gone;

impl Engine for Gone {
    fn commit(&self, _: Commit) -> BoxFuture<'static, Result<Committed, CommitError>> {
        async { Err(CommitError::Closed) }.boxed()
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(Gone)
    }

    fn last_seq(&self) -> u64 {
        0
    }

    fn raise_seq(&self, _: u64) {}

    fn health(&self) -> Health {
        Health::ReadWrite
    }

    fn compact(&self, _: Space, _: u64) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }

    fn purge(&self, _: Vec<(Space, KeyRange)>) -> BoxFuture<'static, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn close(&self) {}
}

impl Snapshot for Gone {
    fn get(&self, space: Space, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Err(Error::UnknownSpace { name: space.name })
    }

    fn scan(self: Arc<Self>, space: Space, _: KeyRange, _: Order) -> Result<Box<dyn crate::Cursor>, Error> {
        Err(Error::UnknownSpace { name: space.name })
    }
}
