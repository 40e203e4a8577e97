//! What the bytes are: hot rows, cold segments, the manifest and the catalog.
//!
//! A row is written to `hot` and stays there until a segment holds it; `manifest` says which segments there are
//! and, by the watermark of each user, where hot begins. All of it lives in one engine, so one commit moves a row
//! from one tier to the other. The store knows no job and no SQL.

pub mod attach; // segments of a database that is lost
pub mod catalog; // namespaces, tables and storages
pub mod cold; // immutable Parquet segments, durable where they lie
pub mod deletions; // objects that nothing names any more, and when they go
pub mod erase; // a user's rows up to a cut, gone for good
pub mod error; // what can go wrong
pub mod hot; // rows, newest first to arrive
pub mod ids; // names and numbers, each a type whose existence is its validity
mod keys; // how keys are laid out
pub mod manifest; // which segments exist, and up to where they reach
pub mod path; // where a segment goes, as text
pub mod published; // copies of the manifest, beside the segments
pub mod quarantine; // objects that nothing ever named, held back before they go
pub mod readers; // who reads, so that nothing is removed under them
pub mod reclaim; // what a dropped table leaves behind
pub mod schema; // column types, and the Arrow schema of a table
pub mod secrets; // credentials, in memory and at rest
pub mod storages; // places for segments: made, changed, dropped, opened
pub mod store; // all of it, opened
#[cfg(test)]
mod testing; // what the tests share
pub mod users; // who owns rows, and where his own go
mod worker; // what goes on in the background

pub use catalog::{
    Catalog, Dropped, FlushPolicy, Kind, Namespace, NewColumn, NewStorage, NewTable, Storage, StorageChange,
    StorageType, Table, TableChange, View,
};
pub use error::{Error, ErrorKind};
pub use ids::{Name, Seq, StorageId, TableId, UserId};
pub use manifest::{ColumnStats, Scalar, Segment, Watermark};
pub use readers::{Moment, Readers, Reading};
pub use schema::{Column, ColumnType, Hidden, arrow_schema};
pub use storages::{Claim, Probe, ProbeStep};
pub use store::{Store, StoreOptions};
pub use users::{NewUser, StorageMode, User, UserChange};
pub use worker::Worker;

use ebbtide_engine::{Cache, Space};

/// Namespaces, tables and storages.
pub const CATALOG: Space = Space { name: "catalog", cache: Cache::Shared };
/// Rows that no segment holds yet.
pub const HOT: Space = Space { name: "hot", cache: Cache::SharedUnscanned };
/// Users with hot rows, each with his last seq.
pub const HOT_USERS: Space = Space { name: "hot_users", cache: Cache::Shared };
/// Per table: rows and bytes above the watermarks.
pub const HOT_COUNTERS: Space = Space { name: "hot_counters", cache: Cache::Shared };
/// Per user: every row up to here is in a segment.
pub const WATERMARKS: Space = Space { name: "watermarks", cache: Cache::Shared };
/// The manifest.
pub const SEGMENTS: Space = Space { name: "segments", cache: Cache::Shared };

/// Which segment an object is.
pub const SEGMENT_PATHS: Space = Space { name: "segment_paths", cache: Cache::Shared };
/// Objects that are to go, by when they may.
pub const DELETIONS: Space = Space { name: "deletions", cache: Cache::Shared };
/// Objects that no segment names.
pub const QUARANTINE: Space = Space { name: "quarantine", cache: Cache::Shared };

/// Per storage: how many segments the manifest names there.
pub const SEGMENT_COUNTS: Space = Space { name: "segment_counts", cache: Cache::Shared };
/// Multipart uploads that somebody has begun and nobody ended.
pub const MULTIPARTS: Space = Space { name: "multiparts", cache: Cache::Shared };
/// Users whose published manifests may not be what the manifest says.
pub const PUBLISH_DUE: Space = Space { name: "publish_due", cache: Cache::Shared };
/// What is published beside the segments of a user, by folder.
pub const PUBLISHED: Space = Space { name: "published", cache: Cache::Shared };
/// Which published manifests are the last of their folders, by their objects.
pub const PUBLISHED_PATHS: Space = Space { name: "published_paths", cache: Cache::Shared };
/// Users, by id.
pub const USERS: Space = Space { name: "users", cache: Cache::Shared };
/// Users who have chosen a storage, by that.
pub const USER_STORAGES: Space = Space { name: "user_storages", cache: Cache::Shared };

/// The keyspaces of the store, to be handed to the engine when it is opened.
pub const SPACES: &[Space] = &[
    CATALOG,
    HOT,
    HOT_USERS,
    HOT_COUNTERS,
    WATERMARKS,
    SEGMENTS,
    SEGMENT_PATHS,
    SEGMENT_COUNTS,
    DELETIONS,
    QUARANTINE,
    MULTIPARTS,
    PUBLISH_DUE,
    PUBLISHED,
    PUBLISHED_PATHS,
    USERS,
    USER_STORAGES,
];
