//! `ebbtide workflows`: what runs by itself.
//!
//! What a file declares is known without a server; how it went and what runs now is asked of one, in SQL.

mod file; // the workflows that a settings file declares
mod kinds; // what this program can do
mod preview; // the next times of one

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::Outcome;
use super::client::{self, Target, literal};
use super::{flush, sql};

/// What `list` shows of a running server.
const LIST: &str = "SELECT name, kind, trigger, time_zone, enabled, last_run, last_status, next_run, why_not, source \
     FROM system.workflows ORDER BY name";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the workflows that a settings file declares, and say what is wrong with them; asks no server
    Validate {
        /// The settings file
        file: PathBuf,
    },
    /// What runs by itself, with its last and next runs, as the running server has it
    List {
        /// Show what this settings file declares instead, and ask no server
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// When a workflow is due, with what changes of the clock do to it; asks no server
    Preview(preview::Args),
    /// Start a workflow now, also a disabled one
    Run {
        /// Its name, as `list` shows it; the flush of a table is called "flush namespace.table"
        name: String,
        /// Wait until the job has ended and show how far it is; exit with 1 if it fails
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        target: Target,
    },
    /// The kinds of work that this program has
    Kinds,
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::Validate { file } => file::validate(&file),
        Command::List { config: Some(file), .. } => file::list(&file),
        Command::List { config: None, target } => {
            sql::print(&client::connect(&target.url).await?, LIST).await.map_err(client::Error::from)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Preview(args) => preview::run(&args),
        Command::Run { name, wait, target } => start(&name, wait, &target).await,
        Command::Kinds => {
            kinds::print();
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn start(name: &str, wait: bool, target: &Target) -> Outcome {
    let client = client::connect(&target.url).await?;
    let rows = client::rows(&client, &format!("RUN WORKFLOW {}", literal(name))).await?;
    let text = |column| rows.first().and_then(|row| row.try_get(column).ok().flatten());
    let job = text("job_id").ok_or("the server gave no job id for RUN WORKFLOW")?;
    println!("job {job} {}", text("status").unwrap_or_default());
    if !wait {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = flush::watch(&client, job, "users done").await?;
    println!("{}", ended.summary());
    Ok(if ended.status == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
