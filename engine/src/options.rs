//! What an engine may use of the machine.

/// What an engine may use of the machine. All bounds are for the whole engine, not for each space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of blocks, indexes and filters kept for [`Cache::Shared`](crate::Cache::Shared) spaces.
    pub block_cache_bytes_max: usize,
    /// Bytes of blocks, indexes and filters kept for [`Cache::Jobs`](crate::Cache::Jobs) spaces.
    pub jobs_cache_bytes_max: usize,
    /// Bytes of new writes kept in memory before they go to sorted files.
    pub write_buffer_bytes_max: usize,
    /// Commits that may wait for the committer; a further caller waits for room.
    pub commit_queue_max: usize,
    /// Bytes that one group of commits writes at most; a single commit may be larger.
    pub group_bytes_max: usize,
    /// Threads that flush and compact in the background.
    pub background_jobs_max: i32,
    /// Sorted files held open at once; -1 means all.
    pub open_files_max: i32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            block_cache_bytes_max: 128 << 20,
            jobs_cache_bytes_max: 256 << 20,
            write_buffer_bytes_max: 64 << 20,
            commit_queue_max: 4096,
            group_bytes_max: 8 << 20,
            background_jobs_max: 2,
            open_files_max: 512,
        }
    }
}
