//! `ebbtide secrets`: the keys that seal credentials of storages.

use std::process::ExitCode;

use clap::Subcommand;
use ebbtide_engine::env::SystemEnv;
use ebbtide_store::secrets::Keyring;

use super::Outcome;
use super::client::{self, Target};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a new key, to be put first into the key file
    NewKey,
    /// Seal the credentials of all storages with the first key of the running server
    Rotate(Target),
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::NewKey => println!("{}", Keyring::new_key(&SystemEnv).expose()),
        Command::Rotate(target) => {
            let client = client::connect(&target.url).await?;
            let rows = client::rows(&client, "ROTATE SECRETS").await?;
            let count = rows.first().and_then(|row| row.try_get("sealed_anew").ok().flatten()).unwrap_or("0");
            println!("{count} sealed anew; keys behind the first are not needed any more");
        }
    }
    Ok(ExitCode::SUCCESS)
}
