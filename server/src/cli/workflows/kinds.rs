//! `ebbtide workflows kinds`: what this program can do.

use ebbtide_runtime::{kind, kinds};

/// Kinds that can be declared, and those of jobs that can be loaded. Both register at link time, so this is also how
/// to see that none was lost.
pub(super) fn print() {
    println!("kinds that a settings file may declare:");
    for info in kind::all() {
        let triggers = if info.counts_rows { "; may be triggered by rows and bytes" } else { "" };
        println!("  {:<18} {}{triggers}", info.name, info.about);
    }
    println!("kinds of stored jobs that this program can run:");
    for name in kinds::workflow_names() {
        println!("  {name}");
    }
}
