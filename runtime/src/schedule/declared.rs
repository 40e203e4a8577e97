//! A workflow as it was declared: what to run, when, and what to do when that does not go as planned.

use super::cron::Cron;
use crate::kind::Kind;
use crate::retry::Retry;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A workflow as it was declared.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its name: the key of its slots, and `workflow` of its jobs.
    pub name: String,
    /// The name of its kind.
    pub kind_name: String,
    /// The kind with its parameters.
    pub kind: Arc<dyn Kind>,
    /// The parameters as they were written.
    pub parameters: Value,
    /// What makes it run.
    pub when: When,
    /// How its jobs are tried again.
    pub retry: Retry,
    /// The longest that one of its jobs may take.
    pub timeout: Option<Duration>,
    /// What to do when a slot is due while an earlier run is active.
    pub overlap: Overlap,
    /// What to do about slots that passed while nobody could start them.
    pub missed: Missed,
    /// Whether it runs by itself. A disabled one can still be run by hand.
    pub enabled: bool,
}

impl Declared {
    /// A workflow with the default policies: runs do not overlap, missed slots are made up for once, no timeout.
    pub fn new(name: impl Into<String>, kind_name: impl Into<String>, kind: Arc<dyn Kind>, when: When) -> Self {
        Self {
            name: name.into(),
            kind_name: kind_name.into(),
            kind,
            parameters: Value::Null,
            when,
            retry: Retry::default(),
            timeout: None,
            overlap: Overlap::default(),
            missed: Missed::default(),
            enabled: true,
        }
    }
}

/// What makes a workflow run.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// At the times of a crontab expression.
    Cron(Cron),
    /// Again and again with this pause between two nominal times, counted from when it was first declared.
    Interval(Duration),
    /// As soon as this many rows wait.
    Rows(u64),
    /// As soon as this many bytes wait.
    Bytes(u64),
    /// Only when somebody asks for it.
    Manual,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Cron(cron) => write!(f, "cron {cron}"),
            When::Interval(pause) => write!(f, "interval {pause:?}"),
            When::Rows(rows) => write!(f, "rows {rows}"),
            When::Bytes(bytes) => write!(f, "bytes {bytes}"),
            When::Manual => f.write_str("manual"),
        }
    }
}

/// What to do when a slot is due while an earlier run of the workflow is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// The slot is skipped.
    #[default]
    Skip,
    /// One run is kept and starts when the active one ends. Further slots are skipped until then.
    QueueOne,
    /// The active run is cancelled, and a new one starts when it has ended.
    CancelOld,
}

/// What to do about slots that passed while nobody could start them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missed {
    /// They are recorded as missed.
    Skip,
    /// One run makes up for all of them.
    #[default]
    RunOnce,
}

/// A text that names none of the policies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy {text:?}; known are {known}")]
pub struct UnknownPolicy {
    text: String,
    known: &'static str,
}

impl Overlap {
    /// The name as config files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::QueueOne => "queue_one",
            Overlap::CancelOld => "cancel_old",
        }
    }
}

impl Missed {
    /// The name as config files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::Skip => "skip",
            Missed::RunOnce => "run_once",
        }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Overlap {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Overlap::Skip, Overlap::QueueOne, Overlap::CancelOld]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownPolicy { text: text.to_owned(), known: "skip, queue_one, cancel_old" })
    }
}

impl FromStr for Missed {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Missed::Skip, Missed::RunOnce]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownPolicy { text: text.to_owned(), known: "skip, run_once" })
    }
}
