//! `ebbtide jobs check-upgrade`: asked of the new program, while the old one may still run.
//!
//! It reads the folder beside whoever has it open and changes nothing there, so it needs nothing of the old server.

use std::path::PathBuf;
use std::process::ExitCode;

use ebbtide_engine::rocks::Rocks;
use ebbtide_runtime::{SPACES, Unloadable, query, upgrade};

use super::super::Outcome;
use super::super::config::Source;
use super::super::table::Table;

/// Options of `ebbtide jobs check-upgrade`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: Source,
    /// The folder of the hot tier and the jobs [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let settings = args.source.load()?;
    let data_dir = args.data_dir.clone().unwrap_or(settings.storage.data_dir);
    let options = ebbtide_sql::DatabaseOptions::at(&data_dir);
    let snapshot = Rocks::look(&options.engine_directory, SPACES, &options.engine)?;
    let left = query::unloadable(&snapshot)?;
    let active: u64 =
        query::counts(&*snapshot)?.iter().filter(|(status, _)| !status.is_terminal()).map(|it| it.1).sum();
    print!("{}", report(&left, active));
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(left: &[Unloadable], active: u64) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if left.is_empty() {
        return match active {
            0 => format!("ebbtide {version} finds no job that is not over: nothing stands in the way of it\n"),
            1 => format!("ebbtide {version} can go on with the one job that is not over\n"),
            _ => format!("ebbtide {version} can go on with all {active} jobs that are not over\n"),
        };
    }
    let heads = ["job_id", "kind", "state", "body_version", "reason"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    let mut text = String::new();
    for job in left {
        let Unloadable { job_id, kind, state, body_version, reason } = job;
        let cells = [job_id.to_string(), kind.clone(), state.clone(), body_version.to_string(), reason.clone()];
        text.push_str(&table.push(cells.map(Some).to_vec()));
    }
    text.push_str(&table.finish());
    let more = if left.len() == upgrade::UNLOADABLE_JOBS_MAX { " at least" } else { "" };
    text.push_str(&format!(
        "ebbtide {version} cannot go on with{more} {} of {active} jobs that are not over; it would park them, with their \
         rows where they are.\nLet the present version finish or cancel them before the upgrade: ebbtide jobs list \
         --status pending,running,retrying,paused,parked\n",
        left.len()
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_to_do() {
        assert!(report(&[], 0).contains("no job that is not over"));
        assert!(report(&[], 3).contains("all 3 jobs"));
        let left = Unloadable {
            job_id: "018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90".parse().unwrap(),
            kind: "flush".to_owned(),
            state: "Writing".to_owned(),
            body_version: 9,
            reason: "unknown variant".to_owned(),
        };
        let text = report(&[left], 3);
        assert!(text.contains("018f5e2a") && text.contains("cannot go on with 1 of 3 jobs"), "{text}");
    }
}
