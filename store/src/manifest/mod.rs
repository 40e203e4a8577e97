//! Which segments exist, and up to where they reach: the truth about the cold tier.
//!
//! ```text
//! segments       table | user | from seq  ->  the segment, JSON
//! segment_paths  storage | path           ->  table | user | from seq
//! watermarks     table | user             ->  seq, erase generation
//! ```
//! A row moves to the cold tier in the one commit that [`handover`] describes, and by nothing else. What leaves the
//! manifest again does so by [`detach`] and [`replace`].

mod entry; // entries as they are stored
mod segment; // one immutable file
mod stamp; // file timestamps
mod watermark; // up to where a user's rows are in segments

#[cfg(test)]
pub(crate) mod tests;

pub use entry::{Entries, Entry, Start, any_in, detach, entries, entry, expect_unnamed, named, replace};
pub(crate) use entry::{any_on, put as named_by};
pub use segment::{ColumnStats, Scalar, Segment};
pub(crate) use stamp::cuts_max;
pub use stamp::file_stamp;
pub(crate) use stamp::raise_stamp;
pub(crate) use watermark::watermark_seq;
pub use watermark::{Watermark, watermark};

use crate::catalog::{expect_storage, expect_table};
use crate::{Error, SEGMENTS, Seq, TableId, UserId, WATERMARKS, hot, keys, published, quarantine};
use ebbtide_engine::{Defect, Env, Expect, KeyRange, Snapshot, Write};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one commit must hold to hand a user's rows over: those with `old.seq < seq <= new_seq`, all of which are in
/// `segments`, `rows` many and `bytes` in the hot tier.
///
/// It expects the table and the segments' storages to be there still and the user's watermark to be as it was read
/// before the rows were. Until this commit readers take the rows from hot, from it on from the segments; the hot
/// copies may go at any time afterwards. The segments' objects must be durable before.
pub fn handover(
    env: &dyn Env,
    segments: &[Segment],
    old: &Watermark,
    new_seq: Seq,
    rows: u64,
    bytes: u64,
) -> (Vec<Expect>, Vec<Write>) {
    let within = |s: &Segment| {
        s.table_id == old.table()
            && s.user == *old.user()
            && old.seq < s.from_seq
            && s.from_seq <= s.to_seq
            && s.to_seq <= new_seq
    };
    debug_assert!(segments.iter().all(within), "segments hold rows of {old:?} up to {new_seq}: {segments:?}");
    debug_assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), rows, "every row that moves is in a segment");
    debug_assert!(segments.windows(2).all(|pair| pair[0].to_seq < pair[1].from_seq), "no row is in two segments");

    let mut expect = vec![old.expect(), expect_table(old.table())];
    let storages: BTreeSet<_> = segments.iter().map(|segment| &segment.storage).collect();
    expect.extend(storages.into_iter().map(expect_storage));
    // The other side of the orphan sweep, whose commits expect the manifest not to name the object: never both.
    expect.extend(segments.iter().map(|segment| quarantine::expect_absent(&segment.storage, &segment.path)));

    let mut writes: Vec<Write> = segments.iter().flat_map(entry::put).collect();
    if !env.planted(Defect::WatermarkSkipped) {
        writes.push(old.raised(new_seq));
    }
    if rows > 0 {
        writes.extend(hot::handed_over(old.table(), rows, bytes));
    }
    if !segments.is_empty() {
        writes.push(published::due(old.table(), old.user()));
    }
    (expect, writes)
}

/// The segments of a table, or of one of its users, by user and then by seq.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn segments(snapshot: Arc<dyn Snapshot>, table: TableId, user: Option<&UserId>) -> Result<Vec<Segment>, Error> {
    scan_segments(snapshot, table, user)?.collect()
}

/// [`segments`], one at a time.
///
/// # Errors
/// The engine's; each item may also be [`Error::Corrupt`].
pub fn scan_segments(snapshot: Arc<dyn Snapshot>, table: TableId, user: Option<&UserId>) -> Result<Segments, Error> {
    let prefix = user.map_or_else(|| keys::table(table), |user| keys::user(table, user));
    Ok(Segments { entries: Entries::scan(snapshot, KeyRange::prefix(&prefix))? })
}

/// Reads segments from the manifest as it goes.
#[derive(Debug)]
pub struct Segments {
    entries: Entries,
}

impl Iterator for Segments {
    type Item = Result<Segment, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|entry| entry.map(|entry| entry.segment))
    }
}

/// Removes all that the manifest holds of a dropped table.
pub(crate) fn reclaim(table: TableId) -> impl Iterator<Item = Write> {
    [SEGMENTS, WATERMARKS]
        .into_iter()
        .map(move |space| Write::DeleteRange { space, range: KeyRange::prefix(&keys::table(table)) })
}
