//! Segment by segment: copied, compared, and named in its new place.
//!
//! The order of writes:
//!
//! 1. The file timestamp of this table's copies is committed, before there is any.
//! 2. A copy is durable under a name that was never used before, and was compared with its manifest entry.
//! 3. **One commit** for some segments: each entry is replaced by one that names the copy, the original is written down to
//!    be removed, and the job's checkpoint. It expects the entries to be as they were read, and the id of the storage to
//!    mean the place that it meant. Readers before it read the
//!    originals, readers after it the copies; both are there.
//! 4. The originals go, later: see `deleting`.
//!
//! Die before 3: copies that nothing names, for the orphan sweep; the segments are copied again under new names.

use super::{
    Failure, Totals, Work,
    deleting::Deleting,
    page::{self, Look, Page, Position},
    snapshotting::{Snapshotting, no_storage},
};
use crate::flush::Resources;
use crate::kinds::{self, next_table, read};
use crate::naming::free_path;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::{self, CopyError, Stored};
use ebbtide_store::deletions::{Deletion, Why};
use ebbtide_store::manifest::{self, Entry};
use ebbtide_store::{Reading, Segment, Store, Table, TableId, UserId};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Copying {
    /// When the run began, microseconds since the Unix epoch.
    at: i64,
    /// None when there is none left.
    table: Option<TableId>,
    /// Names this table's copies: whole seconds since the Unix epoch. Taken when the first is needed.
    stamp: Option<i64>,
    /// The part that the next copy is called: they may come to lie in one folder.
    part: u32,
    /// The last segment that is done with.
    after: Option<Position>,
    totals: Totals,
}

/// What a step of copying leads to.
pub(super) enum AfterCopy {
    Next(Copying),
    Finished(Deleting),
}

/// Segments copied at the same time.
const COPIES_AT_ONCE: usize = 4;
/// Failures that a result names.
const FAILURES_MAX: usize = 100;

/// Why a segment was not copied.
enum Trouble {
    /// It cannot be read as the manifest has it: others may do better.
    Segment(String),
    /// One of the storages does not do its part at present.
    All(StepError),
}

impl Copying {
    pub(super) fn new(_: Snapshotting, at: i64, table: Option<TableId>, totals: Totals) -> Self {
        Self { at, table, stamp: None, part: 1, after: None, totals }
    }

    pub(super) async fn copy_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterCopy, StepError> {
        cx.signal().check()?;
        let Some(id) = self.table else {
            return self.finish(cx);
        };
        let store = cx.get::<Store>()?;
        let writing = kinds::writes(&store, cx);
        // The objects that are read must not go meanwhile.
        let _reading = store.readers().register();
        let look = read("reading the manifest", cx, {
            let (store, work, after) = (store.clone(), work.clone(), self.after.clone());
            move |snapshot| page::look(&store, &snapshot, id, &work, after)
        })
        .await?;
        cx.env().reached("segment_move.copying.page");
        let page = match look {
            Look::Page(page) => page,
            Look::NoStorage => return Err(no_storage(work)),
            Look::NoTable => {
                self.next_table(id, work, cx).await?;
                return Ok(AfterCopy::Next(self));
            }
        };
        if !page.segments.is_empty() && self.stamp.is_none() {
            // First a commit that has the timestamp alone.
            self.take_stamp(&page.table, cx).await?;
            return Ok(AfterCopy::Next(self));
        }
        self.totals.segments_there += page.there;
        let next = page.next.clone();
        self.segments(work, &store, page, &writing, cx).await?;
        match next {
            Some(next) => self.after = Some(next),
            None => {
                self.totals.tables += 1;
                self.next_table(id, work, cx).await?;
            }
        }
        Ok(AfterCopy::Next(self))
    }

    fn finish(self, cx: &mut Step) -> Result<AfterCopy, StepError> {
        let totals = self.totals.clone();
        if totals.segments_failed > 0 && totals.segments == 0 {
            let first = totals.failures.first().map_or("", |failure| failure.reason.as_str());
            return Err(StepError::fail(format!(
                "all {} segments stay where they are; the first: {first}",
                totals.segments_failed
            )));
        }
        let at = self.at;
        Ok(AfterCopy::Finished(Deleting::new(self, at, totals, cx)))
    }

    async fn next_table(&mut self, id: TableId, work: &Work, cx: &Step) -> Result<(), StepError> {
        (self.after, self.stamp, self.part) = (None, None, 1);
        self.table = next_table(&work.tables, Some(id), cx).await?.map(|table| table.id);
        Ok(())
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
        (self.stamp, self.part) = (Some(stamp), 1);
        Ok(())
    }

