//! A commit on its way to the committer, checked and measured on the caller's thread so that the committer has less to do.

use super::database::{Database, Place};
use crate::{Commit, CommitError, Committed, Expected, Space, Write};
use tokio::sync::oneshot;

/// RocksDB takes more, but a key beyond this is a mistake.
const KEY_BYTES_MAX: usize = 1 << 20;

/// RocksDB's batches silently drop what does not fit 32 bits; this is well below.
const VALUE_BYTES_MAX: usize = 1 << 30;

/// What a key and its value cost in a batch beside their own bytes: tag, column family and two lengths, and a row's seq and time.
const ENTRY_BYTES: usize = 32;

pub(super) type Answer = Result<Committed, CommitError>;

pub(super) struct Request {
    commit: Commit,
    /// Where each expectation and then each write goes.
    places: Box<[Place]>,
    bytes: usize,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Request {
    pub(super) fn new(
        commit: Commit,
        database: &Database,
        answer: oneshot::Sender<Answer>,
    ) -> Result<Request, CommitError> {
        let mut places = Vec::with_capacity(commit.expect.len() + commit.writes.len());
        let mut bytes = 0usize;
        for expect in &commit.expect {
            places.push(place(database, expect.space)?);
            bytes += expect.key.len();
            if let Expected::Equals(value) = &expect.value {
                bytes += value.len();
            }
        }
        for write in &commit.writes {
            let space = write.space();
            places.push(place(database, space)?);
            let (keys, key_bytes, value_bytes, value_bytes_max) = size(write);
            if key_bytes > KEY_BYTES_MAX {
                return Err(refused(format!(
                    "a key of {key_bytes} bytes in {:?}; at most {KEY_BYTES_MAX} are allowed",
                    space.name
                )));
            }
            if value_bytes_max > VALUE_BYTES_MAX {
                return Err(refused(format!(
                    "a value of {value_bytes_max} bytes in {:?}; at most {VALUE_BYTES_MAX} are allowed",
                    space.name
                )));
            }
            bytes = bytes.saturating_add(keys.saturating_mul(key_bytes + ENTRY_BYTES)).saturating_add(value_bytes);
        }
        if bytes > VALUE_BYTES_MAX {
            return Err(refused(format!(
                "a commit of {bytes} bytes; at most {VALUE_BYTES_MAX} are allowed, so cut it into several"
            )));
        }
        Ok(Request { commit, places: places.into_boxed_slice(), bytes, answer: Some(answer) })
    }

    pub(super) fn commit(&self) -> &Commit {
        &self.commit
    }

    /// Where each expectation and each write goes.
    pub(super) fn places(&self) -> (&[Place], &[Place]) {
        self.places.split_at(self.commit.expect.len())
    }

    /// About what the commit adds to a batch.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells the caller, who may be gone: the commit stands all the same.
    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(caller) = self.answer.take() {
            let _ = caller.send(answer);
        }
    }
}

fn place(database: &Database, space: Space) -> Result<Place, CommitError> {
    database.place(space).map_err(CommitError::Unread)
}

/// How many keys a write has, the bytes of the longest, the bytes of all values and of the longest one.
fn size(write: &Write) -> (usize, usize, usize, usize) {
    match write {
        Write::Put { key, value, .. } | Write::PutIfAbsent { key, value, .. } | Write::DeleteIf { key, value, .. } => {
            (1, key.len(), value.len(), value.len())
        }
        Write::Delete { key, .. } => (1, key.len(), 0, 0),
        Write::DeleteRange { range, .. } => (1, range.from.len().max(range.to.len()), range.to.len(), 0),
        Write::Add { key, .. } | Write::StampSeq { key, .. } => (1, key.len(), 8, 8),
        // No row is longer than all together; a limit on a commit's bytes is one on each row's.
        Write::Append { prefix, values, .. } => (values.len(), prefix.len() + 8, values.bytes(), 0),
    }
}

fn refused(reason: String) -> CommitError {
    CommitError::Invalid { reason }
}
