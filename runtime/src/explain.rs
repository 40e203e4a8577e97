//! Why a job stands where it stands, in words.

use crate::error::Error;
use crate::job::JobId;
use crate::runtime::Runtime;

/// Why a job stands where it stands, and what would move it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What each line is about, and the line, in the order to be read.
    pub lines: Vec<(&'static str, String)>,
}

/// Explains a job. Blocking.
///
/// # Errors
///
/// [`Error::NotFound`], and what the engine says when it cannot read.
pub fn explain(runtime: &Runtime, id: &JobId) -> Result<Explanation, Error> {
    let job = runtime.job(id)?.ok_or(Error::NotFound { id: *id })?;
    Ok(Explanation { lines: vec![("status", format!("{} in state {}", job.status, job.state))] })
}
