//! Table by table: his objects go, and are looked for afterwards.
//!
//! ```text
//! Finding(segments) ─► Clearing(segments) ─► Unpublishing ─► Finding(manifests) ─► Clearing(manifests) ─► next table
//! ```
//!
//! Nothing is removed that was not written down in a durable commit before, so whoever goes on after a crash knows what to look
//! for. What lies in his folders and is named by nothing, as a flush leaves it that was refused, is quarantined in that
//! commit: who is about to name it after all is refused as well, and writes it again under another name.
//!
//! The manifests beside his segments go last. Until then they say that the segments are gone, should the disk be lost meanwhile;
//! without them any file in the folder would count. A user who has newer rows by now keeps the manifests of those.

use super::{
    Run, Work,
    erasing::Erasing,
    folders::{self, Found, not_asked, owned},
    purging::Purging,
    records::{self, Object, What, Whose},
};
use crate::kinds::{read, wait};
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::Objects;
use ebbtide_store::quarantine::Quarantined;
use ebbtide_store::{Error, StorageId, Store, Table, TableId, UserId, cold, deletions, erase, manifest, published};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Removing {
    run: Run,
    /// None when there is none left.
    table: Option<TableId>,
    phase: Phase,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// What lies in his folders is compared with the manifest, and written down.
    Finding(What),
    /// What is written down is removed and looked for, behind this object.
    Clearing { what: What, after: Option<Object> },
    /// What is published of him is forgotten; or, if he has rows again, published without the old ones.
    Unpublishing,
}

/// What a page of objects leads to.
pub(super) enum AfterRemove {
    Next(Removing),
    Finished(Purging),
}

/// Objects that one commit writes down, or that one step removes. So few in tests that it takes several.
const OBJECTS_MAX: usize = if cfg!(test) { 4 } else { 256 };
/// Objects removed at the same time.
const OBJECTS_AT_ONCE: usize = 16;

/// Those who may have seen this table's objects named are gone: as far as this claim knows.
struct ReadersPassed(TableId, What);

impl Removing {
    /// Only an `Erasing` with no segment left gives a `Removing`.
    pub(super) async fn new(_: Erasing, run: Run, work: &Work, cx: &Step) -> Result<Self, StepError> {
        let table = work.next_fenced(None, cx).await?.map(|table| table.id);
        Ok(Self { run, table, phase: Phase::Finding(What::Segments) })
    }

    pub(super) async fn remove_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterRemove, StepError> {
        cx.signal().check()?;
        work.expect_nothing_attaching(cx).await?;
        let Some(id) = self.table else {
            // A table that was dropped before its turn came has no turn; what is written down of it has.
            let job = *cx.job_id();
            if let Some(table) =
                read("reading what is to go", cx, move |snapshot| records::first(snapshot, &job)).await?
            {
                (self.table, self.phase) = (Some(table), Phase::Clearing { what: What::Segments, after: None });
                return Ok(AfterRemove::Next(self));
            }
            if let Some(left) = work.left_of_dropped(self.run.at, cx).await? {
                return Err(StepError::retry(left));
            }
            let run = self.run.clone();
            return Ok(AfterRemove::Finished(Purging::new(self, run)));
        };
        let store = cx.get::<Store>()?;
        let table = {
            let store = store.clone();
            read("reading the catalog", cx, move |snapshot| store.catalog().table_by_id(&snapshot, id)).await?
        };
        cx.env().reached("user_erase.removing.page");
        match (self.phase.clone(), table) {
            (Phase::Clearing { what, after }, _) => self.clear(&store, id, what, after, work, cx).await?,
            (Phase::Finding(what), Some(table)) => self.find(&table, what, work, cx).await?,
            (Phase::Unpublishing, Some(table)) => self.unpublish(&store, &table, work, cx).await?,
            // Dropped meanwhile: what is not written down here goes with the table.
            (Phase::Finding(what), None) => self.phase = Phase::Clearing { what, after: None },
            (Phase::Unpublishing, None) => self.phase = Phase::Clearing { what: What::Manifests, after: None },
        }
        Ok(AfterRemove::Next(self))
    }

