//! `system.jobs`: every job, newest first.

use super::columns::{Column, Value, time};
use super::{Out, System, Wanted};
use crate::error::{Error, Result, code};
use crate::scan::Moment;
use ebbtide_runtime::{Filter, Job, JobId, Status, query};
use ebbtide_store::ColumnType::{BigInt, Json, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("job_id", Text, "The job's id."),
    Column::new("workflow", Text, "The declared name of the workflow that it is a run of."),
    Column::new("job_type", Text, "The workflow's kind, such as flush."),
    Column::nullable("namespace", Text, "The namespace of the table it works on."),
    Column::nullable("table_name", Text, "The table it works on."),
    Column::new(
        "status",
        Text,
        "What the queue thinks of it: pending, running, retrying, paused, parked, completed, failed, cancelled, skipped.",
    ),
    Column::new("state", Text, "Where its work stands: Queued, Snapshotting, Writing, Deleting, Done."),
    Column::nullable("current_user_id", Text, "The user it works on at present."),
    Column::new("users_done", BigInt, "Users finished, whichever way."),
    Column::new("users_total", BigInt, "Users there are to do."),
    Column::new("rows_done", BigInt, "Rows done."),
    Column::new("bytes_done", BigInt, "Bytes written."),
    Column::nullable("parameters", Json, "What was asked for."),
    Column::nullable("result", Json, "What came out of it."),
    Column::nullable("error", Text, "Why it failed, is retrying or was parked."),
    Column::new("attempt", BigInt, "Which try of its present checkpoint this is, from 1; 0 before the first."),
    Column::new("max_attempts", BigInt, "Tries of one checkpoint after which it is failed."),
    Column::nullable("next_run_at", TimestampTz, "When it is to be claimed, while pending or retrying."),
    Column::nullable("idempotency_key", Text, "At most one stored job has this key."),
    Column::nullable("node_id", Text, "The node that runs it."),
    Column::new("epoch", BigInt, "How often it has been claimed."),
    Column::nullable("lease_expires_at", TimestampTz, "Until when the claim holds without another sign of life."),
    Column::new("trigger", Text, "What made it start: manual, interval, rows, bytes, cron, follow_up, shutdown."),
    Column::new("memory_used", BigInt, "The highest number of bytes it reserved at once."),
    Column::new("cpu_used", BigInt, "CPU time in microseconds, over all its claims."),
    Column::new("created_at", TimestampTz, "When it was submitted."),
    Column::new("updated_at", TimestampTz, "When it last changed."),
    Column::nullable("started_at", TimestampTz, "When it was first claimed."),
    Column::nullable("completed_at", TimestampTz, "When it completed, failed or was skipped."),
    Column::nullable("cancelled_at", TimestampTz, "When it was cancelled."),
    Column::new("body_version", BigInt, "The version of its stored form."),
];

/// Where `parameters` and `result` are: they cost reads of their own.
const PAYLOAD: std::ops::Range<usize> = 12..14;

/// `system.jobs`
#[derive(Debug)]
pub(super) struct Jobs;

impl System for Jobs {
    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn newest_first(&self) -> Option<&'static str> {
        Some("created_at")
    }

    fn keys(&self) -> &'static [&'static str] {
        &["job_id", "status", "namespace", "table_name"]
    }

    fn rows(&self, moment: &Moment, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let runtime = &moment.database.runtime;
        let without_payload = !out.wants(PAYLOAD);
        let mut give = |mut job: Job| -> Result<bool> {
            let matches = wanted.allows("status", Some(job.status.as_str()))
                && wanted.allows("namespace", job.namespace.as_deref())
                && wanted.allows("table_name", job.table_name.as_deref());
            if !matches {
                return Ok(true);
            }
            runtime.show_live(&mut job);
            row(&job, out)
        };
        if let Some(id) = wanted.get("job_id") {
            // A text that is no id is the id of no job, and an id has one spelling only.
            let found = id.parse::<JobId>().ok().filter(|found| found.to_string() == id);
            let Some(id) = found else { return Ok(()) };
            if let Some(job) = query::job(&*moment.snapshot, &id).map_err(unreadable)? {
                give(job)?;
            }
            return Ok(());
        }
        let mut filter = Filter { without_payload, ..Filter::default() };
        if let Some(status) = wanted.get("status") {
            let Ok(status) = status.parse::<Status>() else { return Ok(()) };
            filter.statuses = vec![status];
        }
        if let (Some(namespace), Some(table)) = (wanted.get("namespace"), wanted.get("table_name")) {
            filter.scope = Some((namespace.to_owned(), table.to_owned()));
        }
        let mut jobs = query::jobs(&moment.snapshot, filter).map_err(unreadable)?;
        while let Some(job) = jobs.next().map_err(unreadable)? {
            if !give(job)? {
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn unreadable(error: ebbtide_runtime::Error) -> Error {
    Error::new(code::IO_ERROR, error.to_string())
}

fn row(job: &Job, out: &mut Out<'_>) -> Result<bool> {
    let id = job.job_id.to_string();
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    let (parameters, result) = (json(&job.parameters), json(&job.result));
    out.row(&[
        Value::Text(&id),
        job.workflow.as_str().into(),
        job.job_type.as_str().into(),
        job.namespace.as_deref().into(),
        job.table_name.as_deref().into(),
        job.status.as_str().into(),
        job.state.as_str().into(),
        job.current_user_id.as_deref().into(),
        job.users_done.into(),
        job.users_total.into(),
        job.rows_done.into(),
        job.bytes_done.into(),
        parameters.as_deref().into(),
        result.as_deref().into(),
        job.error.as_deref().into(),
        job.attempt.into(),
        job.max_attempts.into(),
        time(job.next_run_at),
        job.idempotency_key.as_deref().into(),
        job.node_id.as_deref().into(),
        job.epoch.into(),
        time(job.lease_expires_at),
        job.trigger.as_str().into(),
        job.memory_used.into(),
        job.cpu_used.into(),
        Value::Time(job.created_at),
        Value::Time(job.updated_at),
        time(job.started_at),
        time(job.completed_at),
        time(job.cancelled_at),
        job.body_version.into(),
    ])
}
