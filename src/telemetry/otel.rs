//! Sends spans to a collector: OTLP over HTTP, as the standard variables of the environment say
//! (<https://opentelemetry.io/docs/languages/sdk-configuration/otlp-exporter/>). Without
//! `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is sent.
//!
//! Spans pass the filter of the log: with `warn` there are none.

use std::env;
use std::error::Error;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetryLayer;

use crate::client::client;

/// The variables that name a collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The name of the service, unless the environment has another.
const SERVICE: &str = "tollgate";

/// Sends spans until it is told to end.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends what is left. May block for some seconds.
    pub fn end(self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The layer, and what ends it; or why there is none.
type Started<S> =
    Result<(Option<OpenTelemetryLayer<S, SdkTracer>>, Traces), Box<dyn Error + Send + Sync>>;

/// Makes the layer that sends spans, if the environment names a collector.
///
/// # Errors
/// When the variables cannot be read as settings.
pub(super) fn start<S>() -> Started<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let is_named = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.iter().any(is_named) {
        return Ok((None, Traces(None)));
    }
    let client = Client {
        client: client()?,
        runtime: Handle::current(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()?;
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false);
    Ok((Some(layer), Traces(Some(provider))))
}

/// Our HTTP client, on our runtime: spans are sent from a thread of the library's own.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let request = reqwest::Request::try_from(request)?;
            let answer = client.execute(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = Response::new(answer.bytes().await?);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sent.await??)
    }
}
