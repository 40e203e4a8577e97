//! User by user: whole segments leave the manifest, and the one at the edge is swapped for one without its old rows.
//!
//! The order of writes:
//!
//! 1. The file timestamp of this table's new files is committed, before there is any.
//! 2. A new file is durable under a name that was never used before.
//! 3. **One commit** for some users: their whole segments and the old one at the edge leave the manifest, the new one
//!    comes into it, every object that is no longer named is written down to be removed, and the job's checkpoint. It
//!    expects the entries that leave to be as they were read. Readers before it see all rows, readers after it those
//!    that are young enough.
//! 4. The objects go, later: see `deleting`.
//!
//! Die before 3: a file that nothing names, for the orphan sweep; the user is done again under a new name.

use super::{
    Failure, Totals, Work,
    deleting::Deleting,
    prefix::{self, Prefix},
    rewrite::{self, Trouble},
    snapshotting::Snapshotting,
};
use crate::kinds::{self, next_table, read};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::deletions::{Deletion, Why};
use ebbtide_store::manifest::{self, Entry, Start};
use ebbtide_store::{Segment, Seq, Store, Table, TableId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Writing {
    /// When the run began, microseconds since the Unix epoch.
    at: i64,
    /// Rows committed before this go.
    cutoff: i64,
    /// None when there is none left.
    table: Option<TableId>,
    /// Names this table's new files: whole seconds since the Unix epoch. Taken when the first is needed.
    stamp: Option<i64>,
    /// The last user that is done with.
    after: Option<UserId>,
    /// In a dry run: the user after him is counted up to before this seq. Otherwise what is done with is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<(UserId, Seq)>,
    totals: Totals,
}

/// What a step of writing leads to.
pub(super) enum AfterWrite {
    Next(Writing),
    Finished(Deleting),
}

/// Users looked at by one step.
const USERS_MAX: usize = 1024;
/// Segments that one commit takes out of the manifest. So few in tests that a user takes several commits.
const SEGMENTS_MAX: usize = if cfg!(test) { 3 } else { 512 };
/// Bytes read anew by one step, after which no further user is begun: what a crash has to do again.
const REWRITE_BYTES_MAX: u64 = 256 << 20;
/// Failures that a result names.
const FAILURES_MAX: usize = 100;

impl Writing {
    pub(super) fn new(_: Snapshotting, at: i64, cutoff: i64, table: Option<TableId>, totals: Totals) -> Self {
        Self { at, cutoff, table, stamp: None, after: None, counted: None, totals }
    }

    pub(super) async fn write_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterWrite, StepError> {
        cx.signal().check()?;
        let Some(id) = self.table else {
            return self.finish(cx);
        };
        let store = cx.get::<Store>()?;
        let _writing = kinds::writes(&store, cx);
        // The objects that are read anew must not go meanwhile.
        let _reading = store.readers().register();
        let (after, counted, cutoff) = (self.after.clone(), self.counted.clone(), self.cutoff);
        let page = read("reading the manifest", cx, {
            let store = store.clone();
            move |snapshot| {
                let Some(table) = store.catalog().table_by_id(&snapshot, id)? else { return Ok(None) };
                Ok::<_, ebbtide_store::Error>(Some((table, page(&snapshot, id, after, counted, cutoff)?)))
            }
        })
        .await?;
        cx.env().reached("segment_retention.writing.page");
        match page {
            Some((table, prefixes)) if !prefixes.is_empty() => self.users(work, &store, &table, prefixes, cx).await?,
            // Dropped meanwhile, or done with.
            gone => {
                self.totals.tables += u64::from(gone.is_some());
                (self.after, self.counted, self.stamp) = (None, None, None);
                self.table = next_table(&work.tables, Some(id), cx).await?.map(|table| table.id);
            }
        }
        Ok(AfterWrite::Next(self))
    }

    fn finish(self, cx: &mut Step) -> Result<AfterWrite, StepError> {
        let totals = self.totals.clone();
        if totals.users_failed > 0 && totals.rows == 0 {
            let first = totals.failures.first().map_or("", |failure| failure.reason.as_str());
            return Err(StepError::fail(format!("all {} users failed; the first: {first}", totals.users_failed)));
        }
        let at = self.at;
        Ok(AfterWrite::Finished(Deleting::new(self, at, totals, cx)))
    }

    async fn users(
        &mut self,
        work: &Work,
        store: &Arc<Store>,
        table: &Arc<Table>,
        prefixes: Vec<Prefix>,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let mut bytes_read = 0;
        for prefix in prefixes {
            if bytes_read >= REWRITE_BYTES_MAX {
                // The rest of the page is read again by the next step.
                break;
            }
            cx.signal().check()?;
            let Prefix { user, whole, edge, more } = prefix;
            if let Some(edge) = edge.filter(|_| work.rewrite) {
                cx.progress().set_subject(user.as_str());
                let rows = match prefix::old_rows(store, &edge.segment, self.cutoff).await {
                    Ok(rows) => rows,
                    Err(error) => {
                        self.leave(whole, work, cx);
                        self.fail(table, &user, &error.to_string(), cx);
                        self.done_with(user);
                        continue;
                    }
                };
                match rows {
                    0 => {}
                    rows if rows >= edge.segment.rows => {
                        // Its entry did not tell, and all of it is too old. What comes after it is seen by the next step.
                        let whole = whole.into_iter().chain([edge]).collect();
                        self.leave(whole, work, cx);
                        if !work.dry_run {
                            break;
                        }
                        self.done_with(user);
                        continue;
                    }
                    rows if work.dry_run => {
                        self.totals.rows += rows;
                        self.totals.segments_rewritten += 1;
                        self.totals.bytes_removed += edge.segment.bytes;
                    }
                    rows => {
                        let Some(stamp) = self.stamp else {
                            // First a commit that has the timestamp alone, and with it the users before this one.
                            return self.take_stamp(table, cx).await;
                        };
                        bytes_read += edge.segment.bytes;
                        let name = table.qualified_name();
                        match rewrite::without_first(rows, &edge.segment, &name, stamp, cx).await {
                            Ok(new) => self.swap(edge, &new, rows, work, cx),
                            Err(Trouble::All(error)) => return Err(error),
                            Err(Trouble::Segment(reason)) => self.fail(table, &user, &reason, cx),
                        }
                    }
                }
            }
            let last = whole.last().map(|entry| entry.segment.from_seq);
            self.leave(whole, work, cx);
            if more {
                // The same user again, whose first segments are gone by then.
                if let Some(last) = last.filter(|_| work.dry_run) {
                    self.counted = Some((user, last.saturating_add(1)));
                }
                break;
            }
            self.done_with(user);
        }
        Ok(())
    }

    fn done_with(&mut self, user: UserId) {
        self.totals.users += 1;
        self.after = Some(user);
        self.counted = None;
    }

    async fn take_stamp(&mut self, table: &Table, cx: &mut Step) -> Result<(), StepError> {
        let (namespace, name, now) = (table.namespace.clone(), table.name.clone(), cx.env().now());
        let (stamp, expect, write) = read("reading the last file timestamp", cx, move |snapshot| {
            manifest::file_stamp(&*snapshot, &namespace, &name, now, 0)
        })
        .await?;
        cx.expect(expect);
        cx.write(write);
        cx.synced();
        self.stamp = Some(stamp);
        Ok(())
    }

    /// Whole segments leave.
    fn leave(&mut self, whole: Vec<Entry>, work: &Work, cx: &mut Step) {
        self.totals.segments_removed += whole.len() as u64;
        for entry in &whole {
            self.totals.rows += entry.segment.rows;
            self.totals.bytes_removed += entry.segment.bytes;
        }
        if work.dry_run {
            return;
        }
        let (expect, writes) = manifest::detach(&whole);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        for entry in whole {
            self.let_go(entry.segment, work, cx);
        }
    }

    /// A segment takes the place of another.
    fn swap(&mut self, old: Entry, new: &Segment, rows: u64, work: &Work, cx: &mut Step) {
        self.totals.rows += rows;
        self.totals.segments_rewritten += 1;
        self.totals.bytes_removed += old.segment.bytes;
        self.totals.bytes_written += new.bytes;
        let (expect, writes) = manifest::replace(&old, new);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        self.let_go(old.segment, work, cx);
    }

    /// The object of a segment is to go, once the grace has passed.
    fn let_go(&self, segment: Segment, work: &Work, cx: &mut Step) {
        let Segment { table_id, user, storage, path, bytes, .. } = segment;
        let not_before = cx.env().now().saturating_add(work.grace.micros());
        let (why, whose) = (Why::Retention, Some((table_id, user)));
        cx.extend(Deletion { storage, path, bytes, not_before, why, whose, failures: 0, error: None }.put());
    }

    fn fail(&mut self, table: &Table, user: &UserId, reason: &str, cx: &Step) {
        tracing::warn!(job_id = %cx.job_id(), table = %table.qualified_name(), %user, reason, "a user's old rows stay");
        self.totals.users_failed += 1;
        if self.totals.failures.len() < FAILURES_MAX {
            self.totals.failures.push(Failure {
                table: table.qualified_name(),
                user: user.to_string(),
                reason: reason.to_owned(),
            });
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn stamp(&self) -> Option<i64> {
        self.stamp
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.after.as_ref().map(UserId::as_str)
    }
}

/// The next users with segments, and what of each is too old: bounded by users and by whole segments.
fn page(
    snapshot: &Arc<dyn ebbtide_engine::Snapshot>,
    table: TableId,
    mut after: Option<UserId>,
    mut counted: Option<(UserId, Seq)>,
    cutoff: i64,
) -> Result<Vec<Prefix>, ebbtide_store::Error> {
    let mut page: Vec<Prefix> = Vec::new();
    let mut room = SEGMENTS_MAX;
    while page.len() < USERS_MAX && room > 0 {
        let start = match (&counted, &after) {
            (Some((user, seq)), _) => Start::Seq(user, *seq),
            (None, Some(after)) => Start::AfterUser(after),
            (None, None) => Start::Beginning,
        };
        let Some(prefix) = prefix::next(snapshot, table, start, cutoff, room)? else { break };
        counted = None;
        room -= prefix.whole.len();
        let more = prefix.more;
        after = Some(prefix.user.clone());
        page.push(prefix);
        if more {
            break;
        }
    }
    Ok(page)
}

impl From<AfterWrite> for super::State {
    fn from(after: AfterWrite) -> Self {
        match after {
            AfterWrite::Next(state) => Self::Writing(state),
            AfterWrite::Finished(state) => Self::Deleting(state),
        }
    }
}
