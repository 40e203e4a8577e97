//! System tables: what the database knows of itself, row by row from the statement's own snapshot.
//!
//! Each table is a file: its columns with their meaning, and how its rows are made. Rows come from a blocking thread
//! through a bounded channel, so a million jobs are never in memory, and whoever has enough rows stops the reading.

mod columns; // what a column is called, holds and means
mod exec; // a system table being read
mod findings; // segments that are not what the manifest says
mod jobs; // every job, newest first
mod look; // what rows are made from, every read of it counted
mod namespaces; // namespaces
mod nodes; // who runs jobs
mod provider; // a system table, as DataFusion plans with it
mod quarantine; // objects that nothing names
mod segments; // the manifest
mod settings; // what the server was started with
mod slots; // what became of each slot of a schedule
mod storages; // places for segments
mod tables; // tables, with what of them is hot
mod tally; // GROUP BY a column whose counts are kept
mod transitions; // every change of a job's state
mod users; // users
mod wanted; // what a filter says about the rows
mod workflows; // declared workflows, and the flush triggers of tables

pub use columns::Column;
pub(crate) use columns::Out;
#[cfg(test)]
pub(crate) use exec::ENGINE_READS;
pub(crate) use look::Look;
pub(crate) use tables::kind;
pub(crate) use tally::TalliedGroups;
pub(crate) use workflows::table_workflow;

use crate::error::{Error, Result};
use crate::scan::Moment;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::metrics::Count;
use std::sync::Arc;
use wanted::Wanted;

/// The schema that system tables are in.
pub const SCHEMA: &str = "system";

/// A system table and what it is for.
type Entry = (&'static str, &'static dyn System, &'static str);

/// Every system table, by name.
const TABLES: &[Entry] = &[
    ("job_transitions", &transitions::Transitions, "Every change of a job's state or status: the path it took."),
    ("jobs", &jobs::Jobs, "Every job, newest first: what runs, what waits and why, and what came of what ended."),
    ("namespaces", &namespaces::Namespaces, "Namespaces."),
    ("nodes", &nodes::Nodes, "Who runs jobs, and what each found when it last started."),
    (
        "quarantine",
        &quarantine::Quarantine,
        "Objects that nothing names, held back for a while before they are deleted.",
    ),
    ("schedule_slots", &slots::Slots, "The ledger of schedules: what became of each time at which a workflow was due."),
    ("segments", &segments::Segments, "The manifest: one row per file of the cold tier."),
    ("settings", &settings::Settings, "What the server was started with, and what each setting means."),
    ("storages", &storages::Storages, "Places for segments, local first, then by name."),
    ("tables", &tables::Tables, "Tables, with what of them is hot."),
    ("users", &users::Users, "Users, by name: who owns rows, or was made known."),
    ("verify_findings", &findings::Findings, "Segments that are not what the manifest says, newest finding first."),
    (
        "workflows",
        &workflows::Workflows,
        "What runs by itself: declared and built-in workflows, and the flush of every table.",
    ),
];

/// The names of all system tables.
pub const NAMES: &[&str] = &{
    let mut names = [""; TABLES.len()];
    let mut place = 0;
    while place < TABLES.len() {
        names[place] = TABLES[place].0;
        place += 1;
    }
    names
};

/// One system table.
pub(crate) trait System: std::fmt::Debug + Send + Sync + 'static {
    /// Its name, with its schema.
    fn name(&self) -> &'static str;

    /// Its columns, in order.
    fn columns(&self) -> &'static [Column];

    /// The column by which rows come in falling order, if they do. A stretch of time that is asked of it is taken care of by
    /// [`System::rows`]; its values are instants, never NULL.
    fn newest_first(&self) -> Option<&'static str> {
        None
    }

    /// The column by which rows of the same instant come in falling order, if they do. Never NULL.
    fn then_by(&self) -> Option<&'static str> {
        None
    }

    /// The columns of which [`System::rows`] gives only the texts that are asked for.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Every text that a key column can have, if they are few and it is never NULL.
    fn values(&self, key: &str) -> Option<Vec<&'static str>> {
        let _ = key;
        None
    }

    /// How many rows are wanted, where that is known without reading them. A few reads, so it may block for those.
    fn count(&self, look: &Look<'_>, wanted: &Wanted) -> Result<Option<u64>> {
        let _ = (look, wanted);
        Ok(None)
    }

    /// The table with a row per value of this column, and how many rows of this table have it; for a column whose counts are
    /// kept. Its first column is the value, its second the count, which is above zero.
    fn tally(&self, column: &str) -> Option<&'static dyn System> {
        let _ = column;
        None
    }

    /// Gives every wanted row to `out`, until that wants no more. Blocks.
    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()>;
}

