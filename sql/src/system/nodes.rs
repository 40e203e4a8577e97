//! `system.nodes`: who runs jobs, and what each found when it last started.

use super::columns::{Column, Value, time};
use super::jobs::unreadable;
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_runtime::query;
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};

const COLUMNS: &[Column] = &[
    Column::new("node_id", Text, "Its name, as jobs have it in node_id."),
    Column::new("version", Text, "The version of its program."),
    Column::new("started_at", TimestampTz, "When it last started."),
    Column::new("seen_at", TimestampTz, "When it last said that it lives."),
    Column::nullable("stopped_at", TimestampTz, "When it stopped in order; NULL while it runs, and after a crash."),
    Column::new("recovery", Text, "What it found when it started, in words."),
    Column::new("jobs_resumed", BigInt, "Jobs that were running before and went on from their last checkpoint."),
    Column::new("claims_fenced", BigInt, "Claims of its earlier life that were made void."),
    Column::new("jobs_waiting", BigInt, "Jobs that waited for their turn."),
    Column::new("jobs_parked", BigInt, "Jobs that its program cannot load."),
    Column::new("jobs_failed", BigInt, "Jobs that could not be recovered."),
    Column::new("recovery_ms", BigInt, "Milliseconds until all of them could be claimed."),
];

/// `system.nodes`
#[derive(Debug)]
pub(super) struct Nodes;

impl System for Nodes {
    fn name(&self) -> &'static str {
        "system.nodes"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["node_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for node in query::nodes(&look.snapshot).map_err(unreadable)? {
            if !wanted.allows("node_id", Some(&node.node_id)) {
                continue;
            }
            let recovery = &node.recovery;
            let more = out.row(&[
                node.node_id.as_str().into(),
                node.version.as_str().into(),
                Value::Time(node.started_at),
                Value::Time(node.seen_at),
                time(node.stopped_at),
                Value::Text(&recovery.to_string()),
                recovery.resumed_count().into(),
                recovery.fenced.into(),
                recovery.waiting.into(),
                recovery.parked.into(),
                recovery.failed.into(),
                u64::try_from(recovery.took.as_millis()).unwrap_or(u64::MAX).into(),
            ])?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}
