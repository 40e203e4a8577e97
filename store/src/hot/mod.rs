//! Rows that no segment holds yet: written here first, read from here above the watermark, removed from here
//! some time after a segment took them.
//!
//! ```text
//! hot           table | user | seq  ->  committed at, i64 LE | row (see `codec`)
//! hot_users     table | user        ->  the user's last seq, u64 BE
//! hot_counters  table | what        ->  rows, bytes above the watermarks, i64 LE
//! ```
//! Nothing here looks at a range that a flush may have emptied: readers start at the watermark, and users with
//! rows are found through their own index.

mod by_user; // one look-up for each of many users
pub mod codec; // one row as bytes, and back
mod rows; // writes: rows come in, rows go
mod scan; // one user's rows in seq order
mod table_scan; // many users' rows, for a query

#[cfg(test)]
mod tests;

pub use rows::{
    Counters, append, append_all, bytes, count_rows, counters, delete_writes, forget_user, give_back, users,
};
pub use scan::{HotScan, ScanTotals, scan};
pub use table_scan::{TableScan, scan_table, scan_users};

pub(crate) use rows::{handed_over, reclaim};
