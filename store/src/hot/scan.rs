//! One user's rows in seq order, in batches.

use super::codec::Decoder;
use crate::{Error, HOT, Seq, Table, UserId, keys};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use ebbtide_engine::{Cursor, Order, Snapshot};
use std::sync::Arc;

/// What a scan has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanTotals {
    /// How many rows.
    pub rows: u64,
    /// Their bytes as encoded: what the counters count.
    pub bytes: u64,
    /// The seq of the last one; of a scan that has read none, where it starts.
    pub last_seq: Seq,
}

/// Bytes of a batch, at most, whatever was asked for: Arrow's text columns have 31-bit offsets.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// A scan of one user's rows. Reading blocks, so it belongs on a thread that may.
pub struct HotScan {
    cursor: Box<dyn Cursor>,
    until: Until,
    decoder: Decoder,
    totals: ScanTotals,
    last: ScanTotals,
}

impl std::fmt::Debug for HotScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HotScan").field("totals", &self.totals).finish_non_exhaustive()
    }
}

/// Scans a user's rows with `after < seq <= through`, in seq order: these columns of
/// [`arrow_schema`](crate::arrow_schema), or all.
///
/// The scan seeks to `after`, so rows that a flush removed, and the marks they leave in the engine, cost nothing.
///
/// # Errors
/// The engine's; [`Error::Arrow`] for a column that is not there.
pub fn scan(
    snapshot: Arc<dyn Snapshot>,
    table: Arc<Table>,
    user: &UserId,
    after: Seq,
    through: Seq,
    projection: Option<&[usize]>,
) -> Result<HotScan, Error> {
    let cursor = snapshot.scan(HOT, keys::seqs(table.id, user, after, through), Order::Ascending)?;
    let table_id = table.id;
    let mut decoder = Decoder::new(table, projection)?;
    decoder.user(user);
    let start = ScanTotals { last_seq: after, ..ScanTotals::default() };
    let until = Until { prefix: keys::user(table_id, user), last_seq: through };
    Ok(HotScan { cursor, until, decoder, totals: start, last: start })
}

impl HotScan {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.decoder.schema()
    }

    /// The next rows: at most `rows_max`, and no more once they have reached `bytes_max` bytes. None at the end.
    ///
    /// # Errors
    /// The engine's; [`Error::Corrupt`]; [`Error::SchemaChanged`].
    pub fn next_batch(&mut self, rows_max: usize, bytes_max: usize) -> Result<Option<RecordBatch>, Error> {
        let start = ScanTotals { last_seq: self.totals.last_seq, ..ScanTotals::default() };
        // Where there was one batch, there is likely another of that size.
        self.decoder.reserve(rows_max.min(usize::try_from(self.last.rows).unwrap_or(0)));
        self.last = start;
        fill(&mut *self.cursor, &self.until, &mut self.decoder, &mut self.last, rows_max, bytes_max)?;
        self.totals.rows += self.last.rows;
        self.totals.bytes += self.last.bytes;
        self.totals.last_seq = self.last.last_seq;
        if self.last.rows == 0 {
            return Ok(None);
        }
        Ok(Some(self.decoder.finish()?))
    }

    /// What the last batch held.
    pub fn last(&self) -> ScanTotals {
        self.last
    }

    /// What all batches so far held.
    pub fn totals(&self) -> ScanTotals {
        self.totals
    }
}

/// Where one user's rows end.
#[derive(Debug, Default)]
pub(super) struct Until {
    /// What his keys begin with.
    pub(super) prefix: Vec<u8>,
    /// The last seq that is wanted. With the row that has it the scan is at its end: behind it may be what a flush removed,
    /// and that costs the engine a search.
    pub(super) last_seq: Seq,
}

/// Moves one user's rows from the cursor into the decoder until one of the bounds is reached. Says whether there may be more.
pub(super) fn fill(
    cursor: &mut dyn Cursor,
    until: &Until,
    decoder: &mut Decoder,
    totals: &mut ScanTotals,
    rows_max: usize,
    bytes_max: usize,
) -> Result<bool, Error> {
    let (rows_max, bytes_max) = (rows_max.max(1) as u64, bytes_max.min(BATCH_BYTES_MAX) as u64);
    while totals.rows < rows_max && (totals.bytes < bytes_max || totals.rows == 0) {
        let Some((key, value)) = cursor.next()? else {
            return Ok(false);
        };
        if !key.starts_with(&until.prefix) {
            return Ok(false);
        }
        let seq = keys::seq_of(key)?;
        debug_assert!(seq > totals.last_seq || totals.rows == 0, "rows of one user come in seq order");
        decoder.push(seq, value)?;
        totals.rows += 1;
        // Behind the commit time; the decoder has seen that it is there.
        totals.bytes += value.len() as u64 - 8;
        totals.last_seq = seq;
        if seq >= until.last_seq {
            return Ok(false);
        }
    }
    Ok(true)
}
