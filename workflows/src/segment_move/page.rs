//! Which segments are next: bounded by how many are looked at, and by how many and how large those are that have to move.

use super::Work;
use ebbtide_engine::{Expect, Snapshot};
use ebbtide_store::manifest::{self, Entry, Start};
use ebbtide_store::{Error, Seq, Store, Table, TableId, UserId};
use std::sync::Arc;

/// Entries looked at by one step.
const ENTRIES_MAX: usize = if cfg!(test) { 5 } else { 4096 };
/// Segments moved by one commit. So few in tests that a user takes several commits.
const SEGMENTS_MAX: usize = if cfg!(test) { 2 } else { 64 };
/// Bytes copied by one step, after which no further segment is begun: what a crash has to do again.
const BYTES_MAX: u64 = 256 << 20;

/// Where a walk over a table stands: behind this segment.
pub(super) type Position = (UserId, Seq);

/// What there is to do next in a table.
pub(super) enum Look {
    /// The table was dropped.
    NoTable,
    /// The storage to move to was dropped.
    NoStorage,
    Page(Page),
}

#[derive(Debug)]
pub(super) struct Page {
    pub(super) table: Arc<Table>,
    /// Segments that have to move, each with the folder for it.
    pub(super) segments: Vec<(Entry, String)>,
    /// Segments that lie there already.
    pub(super) there: u64,
    /// That the storage to move to is the place that it is now.
    pub(super) registered: Expect,
    /// Where the next page begins; none when this is the last one.
    pub(super) next: Option<Position>,
}

pub(super) fn look(
    store: &Store,
    snapshot: &Arc<dyn Snapshot>,
    id: TableId,
    work: &Work,
    after: Option<Position>,
) -> Result<Look, Error> {
    let view = store.catalog().view(snapshot)?;
    let Some(table) = view.table_by_id(id).cloned() else { return Ok(Look::NoTable) };
    let Some(to) = view.storage(&work.to) else { return Ok(Look::NoStorage) };
    let start = match (&after, &work.user) {
        (Some((user, seq)), _) => Start::Seq(user, seq.saturating_add(1)),
        (None, Some(user)) => Start::Seq(user, 0),
        (None, None) => Start::Beginning,
    };
    let registered = store.catalog().expect_registered(&**snapshot, &work.to)?;
    let mut page = Page { table, segments: Vec::new(), there: 0, registered, next: None };
    let (mut looked, mut bytes) = (0, 0);
    for entry in manifest::entries(snapshot.clone(), id, start)? {
        let entry = entry?;
        let segment = &entry.segment;
        if work.user.as_ref().is_some_and(|user| *user != segment.user) {
            page.next = None;
            return Ok(Look::Page(page));
        }
        let full = looked >= ENTRIES_MAX || page.segments.len() >= SEGMENTS_MAX || bytes >= BYTES_MAX;
        if full {
            return Ok(Look::Page(page));
        }
        looked += 1;
        page.next = Some((segment.user.clone(), segment.from_seq));
        if segment.storage == work.to {
            page.there += 1;
            continue;
        }
        bytes += segment.bytes;
        let folder = store.prefix_in(to, &page.table, &segment.user)?;
        page.segments.push((entry, folder));
    }
    page.next = None;
    Ok(Look::Page(page))
}
