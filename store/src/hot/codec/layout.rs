//! Where in a row each column of one schema version lies.

use crate::ColumnType;
use crate::catalog::Layout;

/// Where a column's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// So many bytes into the fixed-width part.
    Fixed(usize),
    /// The value of this number among those of variable width.
    Variable(usize),
}

/// The places of one schema version.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) schema_version: u32,
    /// In column order: the column's id and its place.
    pub(super) columns: Vec<(u32, Place)>,
    pub(super) null_bytes: usize,
    pub(super) fixed_bytes: usize,
    pub(super) variable: usize,
}

impl Places {
    pub(super) fn of(layout: &Layout) -> Self {
        let (mut fixed_bytes, mut variable) = (0, 0);
        let columns = layout.columns.iter().map(|(id, column_type)| {
            let place = match width(*column_type) {
                Some(bytes) => {
                    fixed_bytes += bytes;
                    Place::Fixed(fixed_bytes - bytes)
                }
                None => {
                    variable += 1;
                    Place::Variable(variable - 1)
                }
            };
            (*id, place)
        });
        Self {
            columns: columns.collect(),
            schema_version: layout.schema_version,
            null_bytes: layout.columns.len().div_ceil(8),
            fixed_bytes,
            variable,
        }
    }

    /// Bytes from the start of the nulls to the start of the values.
    pub(super) fn head_bytes(&self) -> usize {
        self.null_bytes + self.fixed_bytes + self.variable * 4
    }
}

/// Bytes of a fixed-width type.
fn width(column_type: ColumnType) -> Option<usize> {
    match column_type {
        ColumnType::Boolean => Some(1),
        ColumnType::SmallInt => Some(2),
        ColumnType::Int | ColumnType::Real | ColumnType::Date => Some(4),
        ColumnType::BigInt
        | ColumnType::Double
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::TimestampTz => Some(8),
        ColumnType::Decimal { .. } => Some(16),
        ColumnType::Text | ColumnType::Bytea | ColumnType::Json => None,
    }
}
