//! What a flush keeps beside its job: the last cut of a table, a wish for one more flush, users that failed.

use ebbtide_engine::{Cache, Cursor, Error, KeyRange, Order, Snapshot, Space, Write};
use ebbtide_store::{TableId, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Per table: the last cut, and whether a follow-up is wished for.
pub const FLUSH_STATE: Space = Space { name: "flush_state", cache: Cache::Shared };

/// Per (table, user): why his rows stayed hot the last time, and until when he counts for no trigger.
pub const FLUSH_FAILURES: Space = Space { name: "flush_failures", cache: Cache::Shared };

const CUT: u8 = b'c';
const FOLLOW_UP: u8 = b'f';

fn state_key(kind: u8, table: TableId) -> Vec<u8> {
    let mut key = table.0.to_be_bytes().to_vec();
    key.push(kind);
    key
}

/// The last cut of a table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Flushed {
    /// The highest seq that flush was to move.
    pub(crate) cut: u64,
    /// When it was taken, microseconds since the Unix epoch; the interval trigger counts from here.
    pub(crate) taken_at: i64,
    /// Rows at or below the cut that stayed hot, because the writes of their users failed.
    #[serde(default)]
    pub(crate) stuck_rows: u64,
    /// Bytes of those rows.
    #[serde(default)]
    pub(crate) stuck_bytes: u64,
    /// From when on they count for the triggers again, microseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) retry_at: i64,
}

impl Flushed {
    pub(crate) fn write(&self, table: TableId) -> Write {
        put(FLUSH_STATE, state_key(CUT, table), self)
    }

    pub(crate) fn read(snapshot: &dyn Snapshot, table: TableId) -> Result<Option<Self>, Error> {
        get(snapshot, FLUSH_STATE, &state_key(CUT, table))
    }
}

/// Somebody asked for a flush while one was running; rows up to `through_seq` were there when he asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct FollowUp {
    pub(crate) through_seq: u64,
}

impl FollowUp {
    pub(crate) fn write(&self, table: TableId) -> Write {
        put(FLUSH_STATE, state_key(FOLLOW_UP, table), self)
    }

    /// Forgets this wish, and no newer one.
    pub(crate) fn forget(&self, table: TableId) -> Write {
        let value = bytes(self);
        Write::DeleteIf { space: FLUSH_STATE, key: state_key(FOLLOW_UP, table), value }
    }

    pub(crate) fn read(snapshot: &dyn Snapshot, table: TableId) -> Result<Option<Self>, Error> {
        get(snapshot, FLUSH_STATE, &state_key(FOLLOW_UP, table))
    }
}

/// Why a user's rows stayed hot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) job_id: String,
    pub(crate) reason: String,
    /// Failures in a row, this one included.
    pub(crate) failures: u32,
    /// Microseconds since the Unix epoch.
    pub(crate) retry_at: i64,
}

fn failure_key(table: TableId, user: &UserId) -> Vec<u8> {
    let mut key = table.0.to_be_bytes().to_vec();
    key.extend_from_slice(user.as_str().as_bytes());
    key
}

impl Failure {
    pub(crate) fn write(&self, table: TableId, user: &UserId) -> Write {
        put(FLUSH_FAILURES, failure_key(table, user), self)
    }

    pub(crate) fn read(snapshot: &dyn Snapshot, table: TableId, user: &UserId) -> Result<Option<Self>, Error> {
        get(snapshot, FLUSH_FAILURES, &failure_key(table, user))
    }

    /// A user whose rows did move has no failures in a row any more.
    pub(crate) fn forget(table: TableId, user: &UserId) -> Write {
        Write::Delete { space: FLUSH_FAILURES, key: failure_key(table, user) }
    }
}

/// The users of `table` whose last write failed, with the reason.
pub(crate) fn failures(snapshot: Arc<dyn Snapshot>, table: TableId) -> Result<Vec<(UserId, Failure)>, Error> {
    let prefix = table.0.to_be_bytes();
    let mut cursor = snapshot.scan(FLUSH_FAILURES, KeyRange::prefix(&prefix), Order::Ascending)?;
    let mut found = Vec::new();
    while let Some((key, value)) = Cursor::next(&mut *cursor)? {
        let user = std::str::from_utf8(&key[prefix.len()..]).ok().and_then(|text| UserId::stored(text).ok());
        if let (Some(user), Ok(failure)) = (user, serde_json::from_slice(value)) {
            found.push((user, failure));
        }
    }
    Ok(found)
}

fn put<T: Serialize>(space: Space, key: Vec<u8>, value: &T) -> Write {
    Write::Put { space, key, value: bytes(value) }
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs of numbers and text have a JSON form")
}

fn get<T: DeserializeOwned>(snapshot: &dyn Snapshot, space: Space, key: &[u8]) -> Result<Option<T>, Error> {
    // A record that does not load is as good as none: it only steers when the next flush starts.
    Ok(snapshot.get(space, key)?.and_then(|value| serde_json::from_slice(&value).ok()))
}
