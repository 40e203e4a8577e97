//! `system.jobs`: every job, newest first.

use super::columns::{Column, Value, time};
use super::{Look, Out, System, Wanted};
use crate::error::{Error, Result, code};
use ebbtide_runtime::{Filter, Job, JobId, Status, query};
use ebbtide_store::ColumnType::{BigInt, Json, Text, TimestampTz};
use std::collections::BTreeSet;

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
    Column::new(
        "state",
        Text,
        "Where its work stands, as its kind calls it: Queued, Snapshotting, Writing, Deleting, Done and others.",
    ),
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
/// Where `status` is: how many jobs have each is kept.
const STATUS: usize = 5;

/// `system.jobs`
#[derive(Debug)]
pub(super) struct Jobs;

impl System for Jobs {
    fn name(&self) -> &'static str {
        "system.jobs"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn newest_first(&self) -> Option<&'static str> {
        Some("created_at")
    }

    fn then_by(&self) -> Option<&'static str> {
        Some("job_id")
    }

    fn keys(&self) -> &'static [&'static str] {
        &["job_id", "status", "namespace", "table_name", "workflow", "job_type"]
    }

    fn values(&self, key: &str) -> Option<Vec<&'static str>> {
        (key == "status").then(|| Status::ALL.map(Status::as_str).to_vec())
    }

    fn count(&self, look: &Look<'_>, wanted: &Wanted) -> Result<Option<u64>> {
        if !wanted.only_of("status") {
            return Ok(None);
        }
        Ok(Some(counts(look, wanted)?.map(|(_, jobs)| jobs).sum()))
    }

    fn tally(&self, column: &str) -> Option<&'static dyn System> {
        (column == "status").then_some(&Counters as &dyn System)
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        if out.wants_only(STATUS) && wanted.only_of("status") {
            return alike(look, wanted, out);
        }
        if wanted.texts("status").is_some() && statuses(wanted).next().is_none() {
            // Texts that are no statuses are no job's, while no status at all would ask for every job.
            return Ok(());
        }
        let runtime = &look.database.runtime;
        let without_payload = !out.wants(PAYLOAD);
        let mut give = |mut job: Job| -> Result<bool> {
            if !allows(wanted, &job) {
                return Ok(true);
            }
            runtime.show_live(&mut job);
            row(&job, out)
        };
        if let Some(ids) = wanted.texts("job_id") {
            let found = job_ids(ids).map(|id| query::job(&*look.snapshot, &id)).filter_map(Result::transpose);
            let mut found = found.collect::<Result<Vec<Job>, _>>().map_err(unreadable)?;
            found.sort_unstable_by_key(|job| std::cmp::Reverse((job.created_at, job.job_id)));
            for job in found {
                if !give(job)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut jobs = query::jobs(&look.snapshot, filter(look, wanted, without_payload)?).map_err(unreadable)?;
        while let Some(job) = jobs.next().map_err(unreadable)? {
            if !give(job)? {
                break;
            }
        }
        Ok(())
    }
}

/// What the runtime's own indexes can be asked for of what is wanted.
fn filter(look: &Look<'_>, wanted: &Wanted, without_payload: bool) -> Result<Filter> {
    let mut filter = Filter {
        statuses: statuses(wanted).collect(),
        created_from: wanted.span.from,
        created_before: wanted.span.before,
        without_payload,
        ..Filter::default()
    };
    let scope = wanted.get("namespace").zip(wanted.get("table_name"));
    let workflow = wanted.get("workflow");
    // A table's jobs and a workflow's are listed whatever their status. Where few jobs have the wanted one, its own list is
    // the shorter, and the rest is looked at job by job.
    let listed = scope.is_some() || workflow.is_some();
    if listed && (filter.statuses.is_empty() || !are_few(look, wanted)?) {
        filter.scope = scope.map(|(namespace, table)| (namespace.to_owned(), table.to_owned()));
        filter.workflow = workflow.map(str::to_owned);
    }
    Ok(filter)
}

/// Whether the wanted statuses are those of a small part of all jobs.
fn are_few(look: &Look<'_>, wanted: &Wanted) -> Result<bool> {
    const SHARE: u64 = 16;
    let (mut found, mut all) = (0, 0);
    for (status, jobs) in query::counts(&*look.snapshot).map_err(unreadable)? {
        all += jobs;
        found += if wanted.allows("status", Some(status.as_str())) { jobs } else { 0 };
    }
    Ok(found.saturating_mul(SHARE) < all)
}

/// Whether a job is wanted, whatever an index has made sure of already.
fn allows(wanted: &Wanted, job: &Job) -> bool {
    wanted.allows("status", Some(job.status.as_str()))
        && wanted.allows("namespace", job.namespace.as_deref())
        && wanted.allows("table_name", job.table_name.as_deref())
        && wanted.allows("workflow", Some(&job.workflow))
        && wanted.allows("job_type", Some(&job.job_type))
        && wanted.span.holds(job.created_at)
}

/// The wanted statuses; none when all are.
fn statuses(wanted: &Wanted) -> impl Iterator<Item = Status> {
    wanted.texts("status").into_iter().flatten().filter_map(|text| text.parse().ok())
}

/// How many jobs have each wanted status, where any has.
fn counts(look: &Look<'_>, wanted: &Wanted) -> Result<impl Iterator<Item = (Status, u64)>> {
    let counts = query::counts(&*look.snapshot).map_err(unreadable)?;
    let wanted = wanted.clone();
    Ok(counts.into_iter().filter(move |(status, jobs)| *jobs > 0 && wanted.allows("status", Some(status.as_str()))))
}

/// Rows that differ in nothing but their status: as many as the counters say, and no job is read.
fn alike(look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
    for (status, jobs) in counts(look, wanted)? {
        let mut row: Vec<Value<'_>> = COLUMNS.iter().map(|_| Value::Null).collect();
        row[STATUS] = status.as_str().into();
        for _ in 0..jobs {
            if !out.row(&row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How many jobs have each status: what `GROUP BY status` reads.
#[derive(Debug)]
struct Counters;

const COUNTERS: &[Column] =
    &[Column::new("status", Text, "The status."), Column::new("jobs", BigInt, "How many jobs have it.")];

impl System for Counters {
    fn name(&self) -> &'static str {
        "counters of system.jobs"
    }

    fn columns(&self) -> &'static [Column] {
        COUNTERS
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for (status, jobs) in counts(look, wanted)? {
            if !out.row(&[status.as_str().into(), jobs.into()])? {
                break;
            }
        }
        Ok(())
    }
}

/// Those of some texts that are ids; an id has one spelling only.
pub(super) fn job_ids(texts: &BTreeSet<String>) -> impl Iterator<Item = JobId> {
    texts.iter().filter_map(|text| text.parse::<JobId>().ok().filter(|id| id.to_string() == *text))
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
