//! How it is asked: statements, scans and system tables.
//!
//! The only crate that knows DataFusion and the SQL grammar. A [`Database`] is everything opened and wired; a
//! [`Session`] is one client's conversation with it.
//!
//! ```text
//! text ─► parse ─► prepare (look up, plan) ─► execute ─► Outcome
//!                                               │
//!            SELECT ─► scan: hot ∪ segments     │ one moment per statement
//!            INSERT, COPY ─► insert: encode ────┴─► one commit, or the open transaction
//! ```
//!
//! | part | folder | in one line |
//! | --- | --- | --- |
//! | what is asked | `parse/` | text into [`Statement`]s, ours and ordinary SQL, every error with its place |
//! | who asks | `session/` | [`Session`]: settings, transaction, prepared statements |
//! | reading | `scan/` | one table out of two tiers, in one snapshot, for one identity |
//! | writing | `insert/`, `copy/`, `value/` | values into columns, columns into rows, rows into commits |
//! | the database itself | `ddl.rs`, `storages.rs`, `users.rs`, `jobs/`, `show.rs`, `system/` | namespaces, tables, storages, users, flushes, and what can be read of them |
//! | errors | `error/` | [`Error`]: SQLSTATE, message, detail, hint, position |
//!
//! What it never does: list files to plan a query, hold the hot tier in memory, decide by the text of a statement
//! whose rows it may see, or acknowledge a write that is not on disk.

mod copy; // COPY … FROM STDIN
mod database; // everything, opened and wired
mod ddl; // namespaces and tables, made and dropped
pub mod error; // what a client is told when a statement fails
mod filters; // a way round a fault of DataFusion's
mod functions; // functions that PostgreSQL clients ask for
mod insert; // INSERT
mod jobs; // FLUSH, KILL JOB and the like, RUN WORKFLOW
mod memory; // memory of one statement
mod options; // bounds and defaults of statements
mod parse; // text into statements
pub mod pressure; // how full the hot tier is
mod reclaim; // what a dropped table left behind
mod reload; // workflows declared in the settings
mod scan; // one table out of two tiers
mod session; // one client's conversation
mod show; // SHOW and DESCRIBE
mod storages; // storages, made, altered, dropped, checked
pub mod system; // system tables
#[cfg(test)]
mod testing; // tables for unit tests
#[cfg(test)]
mod tests; // the whole of it, told as scripts
mod users; // users, and where their segments go
mod value; // values on their way into columns

pub use copy::CopySink;
pub use database::{Database, DatabaseOptions};
pub use error::{Error, Result};
pub use functions::VERSION;
pub use options::Options;
pub use parse::Statement;
pub use reload::{Change, Changed};
pub use scan::is_json;
pub use session::{Identity, Outcome, Prepared, Session, TransactionStatus};
pub use value::is_of;
