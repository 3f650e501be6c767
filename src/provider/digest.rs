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
use std::fmt;
use std::io::Write;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::spec::Spec;
use crate::domain::event::BodyDigest;

/// The longest word that is taken for an API version, in bytes.
const MAX_VERSION: usize = 100;

impl Spec {
    /// Digests a body. What no reader can take apart, such as JSON nested too deeply, is taken as its
    /// bytes.
    pub fn digest(&self, body: &str) -> BodyDigest {
        let mut values = Vec::with_capacity(body.len());
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let fields = deserializer.deserialize_map(FieldsInto(&mut values));
        let Some(fields) = fields.and_then(|it| deserializer.end().map(|()| it)).ok() else {
            return of_bytes(body);
        };
        let mut version = None;
        let mut left = Vec::with_capacity(fields.len());
        for (name, place) in fields {
            if Some(&*name) == self.version {
                version = text_of(&values[place]).map(str::to_owned);
            } else if !self.per_delivery.contains(&&*name) {
                left.push((name, place));
            }
        }
        let mut form = Vec::with_capacity(body.len());
        write_object(left, &values, &mut form);
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

/// The fields of an object: their names, and where their values stand.
type FieldsOf<'a> = Vec<(Cow<'a, str>, Range<usize>)>;

fn write_text(text: &str, form: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let _ = write!(form, "s{}:", text.len());
    form.extend_from_slice(text.as_bytes());
}

/// The text that this is the form of, if it is one and short.
fn text_of(form: &[u8]) -> Option<&str> {
    let form = std::str::from_utf8(form).ok()?;
    let (_, text) = form.strip_prefix('s')?.split_once(':')?;
    (text.len() <= MAX_VERSION).then_some(text)
}

fn write_object(mut fields: FieldsOf<'_>, values: &[u8], form: &mut Vec<u8>) {
    // A field that is there twice stays in its order.
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    form.push(b'{');
    for (name, place) in fields {
        write_text(&name, form);
        form.extend_from_slice(&values[place]);
    }
    form.push(b'}');
}

/// Writes the values of an object, and says where they stand.
struct FieldsInto<'f>(&'f mut Vec<u8>);

impl<'de> Visitor<'de> for FieldsInto<'_> {
    type Value = FieldsOf<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            let start = self.0.len();
            map.next_value_seed(FormInto(self.0))?;
            fields.push((name, start..self.0.len()));
        }
        Ok(fields)
    }
}

/// The name of a field, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes a value in a form that the same value always has: a letter for its type, then what tells it
/// from others of the type. A text begins with its length, so that no text can pass for something
/// else.
struct FormInto<'f>(&'f mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for FormInto<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FormInto<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push(b'n');
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.push(if value { b't' } else { b'f' });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        let _ = write!(self.0, "#{value};");
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let _ = write!(self.0, "#{value};");
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let _ = write!(self.0, "#{value};");
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if value.starts_with("https://") || value.starts_with("http://") {
            self.0.push(b'l');
        } else {
            write_text(value, self.0);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        while seq.next_element_seed(FormInto(self.0))?.is_some() {}
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        // The values come in the order of the payload, and are put into that of their names.
        let start = self.0.len();
        let mut fields = FieldsInto(self.0).visit_map(map)?;
        let values = self.0.split_off(start);
        for (_, place) in &mut fields {
            *place = place.start - start..place.end - start;
        }
        write_object(fields, &values, self.0);
        Ok(())
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
