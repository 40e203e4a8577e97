//! What erasures and exports that did not come to their end have written down, once their jobs are no more.
//!
//! A job that fails keeps its records, for it may be tried again; one that is cleaned up cannot be.

use crate::user_erase::records::ERASED_OBJECTS;
use crate::user_export::records::EXPORTED_FILES;
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot, Space, Write};
use ebbtide_runtime::{Error, JobId, query};
use std::sync::Arc;

/// Spaces whose keys begin with a job's id.
const SPACES: [Space; 2] = [ERASED_OBJECTS, EXPORTED_FILES];

/// Which of the spaces, and the key from which on it is looked through.
pub(super) type Place = (usize, Vec<u8>);

/// The writes that remove the records of some jobs that are not stored any more, and where to go on.
pub(super) fn plan(
    snapshot: &Arc<dyn Snapshot>,
    from: Place,
    jobs_max: usize,
) -> Result<(Vec<Write>, Option<Place>), Error> {
    let (mut space, mut from) = from;
    let mut writes = Vec::new();
    for _ in 0..jobs_max {
        let Some(records) = SPACES.get(space).copied() else { return Ok((writes, None)) };
        let mut cursor = snapshot.clone().scan(records, KeyRange::new(from, []), Order::Ascending)?;
        let first = Cursor::next(&mut *cursor)?.and_then(|(key, _)| key.first_chunk::<16>().copied());
        from = match first {
            Some(id) => {
                let range = KeyRange::prefix(&id);
                if query::job(&**snapshot, &JobId::from_uuid(uuid::Uuid::from_bytes(id)))?.is_none() {
                    writes.push(Write::delete_range(records, range.clone()));
                }
                range.to
            }
            None => {
                space += 1;
                Vec::new()
            }
        };
        if first.is_some() && from.is_empty() {
            // The last id there is.
            space += 1;
        }
    }
    Ok((writes, Some((space, from))))
}
