//! How the store's keys are laid out, in one place.
//!
//! ```text
//! table:     table id u64 BE
//! user:      table | user length u8 | user
//! user+seq:  user | seq u64 BE
//! object:    storage length u8 | storage | path
//! ```
//! Rows, watermarks, segments and the index of users all order by table, then by user, then by seq; a user's own
//! range never holds another's, because the length comes before the text.

use crate::{Error, Seq, StorageId, TableId, UserId};
use ebbtide_engine::KeyRange;
use ebbtide_engine::keys::Key;

/// Everything of one table.
pub(crate) fn table(table: TableId) -> Vec<u8> {
    table.0.to_be_bytes().to_vec()
}

/// Everything of one user of a table; also the key of what there is one of per user.
pub(crate) fn user(table: TableId, user: &UserId) -> Vec<u8> {
    let user = user.as_str().as_bytes();
    let mut key = Vec::with_capacity(8 + 1 + user.len() + 9);
    key.extend_from_slice(&table.0.to_be_bytes());
    key.push(u8::try_from(user.len()).expect("a user id has at most 255 bytes"));
    key.extend_from_slice(user);
    key
}

/// One seq of a user.
pub(crate) fn user_seq(table: TableId, user_id: &UserId, seq: Seq) -> Vec<u8> {
    let mut key = user(table, user_id);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// The first key after a user's `seq`, whatever follows: keys that end in a seq are exactly eight bytes longer
/// than their user's prefix, so one more byte sorts right behind them. This holds for the greatest seq as well.
fn after_seq(table: TableId, user: &UserId, seq: Seq) -> Vec<u8> {
    let mut key = user_seq(table, user, seq);
    key.push(0);
    key
}

/// A user's seqs in `(after, through]`.
pub(crate) fn seqs(table: TableId, user: &UserId, after: Seq, through: Seq) -> KeyRange {
    KeyRange::new(after_seq(table, user, after), after_seq(table, user, through.max(after)))
}

/// A user's seqs up to and with `through`.
pub(crate) fn seqs_through(table: TableId, user_id: &UserId, through: Seq) -> KeyRange {
    KeyRange::new(user(table, user_id), after_seq(table, user_id, through))
}

/// Users of a table after `after`, in key order; all of them without one. For spaces keyed by user alone.
pub(crate) fn users_after(table_id: TableId, after: Option<&UserId>) -> KeyRange {
    let all = KeyRange::prefix(&table(table_id));
    match after {
        None => all,
        Some(after) => {
            let mut from = user(table_id, after);
            from.push(0);
            KeyRange::new(from, all.to)
        }
    }
}

/// Takes a key of a known table apart: the user, and what comes after him.
pub(crate) fn split_user(key: &[u8]) -> Result<(UserId, &[u8]), Error> {
    let malformed = || Error::corrupt(format!("a key of {} bytes is not table | user | …", key.len()));
    let (&user_bytes, rest) = key.get(8..).and_then(<[u8]>::split_first).ok_or_else(malformed)?;
    let (user, rest) = rest.split_at_checked(usize::from(user_bytes)).ok_or_else(malformed)?;
    let user = std::str::from_utf8(user).map_err(|_| malformed())?;
    Ok((UserId::stored(user)?, rest))
}

/// A user's seqs from `from` on, and then all that comes after him in his table.
pub(crate) fn seqs_from(table_id: TableId, user_id: &UserId, from: Seq) -> KeyRange {
    KeyRange::new(user_seq(table_id, user_id, from), KeyRange::prefix(&table(table_id)).to)
}

/// All of a table that comes after a user, in spaces keyed by user and more.
pub(crate) fn after_user(table_id: TableId, after: Option<&UserId>) -> KeyRange {
    let all = KeyRange::prefix(&table(table_id));
    match after {
        None => all,
        Some(after) => KeyRange::new(KeyRange::prefix(&user(table_id, after)).to, all.to),
    }
}

/// One object of a storage.
pub(crate) fn object(storage: &StorageId, path: &str) -> Vec<u8> {
    Key::with_capacity(1 + storage.as_str().len() + path.len()).text(storage.as_str()).raw(path.as_bytes()).into_vec()
}

/// The table at the start of a key.
pub(crate) fn table_of(key: &[u8]) -> Result<TableId, Error> {
    key.first_chunk()
        .map(|table| TableId(u64::from_be_bytes(*table)))
        .ok_or_else(|| Error::corrupt(format!("a key of {} bytes begins with no table", key.len())))
}

/// The seq at the end of a key that has one.
pub(crate) fn seq_of(key: &[u8]) -> Result<Seq, Error> {
    key.last_chunk()
        .map(|seq| Seq::from_be_bytes(*seq))
        .ok_or_else(|| Error::corrupt(format!("a key of {} bytes ends in no seq", key.len())))
}

/// A u64 that is stored alone, big endian.
pub(crate) fn u64_value(value: &[u8], what: &str) -> Result<u64, Error> {
    value
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| Error::corrupt(format!("{what} has {} bytes in place of 8", value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_range(range: &KeyRange, key: &[u8]) -> bool {
        key >= range.from.as_slice() && (range.to.is_empty() || key < range.to.as_slice())
    }

    #[test]
    fn ranges_hold_one_user_and_the_seqs_asked_for() {
        let (t, a, ab) = (TableId(7), UserId::new("a").unwrap(), UserId::new("ab").unwrap());
        for (after, through) in [(0, 5), (5, 5), (0, Seq::MAX), (Seq::MAX - 1, Seq::MAX), (Seq::MAX, Seq::MAX)] {
            let range = seqs(t, &a, after, through);
            for seq in [0, 1, 4, 5, 6, Seq::MAX - 1, Seq::MAX] {
                assert_eq!(
                    in_range(&range, &user_seq(t, &a, seq)),
                    seq > after && seq <= through,
                    "seq {seq} of ({after}, {through}]"
                );
                assert!(!in_range(&range, &user_seq(t, &ab, seq)), "another user's row");
                assert!(!in_range(&range, &user_seq(TableId(8), &a, seq)), "another table's row");
            }
        }
        assert!(in_range(&seqs_through(t, &a, 3), &user_seq(t, &a, 0)));
        assert!(!in_range(&seqs_through(t, &a, 3), &user_seq(t, &a, 4)));
    }

    #[test]
    fn keys_can_be_read_back() {
        for text in ["", "a", "\0", &"é".repeat(127)] {
            let user_id = UserId::stored(text).unwrap();
            let key = user_seq(TableId(3), &user_id, 9);
            let (read, rest) = split_user(&key).unwrap();
            assert_eq!((read, rest), (user_id, 9u64.to_be_bytes().as_slice()));
            assert_eq!(seq_of(&key).unwrap(), 9);
        }
        assert!(split_user(b"short").is_err());
        assert!(split_user(&[0, 0, 0, 0, 0, 0, 0, 1, 5, b'a']).is_err());
        assert!(split_user(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 0xff]).is_err());
    }

    #[test]
    fn objects_of_different_storages_have_different_keys() {
        let storage = |id| StorageId::new(id).unwrap();
        assert_ne!(object(&storage("l"), "ocal"), object(&storage("lo"), "cal"));
        assert_ne!(object(&storage("local"), "a/b"), object(&storage("local"), "a"));
    }

    #[test]
    fn what_comes_after_a_user_or_a_seq_is_found() {
        let (t, a, ab) = (TableId(1), UserId::new("a").unwrap(), UserId::new("ab").unwrap());
        let rest = after_user(t, Some(&a));
        assert!(!in_range(&rest, &user_seq(t, &a, Seq::MAX)), "nothing of the user himself");
        assert!(in_range(&rest, &user_seq(t, &ab, 0)));
        assert!(!in_range(&rest, &user_seq(TableId(2), &ab, 0)), "nor of another table");
        let rest = seqs_from(t, &a, 5);
        assert!(!in_range(&rest, &user_seq(t, &a, 4)));
        assert!(in_range(&rest, &user_seq(t, &a, 5)) && in_range(&rest, &user_seq(t, &ab, 0)));
    }

    #[test]
    fn pages_of_users_start_after_the_last() {
        let (t, a, b) = (TableId(1), UserId::new("a").unwrap(), UserId::new("b").unwrap());
        let rest = users_after(t, Some(&a));
        assert!(!in_range(&rest, &user(t, &a)));
        assert!(in_range(&rest, &user(t, &b)));
        assert!(!in_range(&rest, &user(TableId(2), &b)));
        assert!(in_range(&users_after(t, None), &user(t, &UserId::shared())));
    }
}
