//! A job and its transitions as others see them: plain values, one field per column.

use crate::status::Status;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The id of a job: a UUID, shown in its usual text form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// The id with these bytes.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Its sixteen bytes, as they stand in keys.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A text that is no job id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no job id; one looks like 018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90")]
pub struct NotAnId(String);

impl FromStr for JobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| NotAnId(text.to_owned()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What made a job start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person or a program asked for it.
    Manual,
    /// An interval passed.
    Interval,
    /// Enough rows came together.
    Rows,
    /// Enough bytes came together.
    Bytes,
    /// A time of a cron schedule came.
    Cron,
    /// It was asked for while another job held its active key, and started when that one ended.
    FollowUp,
    /// The last work before a shutdown.
    Shutdown,
}

impl Trigger {
    const ALL: [Trigger; 7] = [
        Trigger::Manual,
        Trigger::Interval,
        Trigger::Rows,
        Trigger::Bytes,
        Trigger::Cron,
        Trigger::FollowUp,
        Trigger::Shutdown,
    ];

    /// The name as `system.jobs` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Manual => "manual",
            Trigger::Interval => "interval",
            Trigger::Rows => "rows",
            Trigger::Bytes => "bytes",
            Trigger::Cron => "cron",
            Trigger::FollowUp => "follow_up",
            Trigger::Shutdown => "shutdown",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Trigger::Manual => 1,
            Trigger::Interval => 2,
            Trigger::Rows => 3,
            Trigger::Bytes => 4,
            Trigger::Cron => 5,
            Trigger::FollowUp => 6,
            Trigger::Shutdown => 7,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Trigger::ALL.into_iter().find(|trigger| u64::from(trigger.code()) == code)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A job, with the columns of `system.jobs`. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// The declared name of the workflow that it is a run of.
    pub workflow: String,
    /// Its kind.
    pub job_type: String,
    /// First label of its scope.
    pub namespace: Option<String>,
    /// Second label of its scope.
    pub table_name: Option<String>,
    /// What the queue thinks of it.
    pub status: Status,
    /// Where its work stands.
    pub state: String,
    /// What its state works on at present.
    pub current_user_id: Option<String>,
    /// Users finished, whichever way.
    pub users_done: u64,
    /// Users there are to do.
    pub users_total: u64,
    /// Rows done.
    pub rows_done: u64,
    /// Bytes written.
    pub bytes_done: u64,
    /// What was asked for, as JSON.
    pub parameters: Option<serde_json::Value>,
    /// What came out of it, as JSON.
    pub result: Option<serde_json::Value>,
    /// Why it failed, is retrying or was parked.
    pub error: Option<String>,
    /// Which try of its present checkpoint this is, from 1; 0 before the first claim. Starts again when a checkpoint is reached.
    pub attempt: u32,
    /// Tries of one checkpoint after which it is failed.
    pub max_attempts: u32,
    /// When it is to be claimed, while pending or retrying.
    pub next_run_at: Option<i64>,
    /// At most one stored job has this key.
    pub idempotency_key: Option<String>,
    /// The node that runs it.
    pub node_id: Option<String>,
    /// How often it has been claimed.
    pub epoch: u64,
    /// Until when the claim holds without another beat.
    pub lease_expires_at: Option<i64>,
    /// What made it start.
    pub trigger: Trigger,
    /// The highest number of bytes it reserved at once.
    pub memory_used: u64,
    /// Thread CPU time in microseconds, over all its claims.
    pub cpu_used: u64,
    /// When it was submitted.
    pub created_at: i64,
    /// When its row last changed, heartbeats apart.
    pub updated_at: i64,
    /// When it was first claimed.
    pub started_at: Option<i64>,
    /// When it completed, failed or was skipped.
    pub completed_at: Option<i64>,
    /// When it was cancelled.
    pub cancelled_at: Option<i64>,
    /// The version of its stored body.
    pub body_version: u32,
    /// It runs, and is to be paused at its next safe point.
    pub pause_requested: bool,
    /// It runs, and is to be cancelled.
    pub cancel_requested: bool,
    /// How long it may run over all its claims, in microseconds.
    pub timeout_micros: Option<u64>,
    /// How long it has run over all its claims, in microseconds, by its last checkpoint or beat.
    pub ran_micros: u64,
}

/// A change of a job's state or status: a row of `system.job_transitions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose change.
    pub job_id: JobId,
    /// Its place among the changes of this job, from 1. A refused checkpoint, which changed nothing, has that of the change
    /// before it.
    pub seq_no: u32,
    /// The state before; none for the submission.
    pub from_state: Option<String>,
    /// The state after. The same as before when only the status changed.
    pub to_state: String,
    /// The status after.
    pub status: Status,
    /// The claim that made the change.
    pub epoch: u64,
    /// The attempt that made the change.
    pub attempt: u32,
    /// When, in microseconds since the Unix epoch.
    pub at: i64,
    /// What went wrong, if something did.
    pub error: Option<String>,
}
