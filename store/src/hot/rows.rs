//! What is written when rows come in and when they go, and the small facts kept beside them.

use crate::keys::{self, u64_value};
use crate::{Error, HOT, HOT_COUNTERS, HOT_USERS, Seq, Table, TableId, UserId, users};
use ebbtide_engine::{KeyRange, Order, Packed, SharedEngine, Snapshot, Write, appended, counter};
use std::sync::Arc;

const ROWS: u8 = b'r';
const BYTES: u8 = b'b';

fn counter_key(table: TableId, which: u8) -> Vec<u8> {
    let mut key = keys::table(table);
    key.push(which);
    key
}

/// The writes that add `rows` of one user, as [`codec`](super::codec) encoded them, at `now`, microseconds since the Unix
/// epoch: if nobody knew him before, he exists since then. The commit must also expect [`Table::expect_present`].
pub fn append(table: &Table, user: &UserId, rows: Packed, now: i64) -> Vec<Write> {
    append_all(table, [(user.clone(), rows)], now)
}

/// [`append`] for several users in one commit: the table's counters are written once.
pub fn append_all(table: &Table, rows_of: impl IntoIterator<Item = (UserId, Packed)>, now: i64) -> Vec<Write> {
    let (mut rows, mut bytes) = (0, 0);
    let mut writes = Vec::new();
    for (user, packed) in rows_of {
        debug_assert!(table.may_own(&user), "{user:?} cannot own rows of {}", table.qualified_name());
        if packed.is_empty() {
            continue;
        }
        rows += packed.len();
        bytes += packed.bytes();
        let key = keys::user(table.id, &user);
        writes.push(Write::Append { space: HOT, prefix: key.clone(), values: packed });
        // Right behind the rows: "so far in this commit" is then the user's last seq.
        writes.push(Write::StampSeq { space: HOT_USERS, key });
        if !user.is_shared() {
            writes.push(users::seen(&user, now));
        }
    }
    if rows > 0 {
        writes.extend(count(table.id, signed(rows as u64), signed(bytes as u64)));
    }
    writes
}

/// The writes by which `rows` rows of `bytes` bytes stop being hot.
pub(crate) fn handed_over(table: TableId, rows: u64, bytes: u64) -> [Write; 2] {
    count(table, -signed(rows), -signed(bytes))
}

fn count(table: TableId, rows: i64, bytes: i64) -> [Write; 2] {
    [(ROWS, rows), (BYTES, bytes)].map(|(which, delta)| Write::Add {
        space: HOT_COUNTERS,
        key: counter_key(table, which),
        delta,
    })
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("no more rows or bytes than a disk can hold")
}

/// Hot rows of a table, above the watermarks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// How many.
    pub rows: u64,
    /// Their bytes as encoded.
    pub bytes: u64,
}

/// How much of a table is hot: two reads, whatever its size.
///
/// # Errors
/// The engine's.
pub fn counters(snapshot: &dyn Snapshot, table: TableId) -> Result<Counters, Error> {
    let read = |which| -> Result<u64, Error> {
        let value = snapshot.get(HOT_COUNTERS, &counter_key(table, which))?;
        // Below zero only if a flush counted rows that were not there; the assertion of tests, not a reader's worry.
        Ok(u64::try_from(value.map_or(0, |value| counter(&value))).unwrap_or(0))
    };
    Ok(Counters { rows: read(ROWS)?, bytes: read(BYTES)? })
}

/// How much of all tables is hot, in bytes: a read per table.
///
/// # Errors
/// The engine's.
pub fn bytes(snapshot: &Arc<dyn Snapshot>) -> Result<u64, Error> {
    let mut bytes = 0u64;
    let mut cursor = snapshot.clone().scan(HOT_COUNTERS, KeyRange::all(), Order::Ascending)?;
    while let Some((key, value)) = cursor.next()? {
        if key.last() == Some(&BYTES) {
            bytes = bytes.saturating_add(u64::try_from(counter(value)).unwrap_or(0));
        }
    }
    Ok(bytes)
}

/// Counts a user's rows with `after < seq <= through` one by one, without looking into them.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn count_rows(
    snapshot: &Arc<dyn Snapshot>,
    table: TableId,
    user: &UserId,
    after: Seq,
    through: Seq,
) -> Result<Counters, Error> {
    let mut cursor = snapshot.clone().scan(HOT, keys::seqs(table, user, after, through), Order::Ascending)?;
    let mut counted = Counters::default();
    while let Some((key, value)) = cursor.next()? {
        let (_, row) = appended(value)
            .ok_or_else(|| Error::corrupt(format!("the hot row {} has {} bytes", key.escape_ascii(), value.len())))?;
        counted.rows += 1;
        counted.bytes += row.len() as u64;
    }
    Ok(counted)
}

/// Lets the engine give back the room of rows that were removed, in the background. Worth a call after many were.
///
/// # Errors
/// The engine's.
pub fn give_back(engine: &SharedEngine) -> Result<(), Error> {
    let mut live_rows = 0u64;
    let mut cursor = engine.snapshot().scan(HOT_COUNTERS, KeyRange::all(), Order::Ascending)?;
    while let Some((key, value)) = cursor.next()? {
        if key.last() == Some(&ROWS) {
            live_rows = live_rows.saturating_add(u64::try_from(counter(value)).unwrap_or(0));
        }
    }
    drop(engine.compact(HOT, live_rows));
    // Each commit with rows of a user writes his entry anew, and reading the index steps over the older ones. Who is in it
    // is not counted; the engine learns from each time how many are left.
    drop(engine.compact(HOT_USERS, 0));
    Ok(())
}

/// Users that have, or had until lately, hot rows: each with his last seq, in key order, after `after`, at most
/// `limit`. A user whose last seq is at or below his watermark has none left.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn users(
    snapshot: Arc<dyn Snapshot>,
    table: TableId,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<(UserId, Seq)>, Error> {
    let mut users = Vec::new();
    let mut cursor = snapshot.scan(HOT_USERS, keys::users_after(table, after), Order::Ascending)?;
    while users.len() < limit
        && let Some((key, value)) = cursor.next()?
    {
        users.push((keys::split_user(key)?.0, u64_value(value, "a user's last seq")?));
    }
    Ok(users)
}

/// Removes a user's rows up to and with `through`. Only rows at or below the watermark may go.
pub fn delete_writes(table: TableId, user: &UserId, through: Seq) -> Write {
    Write::DeleteRange { space: HOT, range: keys::seqs_through(table, user, through) }
}

/// Takes a user out of the index of users with hot rows, if `last_seq` is still his last: a row that came in
/// meanwhile keeps him in.
pub fn forget_user(table: TableId, user: &UserId, last_seq: Seq) -> Write {
    Write::DeleteIf { space: HOT_USERS, key: keys::user(table, user), value: last_seq.to_be_bytes().to_vec() }
}

/// Removes all that the hot tier holds of a dropped table: rows, index, counters.
pub(crate) fn reclaim(table: TableId) -> impl Iterator<Item = Write> {
    [HOT, HOT_USERS, HOT_COUNTERS]
        .into_iter()
        .map(move |space| Write::DeleteRange { space, range: KeyRange::prefix(&keys::table(table)) })
}
