//! RocksDB's options, each with its reason.

use crate::{Cache, Memory, Options};
use rocksdb::{BlockBasedOptions, DBCompressionType, DBRecoveryMode, LogLevel, WriteBufferManager};

/// Memtables of one space: one that takes writes, and others on their way to disk. Together they stay within the write buffer.
const MEMTABLES_MAX: i32 = 3;

const BLOCK_BYTES: usize = 16 << 10;

/// About 1 % false positives.
const FILTER_BITS_PER_KEY: f64 = 10.0;

/// The caches and the write buffer that all spaces of one engine share.
pub(super) struct Tuning {
    shared: rocksdb::Cache,
    jobs: rocksdb::Cache,
    write_buffer: WriteBufferManager,
}

impl Tuning {
    pub(super) fn new(options: &Options) -> Tuning {
        // Hyper clock caches have no lock to fight over; 0 lets RocksDB find the size of an entry by itself.
        let shared = rocksdb::Cache::new_hyper_clock_cache(options.block_cache_bytes_max, 0);
        let jobs = rocksdb::Cache::new_hyper_clock_cache(options.jobs_cache_bytes_max, 0);
        // It never stalls writers: the bound on memtables of a space does that, and it cannot deadlock.
        let write_buffer = WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes_max, false);
        Tuning { shared, jobs, write_buffer }
    }

    /// What is held of these bounds.
    pub(super) fn used(&self, bounds: Memory) -> Memory {
        Memory {
            block_cache_bytes: self.shared.get_usage(),
            jobs_cache_bytes: self.jobs.get_usage(),
            write_buffer_bytes: self.write_buffer.get_usage(),
            ..bounds
        }
    }

    pub(super) fn database(&self, options: &Options) -> rocksdb::Options {
        let mut db = rocksdb::Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        // A crash keeps a prefix of the commits: recovery stops at the first record that is not whole.
        db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // Finds a log that is missing or shorter than it was synced, where a prefix alone would look right.
        db.set_track_and_verify_wals_in_manifest(true);
        db.set_paranoid_checks(true);
        // Log files are not recycled, although writing over old bytes makes a sync a third cheaper (fdatasync 225 µs to
        // 150 µs on ext4): what stands behind the end of such a log is an older log, and recovery is no place to save.
        db.set_write_buffer_manager(&self.write_buffer);
        // A space that is seldom written keeps its log alive; past this it is flushed, so that opening reads a bounded log.
        db.set_max_total_wal_size(4 * options.write_buffer_bytes_max as u64);
        db.set_max_background_jobs(options.background_jobs_max);
        db.set_max_open_files(options.open_files_max);
        // Files are written out as they grow, and not all at once when they are finished.
        db.set_bytes_per_sync(1 << 20);
        // There is one writer: it needs neither atomics in the memtable nor to wait for others with care.
        db.set_allow_concurrent_memtable_write(false);
        db.set_enable_write_thread_adaptive_yield(false);
        db.set_log_level(LogLevel::Warn);
        db.set_keep_log_file_num(3);
        db.set_max_log_file_size(8 << 20);
        db.set_stats_dump_period_sec(0);
        db
    }

    pub(super) fn space(&self, cache: Cache, options: &Options) -> rocksdb::Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_size(BLOCK_BYTES);
        // Most expectations ask for keys that are in memory or nowhere.
        table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
        // Indexes and filters count against the cache, or memory would grow with the data.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_block_cache(match cache {
            Cache::Shared | Cache::SharedUnscanned => &self.shared,
            Cache::Jobs => &self.jobs,
        });

        let mut space = rocksdb::Options::default();
        space.set_block_based_table_factory(&table);
        space.set_compression_type(DBCompressionType::Lz4);
        space.set_level_compaction_dynamic_level_bytes(true);
        space.set_write_buffer_size((options.write_buffer_bytes_max / MEMTABLES_MAX as usize).max(64 << 10));
        space.set_max_write_buffer_number(MEMTABLES_MAX);
        space
    }
}
