//! What is known of a user in a table, and the commit that erases his rows up to a cut so that they cannot come back.
//!
//! Erasing is more than one commit, see the workflow that does it. What makes it final is the first one, [`Known::fence`]: it
//! raises the watermark's generation and takes the hot rows. A flush that has read them before expects another watermark, so
//! whatever it wrote is never named.

use crate::deletions::{self, Deletion, Why};
use crate::hot::Counters;
use crate::manifest::{self, Watermark};
use crate::{
    Error, HOT, HOT_USERS, SEGMENTS, Seq, Storage, StorageId, Store, Table, TableId, UserId, hot, keys, published,
};
use ebbtide_engine::{Expect, KeyRange, Snapshot, Space, Write};
use std::sync::Arc;

/// What is known of a user in one table, as one instant has it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Up to where his rows are in segments.
    pub watermark: Watermark,
    /// His hot rows up to the cut.
    pub hot: Counters,
    /// His last seq, as the index of users with hot rows has it.
    last_seq: Option<Seq>,
    /// Whether anything is published of him.
    published: bool,
    cut: Seq,
}

/// Looks at a user. His hot rows up to `cut` are counted one by one.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn look(snapshot: &Arc<dyn Snapshot>, table: TableId, user: &UserId, cut: Seq) -> Result<Known, Error> {
    let watermark = manifest::watermark(&**snapshot, table, user)?;
    let last_seq = snapshot.get(HOT_USERS, &keys::user(table, user))?;
    let last_seq = last_seq.as_deref().map(|value| keys::u64_value(value, "a user's last seq")).transpose()?;
    let hot = match last_seq {
        Some(_) => hot::count_rows(snapshot, table, user, watermark.seq, cut)?,
        None => Counters::default(),
    };
    let published = !published::of_user(snapshot, table, user)?.is_empty();
    Ok(Known { watermark, hot, last_seq, published, cut })
}

impl Known {
    /// Whether he never had a row in this table: then there is no object of his either.
    pub fn is_nobody(&self) -> bool {
        !self.watermark.is_stored() && self.last_seq.is_none() && !self.published
    }

    /// What one commit must hold so that his rows up to the cut are erased from the hot tier, and no flush that has read any
    /// of them can name what it wrote. His segments up to the cut are to leave the manifest after it.
    ///
    /// It expects the watermark as it was read, so the rows that were counted are those that go.
    pub fn fence(&self, table: &Table) -> (Vec<Expect>, Vec<Write>) {
        let user = self.watermark.user();
        let through = self.watermark.seq.max(self.cut);
        let mut writes = vec![self.watermark.erased(through), hot::delete_writes(table.id, user, through)];
        if self.hot.rows > 0 {
            writes.extend(hot::handed_over(table.id, self.hot.rows, self.hot.bytes));
        }
        if let Some(last_seq) = self.last_seq.filter(|last_seq| *last_seq <= through) {
            writes.push(hot::forget_user(table.id, user, last_seq));
        }
        (vec![self.watermark.expect(), table.expect_present()], writes)
    }
}

/// Where the engine keeps what it knows of a user's rows: the rows, and the bounds of their values in the manifest. Purged,
/// nothing is left of those that were removed.
pub fn ranges(table: TableId, user: &UserId) -> [(Space, KeyRange); 2] {
    let prefix = KeyRange::prefix(&keys::user(table, user));
    [(HOT, prefix.clone()), (SEGMENTS, prefix)]
}

/// The writes by which an object of an erased user is to go now, whenever it was to go before.
///
/// # Errors
/// The engine's.
pub fn object(
    snapshot: &dyn Snapshot,
    storage: &StorageId,
    path: &str,
    bytes: u64,
    now: i64,
) -> Result<Vec<Write>, Error> {
    let mut writes = deletions::forget_object(snapshot, storage, path)?;
    let (storage, path, why) = (storage.clone(), path.to_owned(), Why::Erased);
    let deletion = Deletion { storage, path, bytes, not_before: now, why, whose: None, failures: 0, error: None };
    writes.extend(deletion.put());
    Ok(writes)
}

