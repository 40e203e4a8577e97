//! `ebbtide workflows preview NAME`: when it is due, and what changes of the clock do to that.

use std::path::PathBuf;
use std::process::ExitCode;

use ebbtide_runtime::{Declared, When};

use super::super::nearest::nearest;
use super::super::{Outcome, config, time};
use super::file::{self, trigger};

/// Options of `ebbtide workflows preview`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The workflow
    name: String,
    /// How many times to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    next: u16,
    /// Begin after this date or moment (2026-03-28, 2026-03-28T18:00:00Z) in place of now
    #[arg(long, value_name = "WHEN", value_parser = time::parse)]
    from: Option<i64>,
    /// The settings file; without it ./ebbtide.toml
    #[arg(long, env = "EBBTIDE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let default = PathBuf::from(config::DEFAULT_FILE);
    let file = args.config.as_ref().unwrap_or(&default);
    let declared = file::read(file)?;
    let Some(found) = declared.iter().find(|one| one.name.to_lowercase() == args.name.to_lowercase()) else {
        let names = || declared.iter().map(|one| one.name.as_str());
        let hint = match nearest(&args.name, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it declares {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(format!("there is no workflow \"{}\" in {}; {hint}", args.name, file.display()).into());
    };
    print!("{}", preview(found, args.from.unwrap_or_else(time::now), args.next.into()));
    Ok(ExitCode::SUCCESS)
}

fn preview(declared: &Declared, from: i64, count: usize) -> String {
    let mut text = format!("{}: {}, {}\n", declared.name, declared.kind_name, trigger(&declared.when));
    if !declared.enabled {
        text.push_str("  it is not enabled: it does not run by itself\n");
    }
    let When::Cron(cron) = &declared.when else {
        text.push_str(match &declared.when {
            When::Interval(_) => {
                "  its times count from when a server first saw it; `ebbtide workflows list` shows the next one\n"
            }
            When::Rows(_) | When::Bytes(_) => "  it is due when so much waits, which is not a matter of time\n",
            When::Manual | When::Cron(_) => "  it is due when somebody asks for it: ebbtide workflows run\n",
        });
        return text;
    };
    for due in cron.preview(from, count) {
        text.push_str(&format!("  {}  {}", due.local, time::show(due.at)));
        if let Some(note) = due.note {
            text.push_str(&format!("  {note}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebbtide_runtime::kind;
    use ebbtide_runtime::schedule::Cron;

    fn nightly(expression: &str) -> Declared {
        let kind = kind::parse("job_cleanup", serde_json::json!({})).unwrap();
        Declared::new("nightly", "job_cleanup", kind, When::Cron(Cron::parse(expression, "Europe/Berlin").unwrap()))
    }

    fn lines(expression: &str, from: &str) -> String {
        preview(&nightly(expression), time::parse(from).unwrap(), 3)
    }

    #[test]
    fn a_time_that_the_clock_leaves_out_is_marked() {
        assert_eq!(
            lines("30 2 * * *", "2026-03-28"),
            "nightly: job_cleanup, cron \"30 2 * * *\" in Europe/Berlin\n\
             \x20 2026-03-28T02:30:00+01:00  2026-03-28T01:30:00Z\n\
             \x20 2026-03-29T03:00:00+02:00  2026-03-29T01:00:00Z  \
             the clock leaves out the time asked for; first instant after the gap\n\
             \x20 2026-03-30T02:30:00+02:00  2026-03-30T00:30:00Z\n"
        );
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_is_marked() {
        let text = lines("30 2 * * *", "2026-10-24T12:00:00Z");
        let first = text.lines().nth(1).unwrap();
        assert!(first.contains("2026-10-25T00:30:00Z") && first.ends_with("runs at the first"), "{text}");
        assert!(text.lines().nth(2).unwrap().ends_with("2026-10-26T01:30:00Z"), "{text}");
    }

    #[test]
    fn what_has_no_times_says_so() {
        let manual = Declared { when: When::Manual, enabled: false, ..nightly("@daily") };
        let text = preview(&manual, 0, 3);
        assert!(text.contains("not enabled") && text.contains("somebody asks"), "{text}");
    }
}