    async fn next_table(&mut self, id: TableId, work: &Work, cx: &mut Step) -> Result<(), StepError> {
        let store = cx.get::<Store>()?;
        let there = read("reading the catalog", cx, move |snapshot| store.catalog().table_by_id(&snapshot, id)).await?;
        if there.is_none() {
            self.run.dropped.push(id);
        }
        cx.write(Whose { job: *cx.job_id(), table: id }.forget());
        self.table = work.next_fenced(Some(id), cx).await?.map(|table| table.id);
        self.phase = Phase::Finding(What::Segments);
        Ok(())
    }

    /// Writes down what nothing names. When nothing is left to be written down, it is removed.
    async fn find(&mut self, table: &Arc<Table>, what: What, work: &Work, cx: &mut Step) -> Result<(), StepError> {
        let found = folders::unwritten(table, &work.user, what, OBJECTS_MAX, cx).await?;
        cx.env().reached("user_erase.removing.listed");
        // What is removed next must not be needed again after a power cut.
        cx.synced();
        if found.is_empty() {
            let (id, user) = (table.id, work.user.clone());
            let again = read("reading what is published", cx, move |snapshot| {
                let published = !published::of_user(&snapshot, id, &user)?.is_empty();
                Ok::<_, Error>(published && !has_rows(&snapshot, id, &user)?)
            })
            .await?;
            self.phase = match what {
                // Who was publishing him while it was forgotten has noted it after all.
                What::Manifests if again => Phase::Unpublishing,
                _ => Phase::Clearing { what, after: None },
            };
            return Ok(());
        }
        let now = cx.env().now();
        for Found { storage, object } in found {
            let cold::Listed { path, bytes, modified_at } = object;
            self.write_down(table.id, what, &storage, &path, bytes, cx)?;
            if what == What::Segments {
                let job_id = cx.job_id().to_string();
                let quarantined = Quarantined {
                    storage: storage.clone(),
                    path: path.clone(),
                    bytes,
                    modified_at,
                    quarantined_at: now,
                    job_id,
                };
                let (expect, write) = quarantined.put();
                cx.expect(expect);
                cx.write(write);
            }
        }
        Ok(())
    }

    /// An object is to go, and to be looked for.
    fn write_down(
        &mut self,
        table: TableId,
        what: What,
        storage: &StorageId,
        path: &str,
        bytes: u64,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let writes = erase::object(&*cx.engine().snapshot(), storage, path, bytes, cx.env().now());
        cx.extend(writes.map_err(|error| StepError::retry_because("reading the deletions failed", error))?);
        cx.write(Whose { job: *cx.job_id(), table }.put(what, storage, path));
        self.run.totals.objects += 1;
        self.run.totals.storages.insert(storage.to_string());
        Ok(())
    }

