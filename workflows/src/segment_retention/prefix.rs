//! How much of a user's segments is too old: some whole segments, then perhaps the first rows of one more.
//!
//! The manifest keeps the bounds of `_committed_at` for each segment, so only the segment at the edge is opened, and of
//! it only that one column.

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use ebbtide_engine::Snapshot;
use ebbtide_store::cold::segment::{Part, Reader};
use ebbtide_store::manifest::{self, Entry, Start};
use ebbtide_store::{Error, Hidden, Scalar, Segment, Store, TableId, UserId};
use std::sync::Arc;

/// What of one user is too old.
#[derive(Debug)]
pub(super) struct Prefix {
    pub(super) user: UserId,
    /// Segments that are too old from the first row to the last.
    pub(super) whole: Vec<Entry>,
    /// The one after them, if some of its rows may be too old.
    pub(super) edge: Option<Entry>,
    /// There are more whole ones than asked for; the edge is not known yet.
    pub(super) more: bool,
}

/// The first user from `start` on who has segments, and what of them is too old: no more than `whole_max` whole ones.
pub(super) fn next(
    snapshot: &Arc<dyn Snapshot>,
    table: TableId,
    start: Start<'_>,
    cutoff: i64,
    whole_max: usize,
) -> Result<Option<Prefix>, Error> {
    let mut entries = manifest::entries(snapshot.clone(), table, start)?;
    let Some(first) = entries.next().transpose()? else { return Ok(None) };
    let user = first.segment.user.clone();
    let mut prefix = Prefix { user, whole: Vec::new(), edge: None, more: false };
    let mut next = Some(first);
    while let Some(entry) = next.take() {
        if entry.segment.user != prefix.user {
            break;
        }
        let (oldest, newest) = bounds(&entry.segment);
        if newest.is_none_or(|newest| newest >= cutoff) {
            prefix.edge = Some(entry).filter(|_| oldest.is_none_or(|oldest| oldest < cutoff));
            break;
        }
        if prefix.whole.len() >= whole_max {
            prefix.more = true;
            break;
        }
        prefix.whole.push(entry);
        next = entries.next().transpose()?;
    }
    Ok(Some(prefix))
}

/// The oldest and the newest `_committed_at` of a segment, as far as its entry says.
fn bounds(segment: &Segment) -> (Option<i64>, Option<i64>) {
    let column = segment.columns.iter().find(|column| column.id == Hidden::CommittedAt.id());
    let time = |bound: &Option<Scalar>| match bound {
        Some(Scalar::Int(micros)) => Some(*micros),
        _ => None,
    };
    column.map_or((None, None), |column| (time(&column.min), time(&column.max)))
}

/// How many rows of a segment are too old: they are its first ones.
pub(super) async fn old_rows(store: &Store, segment: &Segment, cutoff: i64) -> Result<u64, Error> {
    let objects = store.objects(&segment.storage)?;
    let columns = [Hidden::CommittedAt.name()];
    let part = Part { columns: Some(&columns), first_row: 0, batch_rows: 8192 };
    let mut reader = Reader::open(&*objects, &segment.path, segment.bytes, part).await?;
    let mut old = 0;
    while let Some(batch) = reader.next().await? {
        let times = batch
            .column_by_name(Hidden::CommittedAt.name())
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(|| Error::corrupt(format!("segment {} has no _committed_at", segment.path)))?;
        let here = times.values().partition_point(|time| *time < cutoff);
        old += here as u64;
        if here < times.len() {
            break;
        }
    }
    Ok(old)
}
