//! Manifest entries as they are stored: read in order, found by their object's path, taken away and replaced.
//!
//! Beside each entry stands its object's path, in the same commit. So whether the manifest names an object is one
//! read, and no listing of a storage has to hold the manifest in memory.

use super::Segment;
use crate::catalog::{expect_storage, expect_table};
use crate::{
    Error, SEGMENT_COUNTS, SEGMENT_PATHS, SEGMENTS, Seq, StorageId, TableId, UserId, keys, published, quarantine,
};
use ebbtide_engine::{Cursor, Expect, KeyRange, Order, Snapshot, Write};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A segment with its entry's bytes, so that a commit can expect it to be as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The segment.
    pub segment: Segment,
    raw: Vec<u8>,
}

impl Entry {
    fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let segment = serde_json::from_slice(value)
            .map_err(|error| Error::corrupt(format!("the manifest's entry {}: {error}", key.escape_ascii())))?;
        Ok(Self { segment, raw: value.to_vec() })
    }

    /// Expects the manifest to name this segment still, and nothing about it to have changed.
    pub fn expect(&self) -> Expect {
        Expect::equals(SEGMENTS, key(&self.segment), self.raw.clone())
    }
}

fn key(segment: &Segment) -> Vec<u8> {
    keys::user_seq(segment.table_id, &segment.user, segment.from_seq)
}

/// The writes that make the manifest name this segment.
pub(crate) fn put(segment: &Segment) -> [Write; 3] {
    let value = serde_json::to_vec(segment).expect("a segment is a plain struct of text and numbers");
    [
        Write::put(SEGMENTS, key(segment), value),
        Write::put(SEGMENT_PATHS, keys::object(&segment.storage, &segment.path), key(segment)),
        count(&segment.storage, 1),
    ]
}

fn delete(segment: &Segment) -> [Write; 3] {
    [
        Write::delete(SEGMENTS, key(segment)),
        Write::delete(SEGMENT_PATHS, keys::object(&segment.storage, &segment.path)),
        count(&segment.storage, -1),
    ]
}

fn count(storage: &StorageId, delta: i64) -> Write {
    Write::add(SEGMENT_COUNTS, storage.as_str(), delta)
}

/// Whether the manifest names any object of this storage, and what a commit is to expect so that it stays like that.
pub(crate) fn any_on(snapshot: &Arc<dyn Snapshot>, storage: &StorageId) -> Result<(bool, Expect), Error> {
    let prefix = keys::object(storage, "");
    let mut cursor = snapshot.clone().scan(SEGMENT_PATHS, KeyRange::prefix(&prefix), Order::Ascending)?;
    let any = cursor.next()?.is_some();
    // The count itself may be wrong, as in a database from before it was kept; that it changes is what is expected not to be.
    let count = snapshot.get(SEGMENT_COUNTS, storage.as_str().as_bytes())?;
    Ok((any, Expect::as_read(SEGMENT_COUNTS, storage.as_str(), count)))
}

/// What one commit must hold to have the manifest forget these segments. Their objects are to go later: see
/// [`crate::deletions`].
pub fn detach(entries: &[Entry]) -> (Vec<Expect>, Vec<Write>) {
    let expect = entries.iter().map(Entry::expect).collect();
    let mut writes: Vec<Write> = entries.iter().flat_map(|entry| delete(&entry.segment)).collect();
    let users: BTreeSet<(TableId, &UserId)> =
        entries.iter().map(|entry| (entry.segment.table_id, &entry.segment.user)).collect();
    writes.extend(users.into_iter().map(|(table, user)| published::due(table, user)));
    (expect, writes)
}

