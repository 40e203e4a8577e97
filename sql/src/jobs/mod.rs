//! Statements about jobs and workflows: the runtime does the work.

mod control; // KILL, RETRY, PAUSE and RESUME JOB
mod explain; // EXPLAIN JOB
mod find; // the job that a statement names
mod flush; // FLUSH
mod user; // ERASE, EXPORT and MOVE USER, MOVE TABLE
mod workflow; // RUN WORKFLOW and RELOAD WORKFLOWS

use crate::error::{Error, Result, code};
use crate::parse::{JobVerb, Kind};
use crate::session::{Outcome, Session};
use ebbtide_runtime::{Error as RuntimeError, Submitted};

/// The columns of the rows that a statement about jobs gives; none if it is not one.
pub(crate) fn columns(kind: &Kind) -> Option<&'static [&'static str]> {
    match kind {
        Kind::FlushTable(_) | Kind::FlushAll { .. } => Some(&flush::COLUMNS),
        Kind::Job(command) if command.verb == JobVerb::Explain => Some(&explain::COLUMNS),
        Kind::Job(_) => Some(&control::COLUMNS),
        Kind::UserJob(_) => Some(&user::COLUMNS),
        Kind::RunWorkflow(_) => Some(&workflow::RUN_COLUMNS),
        Kind::ReloadWorkflows => Some(&workflow::RELOAD_COLUMNS),
        _ => None,
    }
}

/// Runs a statement about jobs.
pub(crate) async fn run(session: &Session, kind: &Kind) -> Result<Outcome> {
    match kind {
        Kind::FlushTable(name) => flush::table(session, name).await,
        Kind::FlushAll { namespace } => flush::all(session, namespace.as_deref()).await,
        Kind::Job(command) if command.verb == JobVerb::Explain => explain::run(session, command).await,
        Kind::Job(command) => control::run(session, command).await,
        Kind::UserJob(asked) => user::run(session, asked).await,
        Kind::RunWorkflow(name) => workflow::run(session, name).await,
        Kind::ReloadWorkflows => workflow::reload(session).await,
        _ => Err(Error::internal("not a statement about jobs")),
    }
}

/// What `status` says of a job that was asked for.
pub(crate) fn submitted(job: &Submitted) -> &'static str {
    match job {
        Submitted::New(_) => "started",
        Submitted::Existing(_) => "already running",
    }
}

/// An error of the runtime that has nothing to do with which job was asked for.
pub(crate) fn runtime_error(error: RuntimeError) -> Error {
    match error {
        RuntimeError::Commit(error) => error.into(),
        RuntimeError::Engine(error) => error.into(),
        RuntimeError::ShuttingDown => Error::new(code::ADMIN_SHUTDOWN, "the database is shutting down"),
        RuntimeError::Stalled { .. } => Error::new(code::DISK_FULL, error.to_string())
            .hint("look at the server's log, mend what it says, then restart the server"),
        RuntimeError::Expectation { .. } => Error::new(code::UNDEFINED_TABLE, "the table was dropped meanwhile"),
        RuntimeError::Contended { .. } => {
            Error::new(code::OBJECT_NOT_IN_PREREQUISITE_STATE, error.to_string()).hint("run the statement again")
        }
        RuntimeError::Corrupt { .. } => Error::new(code::DATA_CORRUPTED, error.to_string()),
        other => Error::internal(other.to_string()),
    }
}
