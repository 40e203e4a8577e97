//! What a published manifest says, and what it is called.

use crate::{Segment, Seq, StorageId, Table, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form that this version writes. One that reads an older form says so here.
const FORM: u32 = 1;

/// A user's folder, described. The texts are for programs of any age: fields are only ever added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Which form this is.
    pub ebbtide_manifest: u32,
    /// Greater than that of every other manifest ever published in this folder.
    pub generation: u64,
    /// When it was made, microseconds since the Unix epoch.
    pub written_at: i64,
    /// The database whose it is.
    pub database_id: String,
    /// The table whose rows these are, as it was then.
    pub table: Table,
    /// Whose rows these are; empty for a SHARED table.
    pub user: UserId,
    /// The storage that the folder is in, by the name that the database had for it.
    pub storage: StorageId,
    /// The folder, relative to the storage's root.
    pub folder: String,
    /// Every row of this user and table with a seq up to here is in a segment, of this folder or another one, or is no
    /// more. A segment that begins above it was written later than this.
    pub watermark: Seq,
    /// How often rows of this user were erased.
    pub erase_generation: u64,
    /// The segments in this folder, in seq order.
    pub segments: Vec<Segment>,
}

impl Manifest {
    pub(super) fn form() -> u32 {
        FORM
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Form {
            ebbtide_manifest: u32,
        }
        let Form { ebbtide_manifest: form } =
            serde_json::from_slice(text).map_err(|error| format!("it is no manifest: {error}"))?;
        if form > FORM {
            return Err(format!("it has form {form}, and this version reads forms up to {FORM}"));
        }
        serde_json::from_slice(text).map_err(|error| format!("it cannot be read: {error}"))
    }

    /// What it says, without when and under which number it was said: equal texts say the same.
    pub(super) fn content(&self) -> Vec<u8> {
        let same = Self { generation: 0, written_at: 0, ..self.clone() };
        serde_json::to_vec(&same).expect("a plain struct of text and numbers has a JSON form")
    }

    pub(super) fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a plain struct of text and numbers has a JSON form")
    }
}

/// The name of a published manifest: `_ebbtide-0000000003.json`. Readers of a folder's files, as Spark, DuckDB's globs and
/// pyarrow, pass over what begins with `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its number.
    pub generation: u64,
}

const BEGIN: &str = "_ebbtide-";
const END: &str = ".json";

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGIN}{:010}{END}", self.generation)
    }
}

impl ObjectName {
    /// Reads a name back, or tells that it is none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
        let read = Self { generation: digits.parse().ok()? };
        (read.to_string() == name).then_some(read)
    }
}
