//! Spans of jobs and of their states, to a collector, with OTLP over HTTP.
//!
//! Spans are gathered in a bounded queue and sent in batches; when nobody takes them they are dropped, and jobs go on.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Where a collector takes traces when its address has no path of its own.
const TRACES_PATH: &str = "/v1/traces";
/// How long a collector may take for one batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address is not one that can be sent to.
    #[error("[tracing] otlp_endpoint: {endpoint:?} is not an http:// address such as \"http://127.0.0.1:4318\"{why}")]
    Endpoint {
        /// The address as it was written.
        endpoint: String,
        /// What more there is to say.
        why: &'static str,
    },
    /// The exporter was not to be had.
    #[error("[tracing] otlp_endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// The way of spans to their collector.
pub(crate) struct Spans(SdkTracerProvider);

impl Spans {
    /// Sends what is to come to `settings.otlp_endpoint`; none without one. To be called inside the runtime that is to carry it.
    pub(crate) fn start(settings: &ebbtide_config::Tracing) -> Result<Option<Self>, Error> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let exporter = OtlpExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(traces_address(endpoint)?)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let exporter = OnRuntime { exporter, runtime: Handle::current(), refused: AtomicBool::new(false) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(settings.spans_queued_max)
            .with_max_export_batch_size(settings.spans_queued_max.min(512))
            .build();
        let resource = Resource::builder()
            .with_service_name("ebbtide")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// What hands our own spans over, with the log lines inside them.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.tracer_with_scope(InstrumentationScope::builder("ebbtide").build());
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(|metadata| {
            metadata.target().starts_with("ebbtide") && *metadata.level() <= Level::INFO
        }))
    }

    /// Sends what is left, as far as there is time.
    pub(crate) async fn stop(self) {
        // It waits for its own thread, which waits for the network of this runtime.
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(STOP_TIMEOUT)).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// The address to post to.
fn traces_address(endpoint: &str) -> Result<String, Error> {
    let failed = |why| Error::Endpoint { endpoint: endpoint.to_owned(), why };
    if endpoint.starts_with("https://") {
        return Err(failed("; put a collector on this machine, which may pass them on with TLS"));
    }
    let rest = endpoint.strip_prefix("http://").ok_or_else(|| failed(""))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || endpoint.contains(char::is_whitespace) {
        return Err(failed(""));
    }
    Ok(if path.is_empty() { format!("http://{host}{TRACES_PATH}") } else { endpoint.to_owned() })
}

/// An exporter whose network belongs to a runtime: batches are sent from a thread that has none.
struct OnRuntime<E> {
    exporter: E,
    runtime: Handle,
    /// The last batch was not taken: said once, not for each one.
    refused: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for OnRuntime<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let mut export = pin!(self.exporter.export(batch));
        let exported = poll_fn(|context| {
            let _here = self.runtime.enter();
            export.as_mut().poll(context)
        })
        .await;
        let refused = exported.is_err();
        if let Err(error) = &exported
            && !self.refused.load(Ordering::Relaxed)
        {
            tracing::warn!(%error, spans, "the collector takes no spans; they are dropped until it does");
        }
        self.refused.store(refused, Ordering::Relaxed);
        exported
    }

    fn shutdown_with_timeout(&mut self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&mut self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: fmt::Debug> fmt::Debug for OnRuntime<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnRuntime").field(&self.exporter).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_the_usual_one() {
        let address = |text| traces_address(text).unwrap();
        assert_eq!(address("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(address("http://127.0.0.1:4318/"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(address("http://host/own/path"), "http://host/own/path");
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in ["", "127.0.0.1:4318", "http://", "http://a b"] {
            assert!(traces_address(text).unwrap_err().to_string().contains("http://127.0.0.1:4318"), "{text}");
        }
        assert!(traces_address("https://host").unwrap_err().to_string().contains("collector on this machine"));
    }
}
