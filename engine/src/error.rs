//! What can go wrong.

use std::path::PathBuf;

/// What can go wrong when an engine is opened or read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine's folder could not be opened.
    #[error("cannot open the engine in {path}: {reason}", path = path.display())]
    Open {
        /// The engine's folder.
        path: PathBuf,
        /// What the store below said.
        reason: String,
    },
    /// Another process, or another engine of this process, has the folder open.
    #[error(
        "the engine in {path} is in use by another process; stop that one first, or choose another data directory",
        path = path.display()
    )]
    InUse {
        /// The engine's folder.
        path: PathBuf,
    },
    /// The same space was given twice, or with an empty or reserved name.
    #[error("the space {name:?} cannot be declared: {reason}")]
    BadSpace {
        /// The name as it was given.
        name: &'static str,
        /// Why it is refused.
        reason: &'static str,
    },
    /// The space was not among those the engine was opened with.
    #[error("the space {name:?} is not open; add it to the spaces that the engine is opened with")]
    UnknownSpace {
        /// The name as it was given.
        name: &'static str,
    },
    /// Reading failed: the disk did.
    #[error("cannot read the space {space:?}: {reason}")]
    Read {
        /// The space that was read.
        space: &'static str,
        /// What the store below said.
        reason: String,
    },
    /// Files may still hold what was removed.
    #[error("what was removed may still be in the engine's files: {reason}")]
    Unpurged {
        /// Why they may.
        reason: String,
    },
    /// Bytes are there, but cannot be what was written.
    #[error("the space {space:?} holds bytes that cannot be right: {reason}")]
    Corrupt {
        /// The space that was read.
        space: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Why a commit did not happen, or may not have. Only [`Failed`](CommitError::Failed) leaves a doubt.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// An expectation did not hold: nothing was written. Read again and decide.
    #[error("expectation {index} does not hold for {key} in {space}; nothing was written", key = key.escape_ascii())]
    Mismatch {
        /// Which of [`Commit::expect`](crate::Commit::expect), counted from 0.
        index: usize,
        /// The space of the key.
        space: &'static str,
        /// The key.
        key: Vec<u8>,
    },
    /// An earlier write failed: nothing was written, and nothing will be until the engine is opened again.
    #[error("the engine is read-only since a write failed: {reason}; mend that, then start again")]
    ReadOnly {
        /// What failed.
        reason: String,
        /// Whether it failed for want of space on the disk.
        disk_full: bool,
    },
    /// The write of this commit failed. Whether it happened is known once the engine is opened again.
    #[error("a write failed, and whether it happened is known only after a restart: {reason}")]
    Failed {
        /// What failed.
        reason: String,
        /// Whether it failed for want of space on the disk.
        disk_full: bool,
    },
    /// What the commit depends on could not be read: nothing was written.
    #[error("nothing was written: {0}")]
    Unread(#[from] Error),
    /// The commit itself makes no sense: nothing was written.
    #[error("a commit was refused: {reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// The engine is closed: nothing was written.
    #[error("the engine is closed")]
    Closed,
}
