//! Table by table, in seq order: files come into the folder, and each commit says which of them belong to the export.
//!
//! A file is durable before the commit that keeps it. Die before: a file in the export's own folder that is not kept, which
//! is removed when the export is described; the rows are exported again under another name.

use super::{
    Run, Work,
    describing::Describing,
    encoding::{self, BATCH_ROWS, Source, What, refused},
    folder,
    page::{self, Next},
    records::{self, File},
    snapshotting::Snapshotting,
};
use crate::flush::Resources;
use crate::kinds::read;
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::segment::{Part, Reader};
use ebbtide_store::cold::{self, CopyError, Objects, Stored};
use ebbtide_store::path::escape::escape;
use ebbtide_store::{Segment, Seq, Store, Table, TableId, hot};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Copying {
    run: Run,
    /// The table that is being exported, and the seq up to which it is.
    table: Option<(TableId, Seq)>,
    /// The last table that is done with.
    after: Option<TableId>,
}

/// What a step of copying leads to.
pub(super) enum AfterCopy {
    Next(Copying),
    Finished(Describing),
}

/// Segments copied at the same time.
const COPIES_AT_ONCE: usize = 4;
/// Names tried for one file. A claim uses up one for each time that its commit is refused.
const NAMES_MAX: u32 = 1000;

impl Copying {
    pub(super) fn new(_: Snapshotting, run: Run) -> Self {
        Self { run, table: None, after: None }
    }

    pub(super) async fn copy_next(mut self, work: &Work, cx: &mut Step) -> Result<AfterCopy, StepError> {
        cx.signal().check()?;
        let store = cx.get::<Store>()?;
        // The objects that are read must not go meanwhile.
        let _reading = store.readers().register();
        let (table, after, cut) = (self.table, self.after, self.run.cut);
        let (looking, asked) = (store.clone(), work.clone());
        let next =
            read("looking at his rows", cx, move |snapshot| page::next(&looking, &snapshot, &asked, table, after, cut))
                .await?;
        cx.env().reached("user_export.copying.page");
        let Some((table, next)) = next else {
            let run = self.run.clone();
            return Ok(AfterCopy::Finished(Describing::new(self, run)));
        };
        self.run.expect_place(work, &store, cx).await?;
        let to = store
            .objects(&work.to)
            .map_err(|error| StepError::retry_because("the storage to export to cannot be used", error))?;
        let place = Place { store: &store, to: &*to, table: &table };
        let (files, through) = match next {
            Next::Whole(segments) => {
                let through = segments.last().map_or(0, |segment| segment.to_seq);
                (place.copy(segments, cx).await?, through)
            }
            Next::Beginning(segment) => (vec![place.beginning(&segment, work, cut, cx).await?], cut),
            Next::Hot { after, snapshot } => {
                let file = place.hot(after, snapshot, work, cut, cx).await?;
                self.run.totals.rows_hot += file.rows;
                (vec![file], cut)
            }
            Next::End => {
                cx.write(records::put_table(cx.job_id(), &table));
                self.run.totals.tables += 1;
                (self.table, self.after) = (None, Some(table.id));
                return Ok(AfterCopy::Next(self));
            }
        };
        cx.env().reached("user_export.copying.copied");
        for file in files {
            self.run.totals.files += 1;
            self.run.totals.rows += file.rows;
            self.run.totals.bytes += file.bytes;
            cx.write(file.put(cx.job_id(), table.id));
        }
        self.table = Some((table.id, through));
        Ok(AfterCopy::Next(self))
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }
}

/// Where the files of a table go.
struct Place<'a> {
    store: &'a Store,
    to: &'a dyn Objects,
    table: &'a Arc<Table>,
}

