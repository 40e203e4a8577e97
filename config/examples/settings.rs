//! Prints the commented `ebbtide.toml`: `cargo run -p ebbtide-config --example settings > docs/ebbtide.toml`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(ebbtide_config::Settings::documented_default().as_bytes())
}
