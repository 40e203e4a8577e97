//! `system.workflows`: what runs by itself: the declared workflows, the built-in ones, and the flush of every table.

use super::columns::{Column, Value, time};
use super::jobs::unreadable;
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use crate::reload::source;
use ebbtide_config::{show_bytes, show_duration};
use ebbtide_runtime::schedule::Listed;
use ebbtide_runtime::{Filter, Job, Status, When, query};
use ebbtide_store::ColumnType::{Boolean, Json, Text, TimestampTz};
use ebbtide_store::{FlushPolicy, Table, hot};
use ebbtide_workflows::flush;
use serde_json::json;

const COLUMNS: &[Column] = &[
    Column::new("name", Text, "Its name, as RUN WORKFLOW takes it; the flush of a table is called 'flush ns.table'."),
    Column::new(
        "kind",
        Text,
        "What it does: flush, job_cleanup, segment_retention, segment_move, orphan_sweep, verify.",
    ),
    Column::new(
        "trigger",
        Text,
        "What makes it run: cron, interval, rows, bytes with their value, or manual; a table's flush may have several.",
    ),
    Column::nullable("time_zone", Text, "The time zone of a cron trigger."),
    Column::new("parameters", Json, "What it is told."),
    Column::new("overlap", Text, "What is done when it is due while a run is active: skip, queue_one, cancel_old."),
    Column::new("missed", Text, "What is done about times that passed while the server was down: skip, run_once."),
    Column::new("enabled", Boolean, "Whether it runs by itself; by hand it always does."),
    Column::nullable("last_run", TimestampTz, "When its newest job was made."),
    Column::nullable("last_job_id", Text, "That job."),
    Column::nullable("last_status", Text, "The status of that job; NULL when it is removed."),
    Column::nullable("next_run", TimestampTz, "When it is due next, where that is a time."),
    Column::nullable("why_not", Text, "Why there is no such time, or what keeps it from starting."),
    Column::new("source", Text, "Where it comes from: config, table, built-in."),
];

/// How a run went and when the next is: it costs reads of its own.
const RUNS: std::ops::Range<usize> = 8..13;

/// Jobs of a table that are looked through for its last flush.
const JOBS_LOOKED_AT_MAX: usize = 64;

/// What the flush of a table is called. Names of declared workflows have no dot, so none is called the same.
pub(crate) fn table_workflow(table: &Table) -> String {
    format!("{} {}", flush::KIND, table.qualified_name())
}

/// `system.workflows`
#[derive(Debug)]
pub(super) struct Workflows;

impl System for Workflows {
    fn name(&self) -> &'static str {
        "system.workflows"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["name", "kind", "source"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let settings = look.database.settings();
        for listed in look.database.scheduler.list().map_err(unreadable)? {
            let source = source(&settings, &listed.declared.name);
            if allows(wanted, &listed.declared.name, &listed.declared.kind_name, source)
                && !declared(&listed, source, out)?
            {
                return Ok(());
            }
        }
        for table in look.catalog.tables(None) {
            let name = table_workflow(table);
            if allows(wanted, &name, flush::KIND, "table") && !of_a_table(look, table, &name, out)? {
                break;
            }
        }
        Ok(())
    }
}

fn allows(wanted: &Wanted, name: &str, kind: &str, source: &str) -> bool {
    wanted.allows("name", Some(name)) && wanted.allows("kind", Some(kind)) && wanted.allows("source", Some(source))
}

fn declared(listed: &Listed, source: &str, out: &mut Out<'_>) -> Result<bool> {
    let Listed { declared, last_run, last_job, last_status, next_run, why_not } = listed;
    let (trigger, zone) = match &declared.when {
        When::Cron(cron) => (format!("cron {}", cron.expression()), Some(cron.time_zone())),
        When::Interval(pause) => (format!("interval {}", show_duration(*pause)), None),
        When::Rows(rows) => (format!("rows {rows}"), None),
        When::Bytes(bytes) => (format!("bytes {}", show_bytes(*bytes)), None),
        When::Manual => ("manual".to_owned(), None),
    };
    let parameters = match declared.parameters.is_null() {
        true => "{}".to_owned(),
        false => declared.parameters.to_string(),
    };
    let job = last_job.map(|id| id.to_string());
    out.row(&[
        declared.name.as_str().into(),
        declared.kind_name.as_str().into(),
        Value::Text(&trigger),
        zone.into(),
        Value::Text(&parameters),
        declared.overlap.as_str().into(),
        declared.missed.as_str().into(),
        declared.enabled.into(),
        time(*last_run),
        job.as_deref().into(),
        last_status.map(Status::as_str).into(),
        time(*next_run),
        why_not.as_deref().into(),
        source.into(),
    ])
}

fn of_a_table(look: &Look<'_>, table: &Table, name: &str, out: &mut Out<'_>) -> Result<bool> {
    let (last, next_run, why_not) = if out.wants(RUNS) {
        let last = last_flush(look, table)?;
        let (next_run, why_not) = next_flush(look, table, last.as_ref())?;
        (last, next_run, why_not)
    } else {
        (None, None, None)
    };
    let job = last.as_ref().map(|job| job.job_id.to_string());
    out.row(&[
        Value::Text(name),
        flush::KIND.into(),
        Value::Text(&triggers(&table.flush)),
        Value::Null,
        Value::Text(&json!({ "table": table.qualified_name() }).to_string()),
        // Rows that come in during a flush are looked at when it ends; those that were pending, after a restart.
        "queue_one".into(),
        "run_once".into(),
        Value::Bool(!table.flush.is_empty()),
        time(last.as_ref().map(|job| job.created_at)),
        job.as_deref().into(),
        last.as_ref().map(|job| job.status.as_str()).into(),
        time(next_run),
        why_not.into(),
        "table".into(),
    ])
}

fn triggers(policy: &FlushPolicy) -> String {
    let triggers = [
        policy.interval.map(|pause| format!("interval {}", show_duration(pause))),
        policy.rows.map(|rows| format!("rows {rows}")),
        policy.bytes.map(|bytes| format!("bytes {}", show_bytes(bytes))),
    ];
    let triggers: Vec<String> = triggers.into_iter().flatten().collect();
    if triggers.is_empty() { "manual".to_owned() } else { triggers.join(", ") }
}

/// The newest flush among the newest jobs of a table.
fn last_flush(look: &Look<'_>, table: &Table) -> Result<Option<Job>> {
    let filter = Filter { without_payload: true, ..Filter::scope(table.namespace.as_str(), table.name.as_str()) };
    let mut jobs = query::jobs(&look.snapshot, filter).map_err(unreadable)?;
    for _ in 0..JOBS_LOOKED_AT_MAX {
        match jobs.next().map_err(unreadable)? {
            Some(job) if job.job_type == flush::KIND => return Ok(Some(job)),
            Some(_) => {}
            None => break,
        }
    }
    Ok(None)
}

/// When the interval of a table is up, or why no time can be told.
fn next_flush(look: &Look<'_>, table: &Table, last: Option<&Job>) -> Result<(Option<i64>, Option<&'static str>)> {
    if last.is_some_and(|job| !job.status.is_terminal()) {
        return Ok((None, Some("a flush is active; its triggers are looked at again when it ends")));
    }
    if hot::counters(&*look.snapshot, table.id)?.rows == 0 {
        return Ok((None, Some("no rows wait to be flushed")));
    }
    match flush::next_interval(&*look.snapshot, table, look.database.env.now())? {
        None => Ok((None, Some("it waits for rows, not for a time"))),
        next => Ok((next, None)),
    }
}