impl Place<'_> {
    async fn copy(&self, segments: Vec<Segment>, cx: &Step) -> Result<Vec<File>, StepError> {
        let signal = cx.signal();
        let copies = stream::iter(segments)
            .map(|segment| self.copy_one(segment, cx))
            .buffered(COPIES_AT_ONCE)
            .try_collect::<Vec<File>>();
        tokio::select! {
            files = copies => files,
            stop = signal.stopped() => Err(stop.into()),
        }
    }

    async fn copy_one(&self, segment: Segment, cx: &Step) -> Result<File, StepError> {
        let Segment { from_seq, to_seq, rows, bytes, crc32c, schema_version, storage, path, .. } = segment;
        let name = self.free_name(from_seq, to_seq, cx).await?;
        let unreadable = |error: String| StepError::retry(format!("a segment cannot be exported: {error}"));
        let from = self.store.objects(&storage).map_err(|error| unreadable(error.to_string()))?;
        let whole = format!("{}/{name}", folder(cx.job_id()));
        let _held = cx.get::<Resources>()?.permit(self.to.upload_bytes_held_max()).await;
        match cold::copy(&*from, &path, self.to, &whole, Stored { bytes, crc32c }, ()).await {
            Ok(()) => Ok(File { path: name, from_seq, to_seq, rows, bytes, crc32c, schema_version }),
            Err(CopyError::Source(error)) => Err(unreadable(error.with_hint())),
            Err(CopyError::Target(error)) => Err(refused(error)),
        }
    }

    /// The rows of a segment up to the cut.
    async fn beginning(&self, segment: &Segment, work: &Work, cut: Seq, cx: &Step) -> Result<File, StepError> {
        let unreadable =
            |error: String| StepError::retry(format!("the segment {} cannot be exported: {error}", segment.path));
        let objects = self.store.objects(&segment.storage).map_err(|error| unreadable(error.to_string()))?;
        let part = Part { columns: None, first_row: 0, batch_rows: BATCH_ROWS };
        let reader = Reader::open(&*objects, &segment.path, segment.bytes, part).await;
        let reader = Box::new(reader.map_err(|error| unreadable(error.with_hint()))?);
        self.encode(Source::Segment { reader, cut }, segment.from_seq, segment.schema_version, work, cut, cx).await
    }

    async fn hot(
        &self,
        after: Seq,
        snapshot: Arc<dyn Snapshot>,
        work: &Work,
        cut: Seq,
        cx: &Step,
    ) -> Result<File, StepError> {
        let scan = hot::scan(snapshot, self.table.clone(), &work.user, after, cut, None)
            .map_err(|error| StepError::retry_because("reading hot rows failed", error))?;
        let version = self.table.schema_version;
        self.encode(Source::Hot(Box::new(scan)), after.saturating_add(1), version, work, cut, cx).await
    }

    async fn encode(
        &self,
        source: Source,
        first: Seq,
        schema_version: u32,
        work: &Work,
        cut: Seq,
        cx: &Step,
    ) -> Result<File, StepError> {
        let name = self.free_name(first, cut, cx).await?;
        let table = self.table.qualified_name();
        let what = What { table: &table, schema_version, user: &work.user };
        let whole = format!("{}/{name}", folder(cx.job_id()));
        let (written, stored) = encoding::write(source, what, self.to, &whole, cx).await?;
        Ok(File {
            path: name,
            from_seq: written.from_seq,
            to_seq: written.to_seq,
            rows: written.rows,
            bytes: stored.bytes,
            crc32c: stored.crc32c,
            schema_version,
        })
    }

    /// A name in the export's folder that no object has: nobody else writes there.
    async fn free_name(&self, from_seq: Seq, to_seq: Seq, cx: &Step) -> Result<String, StepError> {
        let Table { namespace, name, .. } = &**self.table;
        let epoch = if cx.epoch() > 1 { format!("-a{}", cx.epoch()) } else { String::new() };
        for tried in 0..NAMES_MAX {
            let retry = if tried > 0 { format!("-r{tried}") } else { String::new() };
            let name =
                format!("{}/{}/{from_seq:020}-{to_seq:020}{epoch}{retry}.parquet", escape(namespace), escape(name));
            let path = format!("{}/{name}", folder(cx.job_id()));
            if cold::head(self.to, &path).await.map_err(refused)?.is_none() {
                return Ok(name);
            }
        }
        Err(StepError::fail(format!("{NAMES_MAX} names for one file are taken in {}", folder(cx.job_id()))))
    }
}

impl From<AfterCopy> for super::State {
    fn from(after: AfterCopy) -> Self {
        match after {
            AfterCopy::Next(state) => Self::Copying(state),
            AfterCopy::Finished(state) => Self::Describing(state),
        }
    }
}
