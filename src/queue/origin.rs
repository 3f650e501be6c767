//! The request that a message came from, by which it is found in logs and traces.

use serde::{Deserialize, Serialize};

/// The longest request id that is kept, in bytes. A UUID has 36, a trace id 55.
const MAX_REQUEST_ID: usize = 64;

/// The length of a `traceparent` of version 00, in bytes.
const TRACEPARENT: usize = 55;

/// The request that brought a webhook, or asked for a replay.
///
/// Both values are untrusted and end up in headers and log lines, so malformed ones are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its id, as in the log and the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The span that the next one continues (<https://www.w3.org/TR/trace-context/>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

impl Origin {
    /// Takes over what is well-formed.
    pub fn new(request_id: Option<String>, traceparent: Option<&str>) -> Self {
        Self {
            request_id: request_id.filter(|id| is_request_id(id)),
            traceparent: traceparent.and_then(parse_traceparent),
        }
    }

    /// Returns the id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the span to continue, in the form of version 00.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
}

/// Returns true if a text can be the id of a request: short, and of harmless characters.
pub fn is_request_id(id: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(harmless)
}

/// Reads a `traceparent`. What later versions add behind the flags is left out, as the standard says.
pub fn parse_traceparent(text: &str) -> Option<String> {
    let text = text.trim();
    let known = text.get(..TRACEPARENT)?;
    let more = &text[TRACEPARENT..];
    let parts: Vec<&str> = known.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        return None;
    };
    let is_hex = |part: &str, length| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() == length && part.bytes().all(hex)
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let well_formed = is_hex(version, 2)
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && version != "ff"
        && !is_zero(trace)
        && !is_zero(span);
    let ends = match version {
        "00" => more.is_empty(),
        _ => more.is_empty() || more.starts_with('-'),
    };
    (well_formed && ends).then(|| format!("00-{trace}-{span}-{flags}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_well_formed_traceparent_is_taken_over() {
        let later = GOOD.replacen("00", "cc", 1);
        let cases = [
            (GOOD.to_owned(), true),
            (later.clone(), true),
            (format!("{later}-more"), true),
            (format!("{later}more"), false),
            (format!("{GOOD}-more"), false),
            (GOOD.to_uppercase(), false),
            (GOOD.replacen("00", "ff", 1), false),
            (GOOD.replace("b7ad6b7169203331", "0000000000000000"), false),
            (
                GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
                false,
            ),
            (GOOD.replace('-', "_"), false),
            (GOOD[..54].to_owned(), false),
            (String::new(), false),
            (format!("{}\u{e9}", &GOOD[..54]), false),
            ("\"; DROP".to_owned(), false),
        ];
        for (text, taken) in cases {
            let origin = Origin::new(None, Some(&text));
            assert_eq!(origin.traceparent(), taken.then_some(GOOD), "{text}");
        }
    }

    #[test]
    fn messages_of_before_have_none() {
        assert_eq!(
            serde_json::from_str::<Origin>("{}").unwrap(),
            Origin::default()
        );
        let origin = Origin::new(Some("abc".to_owned()), Some(GOOD));
        let text = serde_json::to_string(&origin).unwrap();
        assert_eq!(serde_json::from_str::<Origin>(&text).unwrap(), origin);
    }
}
