//! Fixes the cut: the highest seq that this flush will move.
//!
//! A snapshot of the engine dies with the process, so it cannot say which rows belong to the job; a persisted
//! seq can. Every row at or below the published seq is already in the log, and the synced commit that persists
//! the cut makes them all durable, because a crash keeps a prefix of the log.

use super::{Cut, Totals, Work, queued::Queued, records, retry, table_of, writing::Writing};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{Store, hot, manifest};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshotting {}

/// How many users are counted per look at the index.
const USERS_PER_PAGE: usize = 4096;

impl Snapshotting {
    pub(super) fn new(_: Queued) -> Self {
        Self {}
    }

    pub(super) async fn pin(self, work: &Work, cx: &mut Step) -> Result<Writing, StepError> {
        let store = cx.get::<Store>()?;
        // The cut before the snapshot: a snapshot taken afterwards holds every row at or below it.
        let seq = cx.engine().last_seq();
        let snapshot = cx.engine().snapshot();
        let table = table_of(work, &store, &snapshot)?;
        let taken_at = cx.env().now();

        let (stamp, expect, write) = manifest::file_stamp(&*snapshot, &table.namespace, &table.name, taken_at, seq)
            .map_err(retry("reading the last file timestamp"))?;
        cx.expect(expect);
        cx.write(write);
        // Users that failed before still count for no trigger, should this flush not come to them.
        let before = records::Flushed::read(&*snapshot, work.table_id).map_err(retry("reading the last cut"))?;
        let flushed = records::Flushed { cut: seq, taken_at, ..before.unwrap_or_default() };
        cx.write(flushed.write(work.table_id));
        cx.synced();

        let pending = hot::counters(&*snapshot, table.id).map_err(retry("reading the counters"))?;
        let cut = Cut { seq, stamp, taken_at, rows: pending.rows, bytes_hot: pending.bytes };
        let mut users_total = 0;
        let mut after = None;
        loop {
            cx.signal().check()?;
            let page = hot::users(snapshot.clone(), table.id, after.as_ref(), USERS_PER_PAGE)
                .map_err(retry("reading the index of users"))?;
            users_total += page.len() as u64;
            match page.into_iter().next_back() {
                Some((user, _)) => after = Some(user),
                None => break,
            }
        }
        tracing::debug!(
            job_id = %cx.job_id(), table = %format_args!("{}.{}", work.namespace, work.table),
            cut = seq, users = users_total, at = taken_at, "flush starts"
        );
        Ok(Writing::new(self, cut, Totals { users_total, ..Totals::default() }))
    }
}
