//! One immutable file of the cold tier, as the manifest knows it.

use crate::{Seq, StorageId, TableId, UserId};
use serde::{Deserialize, Serialize};

/// A segment: where it is, what is in it, and how to tell that it is whole.
///
/// Stored as JSON. An entry is written once per file, not once per row, and read when a query is planned; that it
/// can be read by eye, and that fields can be added without a new format, is worth more here than bytes. Fields
/// that come later are to have a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The table whose rows it holds.
    pub table_id: TableId,
    /// The one user whose rows it holds.
    pub user: UserId,
    /// The seq of its first row.
    pub from_seq: Seq,
    /// The seq of its last row.
    pub to_seq: Seq,
    /// How many rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The storage it was written to, whatever the table's is now.
    pub storage: StorageId,
    /// Its full path, relative to the storage's root, whatever the templates are now.
    pub path: String,
    /// CRC-32C of all its bytes.
    pub crc32c: u32,
    /// The schema version whose columns it has.
    pub schema_version: u32,
    /// What is known of each column's values.
    pub columns: Vec<ColumnStats>,
    /// The job that wrote it.
    pub job_id: String,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
}

/// What is known of a column's values in one segment. Bounds may be wider than the values, never narrower, and
/// leave nulls out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// The column's stable id.
    pub id: u32,
    /// Its name when the segment was written.
    pub name: String,
    /// No value is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// No value is greater.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// How many are null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<u64>,
}

/// A bound, in the form its column's type has in Arrow: whole numbers also for dates and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// BOOLEAN.
    #[serde(rename = "b")]
    Bool(bool),
    /// SMALLINT, INT, BIGINT; DATE in days; TIME and TIMESTAMP in microseconds.
    #[serde(rename = "i")]
    Int(i64),
    /// REAL and DOUBLE. Never NaN or infinite: such bounds are left out.
    #[serde(rename = "f", with = "shortest")]
    Float(f64),
    /// DECIMAL: the digits without the point.
    #[serde(rename = "d", with = "digits")]
    Decimal(i128),
    /// TEXT and JSON.
    #[serde(rename = "t")]
    Text(String),
}

/// As text, the shortest that reads back as the same number: a JSON reader may be off by a bit, and then a bound would
/// be narrower than the values.
mod shortest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// JSON numbers of 128 bits are not for every reader; text is.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
