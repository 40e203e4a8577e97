//! What of a table is next: segments, then the beginning of one that the cut goes through, then hot rows.
//!
//! Whatever one snapshot shows, a row above the last one exported is either in a segment or hot above the watermark. So it does
//! not matter which rows a flush moved since the snapshot before.

use super::Work;
use ebbtide_engine::Snapshot;
use ebbtide_store::manifest::{self, Start};
use ebbtide_store::{Error, Kind, Segment, Seq, Store, Table, TableId, hot};
use std::sync::Arc;

/// Segments copied by one commit. So few in tests that a user takes several commits.
const SEGMENTS_MAX: usize = if cfg!(test) { 2 } else { 64 };
/// Bytes copied by one step, after which no further segment is begun: what a crash has to do again.
const BYTES_MAX: u64 = 256 << 20;

/// What is next.
pub(super) enum Next {
    /// These segments, as they are.
    Whole(Vec<Segment>),
    /// The rows of this one up to the cut.
    Beginning(Segment),
    /// His hot rows behind this seq, up to the cut. The snapshot is the one they are to be read from.
    Hot { after: Seq, snapshot: Arc<dyn Snapshot> },
    /// There is nothing more.
    End,
}

/// The next table and what is next of it. `through` is the seq up to which `table` is done with.
pub(super) fn next(
    store: &Store,
    snapshot: &Arc<dyn Snapshot>,
    work: &Work,
    table: Option<(TableId, Seq)>,
    after: Option<TableId>,
    cut: Seq,
) -> Result<Option<(Arc<Table>, Next)>, Error> {
    let view = store.catalog().view(snapshot)?;
    let tables = work.tables();
    // One that was dropped meanwhile has no rows any more.
    if let Some((id, through)) = table
        && let Some(table) = view.table_by_id(id)
    {
        return Ok(Some((table.clone(), of_table(snapshot, work, table, through, cut)?)));
    }
    let mut after = table.map(|(id, _)| id).or(after);
    while let Some(table) = tables.next(&view, after) {
        after = Some(table.id);
        if table.kind != Kind::User {
            continue;
        }
        match of_table(snapshot, work, &table, 0, cut)? {
            // He has nothing in it.
            Next::End => {}
            next => return Ok(Some((table, next))),
        }
    }
    Ok(None)
}

fn of_table(snapshot: &Arc<dyn Snapshot>, work: &Work, table: &Table, through: Seq, cut: Seq) -> Result<Next, Error> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    if through < cut {
        let start = Start::Seq(&work.user, through.saturating_add(1));
        for entry in manifest::entries(snapshot.clone(), table.id, start)? {
            let segment = entry?.segment;
            if segment.user != work.user || segment.from_seq > cut {
                break;
            }
            if segment.to_seq > cut {
                if page.is_empty() {
                    return Ok(Next::Beginning(segment));
                }
                break;
            }
            bytes += segment.bytes;
            page.push(segment);
            if page.len() >= SEGMENTS_MAX || bytes >= BYTES_MAX {
                break;
            }
        }
    }
    if !page.is_empty() {
        return Ok(Next::Whole(page));
    }
    let after = manifest::watermark(&**snapshot, table.id, &work.user)?.seq.max(through);
    if after < cut && hot::count_rows(snapshot, table.id, &work.user, after, cut)?.rows > 0 {
        return Ok(Next::Hot { after, snapshot: snapshot.clone() });
    }
    Ok(Next::End)
}
