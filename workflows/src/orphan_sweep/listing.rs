//! Storage by storage, object by object: what is an orphan is quarantined, page by page.
//!
//! A listing has no order and no place to go on from, so it lives as long as the claim. One that starts anew comes to
//! every object of its storage again, and finds those that it has quarantined already to be known.

use super::ours::{Ours, is_named};
use super::{Failure, Seen, Totals, Work, deleting::Deleting, jobs, snapshotting};
use crate::kinds::read;
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::{self, Listed};
use ebbtide_store::path::EXPORTS;
use ebbtide_store::quarantine::{self, Quarantined};
use ebbtide_store::{StorageId, Store, deletions};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listing {
    /// Ages count from here, microseconds since the Unix epoch.
    at: i64,
    /// The storage being listed; none when there is none left.
    storage: Option<StorageId>,
    /// What the storages before this one held.
    before: Seen,
    totals: Totals,
}

/// What a page of objects leads to.
pub(super) enum AfterPage {
    Next(Listing),
    Finished(Deleting),
}

/// Objects judged by one step.
const OBJECTS_MAX: usize = 1024;
/// Foreign objects that a result names.
const FOREIGN_NAMED_MAX: usize = 20;
/// Failures that a result names.
const FAILURES_MAX: usize = 20;

/// A listing that is under way.
struct Lister {
    objects: BoxStream<'static, Result<Listed, cold::Error>>,
    stamps: Arc<HashSet<i64>>,
}

/// What is to be known to judge an object.
struct Judge {
    store: Arc<Store>,
    storage: StorageId,
    job_id: String,
    written_before: i64,
    stamps: Arc<HashSet<i64>>,
}

impl Listing {
    pub(super) fn new(_: snapshotting::Snapshotting, at: i64, storage: Option<StorageId>, totals: Totals) -> Self {
        Self { at, storage, before: Seen::default(), totals }
    }

    pub(super) async fn list_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterPage, StepError> {
        cx.signal().check()?;
        let Some(storage) = self.storage.clone() else {
            let (at, totals) = (self.at, self.totals.clone());
            return Ok(AfterPage::Finished(Deleting::new(self, at, totals)));
        };
        let store = cx.get::<Store>()?;
        if is_attaching(&storage, &store, cx).await? {
            let message = "what lies in it is still being taken in: nothing in it is an orphan yet".to_owned();
            self.fail(&storage, &ebbtide_store::Error::Conflict { message });
            self.advance(&storage, work, cx).await?;
            return Ok(AfterPage::Next(self));
        }
        let written_before = self.at.saturating_sub(work.grace.micros());
        match self.page(&storage, &store, cx).await? {
            Ok((page, end)) => {
                cx.env().reached("orphan_sweep.listing.page");
                let stamps = cx.keep::<Lister>().as_ref().map(|lister| lister.stamps.clone()).unwrap_or_default();
                let job_id = cx.job_id().to_string();
                let judge = Judge { store: store.clone(), storage: storage.clone(), job_id, written_before, stamps };
                // The snapshot is taken after the listing: what was attached before it was listed is named in it.
                let (seen, orphans) =
                    read("reading the manifest", cx, move |snapshot| judge.page(&snapshot, page)).await?;
                self.totals.seen.add(seen);
                if !work.dry_run {
                    self.quarantine(&storage, orphans, cx);
                }
                if end {
                    self.temp_files(&storage, &store, written_before, work.dry_run).await;
                    self.advance(&storage, work, cx).await?;
                }
            }
            Err(error) => {
                self.fail(&storage, &error);
                self.advance(&storage, work, cx).await?;
            }
        }
        Ok(AfterPage::Next(self))
    }

    /// The next objects, and whether they were the last; or why the storage cannot be listed.
    async fn page(
        &mut self,
        storage: &StorageId,
        store: &Arc<Store>,
        cx: &mut Step,
    ) -> Result<Result<(Vec<Listed>, bool), ebbtide_store::Error>, StepError> {
        if cx.keep::<Lister>().is_none() {
            let objects = match store.objects(storage) {
                Ok(objects) => objects,
                Err(error) => return Ok(Err(error)),
            };
            // Every object is listed again.
            self.totals.seen = self.before.clone();
            // Before the listing: an object of a job that starts later is younger than any grace.
            let stamps = read("reading the jobs", cx, |snapshot| jobs::stamps(&snapshot)).await?;
            *cx.keep::<Lister>() = Some(Lister { objects: objects.list(""), stamps: Arc::new(stamps) });
        }
        let signal = cx.signal();
        let lister = cx.keep::<Lister>().as_mut().expect("made just above");
        let mut page = Vec::with_capacity(OBJECTS_MAX);
        while page.len() < OBJECTS_MAX {
            let next = tokio::select! {
                next = lister.objects.next() => next,
                stop = signal.stopped() => return Err(stop.into()),
            };
            match next {
                Some(Ok(object)) => page.push(object),
                Some(Err(error)) => return Ok(Err(error.into())),
                None => return Ok(Ok((page, true))),
            }
        }
        Ok(Ok((page, false)))
    }

