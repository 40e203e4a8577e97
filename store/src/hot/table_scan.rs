//! Many users' hot rows, for a query: each user's above his watermark, small users together in one batch.

use super::codec::Decoder;
use super::scan::{ScanTotals, fill};
use super::users;
use crate::manifest::watermark;
use crate::{Error, HOT, Seq, Table, UserId, keys};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use ebbtide_engine::{Cursor, Order, Snapshot};
use std::collections::VecDeque;
use std::sync::Arc;

/// A scan over users. Reading blocks, so it belongs on a thread that may.
pub struct TableScan {
    snapshot: Arc<dyn Snapshot>,
    table: Arc<Table>,
    decoder: Decoder,
    /// Users yet to be read, each with his last seq.
    users: VecDeque<(UserId, Seq)>,
    /// The last user taken from the index, when more may follow there.
    index: Index,
    cursor: Option<Box<dyn Cursor>>,
    totals: ScanTotals,
    batch_rows: usize,
}

#[derive(Debug)]
enum Index {
    After(Option<UserId>),
    Read,
}

impl std::fmt::Debug for TableScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableScan").field("totals", &self.totals).finish_non_exhaustive()
    }
}

/// Users taken from the index at a time.
const USERS_PER_PAGE: usize = 512;

/// Scans the hot rows of all users of a table, above their watermarks as the snapshot has them: user by user, each
/// in seq order. A batch may hold rows of several users; `_user_id` tells them apart.
///
/// # Errors
/// [`Error::Arrow`] for a column that is not there.
pub fn scan_table(
    snapshot: Arc<dyn Snapshot>,
    table: Arc<Table>,
    projection: Option<&[usize]>,
) -> Result<TableScan, Error> {
    TableScan::new(snapshot, table, projection, VecDeque::new(), Index::After(None))
}

/// [`scan_table`] for these users only, in this order: for a query that names them, or for one part of a parallel
/// scan. Users without hot rows cost one read.
///
/// # Errors
/// [`Error::Arrow`] for a column that is not there.
pub fn scan_users(
    snapshot: Arc<dyn Snapshot>,
    table: Arc<Table>,
    users: impl IntoIterator<Item = UserId>,
    projection: Option<&[usize]>,
) -> Result<TableScan, Error> {
    let users = users.into_iter().map(|user| (user, Seq::MAX)).collect();
    TableScan::new(snapshot, table, projection, users, Index::Read)
}

impl TableScan {
    fn new(
        snapshot: Arc<dyn Snapshot>,
        table: Arc<Table>,
        projection: Option<&[usize]>,
        users: VecDeque<(UserId, Seq)>,
        index: Index,
    ) -> Result<Self, Error> {
        let decoder = Decoder::new(table.clone(), projection)?;
        let (cursor, totals) = (None, ScanTotals::default());
        Ok(Self { snapshot, table, decoder, users, index, cursor, totals, batch_rows: 0 })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.decoder.schema()
    }

    /// The next rows: at most `rows_max`, and no more once they have reached `bytes_max` bytes. None at the end.
    ///
    /// # Errors
    /// The engine's; [`Error::Corrupt`]; [`Error::SchemaChanged`].
    pub fn next_batch(&mut self, rows_max: usize, bytes_max: usize) -> Result<Option<RecordBatch>, Error> {
        self.decoder.reserve(rows_max.min(self.batch_rows));
        let mut batch = ScanTotals::default();
        loop {
            if self.cursor.is_none() && !self.next_user()? {
                break;
            }
            let cursor = self.cursor.as_mut().expect("the next user's cursor was just opened");
            if fill(&mut **cursor, &mut self.decoder, &mut batch, rows_max, bytes_max)? {
                break;
            }
            self.cursor = None;
            // The next user's seqs begin anew.
            batch.last_seq = 0;
        }
        self.totals.rows += batch.rows;
        self.totals.bytes += batch.bytes;
        self.batch_rows = self.decoder.rows();
        if batch.rows == 0 {
            return Ok(None);
        }
        Ok(Some(self.decoder.finish()?))
    }

    /// What all batches so far held. Their last seq means nothing here and stays 0.
    pub fn totals(&self) -> ScanTotals {
        self.totals
    }

    /// Opens the next user that has rows above his watermark. Says whether there is one.
    fn next_user(&mut self) -> Result<bool, Error> {
        loop {
            let Some((user, last_seq)) = self.users.pop_front() else {
                if !self.next_page()? {
                    return Ok(false);
                }
                continue;
            };
            let flushed = watermark(&*self.snapshot, self.table.id, &user)?.seq;
            if last_seq <= flushed {
                continue;
            }
            let range = keys::seqs(self.table.id, &user, flushed, Seq::MAX);
            self.cursor = Some(self.snapshot.clone().scan(HOT, range, Order::Ascending)?);
            self.decoder.user(&user);
            return Ok(true);
        }
    }

    fn next_page(&mut self) -> Result<bool, Error> {
        let Index::After(after) = &self.index else {
            return Ok(false);
        };
        self.users = users(self.snapshot.clone(), self.table.id, after.as_ref(), USERS_PER_PAGE)?.into();
        self.index = match self.users.back() {
            Some((last, _)) if self.users.len() == USERS_PER_PAGE => Index::After(Some(last.clone())),
            _ => Index::Read,
        };
        Ok(!self.users.is_empty())
    }
}
