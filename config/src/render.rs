//! The commented `ebbtide.toml`, written from the declarations.

use std::fmt::Write;

use crate::load::variable_name;
use crate::settings::{Settings, sections};

/// Comments are broken before this column.
const WIDTH: usize = 100;

impl Settings {
    /// A complete `ebbtide.toml` with every setting, its documentation, default and bounds.
    ///
    /// ```
    /// let file = ebbtide_config::Settings::documented_default();
    /// assert!(file.contains("[flush]"));
    /// ```
    #[must_use]
    pub fn documented_default() -> String {
        let mut file = String::new();
        comment(
            &mut file,
            &format!(
                "Every setting of Ebbtide with its default. Leave out what you do not change. Sizes are written \
                 \"64 MiB\", durations \"60s\" or \"1h 30m\". An environment variable overrides the file, for example \
                 {}.",
                variable_name("flush", "memory_bytes_max")
            ),
        );
        for section in sections() {
            let _ = writeln!(file, "\n[{}]", section.name);
            comment(&mut file, &paragraph(section.docs));
            for setting in section.settings {
                let shown = (setting.shown)();
                file.push('\n');
                comment(&mut file, &paragraph(setting.docs));
                if let Some((least, greatest)) = shown.bounds {
                    comment(&mut file, &format!("From {least} to {greatest}."));
                }
                let key = setting.key;
                let _ = match (shown.default, shown.example) {
                    (Some(default), _) => writeln!(file, "{key} = {default}"),
                    (None, Some(example)) => writeln!(file, "# {key} = {example}"),
                    (None, None) => unreachable!("{key} has neither a default nor an example"),
                };
            }
        }
        file.push('\n');
        file.push_str(WORKFLOW_EXAMPLE);
        file
    }
}

const WORKFLOW_EXAMPLE: &str = r#"# A declared workflow: as many as you like. docs/declaring-workflows.md explains every key.
# [[workflow]]
# name = "nightly cleanup"
# kind = "job_cleanup"
# trigger = { cron = "0 3 * * *", time_zone = "Europe/Berlin" }
# parameters = {}
# retry = { attempts_max = 5, backoff_min = "1s", backoff_max = "5m" }
# timeout = "1h"
# overlap = "skip"
# missed = "run_once"
# enabled = true
"#;

/// The lines of a doc comment as one text; an empty line stays a break.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn comment(file: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
            let _ = writeln!(file, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(file, "{line}");
}
