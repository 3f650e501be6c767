//! Traces across processes: the span of a request continues that of its sender, and the span of an
//! event that of the request which brought it.
//!
//! Spans are sent to a collector only in a program that was built with the feature `otel`, and only if
//! the environment names one (`telemetry/otel.rs`). Every other program passes on what it was sent.

#[cfg(feature = "otel")]
use opentelemetry::Context;
#[cfg(feature = "otel")]
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
#[cfg(feature = "otel")]
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes a new span the child of a `traceparent` of version 00. One that cannot be read, or that comes
/// too late, leaves the span as it is.
#[cfg(feature = "otel")]
pub(crate) fn continues(span: &Span, traceparent: Option<&str>) {
    if let Some(sender) = traceparent.and_then(parse) {
        let parent = Context::new().with_remote_span_context(sender);
        // An error says that the span is not sent anywhere.
        let _ = span.set_parent(parent);
    }
}

/// Without a collector there is nothing to continue.
#[cfg(not(feature = "otel"))]
pub(crate) const fn continues(_span: &Span, _traceparent: Option<&str>) {}

/// Returns the present span as a `traceparent`, if it is one of a trace.
#[cfg(feature = "otel")]
pub(crate) fn current() -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    span.is_valid()
        .then(|| format!("00-{trace}-{id}-{flags:02x}"))
}

/// Without a collector no span is part of a trace.
#[cfg(not(feature = "otel"))]
pub(crate) const fn current() -> Option<String> {
    None
}

#[cfg(feature = "otel")]
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let state = TraceState::default();
    Some(SpanContext::new(
        trace,
        span,
        TraceFlags::new(flags),
        true,
        state,
    ))
}
