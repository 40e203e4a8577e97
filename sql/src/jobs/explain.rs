//! EXPLAIN JOB: why a job stands where it stands, in words.

use super::{find, runtime_error};
use crate::error::{Error, Result};
use crate::parse::JobCommand;
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::show;
use ebbtide_runtime::{Job, explain};
use ebbtide_store::hot;

pub(super) const COLUMNS: [&str; 2] = ["topic", "text"];

/// `EXPLAIN JOB 'id'`
pub(super) async fn run(session: &Session, command: &JobCommand) -> Result<Outcome> {
    let job = find::job(&session.database, command).await?;
    let database = session.database.clone();
    let explained = tokio::task::spawn_blocking(move || -> Result<Vec<Vec<String>>> {
        let explanation = explain::explain(&database.runtime, &job.job_id).map_err(runtime_error)?;
        let mut lines: Vec<_> = explanation.lines;
        lines.extend(of_the_table(&*Moment::take(&database)?, &job)?);
        Ok(lines.into_iter().map(|(topic, text)| vec![topic.to_owned(), text]).collect())
    });
    let rows = explained.await.map_err(|error| Error::internal(error.to_string()))??;
    show::rows(&COLUMNS, &rows)
}

/// What only the tables' store knows of the job's table.
fn of_the_table(moment: &Moment, job: &Job) -> Result<Vec<(&'static str, String)>> {
    let (Some(namespace), Some(name)) = (&job.namespace, &job.table_name) else { return Ok(Vec::new()) };
    let Some(table) = moment.catalog.table(namespace, name) else {
        return Ok(vec![("table", format!("{namespace}.{name} does not exist any more"))]);
    };
    let pending = hot::counters(&*moment.snapshot, table.id)?;
    let rows = match pending.rows {
        0 => "no row of it waits to be flushed".to_owned(),
        1 => format!("1 row of it, {} bytes, waits to be flushed", pending.bytes),
        rows => format!("{rows} rows of it, {} bytes, wait to be flushed", pending.bytes),
    };
    let storage = table.storage.as_str();
    let location = moment.database.store.storage_location(storage);
    Ok(vec![("table", format!("{namespace}.{name}: {rows}")), ("storage", format!("{storage} at {location}"))])
}