fn system(name: &str) -> Option<&'static dyn System> {
    TABLES.iter().find(|(known, ..)| *known == name).map(|(_, system, _)| *system)
}

/// The system table of this name, to be planned with.
pub(crate) fn table(name: &str) -> Option<Arc<dyn TableProvider>> {
    system(name).map(|system| Arc::new(provider::Provider::new(system)) as _)
}

/// Some columns of a system table, as they are given out.
pub(crate) fn schema_of(name: &str, columns: &[&str]) -> Result<SchemaRef> {
    let (system, projection) = projected(name, columns)?;
    Ok(Arc::new(columns::schema(system.columns()).project(&projection)?))
}

/// Some columns of all rows of a small system table in this moment, without a plan: of it, anybody may see them.
pub(crate) fn read(name: &str, columns: &[&str], moment: &Moment) -> Result<Vec<RecordBatch>> {
    let (system, projection) = projected(name, columns)?;
    let schema = schema_of(name, columns)?;
    let mut batches = Vec::new();
    let mut send = |batch| {
        batches.push(batch);
        true
    };
    let look = Look::new(moment, Count::new());
    let mut out = Out::new(system.columns(), &projection, schema, None, &mut send);
    system.rows(&look, &Wanted::default(), &mut out)?;
    out.flush()?;
    Ok(batches)
}

fn projected(name: &str, columns: &[&str]) -> Result<(&'static dyn System, Vec<usize>)> {
    let system = system(name).ok_or_else(|| Error::internal(format!("there is no system table {name}")))?;
    let place = |wanted: &&str| {
        let found = system.columns().iter().position(|column| column.name == *wanted);
        found.ok_or_else(|| Error::internal(format!("system.{name} has no column {wanted}")))
    };
    Ok((system, columns.iter().map(place).collect::<Result<_>>()?))
}

/// The columns of a system table, in order: what documents and clients show.
pub fn columns(name: &str) -> Option<&'static [Column]> {
    system(name).map(|system| system.columns())
}

/// The reference of all system tables, as Markdown, from what is declared beside their columns.
///
/// ```
/// assert!(ebbtide_sql::system::reference().contains("### `system.jobs`"));
/// ```
pub fn reference() -> String {
    let mut page = String::new();
    for (_, system, about) in TABLES {
        page.push_str(&format!("\n### `{}`\n\n{about}\n", system.name()));
        let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if !system.keys().is_empty() {
            let keys = quoted(system.keys().to_vec());
            page.push_str(&format!(
                "\n`=`, `IN` and their `OR` on these are looked after while the rows are made: {keys}.\n"
            ));
        }
        if let Some(newest) = system.newest_first() {
            let order: Vec<&str> = [newest].into_iter().chain(system.then_by()).collect();
            page.push_str(&format!(
                "\nRows come by {} descending, so `ORDER BY {newest} DESC` sorts nothing, and `LIMIT` or a lower bound of \
                 `{newest}` ends the reading.\n",
                quoted(order)
            ));
        }
        page.push_str("\n| column | type | |\n| --- | --- | --- |\n");
        for column in system.columns() {
            let null = if column.nullable { ", may be NULL" } else { "" };
            page.push_str(&format!("| {} | {}{null} | {} |\n", column.name, column.column_type, column.doc));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything from this line on is written by the test below; `UPDATE_EXPECT=1` writes it.
    const MARK: &str = "<!-- From here on: from the declarations in sql/src/system. -->\n";

    #[test]
    fn the_page_shows_every_system_table_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api-reference.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (written, _) = page.split_once(MARK).expect("the mark");
        expect_test::expect_file![path].assert_eq(&format!("{written}{MARK}{}", reference()));
    }

    #[test]
    fn every_named_table_has_columns_that_say_what_they_mean() {
        for name in NAMES {
            let columns = columns(name).unwrap_or_else(|| panic!("{name} is listed"));
            assert!(columns.iter().all(|column| !column.doc.is_empty()), "{name}");
            let system = system(name).expect("listed");
            assert_eq!(system.name(), format!("{SCHEMA}.{name}"));
            for key in system.keys().iter().copied().chain(system.newest_first()).chain(system.then_by()) {
                assert!(columns.iter().any(|column| column.name == key), "{name}.{key}");
            }
        }
    }
}
