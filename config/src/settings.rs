//! Every setting: its documentation, type, default and bounds.
//!
//! The comments here are what `ebbtide.toml` shows: write them for somebody who runs Ebbtide and has
//! never seen its code. A setting that nothing reads does not belong here.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::declare::{
    Raw, Section, Setting, address, bytes, choice, count, folder, kind_name, show, show_value, switch, text, time,
    unset,
};
use crate::error::Place;
use crate::workflow::Workflow;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where each setting was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(pub(crate) HashMap<(&'static str, &'static str), Place>);

impl PartialEq for Places {
    /// Where a value was written makes no difference to what it is.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Turns declarations into the structs, their defaults, and the list that checks and documents them.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])*
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])*
                $key:ident: $Type:ty = $declared:expr,
            )*
        }
    )*) => {
        /// All settings; `default()` is what counts without a file and environment.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Settings {
            $( $(#[doc = $section_doc])* pub $section: $Section, )*
            /// The declared workflows, in the order of the file.
            pub workflows: Vec<Workflow>,
            pub(crate) places: Places,
        }

        $(
            $(#[doc = $section_doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $Section {
                $( $(#[doc = $doc])* pub $key: $Type, )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $( $key: $declared.default, )* }
                }
            }
        )*

        /// Every section with its settings, in the order of the file.
        pub(crate) fn sections() -> Vec<Section> {
            vec![$(
                Section {
                    name: stringify!($section),
                    docs: &[$($section_doc),*],
                    settings: vec![$(
                        Setting {
                            section: stringify!($section),
                            key: stringify!($key),
                            docs: &[$($doc),*],
                            shown: || show::<$Type, _>(&$declared),
                            kind: || kind_name::<$Type, _>(&$declared),
                            value: |settings: &Settings| show_value::<$Type, _>(&$declared, &settings.$section.$key),
                            set: |settings: &mut Settings, raw: &Raw| {
                                settings.$section.$key = $declared.read(raw)?;
                                Ok(())
                            },
                        },
                    )*],
                },
            )*]
        }
    };
}

settings! {
    /// Where clients connect, with the PostgreSQL wire protocol.
    server: Server {
        /// Address and port. Not PostgreSQL's own 5432, nor the 5433 that a second PostgreSQL gets, so that all may
        /// run on one machine. Port 0 takes a free one and logs it. There are no passwords yet, so anything but a
        /// loopback address is refused at start.
        listen: SocketAddr = address(SocketAddr::from((Ipv4Addr::LOCALHOST, 5442))),
        /// Connections at the same time; one more is refused with SQLSTATE 53300.
        connections_max: usize = count(512).within(1, 100_000),
        /// The longest message that a client may send. A longer one ends its connection with SQLSTATE 08P01.
        message_bytes_max: usize = bytes(64 * MIB as usize).within(64 * KIB as usize, GIB as usize),
    }

    /// Where data lies.
    storage: Storage {
        /// The folder of the hot tier and the jobs. A relative path counts from where the server is started.
        data_dir: PathBuf = folder("./data"),
        /// The folder of the storage `local`, where segments go unless a table says otherwise.
        /// Unset: `storage` inside `data_dir`.
        default_storage_path: Option<PathBuf> = unset(folder("")).example("\"./data/storage\""),
        /// Bytes of rows that wait in the hot tier for their storages, of all tables. From four fifths of it on every table is
        /// flushed whatever its triggers say; at the bound writers wait for room and are refused with SQLSTATE 53400.
        hot_bytes_max: u64 = bytes(32 * GIB).within(MIB, 1024 * TIB),
    }

    /// Credentials of storages, at rest.
    secrets: Secrets {
        /// A file with the keys that seal credentials of storages: one a line, 64 hex digits each, as `ebbtide secrets new-key`
        /// makes them. The first one seals, all of them open; `ebbtide secrets rotate` seals everything anew with the first.
        /// The environment variable EBBTIDE_SECRET_KEYS may hold the keys in place of a file, with commas between them.
        /// Unset: credentials are stored as they are, as readable as the data directory is.
        key_file: Option<PathBuf> = unset(folder("")).example("\"/etc/ebbtide/keys\""),
    }

    /// The hot tier: an ordered, durable key-value store.
    engine: Engine {
        /// Blocks of hot rows and of the catalog that are kept in memory.
        block_cache_bytes_max: usize = bytes(128 * MIB as usize).within(MIB as usize, TIB as usize),
        /// Blocks of jobs that are kept in memory, apart from the rows, so that looking at jobs stays fast while
        /// rows stream through.
        jobs_cache_bytes_max: usize = bytes(256 * MIB as usize).within(MIB as usize, TIB as usize),
        /// Writes kept in memory before they are written out sorted.
        write_buffer_bytes_max: usize = bytes(64 * MIB as usize).within(MIB as usize, TIB as usize),
        /// Commits that may wait for the committer; further writers wait before they join the queue.
        commit_queue_max: usize = count(4096).within(1, 1_000_000),
        /// The most bytes of waiting commits that share one write and one sync.
        group_bytes_max: usize = bytes(8 * MIB as usize).within(64 * KIB as usize, GIB as usize),
    }

    /// Moving rows from the hot tier into Parquet segments.
    flush: Flush {
        /// Memory of all flushes together: rows being decoded, encoded and uploaded.
        memory_bytes_max: usize = bytes(64 * MIB as usize).within(8 * MIB as usize, TIB as usize),
        /// Rows in a row group of a segment.
        row_group_rows_max: usize = count(65_536).within(1, 16_777_216),
        /// Encoded bytes in a row group; whichever limit is met first ends it. Each encoder needs twice this and 6 MiB more,
        /// and together they may take half of memory_bytes_max: with more cores, give more memory or smaller groups.
        row_group_bytes_max: usize = bytes(4 * MIB as usize).within(64 * KIB as usize, GIB as usize),
        /// Rows in one segment. A user with more gets further parts, each committed by itself.
        segment_rows_max: u64 = count(4_000_000).within(1, 1_000_000_000),
        /// Bytes in one segment, before compression; a user with more gets further parts.
        segment_bytes_max: u64 = bytes(256 * MIB).within(64 * KIB, TIB),
        /// Threads that encode Parquet; 0: as many as there are cores.
        encoders: usize = count(0).within(0, 1024),
        /// Segments that are on their way to a storage at the same time. Many small users share the waits for the disk.
        uploads_in_flight_max: usize = count(16).within(1, 4096),
        /// FLUSH INTERVAL of tables that name none; like theirs, less than a day. Unset: a table has to name at least one trigger.
        default_interval: Option<Duration> = unset(time(MINUTE).within(SECOND, DAY - SECOND)).example("\"60s\""),
        /// ROW_THRESHOLD of tables that name none; like theirs, less than a million. Unset: a table has to name at least one trigger.
        default_row_threshold: Option<u64> = unset(count(1).within(1, 999_999)).example("10000"),
        /// Uploads of one segment that are tried, each under a name of its own, before its user counts as failed. Requests that
        /// are sent again within one of them are a matter of the storage's CONFIG.
        upload_attempts_max: u32 = count(3).within(1, 100),
        /// After this many users in a row whose writes a storage refused, its remaining users of that flush fail at once.
        users_failed_in_a_row_max: u32 = count(3).within(1, 1_000_000),
    }

    /// Jobs: flushes and other work that survives a crash.
    jobs: Jobs {
        /// Jobs that run at the same time.
        concurrency_max: usize = count(4).within(1, 1024),
        /// How often a job is tried before it is failed.
        attempts_max: u32 = count(5).within(1, 1_000_000),
        /// The pause before the second try; it doubles for each further one, and chance shortens it so that jobs which
        /// failed together do not come back together.
        backoff_min: Duration = time(SECOND).within(Duration::from_millis(1), DAY),
        /// The longest pause between two tries.
        backoff_max: Duration = time(5 * MINUTE).within(Duration::from_millis(1), 7 * DAY),
        /// How long a runner may be silent before another one may take its job.
        lease: Duration = time(30 * SECOND).within(SECOND, DAY),
        /// Days after which an ended job is removed by the built-in workflow of kind job_cleanup. Declare a workflow of
        /// that kind to say more, as a longer time for failed jobs; it takes the place of the built-in one.
        retention_days: u32 = count(30).within(1, 36_500),
        /// When the built-in workflow of kind job_cleanup runs: a crontab expression, in UTC.
        cleanup_schedule: String = text("0 0 * * *"),
    }

    /// Answering queries.
    query: Query {
        /// Memory of all queries together for sorting, joining and grouping; a query that needs more spills to disk or fails.
        memory_bytes_max: usize = bytes(512 * MIB as usize).within(16 * MIB as usize, TIB as usize),
        /// Parallel strands of one query; 0: as many as there are cores.
        target_partitions: usize = count(0).within(0, 1024),
        /// Rows that travel through a query together.
        batch_rows: usize = count(8192).within(1, 1_048_576),
    }

    /// BEGIN … COMMIT.
    transaction: Transaction {
        /// Bytes that one transaction may write; they wait in memory and are committed as one batch.
        bytes_max: usize = bytes(64 * MIB as usize).within(4 * KIB as usize, GIB as usize),
    }

    /// COPY … FROM STDIN, which commits in chunks.
    copy: Copy {
        /// Rows in a chunk.
        chunk_rows_max: usize = count(8192).within(1, 1_000_000),
        /// Bytes in a chunk; whichever limit is met first ends it. A single longer row is refused.
        chunk_bytes_max: usize = bytes(MIB as usize).within(4 * KIB as usize, GIB as usize),
    }

    /// Numbers about the server, for Prometheus to fetch.
    metrics: Metrics {
        /// Address and port at which they are served, under the path /metrics. Port 0 takes a free one and logs it. There are
        /// no passwords, so anything but a loopback address is refused unless beyond_loopback says otherwise.
        /// Unset: they are not kept.
        listen: Option<SocketAddr> = unset(address(SocketAddr::from((Ipv4Addr::LOCALHOST, 9442)))).example("\"127.0.0.1:9442\""),
        /// Other machines may fetch the numbers, which tell names of tables.
        beyond_loopback: bool = switch(false),
        /// Tables that have numbers of their own; those of further ones are left out.
        tables_max: usize = count(100).within(0, 100_000),
    }

    /// Spans of jobs and of the states they go through, for a collector of OpenTelemetry.
    tracing: Tracing {
        /// Where they are sent, with OTLP over HTTP. An address without a path gets /v1/traces. No TLS: take a collector on this
        /// machine or in a network you trust. Unset: none are made.
        otlp_endpoint: Option<String> = unset(text("")).example("\"http://127.0.0.1:4318\""),
        /// Spans that wait to be sent; further ones are dropped.
        spans_queued_max: usize = count(2048).within(1, 1_000_000),
    }

    /// Stopping the server.
    shutdown: Shutdown {
        /// How long running jobs have to reach a checkpoint; what has not is resumed at the next start.
        timeout: Duration = time(5 * MINUTE).within(Duration::ZERO, DAY),
        /// What running jobs may do in that time: "checkpoint", they stop at their next checkpoint, or "finish", they may
        /// come to their end and stop at a checkpoint when the time is up.
        drain: Drain = choice(Drain::Checkpoint, &[("checkpoint", Drain::Checkpoint), ("finish", Drain::Finish)]),
        /// Flush every table before stopping.
        final_flush: bool = switch(false),
    }
}

/// What running jobs may do while the server stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub enum Drain {
    /// Stop at their next checkpoint.
    #[default]
    Checkpoint,
    /// Come to their end, as long as there is time.
    Finish,
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoint => "checkpoint",
            Self::Finish => "finish",
        })
    }
}

