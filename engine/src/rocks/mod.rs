//! The engine on RocksDB, and the only place that knows RocksDB.
//!
//! ```text
//! commit() ─► queue ─► committer (one thread) ─► WriteBatch ─► log (synced at most once a group) ─► answers
//!                        │ checks expectations against the database and what the group wrote before
//!                        │ gives out seqs
//! snapshot() ─► get, scan: straight from RocksDB, on the caller's thread
//! ```
//!
//! | file | in one line |
//! | --- | --- |
//! | `queue.rs` | bounded queue from callers to the committer |
//! | `committer.rs` | the loop: take what waits, build, write, publish, answer |
//! | `group.rs` | one group of commits becomes one WriteBatch |
//! | `overlay.rs` | what the group has written so far, laid over the database |
//! | `request.rs` | a commit on its way, checked and measured on the caller's thread |
//! | `compactor.rs` | the thread that gives back what removed ranges hold |
//! | `purge.rs`, `pins.rs` | no file holds what was removed, once no snapshot from before is open |
//! | `snapshot.rs` | snapshots and cursors that own what they borrow |
//! | `database.rs` | opening: spaces, the last seq, folders made durable |
//! | `tuning.rs` | RocksDB's options, each with its reason |
//!
//! Points that [`Env::reached`](crate::Env::reached) is told, each on the committer's thread, which stands still meanwhile:
//!
//! | point | what holds |
//! | --- | --- |
//! | `engine.commit.before_write` | the group is checked, nothing of it is written |
//! | `engine.commit.synced` | the group is written, and the log is durable up to its present end |
//! | `engine.commit.after_write` | the group is written and visible to new snapshots, nobody was answered yet |

mod committer;
mod compactor;
mod database;
mod group;
mod overlay;
mod pins;
mod purge;
mod queue;
mod request;
mod snapshot;
mod tuning;

use crate::env::SharedEnv;
use crate::{Commit, CommitError, Committed, Engine, Error, Health, KeyRange, Memory, Options, Snapshot, Space};
use committer::Shared;
use compactor::Compactor;
use database::Database;
use futures::future::{BoxFuture, ready};
use queue::Queue;
use request::Request;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// An [`Engine`] on RocksDB: spaces are column families of one database, and one thread commits.
pub struct Rocks {
    shared: Arc<Shared>,
    group_bytes_max: usize,
    /// Taken by whoever closes first.
    committer: Mutex<Option<JoinHandle<()>>>,
    compactor: Arc<Compactor>,
}

impl Rocks {
    /// Opens the engine in the folder `path`, which is made when it is missing, with these spaces.
    ///
    /// Spaces that are on disk and not in `spaces` are kept as they are. The folder belongs to this engine until every
    /// handle, snapshot and cursor of it is dropped.
    pub fn open(path: &Path, spaces: &[Space], options: &Options, env: SharedEnv) -> Result<Arc<Rocks>, Error> {
        let database = Arc::new(Database::open(path, spaces, options)?);
        let start = database.start(env.as_ref())?;
        let queue = Queue::new(options.commit_queue_max, options.group_bytes_max);
        let shared = Arc::new(Shared::new(database, env, queue, start));
        let committer = thread::Builder::new()
            .name("ebbtide-commit".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                let group_bytes_max = options.group_bytes_max;
                move || committer::run(&shared, group_bytes_max, start)
            })
            .map_err(|error| Error::Open {
                path: path.to_owned(),
                reason: format!("no thread for the committer: {error}"),
            })?;
        let compactor = Compactor::start(Arc::clone(shared.database())).map_err(|error| Error::Open {
            path: path.to_owned(),
            reason: format!("no thread for compactions: {error}"),
        })?;
        tracing::debug!(path = %path.display(), last_seq = start.last_seq, "engine opened");
        let group_bytes_max = options.group_bytes_max;
        Ok(Arc::new(Rocks {
            shared,
            group_bytes_max,
            committer: Mutex::new(Some(committer)),
            compactor: Arc::new(compactor),
        }))
    }

    /// What is on disk in the folder `path` at this moment, beside whoever may have it open: nothing is locked and nothing
    /// changed. Spaces that are not there yet cannot be read.
    pub fn look(path: &Path, spaces: &[Space], options: &Options) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(snapshot::Owned::take(Arc::new(Database::look(path, spaces, options)?))))
    }
}

impl Engine for Rocks {
    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Committed, CommitError>> {
        if let Some(broken) = self.shared.broken() {
            return Box::pin(ready(Err(broken.read_only())));
        }
        let (answer, answered) = oneshot::channel();
        let request = match Request::new(commit, self.shared.database(), answer) {
            Ok(request) => request,
            Err(refused) => return Box::pin(ready(Err(refused))),
        };
        // Queued here and not on the first poll, so that the commit happens even if the future is dropped.
        let waiting = match self.shared.queue().push(request) {
            queue::Pushed::Queued => None,
            queue::Pushed::Closed => return Box::pin(ready(Err(CommitError::Closed))),
            queue::Pushed::Full(request) => Some((Arc::clone(&self.shared), request)),
        };
        Box::pin(async move {
            if let Some((shared, request)) = waiting
                && !shared.queue().push_when_room(*request).await
            {
                return Err(CommitError::Closed);
            }
            match answered.await {
                Ok(answer) => answer,
                // The committer answers everything that it takes, unless it died.
                Err(_) => Err(CommitError::Failed {
                    reason: "the committer stopped before it answered".to_owned(),
                    disk_full: false,
                }),
            }
        })
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(snapshot::Owned::take(Arc::clone(self.shared.database())))
    }

    fn last_seq(&self) -> u64 {
        self.shared.last_seq()
    }

    fn raise_seq(&self, floor: u64) {
        self.shared.raise_seq(floor);
    }

    fn health(&self) -> Health {
        match self.shared.broken() {
            None => Health::ReadWrite,
            Some(broken) => Health::ReadOnly { reason: broken.reason.clone() },
        }
    }

    fn memory(&self) -> Memory {
        self.shared.database().memory()
    }

    fn compact(&self, space: Space, live_keys: u64) -> BoxFuture<'static, ()> {
        let over = self.compactor.request(space, live_keys);
        // An error says that nobody will do it.
        Box::pin(async { drop(over.await) })
    }

    fn purge(&self, ranges: Vec<(Space, KeyRange)>) -> BoxFuture<'static, Result<(), Error>> {
        // Not the database: a purge that waits must not keep the folder.
        let (pins, compactor) = (Arc::clone(self.shared.database().pins()), Arc::clone(&self.compactor));
        Box::pin(async move {
            pins.wait_passed().await;
            let old = compactor.rewrite(ranges).await?;
            pins.wait_passed().await;
            compactor.gone(old).await
        })
    }

    fn close(&self) {
        self.shared.queue().close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(committer) = committer
            // An answer can wake a task whose last act is to drop this engine: then this is the committer, which cannot wait for itself.
            && committer.thread().id() != thread::current().id()
            && committer.join().is_err()
        {
            tracing::error!("the committer died; what it answered is safe, what it did not answer is in doubt");
        }
        self.compactor.stop(self.shared.database());
    }
}

impl Drop for Rocks {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Rocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rocks")
            .field("path", &self.shared.database().path())
            .field("last_seq", &self.last_seq())
            .field("health", &self.health())
            .field("group_bytes_max", &self.group_bytes_max)
            .finish_non_exhaustive()
    }
}
