//! `ebbtide jobs list`: the newest jobs.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use ebbtide_runtime::Status;

use super::super::client::{self, Target, literal};
use super::super::{Outcome, sql};

/// Options of `ebbtide jobs list`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only jobs of these statuses, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: Vec<String>,
    /// Only jobs of this table, as namespace.table
    #[arg(long, value_name = "NAMESPACE.TABLE", value_parser = table)]
    table: Option<(String, String)>,
    /// Only runs of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// At most so many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    target: Target,
}

fn table(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('.').filter(|(namespace, table)| !namespace.is_empty() && !table.is_empty());
    let (namespace, table) = parts.ok_or("write namespace.table, as in chat.messages")?;
    Ok((namespace.to_lowercase(), table.to_lowercase()))
}

pub(super) async fn run(args: Args) -> Outcome {
    let client = client::connect(&args.target.url).await?;
    sql::print(&client, &query(&args)).await.map_err(client::Error::from)?;
    Ok(ExitCode::SUCCESS)
}

fn query(args: &Args) -> String {
    let mut wanted = Vec::new();
    if !args.status.is_empty() {
        let statuses: Vec<_> = args.status.iter().map(|status| literal(status)).collect();
        wanted.push(format!("status IN ({})", statuses.join(", ")));
    }
    if let Some((namespace, table)) = &args.table {
        wanted.push(format!("namespace = {} AND table_name = {}", literal(namespace), literal(table)));
    }
    if let Some(workflow) = &args.workflow {
        wanted.push(format!("workflow = {}", literal(workflow)));
    }
    let wanted = if wanted.is_empty() { String::new() } else { format!(" WHERE {}", wanted.join(" AND ")) };
    format!(
        "SELECT job_id, workflow, namespace, table_name, status, state, users_done, users_total, rows_done, attempt, \
         trigger, created_at, completed_at, error FROM system.jobs{wanted} ORDER BY created_at DESC LIMIT {}",
        args.limit
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn asked(line: &[&str]) -> Result<String, String> {
        let parsed = Line::try_parse_from([&["list"], line].concat()).map_err(|error| error.to_string())?;
        Ok(query(&parsed.args))
    }

    #[test]
    fn what_is_asked_for_is_what_an_index_has() {
        let sql = asked(&["--status", "failed,parked", "--table", "Chat.notes", "--limit", "5"]).unwrap();
        let wanted = "WHERE status IN ('failed', 'parked') AND namespace = 'chat' AND table_name = 'notes' ORDER BY";
        assert!(sql.contains(wanted) && sql.ends_with("DESC LIMIT 5"), "{sql}");
        assert!(!asked(&[]).unwrap().contains("WHERE"));
    }

    #[test]
    fn a_status_that_is_none_is_refused_with_a_near_one() {
        assert!(asked(&["--status", "faild"]).unwrap_err().contains("failed"));
        assert!(asked(&["--table", "notes"]).unwrap_err().contains("namespace.table"));
    }
}
