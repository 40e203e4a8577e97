//! Snapshots and cursors that own what they borrow.

use super::database::{Database, Db, read};
use super::pins::Pin;
use crate::{Cache, Cursor, Error, KeyRange, Order, Snapshot, Space};
use rocksdb::{DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};
use self_cell::self_cell;
use std::sync::Arc;

type Pinned<'a> = SnapshotWithThreadMode<'a, Db>;
type Iter<'a> = DBRawIteratorWithThreadMode<'a, Db>;

/// What an open snapshot holds.
pub(super) struct Held {
    database: Arc<Database>,
    /// Outlives the snapshot, which goes first.
    _pin: Pin,
}

self_cell!(
    /// RocksDB's snapshot borrows the database; this one holds it.
    pub(super) struct Owned {
        owner: Held,
        #[covariant]
        dependent: Pinned,
    }
);

impl Owned {
    pub(super) fn take(database: Arc<Database>) -> Owned {
        let pin = database.pins().pin();
        Owned::new(Held { database, _pin: pin }, |held| held.database.db().snapshot())
    }
}

impl Snapshot for Owned {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let family = self.borrow_owner().database.family(space)?;
        self.borrow_dependent().get_cf(family, key).map_err(read(space))
    }

    fn scan(self: Arc<Self>, space: Space, range: KeyRange, order: Order) -> Result<Box<dyn Cursor>, Error> {
        self.borrow_owner().database.family(space)?;
        if range.is_empty() {
            return Ok(Box::new(Nothing));
        }
        let rows = Rows::try_new(self, |snapshot| {
            let family = snapshot.borrow_owner().database.family(space)?;
            let mut options = ReadOptions::default();
            options.fill_cache(space.cache != Cache::SharedUnscanned);
            if !range.from.is_empty() {
                options.set_iterate_lower_bound(range.from);
            }
            if !range.to.is_empty() {
                options.set_iterate_upper_bound(range.to);
            }
            Ok(snapshot.borrow_dependent().raw_iterator_cf_opt(family, options))
        })?;
        Ok(Box::new(Scan { rows, space, order, at: At::Start, key: Vec::new() }))
    }
}

self_cell!(
    /// RocksDB's iterator borrows the snapshot; this one holds it.
    struct Rows {
        owner: Arc<Owned>,
        #[covariant]
        dependent: Iter,
    }
);

struct Scan {
    rows: Rows,
    space: Space,
    order: Order,
    at: At,
    /// Where to, for [`At::Key`].
    key: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// Before the first key from a given one on.
    Key,
    Row,
    End,
}

impl Cursor for Scan {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        let (at, order, key) = (self.at, self.order, &self.key);
        let ended = self.rows.with_dependent_mut(|_, rows| {
            match (at, order) {
                (At::Start, Order::Ascending) => rows.seek_to_first(),
                (At::Start, Order::Descending) => rows.seek_to_last(),
                (At::Key, Order::Ascending) => rows.seek(key),
                (At::Key, Order::Descending) => rows.seek_for_prev(key),
                (At::Row, Order::Ascending) => rows.next(),
                (At::Row, Order::Descending) => rows.prev(),
                (At::End, _) => return Ok(true),
            }
            if rows.valid() {
                return Ok(false);
            }
            // Not valid means the end or an error; only the status tells.
            rows.status().map(|()| true)
        });
        self.at = match ended {
            Ok(false) => At::Row,
            _ => At::End,
        };
        if ended.map_err(read(self.space))? {
            return Ok(None);
        }
        Ok(self.rows.borrow_dependent().item())
    }

    fn seek(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.at = At::Key;
    }
}

/// The cursor of an empty range, which RocksDB's bounds cannot express.
struct Nothing;

impl Cursor for Nothing {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        Ok(None)
    }

    fn seek(&mut self, _: &[u8]) {}
}
