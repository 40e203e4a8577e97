//! What a step is given, and the ways it can end.

use crate::held::Effects;
use crate::job::JobId;
use crate::live::Live;
use crate::progress::ProgressHandle;
use crate::runner::Shared;
use crate::signal::{Signal, Stop};
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::{Expect, SharedEngine, Write};
use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Any error that can cross threads.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What a step is given: services, clock, signals, and the list of engine writes that commit with its checkpoint.
///
/// A step never commits by itself. It collects expectations and writes; the runner commits them together with the job's next
/// state, or not at all.
pub struct Step {
    shared: Arc<Shared>,
    live: Arc<Live>,
    attempt: u32,
    effects: Effects,
    /// Never locked: the mutex only makes a shared `Step` safe to hold across awaits, although what is kept need not be `Sync`.
    kept: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Step {
    pub(crate) fn new(shared: Arc<Shared>, live: Arc<Live>, attempt: u32) -> Self {
        Self { shared, live, attempt, effects: Effects::default(), kept: Mutex::new(None) }
    }

    /// The service of this type that was registered with [`Builder::with`](crate::Builder::with).
    ///
    /// # Errors
    ///
    /// None of this type is registered. Trying again cannot help, so the job fails with a message that says so.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, StepError> {
        self.shared.services.get().ok_or_else(|| {
            StepError::fail(format!(
                "this job needs a {}, which the runtime was not started with; registered are: {}",
                type_name::<T>(),
                self.shared.services.names()
            ))
        })
    }

    /// Clock, ids and chance.
    pub fn env(&self) -> &SharedEnv {
        &self.shared.env
    }

    /// The engine, to read from. What is to be written goes through [`Step::write`].
    pub fn engine(&self) -> &SharedEngine {
        &self.shared.engine
    }

    /// The job's id.
    pub fn job_id(&self) -> &JobId {
        &self.live.id
    }

    /// The number of this claim, from 1. Whatever a step makes outside the engine should carry it in its name from 2 on.
    pub fn epoch(&self) -> u64 {
        self.live.epoch
    }

    /// Which try of the present checkpoint this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A place for something that lives as long as this claim and is never stored, as a running pipeline. It is dropped on an
    /// error, a conflict, a stop, and at the end.
    pub fn keep<T: Send + 'static>(&mut self) -> &mut Option<T> {
        let place = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !place.as_ref().is_some_and(|kept| kept.is::<Option<T>>()) {
            *place = Some(Box::new(None::<T>));
        }
        place
            .as_mut()
            .and_then(|kept| kept.downcast_mut::<Option<T>>())
            .expect("the place was just made for this very type")
    }

    /// Adds an expectation to this step's commit. When it does not hold, nothing is written and the state is stepped again.
    pub fn expect(&mut self, expect: Expect) {
        self.effects.expect.push(expect);
    }

    /// Adds a write to this step's commit.
    pub fn write(&mut self, write: Write) {
        self.effects.writes.push(write);
    }

    /// Adds several writes to this step's commit.
    pub fn extend(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.effects.writes.extend(writes);
    }

    /// Has this step's commit synced. Without it only a commit that changes the name of the state is.
    pub fn synced(&mut self) {
        self.effects.synced = true;
    }

    /// The request to stop, to be looked at often; also from other tasks and blocking sections.
    pub fn signal(&self) -> Signal {
        self.live.signal.clone()
    }

    /// Live numbers between checkpoints; clone it to use it elsewhere.
    pub fn progress(&self) -> &ProgressHandle {
        &self.live.progress
    }

    /// What the finished step wants written.
    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// A checkpoint was reached, so tries count from one again.
    pub(crate) fn begin_next(&mut self) {
        self.attempt = 1;
    }

    /// Nothing of a step that went wrong goes on.
    pub(crate) fn forget(&mut self) {
        self.effects = Effects::default();
        self.kept = Mutex::new(None);
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("job_id", self.job_id())
            .field("epoch", &self.epoch())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The ways a step can end without a next state. In each the job stays at its last checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may go better later: the job is tried again after a backoff, up to its limit.
    #[error("{reason}")]
    Retry {
        /// What went wrong, as `system.jobs` is to show it.
        reason: String,
        /// The error behind it.
        source: Option<BoxError>,
    },
    /// Trying again cannot help: the job fails now.
    #[error("{reason}")]
    Fail {
        /// What went wrong, as `system.jobs` is to show it.
        reason: String,
    },
    /// The step stopped because it was asked to; usually from [`Signal::check`].
    #[error("{0}")]
    Stopped(Stop),
    /// What the step read has changed meanwhile: it is stepped again at once, from its checkpoint. Bounded.
    #[error("what the step had read was changed meanwhile")]
    Conflict,
}

impl StepError {
    /// An error that may go away.
    pub fn retry(reason: impl Into<String>) -> Self {
        StepError::Retry { reason: reason.into(), source: None }
    }

    /// An error that may go away, with its cause.
    pub fn retry_because(reason: impl Into<String>, source: impl Into<BoxError>) -> Self {
        StepError::Retry { reason: reason.into(), source: Some(source.into()) }
    }

    /// An error that stays.
    pub fn fail(reason: impl Into<String>) -> Self {
        StepError::Fail { reason: reason.into() }
    }

    /// An error that stays, with its cause.
    pub fn fail_because(reason: impl Into<String>, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        StepError::Fail { reason: with_causes(reason.into(), Some(&*source)) }
    }

    /// The reason and every cause behind it, in one line.
    pub(crate) fn chain(&self) -> String {
        with_causes(self.to_string(), self.source())
    }
}

fn with_causes(mut text: String, mut next: Option<&(dyn Error + 'static)>) -> String {
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Many errors say their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl From<ebbtide_engine::Error> for StepError {
    fn from(error: ebbtide_engine::Error) -> Self {
        StepError::retry_because("reading from the engine failed", error)
    }
}

impl From<Stop> for StepError {
    fn from(stop: Stop) -> Self {
        StepError::Stopped(stop)
    }
}

#[cfg(test)]
mod tests {
    use super::StepError;
    use std::io;

    #[test]
    fn the_stored_error_names_every_cause_once() {
        let error = StepError::retry_because("writing the file failed", io::Error::other("no space left"));
        assert_eq!(error.chain(), "writing the file failed: no space left");
        let said = StepError::retry_because("writing failed: no space left", io::Error::other("no space left"));
        assert_eq!(said.chain(), "writing failed: no space left");
        assert_eq!(StepError::fail("no").chain(), "no");
        let failed = StepError::fail_because("reading the row failed", io::Error::other("it is torn"));
        assert_eq!(failed.to_string(), "reading the row failed: it is torn");
    }
}
