//! What is done: durable pieces of work over the tables, one folder each.
//!
//! A workflow's steps only describe what will be written; the runner in `runtime` commits it with the
//! checkpoint. Nothing here commits on its own, and nothing here knows SQL.

pub mod attach; // what lies in a storage of a lost database
pub mod flush; // hot rows into one Parquet file per user
pub mod job_cleanup; // jobs that ended long ago, slots and findings
pub mod orphan_sweep; // objects that nothing names
pub mod segment_move; // segments go to another storage
pub mod segment_retention; // cold rows that are older than they are to be kept
pub mod user_erase; // a user's rows go, wherever they are
pub mod user_export; // a user's rows, as files of their own
pub mod verify; // segments read again and compared with the manifest

pub mod declared; // what the settings declare, as the scheduler takes it
pub mod kinds; // what the kinds share
mod naming; // names for objects beside the flushes
pub mod schema; // the settings file's schema, for editors

#[cfg(test)]
mod stored_forms; // bodies that must always load
#[cfg(test)]
mod testing; // what the tests share

use ebbtide_engine::Space;

/// The keyspaces this crate keeps, to be handed to the engine when it is opened.
pub const SPACES: &[Space] = &[
    flush::records::FLUSH_STATE,
    flush::records::FLUSH_FAILURES,
    verify::findings::VERIFY_FINDINGS,
    user_erase::records::ERASED_OBJECTS,
    user_export::records::EXPORTED_FILES,
];
