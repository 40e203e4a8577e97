//! `ebbtide attach`: what lies in a storage of a lost database comes back.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Outcome;
use super::client::{self, Target, literal};
use super::flush;

/// Options of `ebbtide attach`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the storage is to be called here
    storage: String,
    /// filesystem, s3, gcs or azure
    #[arg(long = "type", value_name = "TYPE")]
    storage_type: String,
    /// Where it is: a path, s3://bucket/folder, gs://bucket/folder or az://container/folder
    #[arg(long, value_name = "URI")]
    uri: String,
    /// Settings of its kind, as JSON: endpoint, region, …
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// A file with its credentials, as JSON; a command line is no place for them
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// The database that it belongs to is gone for good
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: Args) -> Outcome {
    let mut sql = format!(
        "ATTACH STORAGE {} TYPE {} URI {}",
        literal(&args.storage),
        literal(&args.storage_type),
        literal(&args.uri)
    );
    if let Some(config) = &args.config {
        sql.push_str(&format!(" CONFIG {}", literal(config)));
    }
    if let Some(path) = &args.credentials_file {
        let credentials = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the credentials in {}: {error}", path.display()))?;
        sql.push_str(&format!(" CREDENTIALS {}", literal(credentials.trim())));
    }
    if args.take_over {
        sql.push_str(" TAKE OVER");
    }
    let client = client::connect(&args.target.url).await?;
    let rows = client::rows(&client, &sql).await?;
    let job = rows.first().and_then(|row| row.try_get("job_id").ok().flatten());
    let job = job.ok_or("the server gave no job id for ATTACH STORAGE")?.to_owned();
    println!("job {job}");
    let job = flush::watch(&client, &job, "folders taken in").await?;
    println!("{}", job.summary());
    Ok(if job.status == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