    fn quarantine(&self, storage: &StorageId, orphans: Vec<Listed>, cx: &mut Step) {
        let job_id = cx.job_id().to_string();
        for Listed { path, bytes, modified_at } in orphans {
            tracing::info!(job_id, %storage, path, bytes, "an object that nothing names is quarantined");
            let found = Quarantined {
                storage: storage.clone(),
                path,
                bytes,
                modified_at,
                quarantined_at: self.at,
                job_id: job_id.clone(),
            };
            let (expect, write) = found.put();
            cx.expect(expect);
            cx.write(write);
        }
    }

    async fn temp_files(&mut self, storage: &StorageId, store: &Arc<Store>, written_before: i64, dry_run: bool) {
        let swept = match store.objects(storage) {
            Ok(objects) => objects.sweep_temp(written_before, dry_run).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match swept {
            Ok(count) => self.totals.temp_files += count,
            Err(error) => self.fail(storage, &error),
        }
    }

    fn fail(&mut self, storage: &StorageId, error: &ebbtide_store::Error) {
        tracing::warn!(%storage, %error, "a storage cannot be swept");
        if self.totals.failures.len() < FAILURES_MAX {
            self.totals.failures.push(Failure { storage: storage.to_string(), reason: error.to_string() });
        }
    }

    async fn advance(&mut self, storage: &StorageId, work: &Work, cx: &mut Step) -> Result<(), StepError> {
        let storages = snapshotting::storages(work, cx).await?;
        *cx.keep::<Lister>() = None;
        self.before = self.totals.seen.clone();
        self.totals.storages += 1;
        self.storage = storages.into_iter().find(|next| next > storage);
        Ok(())
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.storage.as_ref().map(StorageId::as_str)
    }
}

/// Whether a storage is still being attached. Asked before every page: attaching may begin anew at any time.
async fn is_attaching(storage: &StorageId, store: &Arc<Store>, cx: &Step) -> Result<bool, StepError> {
    let (store, storage) = (store.clone(), storage.clone());
    let found = read("reading the catalog", cx, move |snapshot| store.catalog().storage(&snapshot, &storage)).await?;
    Ok(found.is_some_and(|storage| storage.attaching))
}

impl Judge {
    fn page(
        &self,
        snapshot: &Arc<dyn Snapshot>,
        page: Vec<Listed>,
    ) -> Result<(Seen, Vec<Listed>), ebbtide_store::Error> {
        let storage = self.store.catalog().storage(snapshot, &self.storage)?;
        let mut seen = Seen::default();
        let mut orphans = Vec::new();
        for object in page {
            seen.objects += 1;
            seen.bytes += object.bytes;
            let Listed { path, bytes, modified_at } = &object;
            if path.split('/').next() == Some(EXPORTS) || is_named(&**snapshot, &self.storage, path)? {
                continue;
            }
            let ours = match (Ours::at(path), &storage) {
                (Some(ours), Some(storage)) if !ours.is_of_another(&object, snapshot, storage)? => ours,
                _ => {
                    seen.foreign += 1;
                    if seen.foreign_paths.len() < FOREIGN_NAMED_MAX {
                        seen.foreign_paths.push(path.clone());
                    }
                    continue;
                }
            };
            if *modified_at >= self.written_before {
                seen.young += 1;
            } else if ours.stamp_secs().is_some_and(|stamp| self.stamps.contains(&stamp)) {
                seen.of_jobs += 1;
            } else if deletions::is_pending(&**snapshot, &self.storage, path)? {
                seen.known += 1;
            } else {
                let found = quarantine::get(&**snapshot, &self.storage, path)?;
                // Before this run died and listed anew, it may have found it already.
                if found.as_ref().is_some_and(|found| found.job_id != self.job_id) {
                    seen.known += 1;
                    continue;
                }
                seen.orphans += 1;
                seen.orphans_bytes += bytes;
                if found.is_none() {
                    orphans.push(object);
                }
            }
        }
        Ok((seen, orphans))
    }
}

impl Seen {
    fn add(&mut self, page: Seen) {
        self.objects += page.objects;
        self.bytes += page.bytes;
        self.young += page.young;
        self.of_jobs += page.of_jobs;
        self.known += page.known;
        self.foreign += page.foreign;
        let room = FOREIGN_NAMED_MAX.saturating_sub(self.foreign_paths.len());
        self.foreign_paths.extend(page.foreign_paths.into_iter().take(room));
        self.orphans += page.orphans;
        self.orphans_bytes += page.orphans_bytes;
    }
}

impl From<AfterPage> for super::State {
    fn from(after: AfterPage) -> Self {
        match after {
            AfterPage::Next(state) => Self::Listing(state),
            AfterPage::Finished(state) => Self::Deleting(state),
        }
    }
}
