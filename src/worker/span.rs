//! The spans of events, for traces: one for each message, from the try that takes it to its end.
//!
//! A batch has no one parent, so each of its messages continues the trace of the request that brought
//! it. Only in a program that sends traces: a line of the log names its event itself, and a span around
//! it would say so twice.

use crate::queue::Message;

/// The span of a message that is being processed.
pub(super) struct EventSpan(tracing::Span);

impl EventSpan {
    pub(super) fn begin(message: &Message) -> Self {
        let headers = message.headers();
        let span = tracing::info_span!(
            "pipeline.event.process",
            app = %headers.app,
            provider = %headers.provider,
            event.id = %headers.event_id,
            event.r#type = %headers.event_type,
            request.id = headers.origin.request_id(),
            attempt = headers.attempt + 1,
            outcome = tracing::field::Empty,
        );
        crate::trace::continues(&span, headers.origin.traceparent());
        Self(span)
    }

    pub(super) fn end(self, outcome: &'static str) {
        self.0.record("outcome", outcome);
    }
}
