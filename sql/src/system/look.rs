//! What rows of a system table are made from: the statement's moment, with every read of the engine counted.

use crate::database::Inner;
use crate::scan::Moment;
use datafusion::physical_plan::metrics::Count;
use ebbtide_engine::{Cursor, Error, KeyRange, Order, Snapshot, Space};
use ebbtide_store::catalog::View;
use std::sync::Arc;

/// A system table being read in one moment.
pub(crate) struct Look<'a> {
    pub(super) database: &'a Arc<Inner>,
    pub(super) catalog: &'a View,
    /// The moment's snapshot; what is read of it is counted.
    pub(super) snapshot: Arc<dyn Snapshot>,
}

impl<'a> Look<'a> {
    /// Looks in this moment; every key that is read adds one to `reads`.
    pub(super) fn new(moment: &'a Moment, reads: Count) -> Self {
        let snapshot = Arc::new(Counted { inner: moment.snapshot.clone(), reads });
        Self { database: &moment.database, catalog: &moment.catalog, snapshot }
    }
}

struct Counted {
    inner: Arc<dyn Snapshot>,
    reads: Count,
}

impl Snapshot for Counted {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.reads.add(1);
        self.inner.get(space, key)
    }

    fn scan(self: Arc<Self>, space: Space, range: KeyRange, order: Order) -> Result<Box<dyn Cursor>, Error> {
        let cursor = self.inner.clone().scan(space, range, order)?;
        Ok(Box::new(CountedCursor { cursor, reads: self.reads.clone() }))
    }
}

struct CountedCursor {
    cursor: Box<dyn Cursor>,
    reads: Count,
}

impl Cursor for CountedCursor {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        self.reads.add(1);
        self.cursor.next()
    }

    fn seek(&mut self, key: &[u8]) {
        self.cursor.seek(key);
    }
}
