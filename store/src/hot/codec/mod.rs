//! One row as bytes, and back into Arrow.
//!
//! ```text
//! format            u8, 1
//! schema version    u32, LEB128
//! nulls             one bit per column, set for null, rounded up to bytes
//! fixed-width part  the values of fixed-width columns, little endian, in column order; zeros for null
//! ends              for each other column the end of its value, u32 LE, counted from the start of the values
//! values            the values of those columns
//! ```
//! The columns are those of the row's schema version, in order; the table knows which those were, so a row names
//! none. A reader finds each column it wants at a fixed place, skips the others, and reads columns that were added
//! later as null. Nothing here may ever change: another layout gets another format byte.
//!
//! Why not arrow-row or arrow-avro: `docs/adr/0003-row-encoding.md`.

mod column;
mod decode;
mod encode;
mod layout;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::{Encoder, Rows};

/// The layout above.
const FORMAT: u8 = 1;

use crate::{Error, Table};
use arrow::array::RecordBatch;
use ebbtide_engine::Packed;

/// Encodes a batch of `table`'s own columns, all rows for one user; see [`Encoder`].
///
/// # Errors
/// As [`Encoder::bind`] and [`Rows::push`].
pub fn encode(table: &Table, batch: &RecordBatch, row_bytes_max: usize) -> Result<Packed, Error> {
    let encoder = Encoder::new(table, row_bytes_max);
    let rows = encoder.bind(batch)?;
    let mut packed = Packed::with_capacity(rows.len(), rows.bytes_estimate());
    for row in 0..rows.len() {
        rows.push(row, &mut packed)?;
    }
    Ok(packed)
}
