//! `ebbtide bench`: figures of this machine, ours beside a floor or a peer in the same run.
//!
//! | bench | ours | beside |
//! | --- | --- | --- |
//! | `flush.rs` | a flush end to end, durable | scan and encoding alone, spread over the cores; DuckDB (`duckdb.rs`) |
//! | `cloud.rs` | a flush of many small users to an object store | a loop that only puts the same bytes |
//! | `after.rs` | a hot scan after millions of rows were flushed | the same scan on an empty table |
//! | `jobs.rs` | durable transitions of jobs | synced appends (`floor.rs`) |
//! | `looking.rs` | looking at jobs among a million (`history.rs`) while a flush runs; pruning them | `SELECT 1` over the same connection |
//! | `recovery.rs` | interrupted jobs until they can be claimed again | |
//! | `ingest.rs` | COPY and INSERT over the wire (`wire.rs`) | PostgreSQL (`postgres.rs`) |
//! | `memory.rs` | growth of resident memory (`rss.rs`) | the configured budget |
//!
//! Figures of a build without optimization say nothing: `cargo run --release -- bench flush`.
#![allow(clippy::print_stdout, reason = "a bench answers on standard output")]

mod after;
mod bed; // a database with tables to load and flush
mod cloud;
mod duckdb;
mod figures; // numbers and tables for people
mod floor; // what one synced write costs here
mod flush;
mod history; // jobs that are over, a great many
mod ideal; // scan and encoding alone
mod ingest;
mod jobs;
mod link; // a server that is far away
mod load; // rows into the hot tier past SQL
mod looking;
mod memory;
mod place; // where a bench puts its data
mod postgres;
mod recovery;
mod rows; // the rows of all benches
mod rss; // what the process holds
mod wire; // rows into a server over the wire

use std::process::ExitCode;

/// Anything that keeps a bench from its figures.
type Error = Box<dyn std::error::Error + Send + Sync>;

type Outcome = Result<ExitCode, Error>;

/// `ebbtide bench …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Hot rows to Parquet: rows/s beside the ideal of this machine and beside DuckDB
    Flush(flush::Args),
    /// Many small users to an object store, beside a loop that only uploads the same bytes
    Cloud(cloud::Args),
    /// Durable transitions of jobs beside this machine's synced writes
    Jobs(jobs::Args),
    /// Looking at jobs among a million while a flush runs, and pruning them, over a client's connection
    Looking(looking::Args),
    /// Ten thousand interrupted jobs: how soon after a crash they can be claimed again
    Recovery(recovery::Args),
    /// Durable rows over the wire, by COPY and by INSERT, beside PostgreSQL
    Ingest(ingest::Args),
    /// Resident memory during flushes and long reads, beside the configured budget
    Memory(memory::Args),
}

/// Runs a bench and prints its figures.
pub(crate) async fn run(command: Command) -> Outcome {
    if cfg!(debug_assertions) {
        eprintln!("ebbtide: this build is not optimized; its figures say nothing (build with --release)");
    }
    match command {
        Command::Flush(args) => flush::run(args).await,
        Command::Cloud(args) => cloud::run(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Looking(args) => looking::run(args).await,
        Command::Recovery(args) => recovery::run(args).await,
        Command::Ingest(args) => ingest::run(args).await,
        Command::Memory(args) => memory::run(args).await,
    }
}
