//! `ebbtide flush ns.table [--wait]`: asks for a flush and, if asked to, watches it.

use std::process::ExitCode;
use std::time::Duration;

use tokio_postgres::Client;

use super::Outcome;
use super::client::{self, Target, literal};
use super::progress::Bar;

/// How often a running job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Options of `ebbtide flush`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The table, as namespace.table
    table: String,
    /// Wait until the job has ended and show how far it is; exit with 1 if it fails
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: Args) -> Outcome {
    let client = client::connect(&args.target.url).await?;
    let job = submit(&client, &args.table).await?;
    println!("job {job}");
    if !args.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let job = watch(&client, &job, "users flushed").await?;
    println!("{}", job.summary());
    Ok(if job.status == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks for a flush and gives the id of the job that does it.
pub(super) async fn submit(client: &Client, table: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let rows = client::rows(client, &format!("FLUSH TABLE {}", quoted(table)?)).await?;
    let id = rows.first().and_then(|row| row.try_get("job_id").ok().flatten());
    Ok(id.ok_or("the server gave no job id for FLUSH TABLE")?.to_owned())
}

/// Each part of the name in quotes, so that a name can be nothing but a name.
fn quoted(table: &str) -> Result<String, String> {
    let (namespace, name) = table
        .split_once('.')
        .ok_or_else(|| format!("\"{table}\" names no namespace; write namespace.table, as in chat.messages"))?;
    let quote = |part: &str| format!("\"{}\"", part.to_lowercase().replace('"', "\"\""));
    Ok(format!("{}.{}", quote(namespace), quote(name)))
}

/// A job as `system.jobs` shows it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) status: String,
    state: String,
    users_done: u64,
    users_total: u64,
    rows_done: u64,
    error: Option<String>,
    result: Option<String>,
}

impl Job {
    fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled" | "skipped" | "parked")
    }

    /// How it ended, in a sentence.
    pub(super) fn summary(&self) -> String {
        let mut text =
            format!("{} in state {}: {} users, {} rows", self.status, self.state, self.users_done, self.rows_done);
        if let Some(error) = &self.error {
            text.push_str("\nerror: ");
            text.push_str(error);
        }
        if let Some(result) = &self.result {
            text.push_str("\nresult: ");
            text.push_str(result);
        }
        text
    }
}

async fn look(client: &Client, id: &str) -> Result<Job, Box<dyn std::error::Error + Send + Sync>> {
    let sql = format!(
        "SELECT status, state, users_done, users_total, rows_done, error, result FROM system.jobs WHERE job_id = {}",
        literal(id)
    );
    let rows = client::rows(client, &sql).await?;
    let row = rows.first().ok_or_else(|| format!("job {id} is not in system.jobs any more"))?;
    let text = |column| row.try_get(column).ok().flatten().map(str::to_owned);
    let number = |column| text(column).and_then(|number: String| number.parse().ok()).unwrap_or(0);
    Ok(Job {
        status: text("status").unwrap_or_default(),
        state: text("state").unwrap_or_default(),
        users_done: number("users_done"),
        users_total: number("users_total"),
        rows_done: number("rows_done"),
        error: text("error"),
        result: text("result"),
    })
}

/// Shows how far the job is until it has ended; `doing` names what is counted.
pub(super) async fn watch(
    client: &Client,
    id: &str,
    doing: &'static str,
) -> Result<Job, Box<dyn std::error::Error + Send + Sync>> {
    let bar = Bar::new(doing);
    loop {
        let job = look(client, id).await?;
        bar.set(job.users_done, job.users_total, &format!("{} rows, {}", job.rows_done, job.state));
        if job.has_ended() {
            bar.finish();
            return Ok(job);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_need_a_namespace() {
        assert_eq!(quoted("chat.Messages"), Ok("\"chat\".\"messages\"".to_owned()));
        assert_eq!(quoted("chat.a; DROP"), Ok("\"chat\".\"a; drop\"".to_owned()));
        assert!(quoted("messages").expect_err("refused").contains("chat.messages"));
    }
}
