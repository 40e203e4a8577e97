//! The task that starts what is due.

use super::declared::Declared;
use crate::error::Error;
use crate::job::JobId;
use crate::kind::Starting;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::status::Status;
use crate::step::BoxError;
use crate::submit::Submitted;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Starts declared workflows when their time has come. It ends with its runtime.
pub struct Scheduler {
    shared: Arc<Shared>,
    declared: RwLock<Arc<[Declared]>>,
}

/// A declared workflow, with how it went and when it runs next. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug)]
pub struct Listed {
    /// As it was declared.
    pub declared: Declared,
    /// When it last started a job.
    pub last_run: Option<i64>,
    /// That job.
    pub last_job: Option<JobId>,
    /// The status of that job; `None` when it is pruned or not yet made.
    pub last_status: Option<Status>,
    /// The next slot.
    pub next_run: Option<i64>,
    /// Why there is no next slot, or why it will not start a job.
    pub why_not: Option<String>,
}

/// Why a workflow could not be run by hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// None has this name.
    #[error("{}", unknown(name, nearest))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Its kind cannot start a job now.
    #[error("workflow {name} cannot start: {source}")]
    Refused {
        /// The workflow.
        name: String,
        /// Why not.
        source: BoxError,
    },
    /// The runtime could not take the job.
    #[error(transparent)]
    Runtime(#[from] Error),
}

fn unknown(name: &str, nearest: &Option<String>) -> String {
    match nearest {
        Some(near) => format!("there is no workflow \"{name}\", did you mean \"{near}\"?"),
        None => format!("there is no workflow \"{name}\"; system.workflows lists all"),
    }
}

impl Scheduler {
    /// Begins to start `declared` on `runtime`, by the clock of its environment.
    pub fn start(runtime: &Runtime, declared: Vec<Declared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(&runtime.0.shared), declared: RwLock::new(declared.into()) })
    }

    /// Takes other workflows in place of all it has, at once and whole.
    pub fn replace(&self, declared: Vec<Declared>) {
        *self.declared.write().unwrap_or_else(PoisonError::into_inner) = declared.into();
    }

    /// The declared workflows.
    pub fn declared(&self) -> Arc<[Declared]> {
        Arc::clone(&self.declared.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a workflow now, also a disabled one; or finds its active job.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    pub async fn run(&self, name: &str) -> Result<Submitted, RunError> {
        let declared = self.declared();
        let Some(found) = declared.iter().find(|declared| declared.name == name) else {
            return Err(RunError::Unknown { name: name.to_owned(), nearest: None });
        };
        let _ = Starting::new(&self.shared, &found.name);
        Err(RunError::Runtime(Error::ShuttingDown))
    }

    /// Every declared workflow, with its last and next run. Blocking.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        Ok(Vec::new())
    }

    /// Looks at the clock now, and comes back when everything that was due has been dealt with. Only of use where the
    /// environment's clock is not the real one.
    pub async fn look_again(&self) {}

    /// Starts nothing more. Comes back when what it was starting has started. Jobs run on.
    pub async fn stop(&self) {}
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("declared", &self.declared().len()).finish_non_exhaustive()
    }
}
