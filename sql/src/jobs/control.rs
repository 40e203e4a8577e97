//! KILL, RETRY, PAUSE and RESUME JOB.

use super::{find, runtime_error};
use crate::error::{Error, Result, code};
use crate::parse::{JobCommand, JobVerb};
use crate::session::{Outcome, Session};
use crate::show;
use ebbtide_runtime::{Cancel, Error as RuntimeError, Pause, Status};

pub(super) const COLUMNS: [&str; 2] = ["job_id", "status"];

/// Runs the command; the answer is the job's id and what became of it.
pub(super) async fn run(session: &Session, command: &JobCommand) -> Result<Outcome> {
    let runtime = &session.database.runtime;
    let job = find::job(&session.database, command).await?;
    let id = job.job_id;
    let done = match command.verb {
        JobVerb::Kill => runtime.cancel(&id).await.map(|cancel| match cancel {
            Cancel::Cancelled => "cancelled",
            // The wish is durable; the job stops at its next look.
            Cancel::Asked => "cancelling",
        }),
        JobVerb::Pause => runtime.pause(&id).await.map(|pause| match pause {
            Pause::Paused => "paused",
            Pause::Asked => "pausing",
        }),
        // A running job that was to be paused just goes on.
        JobVerb::Resume if job.status == Status::Running => runtime.resume(&id).await.map(|()| "running"),
        JobVerb::Resume => runtime.resume(&id).await.map(|()| "pending"),
        JobVerb::Retry => runtime.retry(&id).await.map(|()| "pending"),
        JobVerb::Explain => return Err(Error::internal("EXPLAIN JOB changes nothing")),
    };
    let status = done.map_err(|error| refused(command, error))?;
    show::rows(&COLUMNS, &[vec![id.to_string(), status.to_owned()]])
}

/// What is said of a job that the command is not for.
fn refused(command: &JobCommand, error: RuntimeError) -> Error {
    let (what, status, hint) = match (&error, command.verb) {
        (RuntimeError::Ended { status, .. }, JobVerb::Kill) => {
            return Error::new(code::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("Cannot cancel job in status {status}"))
                .detail(format!("Job {} has ended.", command.id))
                .at(command.position);
        }
        (RuntimeError::Ended { status, .. } | RuntimeError::NotPausable { status, .. }, _) => {
            ("pause", *status, "only a pending, retrying or running job can be paused")
        }
        (RuntimeError::NotPaused { status, .. }, _) => ("resume", *status, resume_hint(*status)),
        (RuntimeError::NotRetryable { status, .. }, _) => ("retry", *status, retry_hint(*status)),
        (RuntimeError::KeyHeld { by }, _) => {
            return Error::new(
                code::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("Cannot retry job {}: job {by} is doing the same work", command.id),
            )
            .hint(format!("wait until it has ended; EXPLAIN JOB '{by}' says how it stands"))
            .at(command.position);
        }
        (RuntimeError::NotFound { .. }, _) => {
            return Error::new(code::UNDEFINED_OBJECT, format!("Job {} not found", command.id))
                .detail("It was removed meanwhile.")
                .at(command.position);
        }
        _ => return runtime_error(error),
    };
    Error::new(code::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("Cannot {what} job in status {status}"))
        .hint(hint)
        .at(command.position)
}

fn resume_hint(status: Status) -> &'static str {
    match status {
        Status::Failed | Status::Cancelled | Status::Skipped | Status::Parked => {
            "RETRY JOB runs it on from the state it stands in"
        }
        _ => "only a paused job can be resumed",
    }
}

fn retry_hint(status: Status) -> &'static str {
    match status {
        Status::Paused => "RESUME JOB lets a paused job go on",
        Status::Completed => "a completed job has nothing left to do",
        _ => "it is not over: EXPLAIN JOB says what it waits for",
    }
}
