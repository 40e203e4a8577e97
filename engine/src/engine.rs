//! The seam: what any engine must do.

use crate::{Commit, CommitError, Committed, Error, KeyRange, Order, Space};
use futures::future::BoxFuture;
use std::fmt::Debug;
use std::sync::Arc;

/// An ordered, durable key-value store with atomic conditional commits. See the crate's page for what it promises.
pub trait Engine: Send + Sync + Debug + 'static {
    /// Commits, all or nothing.
    ///
    /// The commit is queued by this call where there is room, and then happens even if the future is dropped: whoever drops
    /// it must treat the commit as in doubt. When the queue is full the future waits for room, and dropping it meanwhile means no commit.
    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Committed, CommitError>>;

    /// One instant of all spaces. Every commit answered before is in it.
    fn snapshot(&self) -> Arc<dyn Snapshot>;

    /// The last seq that is published: every row at or below it is in any snapshot taken from now on. 0: none yet.
    fn last_seq(&self) -> u64;

    /// Seqs given out from now on are greater than `floor`. Never lowers anything.
    fn raise_seq(&self, floor: u64);

    /// Whether commits can succeed.
    fn health(&self) -> Health;

    /// Finishes the commits that wait, makes all of them durable and stops. Later commits get [`CommitError::Closed`];
    /// snapshots stay readable. Blocks until done; to close twice does nothing.
    fn close(&self);
}

/// An [`Engine`] as it is passed around.
pub type SharedEngine = Arc<dyn Engine>;

/// Whether commits can succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    ReadWrite,
    /// A write failed: nothing more is written until the engine is opened again.
    ReadOnly {
        /// What failed.
        reason: String,
    },
}

/// One instant of all spaces. Reads block the thread: from async code, read on a blocking thread or keep it short.
pub trait Snapshot: Send + Sync + 'static {
    /// The value of `key`, if it is there.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The keys and values of `range` in `order`. The cursor keeps the snapshot alive.
    fn scan(self: Arc<Self>, space: Space, range: KeyRange, order: Order) -> Result<Box<dyn Cursor>, Error>;
}

/// A position in an ordered scan.
pub trait Cursor: Send {
    /// The next key and its value, valid until the next call; `None` at the end, and from then on.
    #[allow(clippy::type_complexity, reason = "a pair of borrowed strings needs no name")]
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error>;
}
