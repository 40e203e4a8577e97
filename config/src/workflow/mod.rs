//! Declared workflows: `[[workflow]]` of the settings file.
//!
//! Nothing here knows what a kind is. A kind's parameters are kept as they were written, together with their places, so that
//! whoever knows the kind can refuse them at file, line and column: see [`Workflow::problem`].

mod docs; // what each key means, for editors
mod read; // from the file, with positions
mod value; // TOML values as JSON, with the place of every key

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::error::{Place, Problem};

pub(crate) use docs::{NAME_PATTERN, describe};
pub(crate) use read::read;

/// A workflow as it was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// What it is called: letters, digits, `-`, `_` and spaces inside, up to 63 of them.
    pub name: String,
    /// What it does: the name of a kind.
    pub kind: String,
    /// What makes it run.
    pub trigger: Trigger,
    /// What it is told: an object, empty when nothing was written.
    pub parameters: serde_json::Value,
    /// How its jobs are tried again.
    pub retry: Retry,
    /// The longest that one of its jobs may take.
    pub timeout: Option<Duration>,
    /// What to do when it is due while an earlier run is active.
    pub overlap: Overlap,
    /// What to do about times that passed while nobody could start it.
    pub missed: Missed,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Where it was declared.
    pub place: Place,
    /// Where each of its keys was written: `trigger.cron`, `parameters.retention_days`, `parameters.tables[0]`.
    pub places: BTreeMap<String, Place>,
}

impl Workflow {
    /// A workflow with the policies that count when none are written, declared nowhere.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: impl Into<String>, trigger: Trigger) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            trigger,
            parameters: serde_json::Value::Object(serde_json::Map::new()),
            retry: Retry::default(),
            timeout: None,
            overlap: Overlap::default(),
            missed: Missed::default(),
            enabled: true,
            place: Place::Default,
            places: BTreeMap::new(),
        }
    }

    /// Where `key` was written, or else the nearest thing around it: `parameters.retention_days`, then `parameters`, then the
    /// workflow itself.
    #[must_use]
    pub fn place_of(&self, key: &str) -> &Place {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return place;
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return &self.place,
            }
        }
    }

    /// Something that is wrong with `key` of this workflow, at its place.
    #[must_use]
    pub fn problem(&self, key: &str, message: impl fmt::Display) -> Problem {
        Problem::new(self.place_of(key).clone(), format!("workflow \"{}\": {message}", self.name))
    }
}

/// What makes a workflow run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// `{ cron = "0 3 * * *", time_zone = "Europe/Berlin" }`
    Cron {
        /// The crontab expression as it was written, not looked at yet.
        expression: String,
        /// The IANA name of the time zone as it was written; `UTC` when none was.
        time_zone: String,
    },
    /// `{ interval = "1h" }`
    Interval(Duration),
    /// `{ rows = 10000 }`
    Rows(u64),
    /// `{ bytes = "64 MiB" }`
    Bytes(u64),
    /// `"manual"`
    Manual,
}

/// How the jobs of a workflow are tried again. What is absent is as `[jobs]` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// Tries of one checkpoint before a job fails.
    pub attempts_max: Option<u32>,
    /// The pause before the second try.
    pub backoff_min: Option<Duration>,
    /// The longest pause between two tries.
    pub backoff_max: Option<Duration>,
}

/// What to do when a workflow is due while an earlier run is active.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overlap {
    /// `"skip"`: that time is skipped.
    #[default]
    Skip,
    /// `"queue_one"`: one run is kept and starts when the active one ends.
    QueueOne,
    /// `"cancel_old"`: the active run is cancelled, and a new one starts when it has ended.
    CancelOld,
}

/// What to do about times that passed while nobody could start a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missed {
    /// `"skip"`: they are recorded as missed.
    Skip,
    /// `"run_once"`: one run makes up for all of them.
    #[default]
    RunOnce,
}
