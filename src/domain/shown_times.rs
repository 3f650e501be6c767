//! Times in stored documents, as answers have them.
//!
//! A stored document says a time with every digit, because it is compared and read again. What is
//! shown of it has the one form that all answers have, see [`Timestamp`].

use serde_json::Value;

use super::time::Timestamp;

/// The fields that are people's own texts, whatever these look like.
const OWN_TEXTS: [&str; 5] = ["metadata", "name", "reason", "external_id", "user_id"];

/// Returns a document with its times as they are shown. A time is a text that
/// [`Timestamp::exact`] writes.
pub fn shown(mut document: Value) -> Value {
    shorten(&mut document);
    document
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            let at = Timestamp::parse(text).filter(|at| at.exact() == *text);
            if let Some(at) = at {
                *text = at.to_string();
            }
        }
        Value::Array(members) => members.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            let fields = fields.iter_mut();
            let fields = fields.filter(|(name, _)| !OWN_TEXTS.contains(&name.as_str()));
            fields.for_each(|(_, value)| shorten(value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_shown_alike_wherever_they_stand() {
        let document = json!([{
            "at": "2026-01-31T09:30:00Z",
            "to": {"period_end": "2026-01-31T09:30:00.123456789Z", "note": "until 2026-01-31T09:30:00Z"},
            "dates": {"1.0.0": "2026-01-31T09:30:00.5Z", "1.1.0": "2026-01-31T09:30:00.500Z"},
            "metadata": {"at": "2026-01-31T09:30:00Z"},
            "name": "2026-01-31T09:30:00Z",
            "n": 1,
        }]);
        let expected = json!([{
            "at": "2026-01-31T09:30:00.000Z",
            "to": {"period_end": "2026-01-31T09:30:00.123Z", "note": "until 2026-01-31T09:30:00Z"},
            "dates": {"1.0.0": "2026-01-31T09:30:00.5Z", "1.1.0": "2026-01-31T09:30:00.500Z"},
            "metadata": {"at": "2026-01-31T09:30:00Z"},
            "name": "2026-01-31T09:30:00Z",
            "n": 1,
        }]);
        let once = shown(document);
        assert_eq!(once, expected);
        assert_eq!(shown(once), expected, "twice");
    }
}
