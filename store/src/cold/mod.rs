//! Immutable objects under a storage's root, and the Parquet segments they hold.
//!
//! | part | file | what it does |
//! | --- | --- | --- |
//! | the seam | `objects.rs` | [`Objects`]: write an object durably under a name never used before, list, delete; [`Upload`]: the same as a stream |
//! | local files | `local.rs` | temp file, fsync, link, fsync of the folders; those that wait together share what they can |
//! | object stores | `remote.rs` | one PUT for a small object, multipart for a large one |
//! | S3, GCS, Azure | `cloud/` | what a statement says of a storage, as a client of it |
//! | refusals | `refusal.rs` | what a store says when it refuses, and what to do about it |
//! | one owner | `owner.rs`, `owner/remote.rs` | a root belongs to one storage of one database, and to no folder above or below |
//! | segments | `segment.rs` | rows to Parquet, row group by row group, with what the manifest wants to know of them |
//! | copies | `copy.rs` | an object byte for byte to another storage, compared on the way |
//! | proof | `conformance.rs`, `power_cut.rs`, `faults.rs` | what every storage must do; what is left of local files when the power goes; an object store that fails as a test says |
//!
//! `cold` knows paths and bytes. Which segments count is the manifest's to say.

pub mod cloud; // S3, GCS and Azure
pub mod conformance; // one suite for the seam, run against each storage
pub mod faults; // requests that fail as a test says
pub mod local; // durable files
pub mod power_cut; // what an fsync has not reached is gone
pub mod remote; // any object store
pub mod segment; // Parquet

mod copy;
mod error;
mod objects;
pub(crate) mod owner;
mod refusal;

pub use copy::{CopyError, copy};
pub use error::Error;
pub use objects::{Listed, Objects, Stored, Upload, checksum, finish_holding, head, read};
pub use owner::Owner;

/// The folder under a root that belongs to the storage itself. No object is written, listed or deleted in it.
pub const OWN_FOLDER: &str = ".ebbtide";
