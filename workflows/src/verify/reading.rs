//! Segment by segment, a bounded number of them and of their bytes per step, a few at a time.
//!
//! Each step registers as a reader before it takes its snapshot, so no object that it is to read goes meanwhile. A
//! finding is kept only if the manifest still names the segment when it is written down.

use super::{
    Totals, Work, check,
    done::Done,
    findings::{Finding, Problem},
    snapshotting::Snapshotting,
};
use crate::kinds::{next_table, read};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::manifest::{self, Entry, Start};
use ebbtide_store::{Seq, Store, Table, TableId, UserId};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reading {
    began_at: i64,
    /// None when there is none left.
    table: Option<TableId>,
    /// The last segment that was read: its user and its first seq.
    after: Option<(UserId, Seq)>,
    totals: Totals,
}

/// What reading some segments leads to.
pub(super) enum AfterRead {
    Next(Reading),
    Finished(Done),
}

/// Segments read by one step.
const SEGMENTS_MAX: usize = 64;
/// Their bytes, after which no further one is begun: what a crash has to read again.
const BYTES_MAX: u64 = 256 << 20;
/// Segments read at the same time: a row group of two columns is what each holds.
const SEGMENTS_AT_ONCE: usize = 4;

impl Reading {
    pub(super) fn new(_: Snapshotting, table: Option<TableId>, began_at: i64, totals: Totals) -> Self {
        Self { began_at, table, after: None, totals }
    }

    pub(super) async fn read_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterRead, StepError> {
        cx.signal().check()?;
        let Some(id) = self.table else {
            let (began_at, totals) = (self.began_at, self.totals.clone());
            return Ok(AfterRead::Finished(Done::new(self, began_at, totals, cx)));
        };
        let store = cx.get::<Store>()?;
        let _reading = store.readers().register();
        let (catalog, after) = (store.clone(), self.after.clone());
        let page =
            read("reading the manifest", cx, move |snapshot| match catalog.catalog().table_by_id(&snapshot, id)? {
                Some(table) => Ok(Some((table, page(snapshot, id, after.as_ref())?))),
                None => Ok::<_, ebbtide_store::Error>(None),
            })
            .await?;
        cx.env().reached("verify.reading.page");
        match page {
            Some((table, entries)) if !entries.is_empty() => {
                let last = &entries[entries.len() - 1].segment;
                self.after = Some((last.user.clone(), last.from_seq));
                self.check(work, &store, &table, entries, cx).await?;
            }
            // Dropped meanwhile, or done with.
            gone => {
                self.totals.tables += u64::from(gone.is_some());
                self.after = None;
                self.table = next_table(&work.tables, Some(id), cx).await?.map(|table| table.id);
            }
        }
        Ok(AfterRead::Next(self))
    }

    async fn check(
        &mut self,
        work: &Work,
        store: &Arc<Store>,
        table: &Arc<Table>,
        entries: Vec<Entry>,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let name = table.qualified_name();
        let (signal, progress, rows) = (cx.signal(), cx.progress().clone(), work.rows);
        let checks = stream::iter(entries)
            .map(|entry| {
                let (store, name, signal, progress) = (store.clone(), &name, signal.clone(), progress.clone());
                async move {
                    signal.check()?;
                    progress.set_subject(entry.segment.user.as_str());
                    let wrong = match store.objects(&entry.segment.storage) {
                        Ok(objects) => check::segment(&*objects, &entry.segment, name, rows).await,
                        Err(error) => vec![(Problem::Unreadable, "its storage".to_owned(), error.to_string())],
                    };
                    progress.add_rows(entry.segment.rows);
                    progress.add_bytes(entry.segment.bytes);
                    Ok::<_, StepError>((entry, wrong))
                }
            })
            // In the order of the manifest, so that findings have the same numbers when a step is repeated.
            .buffered(SEGMENTS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let checked = tokio::select! {
            checked = checks => checked?,
            stop = signal.stopped() => return Err(stop.into()),
        };
        refuse_outage(&checked)?;
        let bad: Vec<_> =
            checked.iter().filter(|(_, wrong)| !wrong.is_empty()).map(|(entry, _)| entry.clone()).collect();
        let still_named = read("reading the manifest", cx, move |snapshot| {
            let named = |entry: Entry| {
                let segment = &entry.segment;
                let now = manifest::entry(&*snapshot, segment.table_id, &segment.user, segment.from_seq)?;
                Ok::<_, ebbtide_store::Error>(now == Some(entry))
            };
            bad.into_iter().map(named).collect::<Result<Vec<bool>, _>>()
        })
        .await?;
        let mut still_named = still_named.into_iter();
        let found_at = cx.env().now();
        for (entry, wrong) in checked {
            let segment = entry.segment;
            self.totals.segments += 1;
            self.totals.rows += segment.rows;
            self.totals.bytes += segment.bytes;
            if wrong.is_empty() || !still_named.next().unwrap_or(false) {
                continue;
            }
            self.totals.segments_bad += 1;
            for (problem, expected, found) in wrong {
                tracing::error!(
                    job_id = %cx.job_id(), table = %name, user = %segment.user, path = segment.path,
                    %problem, expected, found, "a segment is not what the manifest says"
                );
                let finding = Finding {
                    found_at,
                    job_id: *cx.job_id(),
                    namespace: table.namespace.to_string(),
                    table: table.name.to_string(),
                    user: segment.user.to_string(),
                    storage: segment.storage.to_string(),
                    path: segment.path.clone(),
                    from_seq: segment.from_seq,
                    problem,
                    expected,
                    found,
                };
                self.totals.findings += 1;
                cx.write(finding.put(self.totals.findings));
            }
        }
        Ok(())
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn subject(&self) -> Option<&str> {
        self.after.as_ref().map(|(user, _)| user.as_str())
    }
}

fn page(
    snapshot: Arc<dyn ebbtide_engine::Snapshot>,
    table: TableId,
    after: Option<&(UserId, Seq)>,
) -> Result<Vec<Entry>, ebbtide_store::Error> {
    let start = after.map_or(Start::Beginning, |(user, seq)| Start::Seq(user, seq.saturating_add(1)));
    let mut page = Vec::new();
    let mut bytes = 0;
    for entry in manifest::entries(snapshot, table, start)? {
        let entry = entry?;
        bytes += entry.segment.bytes;
        page.push(entry);
        if page.len() >= SEGMENTS_MAX || bytes >= BYTES_MAX {
            break;
        }
    }
    Ok(page)
}

/// So many segments that cannot be read, and none that can, say something of the storage rather than of each of them:
/// the step is tried again later.
const UNREADABLE_MIN: usize = 8;

fn refuse_outage(checked: &[(Entry, Vec<check::Wrong>)]) -> Result<(), StepError> {
    let unreadable = |wrong: &[check::Wrong]| wrong.iter().any(|(problem, ..)| *problem == Problem::Unreadable);
    if checked.len() < UNREADABLE_MIN || !checked.iter().all(|(_, wrong)| unreadable(wrong)) {
        return Ok(());
    }
    let (entry, wrong) = &checked[0];
    let why = wrong.first().map_or("", |(_, _, found)| found.as_str());
    Err(StepError::retry(format!(
        "none of {} segments can be read, so their storage seems to be out of reach: {}: {why}",
        checked.len(),
        entry.segment.path
    )))
}

impl From<AfterRead> for super::State {
    fn from(after: AfterRead) -> Self {
        match after {
            AfterRead::Next(state) => Self::Reading(state),
            AfterRead::Finished(state) => Self::Done(state),
        }
    }
}
