//! Table by table, page by page: his segments leave the manifest.
//!
//! A segment whose rows all are at or below the cut leaves. One that holds later rows as well, which a flush handed over
//! between the cut and the fence, is written anew without the old ones. Either way its object is written down, in the same
//! commit, to be removed and to be looked for. The commits expect the entries as they were read: a move or a retention that
//! replaces one meanwhile makes it start over with what is there then.
//!
//! Readers see fewer of his rows with each commit.

use super::{
    Run, Work,
    fencing::Fencing,
    records::{What, Whose},
    removing::Removing,
};
use crate::kinds::read;
use crate::segment_retention::rewrite::{self, Trouble};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::segment::{Part, Reader};
use ebbtide_store::deletions::{Deletion, Why};
use ebbtide_store::manifest::{self, Entry, Start};
use ebbtide_store::{Error, Hidden, Segment, Store, Table, TableId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Erasing {
    run: Run,
    /// The last table that is done with.
    after: Option<TableId>,
    /// Names the file that is written anew: whole seconds since the Unix epoch. Taken when there is one.
    stamp: Option<i64>,
}

/// What a page of segments leads to.
pub(super) enum AfterErase {
    Next(Erasing),
    Finished(Removing),
}

/// Segments that one commit takes out of the manifest. So few in tests that a user takes several commits.
const SEGMENTS_MAX: usize = if cfg!(test) { 2 } else { 512 };

impl Erasing {
    pub(super) fn new(_: Fencing, run: Run) -> Self {
        Self { run, after: None, stamp: None }
    }

    pub(super) async fn erase_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterErase, StepError> {
        cx.signal().check()?;
        let Some(table) = work.next_fenced(self.after, cx).await? else {
            let run = self.run.clone();
            return Ok(AfterErase::Finished(Removing::new(self, run, work, cx).await?));
        };
        let store = cx.get::<Store>()?;
        // A segment may be read anew; its object must not go meanwhile.
        let _reading = store.readers().register();
        let (id, user, cut) = (table.id, work.user.clone(), self.run.cut);
        let page = read("reading the manifest", cx, move |snapshot| {
            let mut page = Vec::new();
            for entry in manifest::entries(snapshot, id, Start::Seq(&user, 0))? {
                let entry = entry?;
                let his = entry.segment.user == user && entry.segment.from_seq <= cut;
                if !his || page.len() >= SEGMENTS_MAX {
                    break;
                }
                page.push(entry);
            }
            Ok::<_, Error>(page)
        })
        .await?;
        cx.env().reached("user_erase.erasing.page");
        let (whole, across): (Vec<Entry>, Vec<Entry>) =
            page.into_iter().partition(|entry| entry.segment.to_seq <= self.run.cut);
        if whole.is_empty() && across.is_empty() {
            (self.after, self.stamp) = (Some(table.id), None);
            return Ok(AfterErase::Next(self));
        }
        let (expect, writes) = manifest::detach(&whole);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        for entry in &whole {
            self.run.totals.segments += 1;
            self.run.totals.rows_cold += entry.segment.rows;
            self.let_go(&entry.segment, cx);
        }
        for entry in across {
            match self.stamp {
                Some(stamp) => self.keep_the_new(&store, &table, entry, stamp, cx).await?,
                // First a commit that has the timestamp, and with it what leaves whole.
                None => self.take_stamp(&table, cx).await?,
            }
        }
        Ok(AfterErase::Next(self))
    }

    /// Its object is to go, and to be looked for.
    fn let_go(&mut self, segment: &Segment, cx: &mut Step) {
        let Segment { table_id, storage, path, bytes, .. } = segment;
        let whose = Whose { job: *cx.job_id(), table: *table_id };
        let (bytes, not_before, why) = (*bytes, cx.env().now(), Why::Erased);
        let (storage, path) = (storage.clone(), path.clone());
        let record = whose.put(What::Segments, &storage, &path);
        self.run.totals.storages.insert(storage.to_string());
        cx.extend(Deletion { storage, path, bytes, not_before, why, whose: None, failures: 0, error: None }.put());
        cx.write(record);
        self.run.totals.objects += 1;
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

    /// Rows of both sides of the cut are in one segment: a new one takes its place, with the later ones alone.
    async fn keep_the_new(
        &mut self,
        store: &Arc<Store>,
        table: &Table,
        old: Entry,
        stamp: i64,
        cx: &mut Step,
    ) -> Result<(), StepError> {
        let unreadable =
            |reason: String| StepError::retry(format!("a segment with later rows could not be written anew: {reason}"));
        let rows = old_rows(store, &old.segment, self.run.cut).await.map_err(|error| unreadable(error.to_string()))?;
        let new = match rewrite::without_first(rows, &old.segment, &table.qualified_name(), stamp, cx).await {
            Ok(new) => new,
            Err(Trouble::All(error)) => return Err(error),
            Err(Trouble::Segment(reason)) => return Err(unreadable(reason)),
        };
        let (expect, writes) = manifest::replace(&old, &new);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        self.run.totals.segments_rewritten += 1;
        self.run.totals.rows_cold += rows;
        self.let_go(&old.segment, cx);
        Ok(())
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn stamp(&self) -> Option<i64> {
        self.stamp
    }
}

/// How many rows of a segment are at or below the cut: they are its first ones.
async fn old_rows(store: &Store, segment: &Segment, cut: u64) -> Result<u64, Error> {
    let objects = store.objects(&segment.storage)?;
    let columns = [Hidden::Seq.name()];
    let part = Part { columns: Some(&columns), first_row: 0, batch_rows: 8192 };
    let mut reader = Reader::open(&*objects, &segment.path, segment.bytes, part).await?;
    let mut old = 0;
    while let Some(batch) = reader.next().await? {
        let seqs = batch
            .column_by_name(Hidden::Seq.name())
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| Error::corrupt(format!("segment {} has no _seq", segment.path)))?;
        let here = seqs.values().partition_point(|seq| seq.cast_unsigned() <= cut);
        old += here as u64;
        if here < seqs.len() {
            break;
        }
    }
    Ok(old)
}

impl From<AfterErase> for super::State {
    fn from(after: AfterErase) -> Self {
        match after {
            AfterErase::Next(state) => Self::Erasing(state),
            AfterErase::Finished(state) => Self::Removing(state),
        }
    }
}
