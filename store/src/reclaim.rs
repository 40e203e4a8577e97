//! What a dropped table leaves behind, and how it goes.
//!
//! In this order, each step of it repeatable: the hot tier at once, because snapshots keep what their readers see;
//! the objects that [`segments`] names once no older reader is registered (see [`crate::Readers`]) and the grace
//! has passed; the manifest and the [`Dropped`](crate::Dropped) record last, because they name what is left.

use crate::catalog::forget_dropped;
use crate::{TableId, hot, manifest};
use ebbtide_engine::Write;

pub use crate::manifest::segments;

/// The writes that remove a dropped table's rows, index and counters from the hot tier.
pub fn hot(table: TableId) -> Vec<Write> {
    hot::reclaim(table).collect()
}

/// The writes that remove the rest of a dropped table, once its objects are gone: from here on there is no trace.
pub fn done(table: TableId) -> Vec<Write> {
    manifest::reclaim(table).chain([forget_dropped(table)]).collect()
}
