//! What is seen of a running server from outside: its log, its numbers, and the spans of its jobs.
//!
//! ```text
//! tracing ─┬─► log.rs: standard error
//!          └─► spans.rs: OTLP over HTTP, to a collector           [tracing] otlp_endpoint
//! metrics ───► numbers.rs ─► http.rs: GET /metrics, for Prometheus  [metrics] listen
//! ```

pub(crate) mod log; // lines on standard error

pub(crate) mod spans; // jobs and states to a collector

mod ages; // since when each table has hot rows
mod http; // just enough HTTP to be asked for numbers
pub mod numbers; // counters, gauges and histograms, as text
