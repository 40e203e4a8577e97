//! The server, and the engine alone, as a process that a test can hurt. What is going to happen to it stands in
//! variables: see `ebbtide_tests::doomed`.
//!
//! ```text
//! victim serve …        as `ebbtide serve …`
//! victim demo …         as `ebbtide demo …`
//! victim attach …       as `ebbtide attach …`, and `secrets` alike: they end by themselves
//! victim engine FOLDER  commits one row after another into an engine, and prints each that was acknowledged
//! ```

mod engine; // rows into an engine, until killed

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use ebbtide_engine::SharedEnv;
use ebbtide_tests::doomed::Doomed;

fn main() -> ExitCode {
    let env: SharedEnv = match Doomed::from_variables(|name| std::env::var(name).ok()) {
        Ok(env) => Arc::new(env),
        Err(refused) => return refuse(&refused),
    };
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("engine"), Some(folder)) => {
            end_with_parent();
            engine::write_until_killed(folder.as_ref(), env)
        }
        (Some("serve" | "demo"), _) => {
            end_with_parent();
            ebbtide_server::cli::main_in(env)
        }
        (Some("attach" | "secrets"), _) => ebbtide_server::cli::main_in(env),
        _ => {
            refuse("usage: victim serve … | victim demo … | victim attach … | victim secrets … | victim engine FOLDER")
        }
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("victim: {why}");
    ExitCode::FAILURE
}

/// A test that is killed cannot kill its children, but its end of their standard input closes.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(2);
    });
}
