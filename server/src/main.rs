//! The `ebbtide` command.

fn main() -> std::process::ExitCode {
    ebbtide_server::cli::main()
}
