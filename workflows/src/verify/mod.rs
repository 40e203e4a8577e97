//! Walks the manifest and reads every object again: is it there, with its size and checksum, and are its rows those
//! that the manifest says?
//!
//! ```text
//! Queued ─► Snapshotting ─► Reading(user) ─► Done
//!                              ▲    │
//!                              └────┘
//!                           next segments
//! ```
//!
//! It changes nothing. What is wrong is a [`findings::Finding`], stored in the commit of the step that found it.

mod check; // one object against its manifest entry
mod done; // what came of it
pub mod findings; // what was found
mod parameters; // what a config file says
mod queued; // asked for
mod reading; // segment by segment
mod snapshotting; // the first table

#[cfg(test)]
mod tests;

pub use findings::{Finding, Problem, findings};
pub use parameters::VerifySegments;

use crate::kinds::{Tables, state_from};
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs and in config files.
pub const KIND: &str = "verify";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// One verification: what was asked for, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verify {
    work: Work,
    state: State,
}

/// What was asked for. It does not change while the job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    tables: Tables,
    rows: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued(queued::Queued),
    Snapshotting(snapshotting::Snapshotting),
    Reading(reading::Reading),
    Done(done::Done),
}

#[typetag::serde(name = "verify")]
impl Workflow for Verify {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Verify { work, state } = *self;
            let state = match state {
                State::Queued(s) => s.start().into(),
                State::Snapshotting(s) => s.look(&work, cx).await?.into(),
                State::Reading(s) => s.read_next(&work, cx).await?.into(),
                State::Done(s) => s.into(),
            };
            Ok(Box::new(Verify { work, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, totals) = match &self.state {
            State::Queued(_) => ("Queued", None),
            State::Snapshotting(_) => ("Snapshotting", None),
            State::Reading(s) => ("Reading", Some(s.totals())),
            State::Done(s) => ("Done", Some(s.totals())),
        };
        View {
            scope: self.work.tables.scope(),
            parameters: serde_json::json!({ "tables": self.work.tables, "rows": self.work.rows }),
            subject: match &self.state {
                State::Reading(s) => s.subject(),
                _ => None,
            },
            progress: totals.map_or_else(Progress::default, Totals::progress),
            done: matches!(self.state, State::Done(_)),
            result: match &self.state {
                State::Done(s) => Some(s.result()),
                _ => None,
            },
            body_version: BODY_VERSION,
            ..View::new(KIND, state)
        }
    }
}

/// What the verification has read so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Totals {
    tables: u64,
    segments: u64,
    rows: u64,
    bytes: u64,
    /// Segments with at least one finding.
    segments_bad: u64,
    findings: u32,
}

impl Totals {
    fn progress(&self) -> Progress {
        Progress { rows_done: self.rows, bytes_done: self.bytes, ..Progress::default() }
    }
}

state_from!(queued::Queued, snapshotting::Snapshotting, reading::Reading, done::Done);
