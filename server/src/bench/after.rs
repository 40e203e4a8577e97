//! A hot scan of the next rows after millions were flushed, beside the same scan on an empty table.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ebbtide_store::{Table, hot};

use super::Error;
use super::bed::Bed;
use super::figures::{Latencies, Table as Figures, millis, verdict, whole};
use super::place::Place;
use super::rows::Shape;
use super::rss::quiet;

/// Rows that come after the flush.
const NEXT_ROWS: u32 = 1000;
/// Scans of each kind; the middle one counts.
const SCANS: usize = 200;
/// After over empty. It should be 1; a few block look-ups more are no matter, walking what was flushed would be.
const AIM: f64 = 1.5;

/// As queries read.
const BATCH_ROWS_MAX: usize = 8192;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Measures with `rows` rows flushed, all of one user and spread over many.
pub(super) async fn run(place: &Place, rows: u64) -> Result<(), Error> {
    println!(
        "flush: a hot scan of the next {} rows after {} rows were flushed",
        whole(f64::from(NEXT_ROWS)),
        whole(rows as f64)
    );
    let heads =
        ["", "on an empty table", "p99", "at once", "p99", "at once / empty", "at rest", "p99", "at rest / empty"];
    let mut table = Figures::new(&heads);
    let mut aims = Vec::new();
    for users in [1, NEXT_ROWS] {
        let rows_per_user = u32::try_from(rows / u64::from(users))?.max(1);
        let shape = Shape { users, rows_per_user };
        let room = place.room(&format!("after-{users}"))?;
        let [mut empty, mut after, mut rest] = compare(room.path(), shape).await?;
        let name = if users == 1 { "one user".to_owned() } else { format!("{} users", whole(f64::from(users))) };
        let at_once = after.p50().as_secs_f64() / empty.p50().as_secs_f64();
        let ratio = rest.p50().as_secs_f64() / empty.p50().as_secs_f64();
        table.row([
            name.clone(),
            millis(empty.p50()),
            millis(empty.p99()),
            millis(after.p50()),
            millis(after.p99()),
            format!("{at_once:.2}"),
            millis(rest.p50()),
            millis(rest.p99()),
            format!("{ratio:.2}"),
        ]);
        aims.push(format!(
            "{name}: {ratio:.2} of the scan on an empty table once the engine is at rest (aim at most {AIM}: {})",
            verdict(ratio <= AIM)
        ));
    }
    table.print();
    aims.iter().for_each(|aim| println!("  {aim}"));
    Ok(())
}

/// The scan on an empty table, right after the flush, and when what the flush removed had time to go.
async fn compare(dir: &Path, shape: Shape) -> Result<[Latencies; 3], Error> {
    let bed = Bed::open(dir).await?;
    let next = Shape { users: shape.users, rows_per_user: NEXT_ROWS / shape.users };

    let table = bed.make_table("empty").await?;
    bed.load(&table, next, 0).await?;
    let empty = scans(&bed, &table, next).await?;

    let table = bed.make_table("flushed").await?;
    bed.load(&table, shape, 0).await?;
    bed.flush(&table, shape.rows()).await?;
    debug_assert!(bed.watermark(&table, 0)? > 0, "a flush raises watermarks");
    // No waiting for compactions at first: the next rows do not wait either.
    bed.load(&table, next, shape.rows_per_user).await?;
    let after = scans(&bed, &table, next).await?;
    quiet().await;
    let rest = scans(&bed, &table, next).await?;
    bed.close().await;
    Ok([empty, after, rest])
}

async fn scans(bed: &Bed, table: &Arc<Table>, next: Shape) -> Result<Latencies, Error> {
    let (engine, table) = (bed.engine().clone(), table.clone());
    let scans = tokio::task::spawn_blocking(move || {
        let mut latencies = Latencies::default();
        for _ in 0..SCANS {
            let begun = Instant::now();
            let mut scan = hot::scan_table(engine.snapshot(), table.clone(), None)?;
            while scan.next_batch(BATCH_ROWS_MAX, BATCH_BYTES_MAX)?.is_some() {}
            latencies.push(begun.elapsed());
            if scan.totals().rows != next.rows() {
                return Err(ebbtide_store::Error::invalid(format!(
                    "{} rows were read of {}",
                    scan.totals().rows,
                    next.rows()
                )));
            }
        }
        Ok(latencies)
    });
    Ok(scans.await??)
}
