//! `ebbtide config`: are the settings right, and what may be written?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use ebbtide_config::Settings;

use super::Outcome;

/// The file that is read when no other is named, if it is there.
pub(super) const DEFAULT_FILE: &str = "ebbtide.toml";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the settings as a start would, and say what is wrong with them
    Check(Source),
    /// Print the JSON Schema of the settings file, with every kind of workflow, by which editors complete and check it
    Schema,
}

/// Where settings come from.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The settings file; without it ./ebbtide.toml is read if it exists
    #[arg(long, env = "EBBTIDE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Source {
    /// The file that counts, if any.
    pub(super) fn file(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_FILE);
        self.config.as_deref().or_else(|| default.exists().then_some(default))
    }

    /// Settings from the file and the environment.
    pub(super) fn load(&self) -> Result<Settings, ebbtide_config::Error> {
        Settings::load(self.file(), std::env::vars())
    }
}

pub(super) fn run(command: &Command) -> Outcome {
    let source = match command {
        Command::Check(source) => source,
        Command::Schema => {
            print!("{}", ebbtide_workflows::schema::config_schema_file());
            return Ok(ExitCode::SUCCESS);
        }
    };
    match source.load() {
        Ok(_) => {
            match source.file() {
                Some(file) => println!("{}: all settings are right", file.display()),
                None => println!("no file: the defaults and the environment count, and they are right"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // Each problem begins with its own place, as a compiler's do, so that editors can jump there.
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
