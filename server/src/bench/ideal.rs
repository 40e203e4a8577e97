//! What a flush costs at the least: reading and decoding the rows, and encoding them as Parquet, each alone on one thread.
//! Nothing is written anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide_engine::Snapshot;
use ebbtide_store::cold::segment::{self, Layout, Writer};
use ebbtide_store::{Seq, Table, UserId, arrow_schema, hot};
use ebbtide_workflows::flush;

use super::Error;
use super::rss::cpu_seconds;

/// Rows and bytes of a batch, as a flush reads them.
const BATCH_ROWS_MAX: usize = 8192;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Users taken from the index at a time.
const USERS_PER_PAGE: usize = 1024;

/// Both parts, for all rows of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ideal {
    pub(super) rows: u64,
    pub(super) scan: Duration,
    pub(super) encode: Duration,
    /// CPU time of both.
    pub(super) cpu: Duration,
}

impl Ideal {
    /// The time of both, spread evenly over the cores.
    pub(super) fn both(&self, cores: usize) -> Duration {
        (self.scan + self.encode).div_f64(cores as f64)
    }
}

/// Measures a table whose rows are all hot. Blocks.
pub(super) fn measure(snapshot: &Arc<dyn Snapshot>, table: &Arc<Table>) -> Result<Ideal, Error> {
    let mut ideal = Ideal::default();
    let (begun, cpu_begun) = (Instant::now(), cpu_seconds()?);
    each_user(snapshot, table, |user| {
        let mut scan = scan(snapshot, table, user)?;
        while let Some(batch) = scan.next_batch(BATCH_ROWS_MAX, BATCH_BYTES_MAX)? {
            ideal.rows += batch.num_rows() as u64;
        }
        Ok(())
    })?;
    ideal.scan = begun.elapsed();
    let cpu_scanned = cpu_seconds()?;

    let layout = layout(table)?;
    each_user(snapshot, table, |user| {
        let mut scan = scan(snapshot, table, user)?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.next_batch(BATCH_ROWS_MAX, BATCH_BYTES_MAX)? {
            batches.push(batch);
        }
        let begun = Instant::now();
        let mut writer = Writer::new(&layout);
        for batch in &batches {
            writer.push(batch)?;
            // What is taken is gone.
            drop(writer.take());
        }
        writer.finish(Some(user.as_str()), "bench")?;
        ideal.encode += begun.elapsed();
        Ok(())
    })?;
    // The rows were scanned once more to be encoded.
    let cpu = (cpu_seconds()? - cpu_scanned).max(cpu_scanned - cpu_begun);
    ideal.cpu = Duration::from_secs_f64(cpu);
    Ok(ideal)
}

/// As a flush encodes by default.
fn layout(table: &Table) -> Result<Arc<Layout>, Error> {
    let flush = flush::Options::default();
    let options = segment::Options {
        row_group_rows_max: flush.row_group_rows_max,
        row_group_bytes_max: flush.row_group_bytes_max,
        ..segment::Options::default()
    };
    Ok(Layout::new(arrow_schema(table), &table.qualified_name(), table.schema_version, options)?)
}

fn scan(snapshot: &Arc<dyn Snapshot>, table: &Arc<Table>, user: &UserId) -> Result<hot::HotScan, Error> {
    Ok(hot::scan(snapshot.clone(), table.clone(), user, 0, Seq::MAX, None)?)
}

fn each_user(
    snapshot: &Arc<dyn Snapshot>,
    table: &Table,
    mut visit: impl FnMut(&UserId) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = hot::users(snapshot.clone(), table.id, after.as_ref(), USERS_PER_PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (user, _) in &page {
            visit(user)?;
        }
    }
}
