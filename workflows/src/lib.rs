//! What is done: durable pieces of work over the tables, one folder each.
//!
//! A workflow's steps only describe what will be written; the runner in `runtime` commits it with the
//! checkpoint. Nothing here commits on its own, and nothing here knows SQL.

pub mod flush; // hot rows into one Parquet file per user

use ebbtide_engine::Space;

/// The keyspaces this crate keeps, to be handed to the engine when it is opened.
pub const SPACES: &[Space] = &[flush::records::FLUSH_STATE, flush::records::FLUSH_FAILURES];
