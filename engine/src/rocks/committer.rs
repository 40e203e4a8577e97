//! The committer: one thread that takes what waits, builds one batch, writes it, publishes and answers.

use super::database::{Database, Last};
use super::group::Builder;
use super::queue::Queue;
use super::request::{Answer, Request};
use crate::CommitError;
use crate::env::SharedEnv;
use crate::metrics;
use rocksdb::WriteOptions;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

/// What callers and the committer share.
pub(super) struct Shared {
    database: Arc<Database>,
    env: SharedEnv,
    queue: Queue,
    last_seq: AtomicU64,
    floor: AtomicU64,
    broken: OnceLock<Broken>,
}

/// The write that failed. There is no way back but to open the engine again, for only recovery knows what reached the log.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) reason: String,
    pub(super) disk_full: bool,
}

impl Broken {
    fn new(reason: String) -> Broken {
        Broken { disk_full: is_disk_full(&reason), reason }
    }

    /// For commits that never got to the database.
    pub(super) fn read_only(&self) -> CommitError {
        CommitError::ReadOnly { reason: self.reason.clone(), disk_full: self.disk_full }
    }

    /// For commits of the group whose write failed.
    fn in_doubt(&self) -> CommitError {
        CommitError::Failed { reason: self.reason.clone(), disk_full: self.disk_full }
    }
}

/// RocksDB's text is all that its binding passes on. A quota that is used up is a full disk for us.
fn is_disk_full(reason: &str) -> bool {
    ["No space left on device", "NoSpace", "Disk quota exceeded"].iter().any(|text| reason.contains(text))
}

impl Shared {
    pub(super) fn new(database: Arc<Database>, env: SharedEnv, queue: Queue, start: Last) -> Shared {
        Shared {
            database,
            env,
            queue,
            last_seq: AtomicU64::new(start.last_seq),
            floor: AtomicU64::new(0),
            broken: OnceLock::new(),
        }
    }

    pub(super) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Acquire)
    }

    pub(super) fn raise_seq(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::AcqRel);
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.get()
    }

    fn fail(&self, reason: String) -> &Broken {
        self.broken.get_or_init(|| {
            tracing::error!(%reason, "a write failed: the engine is read-only until it is opened again");
            Broken::new(reason)
        })
    }
}

/// Runs until the queue is closed and empty.
pub(super) fn run(shared: &Shared, group_bytes_max: usize, start: Last) {
    let _guard = Guard(shared);
    let mut committer = match Committer::new(shared, start) {
        Ok(committer) => committer,
        Err(error) => {
            shared.fail(error.to_string());
            return;
        }
    };
    let mut taken = Vec::new();
    while shared.queue.take(&mut taken) {
        let mut rest = taken.as_mut_slice();
        while !rest.is_empty() {
            let (group, later) = rest.split_at_mut(group_len(rest, group_bytes_max));
            committer.commit(group);
            shared.queue.answered(group);
            rest = later;
        }
        taken.clear();
    }
    committer.sync_rest();
}

/// Whatever ends the committer, nobody waits for it for ever.
struct Guard<'a>(&'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail("the committer panicked: this is a bug".to_owned());
        }
        self.0.queue.close();
        // Dropping a request tells its caller that nobody will answer.
        let mut unanswered = Vec::new();
        self.0.queue.take(&mut unanswered);
    }
}

/// How many of the requests make one group: as many as fit, and one at least.
fn group_len(requests: &[Request], bytes_max: usize) -> usize {
    let mut bytes = 0usize;
    let fit = requests.iter().take_while(|request| {
        bytes = bytes.saturating_add(request.bytes());
        bytes <= bytes_max
    });
    fit.count().max(1)
}

struct Committer<'a> {
    shared: &'a Shared,
    builder: Builder<'a>,
    last: Last,
    synced: WriteOptions,
    unsynced: WriteOptions,
    /// Whether the log holds a commit that is not synced.
    behind: bool,
    answers: Vec<Answer>,
}

impl<'a> Committer<'a> {
    fn new(shared: &'a Shared, start: Last) -> Result<Committer<'a>, crate::Error> {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(Committer {
            shared,
            builder: Builder::new(&shared.database, &shared.floor)?,
            last: start,
            synced,
            unsynced: WriteOptions::default(),
            behind: false,
            answers: Vec::new(),
        })
    }

    /// Commits one group and answers all of it.
    fn commit(&mut self, requests: &mut [Request]) {
        if let Some(broken) = self.shared.broken() {
            for request in requests {
                request.answer(Err(broken.read_only()));
            }
            return;
        }
        let env = &self.shared.env;
        let group = self.builder.build(requests, env.now(), self.last, &mut self.answers);
        let last = group.last;
        env.reached("engine.commit.before_write");
        let written = self.write(group.batch, group.sync);
        match written {
            Ok(()) => {
                self.last = last;
                // After the write: whoever sees this seq finds its row in a new snapshot.
                self.shared.last_seq.store(last.last_seq, Ordering::Release);
                env.reached("engine.commit.after_write");
                for (request, answer) in requests.iter_mut().zip(self.answers.drain(..)) {
                    request.answer(answer);
                }
            }
            Err(error) => {
                let broken = self.shared.fail(error.into_string());
                for (request, answer) in requests.iter_mut().zip(self.answers.drain(..)) {
                    // A commit that was refused before the write was not part of it.
                    request.answer(answer.and_then(|_| Err(broken.in_doubt())));
                }
            }
        }
    }

    fn write(&mut self, batch: rocksdb::WriteBatch, sync: bool) -> Result<(), rocksdb::Error> {
        let db = self.shared.database.db();
        let begun = Instant::now();
        if !batch.is_empty() {
            db.write_opt(batch, if sync { &self.synced } else { &self.unsynced })?;
            self.behind = !sync;
        } else if sync && self.behind {
            // A synced commit without writes is a barrier.
            db.flush_wal(true)?;
            self.behind = false;
        }
        if sync {
            metrics::synced(begun.elapsed());
            self.shared.env.reached("engine.commit.synced");
        }
        Ok(())
    }

    /// Nothing that was answered may depend on how the process ends.
    fn sync_rest(&mut self) {
        if self.behind
            && self.shared.broken().is_none()
            && let Err(error) = self.shared.database.db().flush_wal(true)
        {
            self.shared.fail(error.into_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = "IO error: No space left on device: While appending to file: db/000012.log: No space left on device";
        assert!(Broken::new(full.to_owned()).disk_full);
        assert!(!Broken::new("IO error: While fdatasync: db/000012.log: Input/output error".to_owned()).disk_full);
    }
}