impl Storage {
    /// The folder of the storage `local`: `default_storage_path`, or `storage` inside `data_dir`.
    #[must_use]
    pub fn local_path(&self) -> PathBuf {
        self.default_storage_path.clone().unwrap_or_else(|| self.data_dir.join("storage"))
    }
}

/// The rules between settings: the setting that breaks one, and why.
pub(crate) fn broken_rules(settings: &Settings) -> Vec<(&'static str, &'static str, String)> {
    let mut broken = Vec::new();
    let Settings { flush, jobs, .. } = settings;
    if jobs.backoff_min > jobs.backoff_max {
        broken.push(("jobs", "backoff_min", "is longer than backoff_max".to_owned()));
    }
    if flush.row_group_bytes_max > flush.memory_bytes_max / 2 {
        // One row group is encoded while the next one is decoded.
        broken.push((
            "flush",
            "row_group_bytes_max",
            "is more than half of memory_bytes_max, so no row group could be encoded while the next is read".to_owned(),
        ));
    }
    if flush.row_group_rows_max as u64 > flush.segment_rows_max {
        broken.push(("flush", "row_group_rows_max", "is more than segment_rows_max".to_owned()));
    }
    if flush.row_group_bytes_max as u64 > flush.segment_bytes_max {
        broken.push(("flush", "row_group_bytes_max", "is more than segment_bytes_max".to_owned()));
    }
    broken
}
