//! The stored job row: everything that listings and the queue need, without the job's body.

use crate::job::{Job, JobId, Trigger};
use crate::status::Status;
use crate::wire::{Fields, put_bytes, put_count, put_number, put_text, put_time};
use crate::workflow::Progress;

/// A job as it is stored. Parameters, result and body lie apart, so that a row stays a few hundred bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) workflow: String,
    pub(crate) job_type: String,
    pub(crate) scope: Option<(String, String)>,
    pub(crate) status: Status,
    pub(crate) state: String,
    pub(crate) subject: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) error: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) attempts_max: u32,
    pub(crate) next_run_at: Option<i64>,
    pub(crate) idempotency_key: Option<String>,
    /// The active key, held until a terminal status.
    pub(crate) unique: Option<Vec<u8>>,
    pub(crate) node_id: Option<String>,
    pub(crate) epoch: u64,
    pub(crate) lease_expires_at: Option<i64>,
    pub(crate) trigger: Trigger,
    pub(crate) memory_used: u64,
    pub(crate) cpu_used: u64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) cancelled_at: Option<i64>,
    pub(crate) body_version: u32,
    /// How many transitions are recorded; the next one's number is one more.
    pub(crate) transitions: u32,
    /// Somebody asked to cancel it while it ran. Kept through a crash.
    pub(crate) cancel_requested: bool,
    /// A follow-up is stored beside the body and starts when this job ends.
    pub(crate) follow_up: bool,
    pub(crate) has_parameters: bool,
    pub(crate) has_result: bool,
    /// Somebody asked to hold it back while it ran. Kept through a crash.
    pub(crate) pause_requested: bool,
    /// How it is tried again; the runtime's options where absent.
    pub(crate) backoff_min_micros: Option<u64>,
    pub(crate) backoff_max_micros: Option<u64>,
    /// How long it may run, over all its claims.
    pub(crate) timeout_micros: Option<u64>,
    /// How long it has run, over all its claims.
    pub(crate) ran_micros: u64,
}

