//! A segment without its first rows, under a name never used before.
//!
//! The new file has the columns and the schema version of the old one, lies in the same folder of the same storage, and
//! is durable before anybody names it. Rows stream through, a batch at a time.

use crate::flush::Resources;
use crate::kinds;
use crate::naming::{folder_of, free_path};
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::segment::{Finished, Layout, Options, Part, Reader, Writer};
use ebbtide_store::cold::{self, Stored, Upload};
use ebbtide_store::{Segment, Store};
use std::sync::Arc;

/// Rows decoded and encoded at a time.
const BATCH_ROWS: usize = 8192;

/// Why a segment was not written anew.
pub(crate) enum Trouble {
    /// This segment's own trouble: others may do better.
    Segment(String),
    /// Everybody's.
    All(StepError),
}

impl From<StepError> for Trouble {
    fn from(error: StepError) -> Self {
        Self::All(error)
    }
}

impl From<cold::Error> for Trouble {
    fn from(error: cold::Error) -> Self {
        Self::Segment(error.to_string())
    }
}

impl From<ebbtide_store::Error> for Trouble {
    fn from(error: ebbtide_store::Error) -> Self {
        Self::Segment(error.to_string())
    }
}

/// Writes `old` anew without its first `rows` rows, and gives the segment that is to take its place.
pub(crate) async fn without_first(
    rows: u64,
    old: &Segment,
    qualified_name: &str,
    stamp: i64,
    cx: &mut Step,
) -> Result<Segment, Trouble> {
    let store = cx.get::<Store>()?;
    let resources = cx.get::<Resources>()?;
    let objects = store.objects(&old.storage)?;
    let flush = resources.options();
    let options = Options {
        row_group_rows_max: flush.row_group_rows_max,
        row_group_bytes_max: flush.row_group_bytes_max,
        ..Options::default()
    };
    let part = Part { columns: None, first_row: rows, batch_rows: BATCH_ROWS };
    let mut reader = Reader::open(&*objects, &old.path, old.bytes, part).await?;
    let layout = Layout::new(reader.schema().clone(), qualified_name, old.schema_version, options)?;
    // Out of the same budget as the flushes: rows that are decoded, and what the writer and the upload hold.
    let bytes_held = 2 * layout.memory_bytes_max() + objects.upload_bytes_held_max();
    let _held = resources.reserve(bytes_held, cx.progress()).await;

    let folder = folder_of(&old.path);
    let path = free_path(&*objects, folder, stamp, 1, cx.epoch())
        .await?
        .ok_or_else(|| Trouble::Segment(format!("too many names in {folder} are taken by files that nothing names")))?;
    let mut upload = objects.begin(&path).await?;
    let written = match write(&mut reader, layout, &mut upload, old, cx).await {
        Ok(written) => written,
        Err(trouble) => {
            // What stays of it is nobody's: a temp file, for the sweep.
            let _ = upload.abort().await;
            return Err(trouble);
        }
    };
    if written.rows != old.rows.saturating_sub(rows) || written.to_seq != old.to_seq {
        let _ = upload.abort().await;
        return Err(Trouble::Segment(format!(
            "{} has {} rows up to seq {}, the manifest says {} and {}; nothing of it is removed",
            old.path,
            written.rows + rows,
            written.to_seq,
            old.rows,
            old.to_seq
        )));
    }
    let Stored { bytes, crc32c } = cold::finish_holding(upload, kinds::writing(cx)).await?;
    cx.env().reached("segment.rewritten");
    Ok(Segment {
        from_seq: written.from_seq,
        rows: written.rows,
        bytes,
        path,
        crc32c,
        columns: written.columns,
        job_id: cx.job_id().to_string(),
        created_at: cx.env().now(),
        ..old.clone()
    })
}

async fn write(
    reader: &mut Reader,
    layout: Arc<Layout>,
    upload: &mut Box<dyn Upload>,
    old: &Segment,
    cx: &Step,
) -> Result<Finished, Trouble> {
    let signal = cx.signal();
    let mut writer = Writer::new(&layout);
    loop {
        signal.check()?;
        let batch = tokio::select! {
            batch = reader.next() => batch?,
            stop = signal.stopped() => return Err(StepError::from(stop).into()),
        };
        let Some(batch) = batch else { break };
        // Encoding is work for a thread that may take its time.
        let pushed;
        (writer, pushed) = blocking(cx, move || {
            let pushed = writer.push(&batch);
            (writer, pushed)
        })
        .await?;
        pushed?;
        if let Some(bytes) = writer.take() {
            upload.write(bytes).await?;
        }
    }
    let user = (!old.user.is_shared()).then(|| old.user.to_string());
    let job_id = cx.job_id().to_string();
    let mut finished = blocking(cx, move || writer.finish(user.as_deref(), &job_id)).await??;
    upload.write(std::mem::take(&mut finished.rest)).await?;
    Ok(finished)
}

async fn blocking<T: Send + 'static>(cx: &Step, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StepError> {
    let progress = cx.progress().clone();
    tokio::task::spawn_blocking(move || progress.charge(work))
        .await
        .map_err(|error| StepError::retry_because("encoding failed", error))
}
