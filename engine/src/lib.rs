//! Where bytes are: an ordered, durable key-value store with atomic conditional commits.
//!
//! Everything that Ebbtide must not forget (rows, watermarks, the manifest, the catalog, jobs) lives in one
//! [`Engine`], so that one [`Commit`] is atomic over all of it. That is the whole trick. The engine knows bytes alone:
//! no table, no job, no SQL.
//!
//! | part | file | in one line |
//! | --- | --- | --- |
//! | the seam | `engine.rs` | [`Engine`], [`Snapshot`], [`Cursor`]: what any engine must do |
//! | a commit | `commit.rs` | [`Commit`] = expectations + writes + how durable; [`Committed`] |
//! | rows of a commit | `packed.rs` | [`Packed`]: many byte strings in one buffer |
//! | where keys live | `space.rs`, `range.rs`, `keys.rs` | [`Space`], [`KeyRange`], [`keys::Key`] |
//! | what goes wrong | `error.rs` | [`Error`] of reads, [`CommitError`] |
//! | the outside | `env.rs` | [`Env`]: clock, ids, chance, crash points, planted defects |
//! | RocksDB | `rocks/` | [`rocks::Rocks`]: the only place that knows RocksDB |
//! | the proof | `conformance/` | one suite that every engine passes |
//!
//! What an engine promises, and what the conformance suite checks:
//!
//! - A commit happens whole or not at all. When one expectation does not hold, nothing of it is written.
//! - Seqs are given out in commit order and never twice, over restarts too. The commit time never falls.
//! - A commit that is [`Sync::Synced`] is durable when it is answered, and so is every commit before it.
//! - A snapshot is one instant of all spaces; cursors outlive the handle they came from.
//! - After a write that failed the engine is read-only until it is opened again.
//!
//! What it never does: run a second writer, give out a seq outside a commit, write without the log, or filter in compactions.
//!
//! ```
//! use ebbtide_engine::{Cache, Commit, Engine, Expect, Options, Space, SystemEnv, Write, rocks::Rocks};
//! use std::sync::Arc;
//!
//! const NOTES: Space = Space { name: "notes", cache: Cache::Shared };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Rocks::open(dir.path(), &[NOTES], &Options::default(), Arc::new(SystemEnv))?;
//! let commit = Commit {
//!     expect: vec![Expect::absent(NOTES, "ana")],
//!     writes: vec![Write::put(NOTES, "ana", "hello")],
//!     ..Commit::default()
//! };
//! futures::executor::block_on(engine.commit(commit))?;
//! assert_eq!(engine.snapshot().get(NOTES, b"ana")?, Some(b"hello".to_vec()));
//! # Ok(())
//! # }
//! ```

mod commit;
mod engine;
mod error;
mod options;
mod packed;
mod range;
mod space;

pub mod env; // clock, ids and chance, held in one place
pub mod metrics; // what is measured, by name

pub mod keys; // how numbers and text become ordered bytes

pub mod rocks; // the engine on RocksDB

pub mod conformance; // one suite for every engine

pub use commit::{Commit, Committed, Expect, Expected, Sync, Write, appended, counter, stamped};
pub use engine::{Cursor, Engine, Health, Memory, SharedEngine, Snapshot};
pub use env::{Defect, Env, SharedEnv, SystemEnv};
pub use error::{CommitError, Error};
pub use options::Options;
pub use packed::{Iter, Packed};
pub use range::{KeyRange, Order};
pub use space::{Cache, Space};

/// A future on the heap, as [`Engine::commit`] returns it.
pub use futures::future::BoxFuture;