impl Row {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        put_bytes(&mut out, 1, self.workflow.as_bytes());
        put_bytes(&mut out, 2, self.job_type.as_bytes());
        if let Some((first, second)) = &self.scope {
            put_bytes(&mut out, 3, first.as_bytes());
            put_bytes(&mut out, 4, second.as_bytes());
        }
        put_number(&mut out, 5, self.status.code().into());
        put_bytes(&mut out, 6, self.state.as_bytes());
        put_text(&mut out, 7, self.subject.as_deref());
        put_count(&mut out, 8, self.progress.users_done);
        put_count(&mut out, 9, self.progress.users_total);
        put_count(&mut out, 10, self.progress.rows_done);
        put_count(&mut out, 11, self.progress.bytes_done);
        put_text(&mut out, 12, self.error.as_deref());
        put_count(&mut out, 13, self.attempt.into());
        put_count(&mut out, 14, self.attempts_max.into());
        put_time(&mut out, 15, self.next_run_at);
        put_text(&mut out, 16, self.idempotency_key.as_deref());
        if let Some(unique) = &self.unique {
            put_bytes(&mut out, 17, unique);
        }
        put_text(&mut out, 18, self.node_id.as_deref());
        put_count(&mut out, 19, self.epoch);
        put_time(&mut out, 20, self.lease_expires_at);
        put_number(&mut out, 21, self.trigger.code().into());
        put_count(&mut out, 22, self.memory_used);
        put_count(&mut out, 23, self.cpu_used);
        put_time(&mut out, 24, Some(self.created_at));
        put_time(&mut out, 25, Some(self.updated_at));
        put_time(&mut out, 26, self.started_at);
        put_time(&mut out, 27, self.completed_at);
        put_time(&mut out, 28, self.cancelled_at);
        put_count(&mut out, 29, self.body_version.into());
        put_count(&mut out, 30, self.transitions.into());
        put_count(&mut out, 31, self.cancel_requested.into());
        put_count(&mut out, 32, self.follow_up.into());
        put_count(&mut out, 33, self.has_parameters.into());
        put_count(&mut out, 34, self.has_result.into());
        put_count(&mut out, 35, self.pause_requested.into());
        for (field, micros) in [(36, self.backoff_min_micros), (37, self.backoff_max_micros), (38, self.timeout_micros)]
        {
            if let Some(micros) = micros {
                put_number(&mut out, field, micros);
            }
        }
        put_count(&mut out, 39, self.ran_micros);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut row = Row::blank();
        let (mut first, mut second) = (None, None);
        let (mut status, mut trigger) = (None, None);
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => row.workflow = value.text()?,
                2 => row.job_type = value.text()?,
                3 => first = Some(value.text()?),
                4 => second = Some(value.text()?),
                5 => status = Status::from_code(value.number()?),
                6 => row.state = value.text()?,
                7 => row.subject = Some(value.text()?),
                8 => row.progress.users_done = value.number()?,
                9 => row.progress.users_total = value.number()?,
                10 => row.progress.rows_done = value.number()?,
                11 => row.progress.bytes_done = value.number()?,
                12 => row.error = Some(value.text()?),
                13 => row.attempt = value.small()?,
                14 => row.attempts_max = value.small()?,
                15 => row.next_run_at = Some(value.time()?),
                16 => row.idempotency_key = Some(value.text()?),
                17 => row.unique = Some(value.bytes()?),
                18 => row.node_id = Some(value.text()?),
                19 => row.epoch = value.number()?,
                20 => row.lease_expires_at = Some(value.time()?),
                21 => trigger = Trigger::from_code(value.number()?),
                22 => row.memory_used = value.number()?,
                23 => row.cpu_used = value.number()?,
                24 => row.created_at = value.time()?,
                25 => row.updated_at = value.time()?,
                26 => row.started_at = Some(value.time()?),
                27 => row.completed_at = Some(value.time()?),
                28 => row.cancelled_at = Some(value.time()?),
                29 => row.body_version = value.small()?,
                30 => row.transitions = value.small()?,
                31 => row.cancel_requested = value.number()? != 0,
                32 => row.follow_up = value.number()? != 0,
                33 => row.has_parameters = value.number()? != 0,
                34 => row.has_result = value.number()? != 0,
                35 => row.pause_requested = value.number()? != 0,
                36 => row.backoff_min_micros = Some(value.number()?),
                37 => row.backoff_max_micros = Some(value.number()?),
                38 => row.timeout_micros = Some(value.number()?),
                39 => row.ran_micros = value.number()?,
                // A later version wrote it.
                _ => {}
            }
        }
        row.scope = first.zip(second);
        row.status = status.ok_or("the row has no status that this version knows")?;
        row.trigger = trigger.ok_or("the row has no trigger that this version knows")?;
        Ok(row)
    }

    /// A row of nothing, to be filled.
    pub(crate) fn blank() -> Self {
        Row {
            workflow: String::new(),
            job_type: String::new(),
            scope: None,
            status: Status::Pending,
            state: String::new(),
            subject: None,
            progress: Progress::default(),
            error: None,
            attempt: 0,
            attempts_max: 0,
            next_run_at: None,
            idempotency_key: None,
            unique: None,
            node_id: None,
            epoch: 0,
            lease_expires_at: None,
            trigger: Trigger::Manual,
            memory_used: 0,
            cpu_used: 0,
            created_at: 0,
            updated_at: 0,
            started_at: None,
            completed_at: None,
            cancelled_at: None,
            body_version: 0,
            transitions: 0,
            cancel_requested: false,
            follow_up: false,
            has_parameters: false,
            has_result: false,
            pause_requested: false,
            backoff_min_micros: None,
            backoff_max_micros: None,
            timeout_micros: None,
            ran_micros: 0,
        }
    }

    /// The row as listings show it.
    pub(crate) fn into_job(
        self,
        job_id: JobId,
        parameters: Option<serde_json::Value>,
        result: Option<serde_json::Value>,
    ) -> Job {
        let (namespace, table_name) = self.scope.unzip();
        Job {
            job_id,
            workflow: self.workflow,
            job_type: self.job_type,
            namespace,
            table_name,
            status: self.status,
            state: self.state,
            current_user_id: self.subject,
            users_done: self.progress.users_done,
            users_total: self.progress.users_total,
            rows_done: self.progress.rows_done,
            bytes_done: self.progress.bytes_done,
            parameters,
            result,
            error: self.error,
            attempt: self.attempt,
            max_attempts: self.attempts_max,
            next_run_at: self.next_run_at,
            idempotency_key: self.idempotency_key,
            node_id: self.node_id,
            epoch: self.epoch,
            lease_expires_at: self.lease_expires_at,
            trigger: self.trigger,
            memory_used: self.memory_used,
            cpu_used: self.cpu_used,
            created_at: self.created_at,
            updated_at: self.updated_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            cancelled_at: self.cancelled_at,
            body_version: self.body_version,
            pause_requested: self.pause_requested,
            cancel_requested: self.cancel_requested,
            timeout_micros: self.timeout_micros,
            ran_micros: self.ran_micros,
        }
    }
}

#[cfg(test)]
mod tests;
