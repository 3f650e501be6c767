//! Digests of bodies, by which two different bodies of one event are noticed.
//!
//! Providers write an event anew for each delivery, so its bytes prove nothing: Paddle orders the
//! fields otherwise, counters of deliveries change, and links are signed for the time at which they
//! were written. A digest is taken over what is left: every value but those of the fields that a
//! [`Spec`] names and of links, with fields in order of their names and numbers in one spelling.
//!
//! Digests are stored, so a change of this form would let old events differ from their own next
//! delivery. Only the fields that are read here could have been compared instead: refused, because
//! which these are changes with each version.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::spec::Spec;
use crate::domain::event::BodyDigest;

/// The longest word that is taken for an API version, in bytes.
const MAX_VERSION: usize = 100;

impl Spec {
    /// Digests a body. What no reader can take apart, such as JSON nested too deeply, is taken as its
    /// bytes.
    pub fn digest(&self, body: &str) -> BodyDigest {
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(body) else {
            return of_bytes(body);
        };
        let mut version = None;
        let mut left = Vec::with_capacity(envelope.0.len());
        for (name, value) in envelope.0 {
            if Some(&*name) == self.version {
                version = value.text().map(str::to_owned);
            } else if !self.per_delivery.contains(&&*name) {
                left.push((name, value));
            }
        }
        let mut form = Vec::with_capacity(body.len());
        write_object(left, &mut form);
        BodyDigest {
            sha256: sha256(&form),
            version,
        }
    }
}

/// Digests the bytes of a body.
pub(super) fn of_bytes(body: &str) -> BodyDigest {
    BodyDigest {
        sha256: sha256(body.as_bytes()),
        version: None,
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The fields of the outermost object.
struct Envelope<'a>(Vec<(Cow<'a, str>, Form)>);

/// A value in a form that the same value always has: a letter for its type, then what tells it from
/// others of the type. A text begins with its length, so that no text can pass for something else.
struct Form(Vec<u8>);

impl Form {
    fn of_text(text: &str) -> Self {
        let is_link = text.starts_with("https://") || text.starts_with("http://");
        if is_link {
            return Self(b"l".to_vec());
        }
        let mut form = Vec::with_capacity(text.len() + 4);
        write_text(text, &mut form);
        Self(form)
    }

    /// The text that it is the form of, if it is one and short.
    fn text(&self) -> Option<&str> {
        let form = std::str::from_utf8(&self.0).ok()?;
        let (_, text) = form.strip_prefix('s')?.split_once(':')?;
        (text.len() <= MAX_VERSION).then_some(text)
    }
}

fn write_text(text: &str, form: &mut Vec<u8>) {
    form.extend_from_slice(format!("s{}:", text.len()).as_bytes());
    form.extend_from_slice(text.as_bytes());
}

fn write_object(mut fields: Vec<(Cow<'_, str>, Form)>, form: &mut Vec<u8>) {
    // A field that is there twice stays in its order.
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    form.push(b'{');
    for (name, value) in fields {
        write_text(&name, form);
        form.extend_from_slice(&value.0);
    }
    form.push(b'}');
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsOf).map(Self)
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FormOf)
    }
}

/// Reads the fields of an object, each value in its form.
struct FieldsOf;

impl<'de> Visitor<'de> for FieldsOf {
    type Value = Vec<(Cow<'de, str>, Form)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// The name of a field, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads any value.
struct FormOf;

impl<'de> Visitor<'de> for FormOf {
    type Value = Form;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Form, E> {
        Ok(Form(b"n".to_vec()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Form, E> {
        Ok(Form(if value { b"t".to_vec() } else { b"f".to_vec() }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Form, E> {
        Ok(Form(format!("#{value};").into_bytes()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Form, E> {
        Ok(Form(format!("#{value};").into_bytes()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Form, E> {
        Ok(Form(format!("#{value};").into_bytes()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Form, E> {
        Ok(Form::of_text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Form, A::Error> {
        let mut form = b"[".to_vec();
        while let Some(Form(value)) = seq.next_element()? {
            form.extend_from_slice(&value);
        }
        form.push(b']');
        Ok(Form(form))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Form, A::Error> {
        let mut form = Vec::new();
        write_object(FieldsOf.visit_map(map)?, &mut form);
        Ok(Form(form))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PADDLE, STRIPE};
    use super::*;

    const STRIPE_BODY: &str = r#"{"id":"evt_1","api_version":"2025-11-17.clover","pending_webhooks":2,
        "data":{"object":{"id":"in_1","total":100,"url":"https://x.example/1","paid":true}}}"#;
    const PADDLE_BODY: &str = r#"{"event_id":"evt_1","notification_id":"ntf_1",
        "data":{"id":"sub_1","items":[1,2]}}"#;

    #[test]
    fn what_differs_between_deliveries_of_one_event_does_not_count() {
        for (spec, body, from, to) in [
            (
                STRIPE,
                STRIPE_BODY,
                "\"pending_webhooks\":2",
                "\"pending_webhooks\":1",
            ),
            (STRIPE, STRIPE_BODY, "\"pending_webhooks\":2,", ""),
            (STRIPE, STRIPE_BODY, "example/1", "example/2"),
            (STRIPE, STRIPE_BODY, "\"total\":100", "\"total\": 1e2"),
            (STRIPE, STRIPE_BODY, "in_1", "in_\\u0031"),
            (
                STRIPE,
                STRIPE_BODY,
                "\"id\":\"in_1\",\"total\":100",
                "\"total\":100,\"id\":\"in_1\"",
            ),
            (PADDLE, PADDLE_BODY, "ntf_1", "ntf_2"),
            (PADDLE, PADDLE_BODY, "\"notification_id\":\"ntf_1\",", ""),
        ] {
            let other = body.replace(from, to);
            assert_ne!(body, other);
            assert_eq!(spec.digest(body), spec.digest(&other), "{from} -> {to}");
        }
    }

    #[test]
    fn any_other_value_counts() {
        for (spec, body, from, to) in [
            (STRIPE, STRIPE_BODY, "in_1", "in_2"),
            (STRIPE, STRIPE_BODY, "100", "101"),
            (STRIPE, STRIPE_BODY, "100", "\"100\""),
            (STRIPE, STRIPE_BODY, "true", "false"),
            (STRIPE, STRIPE_BODY, ",\"paid\":true", ""),
            (
                STRIPE,
                STRIPE_BODY,
                "\"total\":100",
                "\"total\":100,\"pending_webhooks\":1",
            ),
            (
                STRIPE,
                STRIPE_BODY,
                "\"id\":\"in_1\",\"total\":100",
                "\"id\":\"in_1,total100\"",
            ),
            (PADDLE, PADDLE_BODY, "[1,2]", "[2,1]"),
            (PADDLE, PADDLE_BODY, "[1,2]", "[12]"),
        ] {
            let other = body.replace(from, to);
            assert_ne!(body, other);
            let digests = [spec.digest(body), spec.digest(&other)];
            assert!(digests[0].against(&digests[1]).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn bodies_of_two_api_versions_are_not_compared() {
        let other = STRIPE_BODY.replace("2025-11-17.clover", "2020-08-27");
        let other = STRIPE.digest(&other.replace("in_1", "in_2"));
        assert_eq!(STRIPE.digest(STRIPE_BODY).against(&other), None);
        assert_eq!(other.version.as_deref(), Some("2020-08-27"));
    }

    #[test]
    fn what_cannot_be_taken_apart_is_its_bytes() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        for text in ["", "[]", "{", &deep] {
            assert_eq!(STRIPE.digest(text), of_bytes(text));
        }
    }
}
