//! Bounds and defaults of statements. Plain data: whoever opens the database fills it in.

use ebbtide_store::FlushPolicy;
use std::path::PathBuf;
use std::time::Duration;

/// What statements may use, and what they get where they leave something out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes that sorts, joins and aggregates of one statement may hold.
    pub statement_memory_bytes_max: usize,
    /// Bytes that those of all statements together may hold.
    pub memory_bytes_max: usize,
    /// Where a statement that needs more than its memory writes for a while.
    pub spill_directory: PathBuf,
    /// Bytes in `spill_directory` at once, at most.
    pub spill_bytes_max: u64,
    /// Bytes of Parquet footers kept for the next statement.
    pub footer_cache_bytes_max: usize,
    /// Streams one statement is cut into. 0: one per core.
    pub partitions: usize,
    /// Rows in one batch between operators.
    pub batch_rows: usize,
    /// Bytes of rows one INSERT may write; it is one commit.
    pub insert_bytes_max: usize,
    /// Bytes of rows one transaction may hold until its COMMIT.
    pub transaction_bytes_max: usize,
    /// Rows in one chunk of a COPY; each chunk is one commit.
    pub copy_chunk_rows_max: usize,
    /// Bytes in one chunk of a COPY; a longer line is refused.
    pub copy_chunk_bytes_max: usize,
    /// Bytes of rows that may wait in the hot tier, of all tables.
    pub hot_bytes_max: u64,
    /// A statement without a time limit of its own gets this one.
    pub statement_timeout: Option<Duration>,
    /// When a table is flushed that says nothing about it. All empty: CREATE TABLE must say.
    pub flush: FlushPolicy,
    /// How users of a table spread over folders that does not say.
    pub sharding: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            statement_memory_bytes_max: 256 << 20,
            memory_bytes_max: 512 << 20,
            spill_directory: std::env::temp_dir(),
            spill_bytes_max: 10 << 30,
            footer_cache_bytes_max: 32 << 20,
            partitions: 0,
            batch_rows: 8192,
            insert_bytes_max: 64 << 20,
            transaction_bytes_max: 64 << 20,
            copy_chunk_rows_max: 8192,
            copy_chunk_bytes_max: 1 << 20,
            hot_bytes_max: 32 << 30,
            statement_timeout: None,
            flush: FlushPolicy::default(),
            sharding: "alphabetic".to_owned(),
        }
    }
}

impl Options {
    /// `partitions`, or one per core.
    pub(crate) fn partitions(&self) -> usize {
        match self.partitions {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
