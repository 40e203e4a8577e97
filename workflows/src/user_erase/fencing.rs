//! Table by table: his hot rows go, and whoever has read them is kept from bringing them back.
//!
//! One commit for each table in which he is known: the watermark gets its next generation and is raised to the cut, the hot
//! rows up to the cut are removed, the counters say so, and the cut is noted with the table's file timestamps, so that no seq is
//! ever given out below it. It expects the watermark as it was when the rows were counted: what a flush hands over
//! meanwhile makes it start over. Readers before it see the hot rows, readers after it do not.
//!
//! All tables come before the first segment goes, so that the fences stand as soon after the cut as they can.

use super::{Run, Work, erasing::Erasing};
use crate::flush::records::Failure;
use crate::kinds::read;
use ebbtide_engine::{Expect, Snapshot, Write};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::erase::{self, Known};
use ebbtide_store::{Error, Kind, Store, Table, TableId, manifest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fencing {
    run: Run,
    /// The last table that is done with.
    after: Option<TableId>,
}

/// What a step of fencing leads to.
pub(super) enum AfterFence {
    Next(Fencing),
    Finished(Erasing),
}

/// A table in which he is known.
struct Found {
    table: Arc<Table>,
    known: Known,
    /// What notes the cut.
    noted: (Expect, Write),
}

impl Fencing {
    pub(super) fn new(_: super::queued::Queued, run: Run) -> Self {
        Self { run, after: None }
    }

    pub(super) async fn fence_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterFence, StepError> {
        cx.signal().check()?;
        let store = cx.get::<Store>()?;
        let (asked, after, cut, now) = (work.clone(), self.after, self.run.cut, cx.env().now());
        let found =
            read("looking at his rows", cx, move |snapshot| next(&store, &snapshot, &asked, after, cut, now)).await?;
        let Some(Found { table, known, noted }) = found else {
            work.expect_nothing_attaching(cx).await?;
            let run = self.run.clone();
            return Ok(AfterFence::Finished(Erasing::new(self, run)));
        };
        work.expect_nothing_attaching(cx).await?;
        let (expect, writes) = known.fence(&table);
        expect.into_iter().for_each(|expect| cx.expect(expect));
        cx.extend(writes);
        cx.expect(noted.0);
        cx.write(noted.1);
        cx.write(Failure::forget(table.id, &work.user));
        cx.synced();
        cx.env().reached("user_erase.fencing.fence");
        self.run.totals.tables += 1;
        self.run.totals.rows_hot += known.hot.rows;
        self.after = Some(table.id);
        Ok(AfterFence::Next(self))
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }
}

/// The next table in which he is known.
fn next(
    store: &Store,
    snapshot: &Arc<dyn Snapshot>,
    work: &Work,
    mut after: Option<TableId>,
    cut: u64,
    now: i64,
) -> Result<Option<Found>, Error> {
    let view = store.catalog().view(snapshot)?;
    let tables = work.tables();
    while let Some(table) = tables.next(&view, after) {
        after = Some(table.id);
        if table.kind != Kind::User {
            continue;
        }
        let known = erase::look(snapshot, table.id, &work.user, cut)?;
        if known.is_nobody() {
            continue;
        }
        let (_, expect, write) = manifest::file_stamp(&**snapshot, &table.namespace, &table.name, now, cut)?;
        return Ok(Some(Found { table, known, noted: (expect, write) }));
    }
    Ok(None)
}

impl From<AfterFence> for super::State {
    fn from(after: AfterFence) -> Self {
        match after {
            AfterFence::Next(state) => Self::Fencing(state),
            AfterFence::Finished(state) => Self::Erasing(state),
        }
    }
}
