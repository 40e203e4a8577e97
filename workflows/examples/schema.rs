//! Prints the JSON Schema of `ebbtide.toml`: `cargo run -p ebbtide-workflows --example schema > docs/ebbtide.schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(ebbtide_workflows::schema::config_schema_file().as_bytes())
}
