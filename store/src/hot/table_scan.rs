//! Many users' hot rows, for a query: each user's above his watermark, small users together in one batch.

use super::by_user::ByUser;
use super::codec::Decoder;
use super::scan::{ScanTotals, Until, fill};
use super::users;
use crate::keys::{self, u64_value};
use crate::manifest::{watermark, watermark_seq};
use crate::{Error, HOT, HOT_USERS, Seq, Table, UserId, WATERMARKS};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot};
use std::collections::VecDeque;
use std::sync::Arc;

/// A scan over users. Reading blocks, so it belongs on a thread that may.
pub struct TableScan {
    snapshot: Arc<dyn Snapshot>,
    table: Arc<Table>,
    decoder: Decoder,
    /// Users yet to be read, each with his last seq if the index said it already.
    users: VecDeque<(UserId, Option<Seq>)>,
    /// The last user taken from the index, when more may follow there.
    index: Index,
    cursors: Option<Cursors>,
    /// Where the user's rows end that the cursor stands in.
    reading: Option<Until>,
    totals: ScanTotals,
    batch_rows: usize,
}

#[derive(Debug)]
enum Index {
    After(Option<UserId>),
    Read,
}

/// One cursor for the rows of many users, and one each for what has to be known of them: to seek costs less than to open.
struct Cursors {
    rows: Box<dyn Cursor>,
    last_seqs: ByUser,
    watermarks: ByUser,
    users_left: usize,
    /// All rows that were read when they were opened.
    rows_before: u64,
}

/// How long cursors are kept. They hold what the engine had in memory when they were opened.
const USERS_PER_CURSOR: usize = 4096;
const ROWS_PER_CURSOR: u64 = 65_536;

/// From how many users on it pays to look them up by cursors.
const USERS_FOR_CURSORS: usize = 4;

const LAST_SEQ: &str = "a user's last seq";

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
    let users = users.into_iter().map(|user| (user, None)).collect();
    TableScan::new(snapshot, table, projection, users, Index::Read)
}

impl TableScan {
    fn new(
        snapshot: Arc<dyn Snapshot>,
        table: Arc<Table>,
        projection: Option<&[usize]>,
        users: VecDeque<(UserId, Option<Seq>)>,
        index: Index,
    ) -> Result<Self, Error> {
        let decoder = Decoder::new(table.clone(), projection)?;
        let totals = ScanTotals::default();
        Ok(Self { snapshot, table, decoder, users, index, cursors: None, reading: None, totals, batch_rows: 0 })
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
            if self.reading.is_none() && !self.next_user(batch.rows)? {
                break;
            }
            let (Some(cursors), Some(until)) = (&mut self.cursors, &self.reading) else { break };
            if fill(&mut *cursors.rows, until, &mut self.decoder, &mut batch, rows_max, bytes_max)? {
                break;
            }
            self.reading = None;
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

    /// Goes to the next user that has rows above his watermark. Says whether there is one. `rows` were read into the
    /// batch so far.
    fn next_user(&mut self, rows: u64) -> Result<bool, Error> {
        let worn =
            |open: &mut Cursors| open.users_left == 0 || self.totals.rows + rows >= open.rows_before + ROWS_PER_CURSOR;
        self.cursors.take_if(worn);
        loop {
            let few = self.users.len() < USERS_FOR_CURSORS;
            let Some((user, last_seq)) = self.users.pop_front() else {
                if !self.next_page()? {
                    return Ok(false);
                }
                continue;
            };
            let key = keys::user(self.table.id, &user);
            let last_seq = match last_seq {
                Some(last_seq) => last_seq,
                None if few => Seq::MAX,
                None => self.cursors(rows)?.last_seqs.get(&key)?.map_or(Ok(0), |seq| u64_value(seq, LAST_SEQ))?,
            };
            let table = self.table.id;
            let flushed = match few {
                true => watermark(&*self.snapshot, table, &user)?.seq,
                false => match self.cursors(rows)?.watermarks.get(&key)? {
                    Some(stored) => watermark_seq(stored, table, &user)?,
                    None => 0,
                },
            };
            if last_seq <= flushed {
                continue;
            }
            let from = keys::seqs(table, &user, flushed, Seq::MAX).from;
            let cursors = self.cursors(rows)?;
            cursors.rows.seek(&from);
            cursors.users_left = cursors.users_left.saturating_sub(1);
            self.decoder.user(&user);
            self.reading = Some(Until { prefix: key, last_seq });
            return Ok(true);
        }
    }

    /// The cursors, opened if need be.
    fn cursors(&mut self, rows: u64) -> Result<&mut Cursors, Error> {
        if self.cursors.is_none() {
            let (snapshot, table) = (&self.snapshot, self.table.id);
            let range = KeyRange::prefix(&keys::table(table));
            self.cursors = Some(Cursors {
                rows: snapshot.clone().scan(HOT, range, Order::Ascending)?,
                last_seqs: ByUser::new(snapshot.clone(), HOT_USERS, table)?,
                watermarks: ByUser::new(snapshot.clone(), WATERMARKS, table)?,
                users_left: USERS_PER_CURSOR,
                rows_before: self.totals.rows + rows,
            });
        }
        Ok(self.cursors.as_mut().expect("opened just above"))
    }

    fn next_page(&mut self) -> Result<bool, Error> {
        let Index::After(after) = &self.index else {
            return Ok(false);
        };
        let page = users(self.snapshot.clone(), self.table.id, after.as_ref(), USERS_PER_PAGE)?;
        self.index = match page.last() {
            Some((last, _)) if page.len() == USERS_PER_PAGE => Index::After(Some(last.clone())),
            _ => Index::Read,
        };
        self.users = page.into_iter().map(|(user, last_seq)| (user, Some(last_seq))).collect();
        Ok(!self.users.is_empty())
    }
}