    async fn segments(
        &mut self,
        work: &Work,
        store: &Arc<Store>,
        page: Page,
        writing: &Arc<Reading>,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let Some(stamp) = self.stamp.filter(|_| !page.segments.is_empty()) else { return Ok(()) };
        if let Some((entry, _)) = page.segments.first() {
            cx.progress().set_subject(entry.segment.user.as_str());
        }
        let to = store.objects(&work.to).map_err(unreachable)?;
        let (signal, epoch, resources) = (cx.signal(), cx.epoch(), cx.get::<Resources>()?);
        let first = self.part;
        let parts = u32::try_from(page.segments.len()).unwrap_or(u32::MAX);
        let copies = stream::iter((first..).zip(page.segments))
            .map(|(part, (entry, folder))| {
                let (store, to, resources, writing) = (store.clone(), to.clone(), resources.clone(), writing.clone());
                async move {
                    let _held = resources.permit(to.upload_bytes_held_max()).await;
                    let copied = match free_name(&*to, &folder, stamp, part, epoch).await {
                        Ok(path) => copy(&store, &entry.segment, &*to, path, writing).await,
                        Err(trouble) => Err(trouble),
                    };
                    (entry, copied)
                }
            })
            .buffered(COPIES_AT_ONCE)
            .collect::<Vec<_>>();
        let copies = tokio::select! {
            copies = copies => copies,
            stop = signal.stopped() => return Err(stop.into()),
        };
        cx.env().reached("segment_move.copying.copied");
        cx.expect(page.registered);
        for (entry, copied) in copies {
            match copied {
                Ok(path) => self.named(entry, path, work, cx),
                Err(Trouble::Segment(reason)) => self.fail(&page.table, &entry.segment, reason, cx),
                Err(Trouble::All(error)) => return Err(error),
            }
        }
        match first.checked_add(parts) {
            Some(next) => self.part = next,
            // Every part of this timestamp is used up.
            None => self.stamp = None,
        }
        Ok(())
    }

    /// The copy takes the place of the original, which is to go.
    fn named(&mut self, old: Entry, path: String, work: &Work, cx: &mut Step) {
        let now = cx.env().now();
        let new = Segment {
            storage: work.to.clone(),
            path,
            job_id: cx.job_id().to_string(),
            created_at: now,
            ..old.segment.clone()
        };
        let (expect, writes) = manifest::replace(&old, &new);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        cx.progress().add_rows(new.rows);
        cx.progress().add_bytes(new.bytes);
        self.totals.segments += 1;
        self.totals.rows += new.rows;
        self.totals.bytes += new.bytes;
        let Segment { table_id, user, storage, path, bytes, .. } = old.segment;
        let not_before = now.saturating_add(work.grace.micros());
        let (why, whose) = (Why::Moved, Some((table_id, user)));
        cx.extend(Deletion { storage, path, bytes, not_before, why, whose, failures: 0, error: None }.put());
    }

    fn fail(&mut self, table: &Table, segment: &Segment, reason: String, cx: &Step) {
        let (job_id, table) = (cx.job_id(), table.qualified_name());
        let Segment { user, storage, path, .. } = segment;
        tracing::warn!(%job_id, table, %user, %storage, path, reason, "a segment stays where it is");
        self.totals.segments_failed += 1;
        if self.totals.failures.len() < FAILURES_MAX {
            let (user, storage, path) = (user.to_string(), storage.to_string(), path.clone());
            self.totals.failures.push(Failure { table, user, storage, path, reason });
        }
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn stamp(&self) -> Option<i64> {
        self.stamp
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.after.as_ref().map(|(user, _)| UserId::as_str(user))
    }
}

async fn free_name(to: &dyn cold::Objects, folder: &str, stamp: i64, part: u32, epoch: u64) -> Result<String, Trouble> {
    let path = free_path(to, folder, stamp, part, epoch).await.map_err(|error| Trouble::All(unreachable(error)))?;
    path.ok_or_else(|| {
        Trouble::Segment(format!(
            "too many names in {folder} of the other storage are taken by files that nothing names"
        ))
    })
}

/// Copies one segment's object. Gives the path of the copy.
async fn copy(
    store: &Store,
    old: &Segment,
    to: &dyn cold::Objects,
    path: String,
    writing: Arc<Reading>,
) -> Result<String, Trouble> {
    let from = store.objects(&old.storage).map_err(|error| Trouble::All(unreadable(error)))?;
    let expected = Stored { bytes: old.bytes, crc32c: old.crc32c };
    match cold::copy(&*from, &old.path, to, &path, expected, writing).await {
        Ok(()) => Ok(path),
        Err(CopyError::Source(error)) if error.is_of_the_object() => Err(Trouble::Segment(error.with_hint())),
        // That a storage does not answer says nothing of the segment.
        Err(CopyError::Source(error)) => Err(Trouble::All(unreadable(error))),
        Err(CopyError::Target(error)) => Err(Trouble::All(unreachable(error))),
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StepError {
    StepError::retry_because("the storage to move from gives nothing", error)
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> StepError {
    StepError::retry_because("the storage to move to takes nothing", error)
}

impl From<AfterCopy> for super::State {
    fn from(after: AfterCopy) -> Self {
        match after {
            AfterCopy::Next(state) => Self::Copying(state),
            AfterCopy::Finished(state) => Self::Deleting(state),
        }
    }
}
