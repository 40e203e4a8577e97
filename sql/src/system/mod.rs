//! System tables: what the database knows of itself, row by row from the statement's own snapshot.
//!
//! Each table is a file: its columns with their meaning, and how its rows are made. Rows come from a blocking thread
//! through a bounded channel, so a million jobs are never in memory, and whoever has enough rows stops the reading.

mod columns; // what a column is called, holds and means
mod jobs; // every job, newest first
mod namespaces; // namespaces
mod provider; // a system table, as DataFusion plans with it
mod segments; // the manifest
mod storages; // places for segments
mod tables; // tables, with what of them is hot
mod transitions; // every change of a job's state
mod wanted; // what a filter says about the rows

pub use columns::Column;
pub(crate) use columns::Out;
pub(crate) use tables::kind;

use crate::error::Result;
use crate::scan::Moment;
use datafusion::catalog::TableProvider;
use std::sync::Arc;
use wanted::Wanted;

/// The schema that system tables are in.
pub const SCHEMA: &str = "system";

/// The names of all system tables.
pub const NAMES: &[&str] = &["job_transitions", "jobs", "namespaces", "segments", "storages", "tables"];

/// One system table.
pub(crate) trait System: std::fmt::Debug + Send + Sync + 'static {
    /// Its columns, in order.
    fn columns(&self) -> &'static [Column];

    /// The column by which rows come in falling order, if they do.
    fn newest_first(&self) -> Option<&'static str> {
        None
    }

    /// The columns whose equality with a text [`System::rows`] takes care of by itself.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Gives every wanted row to `out`, until that wants no more. Blocks.
    fn rows(&self, moment: &Moment, wanted: &Wanted, out: &mut Out<'_>) -> Result<()>;
}

fn system(name: &str) -> Option<Arc<dyn System>> {
    Some(match name {
        "job_transitions" => Arc::new(transitions::Transitions),
        "jobs" => Arc::new(jobs::Jobs),
        "namespaces" => Arc::new(namespaces::Namespaces),
        "segments" => Arc::new(segments::Segments),
        "storages" => Arc::new(storages::Storages),
        "tables" => Arc::new(tables::Tables),
        _ => return None,
    })
}

/// The system table of this name, to be planned with.
pub(crate) fn table(name: &str) -> Option<Arc<dyn TableProvider>> {
    system(name).map(|system| Arc::new(provider::Provider::new(system)) as _)
}

/// The columns of a system table, in order: what documents and clients show.
pub fn columns(name: &str) -> Option<&'static [Column]> {
    system(name).map(|system| system.columns())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_table_has_columns_that_say_what_they_mean() {
        for name in NAMES {
            let columns = columns(name).unwrap_or_else(|| panic!("{name} is listed"));
            assert!(columns.iter().all(|column| !column.doc.is_empty()), "{name}");
            let system = system(name).expect("listed");
            for key in system.keys().iter().copied().chain(system.newest_first()) {
                assert!(columns.iter().any(|column| column.name == key), "{name}.{key}");
            }
        }
    }
}
