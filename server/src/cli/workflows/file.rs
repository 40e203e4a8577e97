//! The workflows that a settings file declares, without a server.

use std::path::Path;
use std::process::ExitCode;

use ebbtide_config::{Settings, show_bytes, show_duration};
use ebbtide_runtime::{Declared, When};

use super::super::table::Table;
use super::super::{Outcome, time};

/// The workflows of a file, with the built-in ones. The environment has no say in them.
pub(super) fn read(file: &Path) -> Result<Vec<Declared>, ebbtide_config::Error> {
    ebbtide_workflows::declared::declared(&Settings::load(Some(file), std::iter::empty())?)
}

/// `ebbtide workflows validate FILE`
pub(super) fn validate(file: &Path) -> Outcome {
    match read(file) {
        Ok(declared) => {
            print!("{}", table(&declared, time::now()));
            println!("{}: all workflows are right", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // Each problem begins with its own place, as a compiler's do, so that editors can jump there.
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// `ebbtide workflows list --config FILE`
pub(super) fn list(file: &Path) -> Outcome {
    print!("{}", table(&read(file)?, time::now()));
    Ok(ExitCode::SUCCESS)
}

fn table(declared: &[Declared], now: i64) -> String {
    let heads = ["name", "kind", "trigger", "overlap", "missed", "enabled", "next_run"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    let mut text = String::new();
    for one in declared {
        let next = match &one.when {
            When::Cron(cron) if one.enabled => cron.next_after(now).map(time::show),
            _ => None,
        };
        let cells = [
            Some(one.name.clone()),
            Some(one.kind_name.clone()),
            Some(trigger(&one.when)),
            Some(one.overlap.to_string()),
            Some(one.missed.to_string()),
            Some(if one.enabled { "yes" } else { "no" }.to_owned()),
            next,
        ];
        text.push_str(&table.push(cells.to_vec()));
    }
    text.push_str(&table.finish());
    text
}

/// What makes a workflow run, in words.
pub(super) fn trigger(when: &When) -> String {
    match when {
        When::Interval(pause) => format!("every {}", show_duration(*pause)),
        When::Rows(rows) => format!("{rows} rows"),
        When::Bytes(bytes) => show_bytes(*bytes),
        When::Cron(_) | When::Manual => when.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn workflows_are_listed_with_the_next_time() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "[[workflow]]\nname = \"nightly\"\nkind = \"job_cleanup\"\n\
                    trigger = { cron = \"30 2 * * *\", time_zone = \"Europe/Berlin\" }\n";
        file.write_all(text.as_bytes()).unwrap();
        let declared = read(file.path()).unwrap();
        let shown = table(&declared, time::parse("2026-03-28T18:00:00Z").unwrap());
        let row = shown.lines().nth(2).unwrap();
        assert!(row.starts_with("nightly | job_cleanup | cron \"30 2 * * *\" in Europe/Berlin"), "{shown}");
        assert!(row.ends_with("2026-03-29T01:00:00Z"), "the first instant after the gap: {shown}");
    }

    #[test]
    fn what_is_wrong_stands_at_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[[workflow]]\nname = \"w\"\nkind = \"verfy\"\ntrigger = \"manual\"\n").unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        let place = format!("{}:3:", file.path().display());
        assert!(error.starts_with(&place) && error.contains("did you mean \"verify\"?"), "{error}");
    }
}