/// What one commit must hold to put a segment in the place of another: the same user, with some of its rows.
///
/// It expects the old one to be as it was read before its rows were, so nobody else has rewritten, erased or removed
/// it meanwhile. It expects nothing of the user's watermark: rows that a flush moves at the same time come after
/// these. The new segment's object must be durable before.
pub fn replace(old: &Entry, new: &Segment) -> (Vec<Expect>, Vec<Write>) {
    let from = &old.segment;
    debug_assert!(
        (new.table_id, &new.user) == (from.table_id, &from.user)
            && from.from_seq <= new.from_seq
            && new.to_seq <= from.to_seq
            && new.rows <= from.rows,
        "{new:?} holds rows of {from:?} alone"
    );
    debug_assert_ne!((&new.storage, &new.path), (&from.storage, &from.path), "no name is written twice");
    let expect = vec![
        old.expect(),
        expect_table(new.table_id),
        expect_storage(&new.storage),
        quarantine::expect_absent(&new.storage, &new.path),
    ];
    let due = published::due(new.table_id, &new.user);
    (expect, delete(from).into_iter().chain(put(new)).chain([due]).collect())
}

/// Whether the manifest names this object: the table, the user and the first seq of its segment.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn named(
    snapshot: &dyn Snapshot,
    storage: &StorageId,
    path: &str,
) -> Result<Option<(TableId, UserId, Seq)>, Error> {
    let Some(key) = snapshot.get(SEGMENT_PATHS, &keys::object(storage, path))? else { return Ok(None) };
    let (user, _) = keys::split_user(&key)?;
    let table = keys::table_of(&key)?;
    Ok(Some((table, user, keys::seq_of(&key)?)))
}

/// Whether the manifest names any object in this folder, or below it.
///
/// # Errors
/// The engine's.
pub fn any_in(snapshot: &Arc<dyn Snapshot>, storage: &StorageId, folder: &str) -> Result<bool, Error> {
    let prefix = keys::object(storage, &format!("{folder}/"));
    let mut cursor = snapshot.clone().scan(SEGMENT_PATHS, KeyRange::prefix(&prefix), Order::Ascending)?;
    Ok(cursor.next()?.is_some())
}

/// Expects the manifest not to name this object.
pub fn expect_unnamed(storage: &StorageId, path: &str) -> Expect {
    Expect::absent(SEGMENT_PATHS, keys::object(storage, path))
}

/// Reads the entry of one segment.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn entry(snapshot: &dyn Snapshot, table: TableId, user: &UserId, from_seq: Seq) -> Result<Option<Entry>, Error> {
    let key = keys::user_seq(table, user, from_seq);
    snapshot.get(SEGMENTS, &key)?.map(|value| Entry::read(&key, &value)).transpose()
}

/// Where a walk over a table's entries begins.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// At the table's first entry.
    Beginning,
    /// At the first entry of the user after this one.
    AfterUser(&'a UserId),
    /// At this user's first entry whose seq is not lower, or whatever comes next.
    Seq(&'a UserId, Seq),
}

/// The entries of a table by user and then by seq, one at a time.
///
/// # Errors
/// The engine's; each item may also be [`Error::Corrupt`].
pub fn entries(snapshot: Arc<dyn Snapshot>, table: TableId, from: Start<'_>) -> Result<Entries, Error> {
    let range = match from {
        Start::Beginning => keys::after_user(table, None),
        Start::AfterUser(user) => keys::after_user(table, Some(user)),
        Start::Seq(user, seq) => keys::seqs_from(table, user, seq),
    };
    Entries::scan(snapshot, range)
}

/// Reads manifest entries as it goes.
pub struct Entries {
    cursor: Box<dyn Cursor>,
}

impl Entries {
    pub(super) fn scan(snapshot: Arc<dyn Snapshot>, range: KeyRange) -> Result<Self, Error> {
        Ok(Self { cursor: snapshot.scan(SEGMENTS, range, Order::Ascending)? })
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.next() {
            Ok(None) => None,
            Ok(Some((key, value))) => Some(Entry::read(key, value)),
            Err(error) => Some(Err(error.into())),
        }
    }
}
