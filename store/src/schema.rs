//! Column types, and the Arrow schema that every scan and every segment of a table has.

use crate::Name;
use crate::catalog::Kind;
use crate::catalog::Table;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The type of a column, as its table declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Int,
    /// 64 bits.
    BigInt,
    /// 32 bits of floating point.
    Real,
    /// 64 bits of floating point.
    Double,
    /// `precision` decimal digits, `scale` of them after the point.
    Decimal {
        /// 1 to 38.
        precision: u8,
        /// 0 to `precision`.
        scale: i8,
    },
    /// UTF-8.
    Text,
    /// Bytes.
    Bytea,
    /// Days since the Unix epoch.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since the Unix epoch, of no time zone.
    Timestamp,
    /// Microseconds since the Unix epoch, UTC.
    TimestampTz,
    /// Text that is valid JSON.
    Json,
}

/// Decimal digits, at most.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// The time zone that Arrow columns of [`ColumnType::TimestampTz`] carry.
pub const UTC: &str = "+00:00";

impl ColumnType {
    /// The Arrow type of such a column.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Text | Self::Json => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        }
    }
}

/// As SQL spells it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Text => f.write_str("TEXT"),
            Self::Bytea => f.write_str("BYTEA"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampTz => f.write_str("TIMESTAMPTZ"),
            Self::Json => f.write_str("JSON"),
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The same for as long as the table lives, whatever the column is called; never given to another.
    pub id: u32,
    /// Its name.
    pub name: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it takes NULL.
    pub nullable: bool,
}

/// A column that every table has, after its own, and that `SELECT *` leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// `_user_id`: the owner; only USER tables have it.
    UserId,
    /// `_seq`: the row version's place in commit order.
    Seq,
    /// `_committed_at`: when it was committed; never decreases with `_seq`.
    CommittedAt,
}

impl Hidden {
    /// The hidden columns of a kind of table, in their order.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::User => &[Self::UserId, Self::Seq, Self::CommittedAt],
            Kind::Shared => &[Self::Seq, Self::CommittedAt],
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserId => "_user_id",
            Self::Seq => "_seq",
            Self::CommittedAt => "_committed_at",
        }
    }

    /// Its field id in Parquet files, out of the way of every column's own.
    pub fn id(self) -> u32 {
        match self {
            Self::UserId => 2_147_483_001,
            Self::Seq => 2_147_483_002,
            Self::CommittedAt => 2_147_483_003,
        }
    }

    /// Its Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::UserId => DataType::Utf8,
            Self::Seq => DataType::Int64,
            Self::CommittedAt => ColumnType::TimestampTz.arrow(),
        }
    }
}

/// Names no column may have: today's hidden ones, and the one that updates will bring.
pub(crate) const RESERVED_COLUMNS: &[&str] = &["_user_id", "_seq", "_committed_at", "_deleted"];

/// The key under which Arrow fields carry their Parquet field id.
pub const FIELD_ID: &str = "PARQUET:field_id";

/// The schema of a table's scans and segments: its own columns, then the hidden ones, each with its field id.
/// Made once per [`Table`] value and shared.
pub fn arrow_schema(table: &Table) -> SchemaRef {
    table
        .arrow
        .get_or_init(|| {
            let own = table
                .columns
                .iter()
                .map(|column| field(column.name.as_str(), column.column_type.arrow(), column.nullable, column.id));
            let hidden =
                Hidden::of(table.kind).iter().map(|hidden| field(hidden.name(), hidden.arrow(), false, hidden.id()));
            Arc::new(Schema::new(own.chain(hidden).collect::<Vec<_>>()))
        })
        .clone()
}

fn field(name: &str, data_type: DataType, nullable: bool, id: u32) -> Field {
    Field::new(name, data_type, nullable).with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())]))
}
