//! The job that a statement names, or what is said when there is none.

use super::runtime_error;
use crate::database::Inner;
use crate::error::{Error, Result, code};
use crate::parse::JobCommand;
use ebbtide_runtime::{Filter, Job, JobId, query};
use std::sync::Arc;

/// Jobs that are compared with an id that does not exist: the newest.
const COMPARED_JOBS_MAX: usize = 256;
/// An id with this many wrong characters was probably copied badly; one with more is another.
const DISTANCE_MAX: usize = 4;
/// The start of an id that is enough to tell which was meant.
const PREFIX_CHARS_MIN: usize = 4;

/// The job that a command is about, as it stands now.
pub(super) async fn job(database: &Arc<Inner>, command: &JobCommand) -> Result<Job> {
    let (database, command) = (database.clone(), command.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let found = match command.id.parse::<JobId>() {
            Ok(id) => database.runtime.job(&id).map_err(runtime_error)?,
            Err(_) => None,
        };
        found.map_or_else(|| Err(unknown(&database, &command)), Ok)
    });
    looked.await.map_err(|error| Error::internal(error.to_string()))?
}

fn unknown(database: &Inner, command: &JobCommand) -> Error {
    let id = command.id.as_str();
    let error = Error::new(code::UNDEFINED_OBJECT, format!("Job {id} not found")).at(command.position);
    match nearest(database, id) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if id.parse::<JobId>().is_err() => {
            error.hint("a job id looks like 018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90; ids are in system.jobs")
        }
        None => error
            .detail("It may have been removed: jobs that ended are kept for a while only.")
            .hint("ids are in system.jobs"),
    }
}

/// The one job of late whose id begins as this one, or is nearly the same.
fn nearest(database: &Inner, id: &str) -> Option<String> {
    let id = id.to_lowercase();
    let filter = Filter { without_payload: true, ..Filter::default() };
    // Help that cannot be had is left out: the error itself is said anyway.
    let jobs =
        query::jobs(&database.engine.snapshot(), filter).and_then(|mut jobs| jobs.page(COMPARED_JOBS_MAX)).ok()?;
    let known: Vec<String> = jobs.iter().map(|job| job.job_id.to_string()).collect();
    if id.chars().count() >= PREFIX_CHARS_MIN {
        let mut begun = known.iter().filter(|known| known.starts_with(&id));
        if let (Some(only), None) = (begun.next(), begun.next()) {
            return Some(only.clone());
        }
    }
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(&id, &known), known));
    near.filter(|(distance, _)| *distance <= DISTANCE_MAX).min().map(|(_, known)| known)
}
