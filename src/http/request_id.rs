//! Request ids: one for each request, in its answer, in problem documents and in the log.

use axum::http::{HeaderMap, HeaderName};

use crate::queue::{Origin, is_request_id, parse_traceparent};
use crate::random;
use crate::request_context::RequestContext;
use crate::trace;

/// The header of a request's id, in requests and answers.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of the span that a request is part of (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What ids are made of: nothing that a shell reads as an option, a selection by double click ends
/// at, or a reader mistakes for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Returns the sender's id, or a new one. Foreign ids go into log lines and headers, so only short ones of
/// harmless characters are taken over.
pub(super) fn id_of(headers: &HeaderMap) -> String {
    let sent = text(headers, &X_REQUEST_ID).filter(|id| is_request_id(id));
    sent.map_or_else(new_id, str::to_owned)
}

/// Returns the sender's span, if it sent one that is well-formed.
pub(super) fn traceparent_of(headers: &HeaderMap) -> Option<String> {
    text(headers, &TRACEPARENT).and_then(parse_traceparent)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

/// Makes an id of 50 random bits in ten characters: each line of the log has one, and of the millions
/// of a day no two are alike. Without randomness all ids are, and requests are served all the same.
fn new_id() -> String {
    let random = random::bytes_for_id::<10>().unwrap_or_default();
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
    random.map(letter).iter().collect()
}

/// Returns the id of the request that is being served; `None` outside of a request.
pub(super) fn request_id() -> Option<String> {
    RequestContext::with(|context| context.id.clone())
}

/// Returns what a message carries of the request that is being served.
pub(super) fn origin() -> Origin {
    let origin = |context: &RequestContext| {
        let own = trace::current();
        let span = own.as_deref().or(context.traceparent.as_deref());
        Origin::new(Some(context.id.clone()), span)
    };
    RequestContext::with(origin).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_short_id_of_harmless_characters_is_taken_over() {
        let cases = [
            ("3f2b-9A_c.1:2", true),
            ("", false),
            ("with blank", false),
            ("quote\"", false),
            ("line\u{9}feed", false),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
        ];
        for (sent, taken) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            let id = id_of(&headers);
            assert_eq!(id == sent, taken, "{sent:?} became {id:?}");
            assert!(!id.is_empty(), "{sent:?}");
        }
    }

    #[test]
    fn requests_without_an_id_get_different_ones() {
        let headers = HeaderMap::new();
        assert_ne!(id_of(&headers), id_of(&headers));
    }
}
