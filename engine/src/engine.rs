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

    /// Says that about `live_keys` keys of a space are there, and much beside them was removed or written anew. Where that is
    /// enough to be worth it, the engine gives its room back in the background, so that scans do not read around it any more.
    /// Who has not counted says 0.
    ///
    /// The request is made by this call; the future tells when it was dealt with, and may be dropped.
    fn compact(&self, space: Space, live_keys: u64) -> BoxFuture<'static, ()>;

    /// Has no file of the engine hold what was removed from these ranges by commits that were answered before this call: not
    /// the files of the spaces, and not the log, of which no archive is kept. What is there stays, and stays readable.
    ///
    /// Snapshots that were open keep what they see, and cursors the files that they read, so it waits for them to be dropped;
    /// who calls must not hold any. It costs as much as rewriting every file that reaches into the ranges. It may be dropped
    /// at any await, and repeated.
    ///
    /// # Errors
    /// [`Error::Unpurged`] when something may be left. To be called again.
    fn purge(&self, ranges: Vec<(Space, KeyRange)>) -> BoxFuture<'static, Result<(), Error>>;

    /// What the engine's caches and write buffers hold in memory.
    fn memory(&self) -> Memory;

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

/// Bytes in memory, each beside its bound of the [`Options`](crate::Options).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Blocks in the cache of all spaces but those of jobs.
    pub block_cache_bytes: usize,
    /// What that cache may hold.
    pub block_cache_bytes_max: usize,
    /// Blocks in the cache of the jobs' spaces.
    pub jobs_cache_bytes: usize,
    /// What that cache may hold.
    pub jobs_cache_bytes_max: usize,
    /// Writes that are in no file yet.
    pub write_buffer_bytes: usize,
    /// From how many on they are written out.
    pub write_buffer_bytes_max: usize,
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

    /// Goes to `key`, forth or back, from the end as well: what [`Cursor::next`] gives then is the first key of the range
    /// that is `key` or comes after it in the cursor's order. Many short stretches of one range cost less by one cursor
    /// that seeks than by a scan each.
    fn seek(&mut self, key: &[u8]);
}
