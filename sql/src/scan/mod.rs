//! One table out of two tiers: hot rows above the watermarks, and the segments of the manifest.
//!
//! ```text
//! statement ─► Moment: one registered reader, one engine snapshot, one catalog
//!                 │
//!              Rows (table provider: whose rows, which columns)
//!                 │ scan
//!              UnionExec
//!              ├─ HotExec          a blocking thread per partition feeds a bounded channel
//!              ├─ DataSourceExec   Parquet, one per storage; files from the manifest, pruned
//!              └─ rows counted in the manifest, where no column is wanted
//! ```
//!
//! Whose rows a statement may see is decided here, from the identity the provider was made for, and nowhere in the
//! text of the statement. Files are never listed.

mod cold; // segments, read by DataFusion's Parquet source
mod count; // how many rows, without reading any
mod hot; // rows that no segment holds yet
mod moment; // the one instant a statement reads
mod names; // namespaces and tables, as DataFusion looks them up
mod narrow; // what a filter says about users and seqs
mod provider; // a table, for one identity
mod prune; // segments that cannot hold a row a filter wants
mod schema; // the columns a statement sees

pub(crate) use moment::Moment;
pub(crate) use names::{CATALOG, Names};
pub(crate) use provider::Rows;
pub use schema::is_json;
pub(crate) use schema::{HiddenColumns, column_schema};
