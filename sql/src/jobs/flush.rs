//! FLUSH: the answer is the id of the job that does it.

use super::{runtime_error, submitted};
use crate::error::{Error, Result, code};
use crate::parse::TableName;
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::show;
use ebbtide_runtime::{Submitted, Trigger};
use ebbtide_workflows::flush;

pub(super) const COLUMNS: [&str; 4] = ["job_id", "namespace", "table_name", "status"];

/// `FLUSH TABLE ns.t`
pub(super) async fn table(session: &Session, name: &TableName) -> Result<Outcome> {
    let database = &session.database;
    let table = {
        let moment = Moment::take(database)?;
        session.target(&moment, name)?
    };
    let (namespace, table) = (table.namespace.as_str(), table.name.as_str());
    let job = database.flusher.flush_table(namespace, table, Trigger::Manual).await.map_err(flush_error)?;
    show::rows(&COLUMNS, &[row(&job, namespace, table)])
}

/// `FLUSH ALL [IN ns]`
pub(super) async fn all(session: &Session, namespace: Option<&str>) -> Result<Outcome> {
    let database = &session.database;
    if let Some(name) = namespace
        && Moment::take(database)?.catalog.namespace(name).is_none()
    {
        return Err(ebbtide_store::Error::NamespaceNotFound { name: name.to_owned() }.into());
    }
    let started = database.flusher.flush_all(namespace, Trigger::Manual).await.map_err(flush_error)?;
    let rows: Vec<_> =
        started.iter().map(|(table, job)| row(job, table.namespace.as_str(), table.name.as_str())).collect();
    show::rows(&COLUMNS, &rows)
}

fn row(job: &Submitted, namespace: &str, table: &str) -> Vec<String> {
    vec![job.id().to_string(), namespace.to_owned(), table.to_owned(), submitted(job).to_owned()]
}

pub(super) fn flush_error(error: flush::Error) -> Error {
    match error {
        flush::Error::NotFound { .. } => Error::new(code::UNDEFINED_TABLE, error.to_string()),
        flush::Error::Store(error) => error.into(),
        flush::Error::Runtime(error) => runtime_error(error),
        flush::Error::Engine(error) => error.into(),
        flush::Error::Commit(error) => error.into(),
        other => Error::internal(other.to_string()),
    }
}