    /// Removes some of what is written down, and asks whether it is gone.
    async fn clear(
        &mut self,
        store: &Arc<Store>,
        table: TableId,
        what: What,
        after: Option<Object>,
        work: &Work,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let whose = Whose { job: *cx.job_id(), table };
        let page =
            read("reading what is to go", cx, move |snapshot| whose.page(snapshot, what, after.as_ref(), OBJECTS_MAX))
                .await?;
        let Some(last) = page.last().cloned() else {
            match what {
                What::Segments => self.phase = Phase::Unpublishing,
                What::Manifests => self.next_table(table, work, cx).await?,
            }
            return Ok(());
        };
        let passed = cx.keep::<ReadersPassed>();
        if !passed.as_ref().is_some_and(|passed| (passed.0, passed.1) == (table, what)) {
            // Those that register from now on do not see these objects named.
            wait(cx, store.readers().wait_passed(store.readers().now())).await?;
            *cx.keep() = Some(ReadersPassed(table, what));
        }
        let objects = owned(store, page.iter().map(|(storage, _)| storage), cx).await?;
        let looked_at = page.clone();
        let named = read("reading the manifest", cx, move |snapshot| {
            for (storage, path) in &looked_at {
                if manifest::named(&*snapshot, storage, path)?.is_some() {
                    return Ok(Some(path.clone()));
                }
            }
            Ok::<_, Error>(None)
        });
        if let Some(path) = named.await? {
            return Err(StepError::fail(format!("{path} was to go, and the manifest names it; please report this")));
        }
        let objects = &objects;
        let removing = stream::iter(page.clone())
            .map(|(storage, path)| async move {
                match &objects[&storage] {
                    Some(objects) => remove(&**objects, &storage, &path).await,
                    None => Ok(()),
                }
            })
            .buffer_unordered(OBJECTS_AT_ONCE)
            .try_collect::<Vec<()>>();
        wait(cx, removing).await??;
        cx.env().reached("user_erase.removing.removed");
        self.run.totals.objects_gone += page.len() as u64;
        let forgotten = read("reading the deletions", cx, move |snapshot| {
            let mut writes = Vec::new();
            for (storage, path) in page {
                writes.extend(deletions::forget_object(&*snapshot, &storage, &path)?);
            }
            Ok::<_, Error>(writes)
        })
        .await?;
        cx.extend(forgotten);
        self.phase = Phase::Clearing { what, after: Some(last) };
        Ok(())
    }

    /// Has nothing be published of him any more, or only what he has now.
    async fn unpublish(
        &mut self,
        store: &Arc<Store>,
        table: &Arc<Table>,
        work: &Work,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let (id, user) = (table.id, work.user.clone());
        let (watermark, published, has_rows) = read("reading what is published", cx, move |snapshot| {
            let has_rows = has_rows(&snapshot, id, &user)?;
            let published = published::of_user(&snapshot, id, &user)?;
            Ok::<_, Error>((manifest::watermark(&*snapshot, id, &user)?, published, has_rows))
        })
        .await?;
        cx.synced();
        self.phase = Phase::Finding(What::Manifests);
        if has_rows {
            let publishing = wait(cx, published::publish_user(store, id, &work.user)).await?;
            return match publishing {
                Ok(true) => Ok(()),
                Ok(false) => Err(StepError::retry("what is published of his newer rows could not be renewed")),
                Err(error) => Err(StepError::retry_because("publishing his newer rows failed", error)),
            };
        }
        // No flush has given him a segment meanwhile.
        cx.expect(watermark.expect());
        cx.expect(table.expect_present());
        cx.write(published::not_due(id, &work.user));
        // Their objects are found in his folders next. Written down here, they are known even if a folder is not.
        for (folder, manifest) in published {
            cx.extend(published::forget(id, &work.user, &folder, &manifest));
            // Nothing was published there yet.
            if manifest.path.is_empty() {
                continue;
            }
            self.write_down(id, What::Manifests, &folder.storage, &manifest.path, manifest.bytes, cx)?;
        }
        Ok(())
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }
}

/// Whether any segment holds rows of his: those are newer ones by then.
fn has_rows(snapshot: &Arc<dyn Snapshot>, table: TableId, user: &UserId) -> Result<bool, Error> {
    Ok(manifest::scan_segments(snapshot.clone(), table, Some(user))?.next().transpose()?.is_some())
}

/// Removes an object and looks for it.
async fn remove(objects: &dyn Objects, storage: &StorageId, path: &str) -> Result<(), StepError> {
    objects.delete(path).await.map_err(|error| not_asked(storage, error))?;
    match cold::head(objects, path).await.map_err(|error| not_asked(storage, error))? {
        None => Ok(()),
        Some(_) => Err(StepError::retry(format!("storage {storage} removed {path}, and still has it"))),
    }
}

impl From<AfterRemove> for super::State {
    fn from(after: AfterRemove) -> Self {
        match after {
            AfterRemove::Next(state) => Self::Removing(state),
            AfterRemove::Finished(state) => Self::Purging(state),
        }
    }
}
