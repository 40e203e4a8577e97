//! What there is one of per user, looked up for many users.

use crate::{Error, TableId, keys};
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot, Space};
use std::sync::Arc;

/// Looks up users of one table in a space that is keyed by user. Users that come in key order cost a step of one cursor
/// each, which is a fraction of a look-up of its own; any other order is right as well.
pub(super) struct ByUser {
    cursor: Box<dyn Cursor>,
    /// The key looked up last; none yet.
    asked: Option<Vec<u8>>,
    /// Where the cursor stands: the first entry at or behind `asked`. Behind the last one there is no value.
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl ByUser {
    pub(super) fn new(snapshot: Arc<dyn Snapshot>, space: Space, table: TableId) -> Result<Self, Error> {
        let cursor = snapshot.scan(space, KeyRange::prefix(&keys::table(table)), Order::Ascending)?;
        Ok(Self { cursor, asked: None, key: Vec::new(), value: None })
    }

    /// The value of a user's key, see [`keys::user`].
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        let ahead = self.asked.as_deref().is_some_and(|asked| asked <= key);
        let asked = self.asked.get_or_insert_default();
        asked.clear();
        asked.extend_from_slice(key);
        if ahead && self.is_before(key) {
            self.step()?;
        }
        if !ahead || self.is_before(key) {
            self.cursor.seek(key);
            self.step()?;
        }
        Ok(self.value.as_deref().filter(|_| self.key == key))
    }

    fn is_before(&self, key: &[u8]) -> bool {
        self.value.is_some() && self.key.as_slice() < key
    }

    /// Moves the cursor, and what it finds into the buffers that are there.
    fn step(&mut self) -> Result<(), Error> {
        match self.cursor.next()? {
            None => self.value = None,
            Some((key, value)) => {
                self.key.clear();
                self.key.extend_from_slice(key);
                let held = self.value.get_or_insert_default();
                held.clear();
                held.extend_from_slice(value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestEnv, open_engine};
    use crate::{HOT_USERS, UserId};
    use ebbtide_engine::{Commit, Write};

    #[tokio::test]
    async fn users_are_found_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open_engine(dir.path(), &TestEnv::new());
        let key = |n: u32| keys::user(TableId(7), &UserId::new(&format!("u{n:03}")).unwrap());
        let there = |n: u32| !n.is_multiple_of(3) && n < 40;
        let mut writes: Vec<Write> =
            (0..50).filter(|n| there(*n)).map(|n| Write::put(HOT_USERS, key(n), n.to_be_bytes())).collect();
        writes.push(Write::put(HOT_USERS, keys::user(TableId(8), &UserId::new("u001").unwrap()), "another table's"));
        engine.commit(Commit { writes, ..Commit::default() }).await.unwrap();

        let orders: [Vec<u32>; 5] = [
            (0..50).collect(),
            (0..50).rev().collect(),
            (0..50).step_by(7).collect(),
            (0..200).map(|n| n * 37 % 50).collect(),
            vec![49, 49, 0, 1, 1, 0, 49, 39, 38, 40],
        ];
        for order in orders {
            let mut by_user = ByUser::new(engine.snapshot(), HOT_USERS, TableId(7)).unwrap();
            for n in order {
                let right = there(n).then(|| n.to_be_bytes().to_vec());
                assert_eq!(by_user.get(&key(n)).unwrap().map(<[u8]>::to_vec), right, "user {n}");
            }
        }
        let mut none = ByUser::new(engine.snapshot(), HOT_USERS, TableId(9)).unwrap();
        assert_eq!(none.get(&key(1)).unwrap(), None);
    }
}
