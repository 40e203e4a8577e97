//! What there is to see after a flush: the job's way, hot and cold, and the files of one user.

use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use tokio_postgres::{Client, SimpleQueryRow};

use crate::cli::client::{self, literal};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SEGMENTS: &str = "FROM system.segments WHERE namespace = 'chat' AND table_name = 'messages'";

/// Prints every change of the job's state.
pub(super) async fn timeline(client: &Client, job: &str) -> Result<()> {
    println!("\nsystem.job_transitions of job {job}:");
    let sql = format!(
        "SELECT at, from_state, to_state, status FROM system.job_transitions WHERE job_id = {} ORDER BY seq_no",
        literal(job)
    );
    for row in client::rows(client, &sql).await? {
        let at = row.get("at").unwrap_or_default();
        let from = row.get("from_state").unwrap_or("-");
        let (to, status) = (row.get("to_state").unwrap_or_default(), row.get("status").unwrap_or_default());
        println!("  {at:<32} {from:>14} → {to:<14} {status}");
    }
    println!();
    Ok(())
}

/// Rows hot and cold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiers {
    pub(super) hot_rows: u64,
    pub(super) cold_rows: u64,
    pub(super) cold_users: u64,
}

/// Counts both tiers and prints them.
pub(super) async fn tiers(client: &Client) -> Result<Tiers> {
    let hot = "SELECT hot_rows, hot_bytes FROM system.tables WHERE namespace = 'chat' AND table_name = 'messages'";
    let hot = numbers(client, hot).await?;
    let cold =
        format!("SELECT count(*), count(DISTINCT user_id), coalesce(sum(rows), 0), coalesce(sum(bytes), 0) {SEGMENTS}");
    let cold = numbers(client, &cold).await?;
    println!("\nhot:  {} rows, {}", HumanCount(hot[0]), HumanBytes(hot[1]));
    println!(
        "cold: {} rows of {} users in {} Parquet files, {}",
        HumanCount(cold[2]),
        HumanCount(cold[1]),
        HumanCount(cold[0]),
        HumanBytes(cold[3])
    );
    Ok(Tiers { hot_rows: hot[0], cold_rows: cold[2], cold_users: cold[1] })
}

/// Prints the folder of the user who wrote most.
pub(super) async fn folder_of_one_user(client: &Client, storage: &Path) -> Result<()> {
    let sql = format!("SELECT user_id, path {SEGMENTS} ORDER BY rows DESC, path LIMIT 1");
    let rows = client::rows(client, &sql).await?;
    let Some(segment) = rows.first() else { return Ok(()) };
    let path = Path::new(segment.get("path").unwrap_or_default());
    let folder = storage.join(path.parent().unwrap_or(path));
    println!("\nthe folder of user {}:", segment.get("user_id").unwrap_or_default());
    println!("  {}", folder.display());
    let mut files = std::fs::read_dir(&folder)?.collect::<std::io::Result<Vec<_>>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        println!("  └─ {:<40} {}", file.file_name().to_string_lossy(), HumanBytes(file.metadata()?.len()));
    }
    Ok(())
}

/// The one row of a statement that gives whole numbers.
pub(super) async fn numbers(client: &Client, sql: &str) -> Result<Vec<u64>> {
    let rows = client::rows(client, sql).await?;
    let row = rows.first().ok_or_else(|| format!("no row came back for: {sql}"))?;
    (0..row.len()).map(|column| number(row, column, sql)).collect()
}

fn number(row: &SimpleQueryRow, column: usize, sql: &str) -> Result<u64> {
    let text = row.get(column).ok_or_else(|| format!("NULL came back for: {sql}"))?;
    Ok(text.parse().map_err(|_| format!("{text:?} came back where a whole number was expected, for: {sql}"))?)
}
