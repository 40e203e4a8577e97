//! Since when each table has hot rows, from looks that are no further apart than [`LOOK_EVERY`].
//!
//! No index leads to the oldest row of a table, and none is worth its price: rows are older than neither the last flush that
//! took all there were nor the last look that found none.

use std::collections::HashMap;
use std::time::Duration;

use ebbtide_store::TableId;
use ebbtide_workflows::flush::LastCut;

/// How far an age may be off.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What a look finds of one table. Times are microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) at: i64,
    pub(super) rows: u64,
    pub(super) created_at: i64,
    pub(super) last_cut: Option<LastCut>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ages(HashMap<TableId, Since>);

#[derive(Debug, Clone, Copy)]
struct Since {
    at: i64,
    looked_at: i64,
}

impl Ages {
    /// The age of the oldest hot row of a table: at most so long; zero when there is none.
    pub(super) fn look(&mut self, table: TableId, look: Look) -> Duration {
        let cut = look.last_cut.filter(|cut| cut.stuck_rows == 0).map_or(look.created_at, |cut| cut.taken_at);
        let since = self.0.entry(table).or_insert(Since { at: cut, looked_at: look.at });
        // A flush that left rows behind says nothing of how old those are.
        since.at = if look.rows == 0 { look.at } else { since.at.max(cut) };
        since.looked_at = look.at;
        Duration::from_micros(u64::try_from(look.at - since.at).unwrap_or(0))
    }

    /// Forgets tables that were not looked at: they are gone.
    pub(super) fn forget_before(&mut self, at: i64) {
        self.0.retain(|_, since| since.looked_at >= at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: TableId = TableId(7);

    fn look(seconds: i64, rows: u64, cut: Option<(i64, u64)>) -> Look {
        let cut = cut.map(|(taken, stuck_rows)| LastCut { taken_at: taken * 1_000_000, stuck_rows });
        Look { at: seconds * 1_000_000, rows, created_at: 1_000_000, last_cut: cut }
    }

    fn ages(looks: &[Look]) -> Vec<u64> {
        let mut ages = Ages::default();
        looks.iter().map(|look| ages.look(TABLE, *look).as_secs()).collect()
    }

    #[test]
    fn rows_are_no_older_than_the_last_empty_look_or_the_last_cut() {
        let looks =
            [look(10, 5, None), look(20, 0, None), look(30, 5, None), look(40, 5, None), look(50, 1, Some((45, 0)))];
        assert_eq!(ages(&looks), [9, 0, 10, 20, 5]);
    }

    #[test]
    fn a_flush_that_left_rows_behind_makes_none_younger() {
        assert_eq!(ages(&[look(10, 5, None), look(20, 3, Some((15, 3))), look(30, 0, Some((15, 3)))]), [9, 19, 0]);
    }

    #[test]
    fn tables_that_are_gone_are_forgotten() {
        let mut ages = Ages::default();
        ages.look(TABLE, look(10, 1, None));
        ages.forget_before(10_000_000);
        assert_eq!(ages.0.len(), 1);
        ages.forget_before(10_000_001);
        assert!(ages.0.is_empty());
    }
}
