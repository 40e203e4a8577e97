//! `ebbtide jobs`: what was asked for and how it goes. All but `check-upgrade` ask a running server, in SQL.

mod list; // jobs list
mod show; // jobs show
mod upgrade; // jobs check-upgrade
mod watch; // jobs watch

use std::process::ExitCode;

use clap::Subcommand;

use super::Outcome;
use super::client::{self, Target, literal};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The newest jobs, of all or of some statuses, of all tables or of one
    List(list::Args),
    /// One job: its row, the path of its states, and why it stands where it stands
    Show(One),
    /// Running jobs as they go, with rate and time left, and the last that ended
    Watch(watch::Args),
    /// Cancel a job: a waiting one at once, a running one at its next look
    Kill(One),
    /// Run a failed, cancelled or skipped job on from the state it stands in
    Retry(One),
    /// Hold a job back: a waiting one at once, a running one at its next checkpoint
    Pause(One),
    /// Let a paused job go on
    Resume(One),
    /// Whether this program can go on with the jobs that another version has left; to be run before an upgrade
    CheckUpgrade(upgrade::Args),
}

/// A job on a server.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The job's id
    #[arg(value_name = "ID")]
    job: String,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::List(args) => list::run(args).await,
        Command::Show(one) => show::run(&one.job, &one.target).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Kill(one) => change("KILL JOB", &one).await,
        Command::Retry(one) => change("RETRY JOB", &one).await,
        Command::Pause(one) => change("PAUSE JOB", &one).await,
        Command::Resume(one) => change("RESUME JOB", &one).await,
        Command::CheckUpgrade(args) => upgrade::run(&args),
    }
}

/// A statement about one job, whose answer is the job's id and what became of it.
async fn change(verb: &str, one: &One) -> Outcome {
    let client = client::connect(&one.target.url).await?;
    let rows = client::rows(&client, &format!("{verb} {}", literal(&one.job))).await?;
    let row = rows.first().ok_or_else(|| format!("the server gave no answer to {verb}"))?;
    let text = |column| row.try_get(column).ok().flatten().unwrap_or_default();
    println!("job {} {}", text("job_id"), text("status"));
    Ok(ExitCode::SUCCESS)
}
