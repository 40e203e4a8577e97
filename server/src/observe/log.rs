//! Log lines on standard error, so that standard output stays for answers.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::spans::Spans;

/// What would log what others keep to themselves: sqlparser every value of a statement, HTTP clients every header. However
/// much of the rest somebody wants to see, these say their warnings and no more.
const DISCREET: [&str; 6] =
    ["sqlparser=warn", "hyper=warn", "hyper_util=warn", "h2=warn", "reqwest=warn", "aws_sigv4=warn"];

/// Logs from `level` on, or as `EBBTIDE_LOG` (`debug`, `ebbtide_runtime=trace`) says, and sends spans where there is somebody
/// to take them. Once per process.
pub(crate) fn start(level: &str, spans: Option<&Spans>) {
    let filter = ["EBBTIDE_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(level));
    let discreet = DISCREET.into_iter().filter_map(|directive| directive.parse().ok());
    let filter = discreet.fold(filter, EnvFilter::add_directive);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(filter);
    Registry::default().with(spans.map(Spans::layer)).with(lines).init();
}
