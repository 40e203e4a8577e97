//! The `ebbtide` command and its subcommands.
#![allow(clippy::print_stdout, reason = "a command line tool answers on standard output")]

mod attach; // ebbtide attach
mod client; // a connection to a server, and its errors for people
mod config; // ebbtide config
mod demo; // ebbtide demo
mod flush; // ebbtide flush
mod jobs; // ebbtide jobs
mod nearest; // "did you mean"
mod progress; // bars and plain lines
mod secrets; // ebbtide secrets
mod serve; // ebbtide serve
mod sql; // ebbtide sql
mod table; // rows as a table on a terminal
mod time; // moments as people write them
mod workflows; // ebbtide workflows

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use ebbtide_engine::env::{SharedEnv, SystemEnv};

use crate::observe::log;

/// What a subcommand ends with: its exit code, or an error for standard error and exit code 1.
type Outcome = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

/// Rows in, by SQL; one Parquet file per user and flush out; nothing lost on the way.
#[derive(Debug, Parser)]
#[command(name = "ebbtide", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve(serve::Args),
    /// Run SQL on a server: from -c, or statement by statement from standard input
    Sql(sql::Args),
    /// Move the hot rows of a table to Parquet
    Flush(flush::Args),
    /// Look at jobs, stop them, and let them go on
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Look at what runs by itself: check it, foresee it, start it
    #[command(subcommand)]
    Workflows(workflows::Command),
    /// Take in the files of a database that is lost, from one of its storages
    Attach(attach::Args),
    /// Make keys for credentials of storages, and change from one to another
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// See it work: real chat messages go in over a connection and come out as one Parquet file per user
    Demo(demo::Args),
    /// Look at settings
    #[command(subcommand)]
    Config(config::Command),
    /// Measure this machine: ours beside a floor or a peer
    #[command(subcommand)]
    Bench(crate::bench::Command),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    main_in(Arc::new(SystemEnv))
}

/// The same in an environment of the caller's, whose clock or end he holds.
#[must_use]
pub fn main_in(env: SharedEnv) -> ExitCode {
    let cli = Cli::parse();
    // A server starts its log when it knows its settings.
    if !matches!(cli.command, Command::Serve(_)) {
        log::start("warn", None);
    }
    let outcome = match cli.command {
        Command::Serve(args) => block_on(serve::run(args, env)),
        Command::Sql(args) => block_on(sql::run(args)),
        Command::Flush(args) => block_on(flush::run(args)),
        Command::Jobs(command) => block_on(jobs::run(command)),
        Command::Workflows(command) => block_on(workflows::run(command)),
        Command::Attach(args) => block_on(attach::run(args)),
        Command::Secrets(command) => block_on(secrets::run(command)),
        Command::Demo(args) => block_on(demo::run(args, env)),
        Command::Config(command) => config::run(&command),
        Command::Bench(command) => block_on(crate::bench::run(command)),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("ebbtide: {error}");
        ExitCode::FAILURE
    })
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(crate::wire::STACK_BYTES)
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    // The work itself runs on the calling thread; its size is not the workers' concern.
    let outcome = runtime.block_on(Box::pin(work));
    // What still runs by now was given up; a thread of it could keep the process from ending.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
