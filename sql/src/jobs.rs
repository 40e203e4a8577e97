//! FLUSH and KILL JOB: the runtime does the work, the answer is the job's id.

use crate::error::{Error, Result, code};
use crate::parse::Kind;
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::show;
use ebbtide_runtime::{Cancel, Error as RuntimeError, JobId, Submitted, Trigger};
use ebbtide_workflows::flush;

const FLUSHED: [&str; 4] = ["job_id", "namespace", "table_name", "status"];

/// Runs a statement about jobs.
pub(crate) async fn run(session: &Session, kind: &Kind) -> Result<Outcome> {
    let database = &session.database;
    match kind {
        Kind::FlushTable(name) => {
            let table = {
                let moment = Moment::take(database)?;
                session.target(&moment, name)?
            };
            let (namespace, table) = (table.namespace.as_str(), table.name.as_str());
            let job = database.flusher.flush_table(namespace, table, Trigger::Manual).await.map_err(flush_error)?;
            show::rows(&FLUSHED, &[submitted(&job, namespace, table)])
        }
        Kind::FlushAll { namespace } => {
            if let Some(name) = namespace
                && Moment::take(database)?.catalog.namespace(name).is_none()
            {
                return Err(ebbtide_store::Error::NamespaceNotFound { name: name.clone() }.into());
            }
            let started =
                database.flusher.flush_all(namespace.as_deref(), Trigger::Manual).await.map_err(flush_error)?;
            let rows: Vec<_> = started
                .iter()
                .map(|(table, job)| submitted(job, table.namespace.as_str(), table.name.as_str()))
                .collect();
            show::rows(&FLUSHED, &rows)
        }
        Kind::KillJob(id) => {
            let unknown =
                || Error::new(code::UNDEFINED_OBJECT, format!("Job {id} not found")).hint("ids are in system.jobs");
            let job: JobId = id.parse().map_err(|_| unknown())?;
            let status = match database.runtime.cancel(&job).await {
                Ok(Cancel::Cancelled) => "cancelled",
                // The wish is durable; the job stops at its next look.
                Ok(Cancel::Asked) => "cancelling",
                Err(RuntimeError::NotFound { .. }) => return Err(unknown()),
                Err(RuntimeError::Ended { status, .. }) => {
                    return Err(Error::new(
                        code::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!("Cannot cancel job in status {status}"),
                    )
                    .detail(format!("Job {job} has ended.")));
                }
                Err(error) => return Err(runtime_error(error)),
            };
            show::rows(&["job_id", "status"], &[vec![job.to_string(), status.to_owned()]])
        }
        _ => Err(Error::internal("not a statement about jobs")),
    }
}

fn submitted(job: &Submitted, namespace: &str, table: &str) -> Vec<String> {
    let status = match job {
        Submitted::New(_) => "started",
        Submitted::Existing(_) => "already running",
    };
    vec![job.id().to_string(), namespace.to_owned(), table.to_owned(), status.to_owned()]
}

fn flush_error(error: flush::Error) -> Error {
    match error {
        flush::Error::NotFound { .. } => Error::new(code::UNDEFINED_TABLE, error.to_string()),
        flush::Error::Store(error) => error.into(),
        flush::Error::Runtime(error) => runtime_error(error),
        flush::Error::Engine(error) => error.into(),
        flush::Error::Commit(error) => error.into(),
        other => Error::internal(other.to_string()),
    }
}

fn runtime_error(error: RuntimeError) -> Error {
    match error {
        RuntimeError::Commit(error) => error.into(),
        RuntimeError::Engine(error) => error.into(),
        RuntimeError::ShuttingDown => Error::new(code::ADMIN_SHUTDOWN, "the database is shutting down"),
        RuntimeError::Stalled { .. } => Error::new(code::DISK_FULL, error.to_string())
            .hint("look at the server's log, mend what it says, then restart the server"),
        RuntimeError::Expectation { .. } => Error::new(code::UNDEFINED_TABLE, "the table was dropped meanwhile"),
        other => Error::internal(other.to_string()),
    }
}
