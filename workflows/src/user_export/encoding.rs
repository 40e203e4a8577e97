//! Rows that are in no segment of their own become a file like one: hot rows, or the first rows of a segment.

use crate::flush::Resources;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::segment::{Finished, Layout, Options, Reader, Writer};
use ebbtide_store::cold::{Objects, Stored, Upload};
use ebbtide_store::{Hidden, Seq, UserId, hot};

/// Rows decoded and encoded at a time.
pub(super) const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 1 << 20;

/// Where the rows come from, in seq order.
pub(super) enum Source {
    Hot(Box<hot::HotScan>),
    /// Those up to a cut.
    Segment {
        reader: Box<Reader>,
        cut: Seq,
    },
}

/// What the file is to say of itself.
pub(super) struct What<'a> {
    pub(super) table: &'a str,
    pub(super) schema_version: u32,
    pub(super) user: &'a UserId,
}

impl Source {
    fn schema(&self) -> SchemaRef {
        match self {
            Self::Hot(scan) => scan.schema().clone(),
            Self::Segment { reader, .. } => reader.schema().clone(),
        }
    }

    async fn next(self, cx: &Step) -> Result<(Self, Option<RecordBatch>), StepError> {
        match self {
            Self::Hot(mut scan) => {
                let (scan, batch) = blocking(cx, move || {
                    let batch = scan.next_batch(BATCH_ROWS, BATCH_BYTES);
                    (scan, batch)
                })
                .await?;
                let batch = batch.map_err(|error| StepError::retry_because("reading hot rows failed", error))?;
                Ok((Self::Hot(scan), batch))
            }
            Self::Segment { mut reader, cut } => {
                let batch = reader.next().await;
                let batch = batch.map_err(|error| StepError::retry_because("reading a segment failed", error))?;
                let batch = batch.map(|batch| up_to(&batch, cut)).filter(|batch| batch.num_rows() > 0);
                Ok((Self::Segment { reader, cut }, batch))
            }
        }
    }
}

/// The first rows of a batch. One without seqs has none: then the file has fewer rows than are expected of it.
fn up_to(batch: &RecordBatch, cut: Seq) -> RecordBatch {
    let seqs = batch.column_by_name(Hidden::Seq.name()).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let rows = seqs.map_or(0, |seqs| seqs.values().partition_point(|seq| seq.cast_unsigned() <= cut));
    batch.slice(0, rows)
}

/// Writes the rows of a source under a name never used before.
pub(super) async fn write(
    mut source: Source,
    what: What<'_>,
    to: &dyn Objects,
    path: &str,
    cx: &Step,
) -> Result<(Finished, Stored), StepError> {
    let resources = cx.get::<Resources>()?;
    let flush = resources.options();
    let options = Options {
        row_group_rows_max: flush.row_group_rows_max,
        row_group_bytes_max: flush.row_group_bytes_max,
        ..Options::default()
    };
    let layout = Layout::new(source.schema(), what.table, what.schema_version, options)
        .map_err(|error| StepError::fail_because("laying out a file failed", error))?;
    // Out of the same budget as the flushes: rows that are decoded, and what the writer and the upload hold.
    let bytes_held = 2 * layout.memory_bytes_max() + to.upload_bytes_held_max();
    let _held = resources.reserve(bytes_held, cx.progress()).await;
    let mut upload = to.begin(path).await.map_err(refused)?;
    let mut writer = Writer::new(&layout);
    let signal = cx.signal();
    // On the way out of here by an error the upload is dropped, which leaves no object.
    loop {
        signal.check()?;
        let (rest, batch) = tokio::select! {
            next = source.next(cx) => next?,
            stop = signal.stopped() => return Err(stop.into()),
        };
        source = rest;
        let Some(batch) = batch else { break };
        let pushed;
        (writer, pushed) = blocking(cx, move || {
            let pushed = writer.push(&batch);
            (writer, pushed)
        })
        .await?;
        pushed.map_err(encoding)?;
        if let Some(bytes) = writer.take() {
            upload.write(bytes).await.map_err(refused)?;
        }
    }
    let (user, job_id) = (what.user.to_string(), cx.job_id().to_string());
    let finished = blocking(cx, move || writer.finish(Some(&user), &job_id)).await?;
    finish(finished.map_err(encoding)?, upload).await
}

async fn finish(mut finished: Finished, mut upload: Box<dyn Upload>) -> Result<(Finished, Stored), StepError> {
    upload.write(std::mem::take(&mut finished.rest)).await.map_err(refused)?;
    let stored = upload.finish().await.map_err(refused)?;
    Ok((finished, stored))
}

pub(super) fn refused(error: ebbtide_store::cold::Error) -> StepError {
    StepError::retry_because("the storage to export to takes nothing", error)
}

fn encoding(error: ebbtide_store::cold::Error) -> StepError {
    StepError::retry_because("encoding failed", error)
}

async fn blocking<T: Send + 'static>(cx: &Step, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StepError> {
    let progress = cx.progress().clone();
    tokio::task::spawn_blocking(move || progress.charge(work))
        .await
        .map_err(|error| StepError::retry_because("encoding failed", error))
}