impl Store {
    /// The folders of a storage that take a user's files, or have taken them under templates that it had before.
    ///
    /// # Errors
    /// [`Error::Path`] for a stored template or sharding that this version refuses.
    pub fn prefixes_in(&self, storage: &Storage, table: &Table, user: &UserId) -> Result<Vec<String>, Error> {
        let mut folders = vec![self.prefix_in(storage, table, user)?];
        for former in storage.former() {
            folders.push(self.prefix_in(&former, table, user)?);
        }
        folders.dedup();
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Kind;
    use crate::testing::{TestEnv, name, new_table, open_store};
    use crate::{ColumnType, hot::codec};
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use ebbtide_engine::Commit;

    async fn insert(store: &Store, table: &Table, user: &UserId, rows: i64) {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let rows = codec::encode(table, &batch, 1 << 20).unwrap();
        let writes = hot::append(table, user, rows, store.env().now());
        store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
    }

    #[tokio::test]
    async fn a_fence_takes_the_rows_up_to_the_cut_and_refuses_who_has_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        let columns = [("id", ColumnType::BigInt, false)];
        let table = store.catalog().create_table(new_table("messages", Kind::User, &columns)).await.unwrap();
        let (ana, ben) = (UserId::new("ana").unwrap(), UserId::new("ben").unwrap());
        assert!(look(&store.snapshot(), table.id, &ana, 9).unwrap().is_nobody());
        insert(&store, &table, &ana, 5).await;
        insert(&store, &table, &ben, 3).await;
        let cut = store.engine().last_seq();
        let before = manifest::watermark(&*store.snapshot(), table.id, &ana).unwrap();
        insert(&store, &table, &ana, 2).await;

        let known = look(&store.snapshot(), table.id, &ana, cut).unwrap();
        assert_eq!((known.hot.rows, known.is_nobody()), (5, false));
        let (expect, writes) = known.fence(&table);
        let fence = Commit { expect, writes, ..Commit::default() };
        store.engine().commit(fence.clone()).await.unwrap();
        store.engine().commit(fence).await.unwrap_err();

        let after = manifest::watermark(&*store.snapshot(), table.id, &ana).unwrap();
        assert_eq!((after.seq, after.erase_generation), (cut, 1));
        assert_eq!(hot::counters(&*store.snapshot(), table.id).unwrap().rows, 5, "two of ana's, and ben's");
        assert_eq!(hot::count_rows(&store.snapshot(), table.id, &ana, 0, Seq::MAX).unwrap().rows, 2);
        assert_eq!(hot::count_rows(&store.snapshot(), table.id, &ben, 0, Seq::MAX).unwrap().rows, 3);
        assert_eq!(hot::users(store.snapshot(), table.id, None, 9).unwrap().len(), 2, "she has rows still");

        // A flush that read her rows before the fence.
        let (expect, writes) = manifest::handover(&**store.env(), &[], &before, cut, 0, 0);
        store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap_err();
        // All of them, with a watermark that stands higher than the cut by now.
        let (expect, writes) = look(&store.snapshot(), table.id, &ana, Seq::MAX).unwrap().fence(&table);
        store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
        let (expect, writes) = look(&store.snapshot(), table.id, &ana, 1).unwrap().fence(&table);
        store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
        let last = manifest::watermark(&*store.snapshot(), table.id, &ana).unwrap();
        assert_eq!((last.seq, last.erase_generation), (Seq::MAX, 3), "a watermark never falls");
        assert_eq!(hot::counters(&*store.snapshot(), table.id).unwrap().rows, 3);
        assert_eq!(hot::users(store.snapshot(), table.id, None, 9).unwrap().len(), 1);
    }
}
