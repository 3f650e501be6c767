//! Data that sellers attach to the providers' objects, under names of their own: Stripe's `metadata`
//! (<https://docs.stripe.com/api/metadata>), Paddle's `custom_data`
//! (<https://developer.paddle.com/build/transactions/custom-data>).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The longest id, status or price in bytes: such texts become keys, and a key of any length
/// would break the store's indexes.
pub(super) const MAX_ID: usize = 255;

/// Most names that are kept of one object. Stripe allows 50.
const MAX_NAMES: usize = 100;

/// True for the fields that hold such data.
pub(super) fn is_metadata(name: &str) -> bool {
    matches!(name, "metadata" | "custom_data")
}

/// Builds an object of the texts and whole numbers that such data holds, whatever their names.
/// Anything else in it is no id, and becomes null: Paddle's may be of any shape and depth.
#[derive(Clone, Copy)]
pub(super) enum Metadata {
    Whole,
    Member,
}

impl<'de> DeserializeSeed<'de> for Metadata {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Metadata {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        let is_id = value.len() <= MAX_ID;
        Ok(if is_id { value.into() } else { Value::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        if matches!(self, Self::Member) {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Self::Member)?;
            if !value.is_null() && name.len() <= MAX_ID && members.len() < MAX_NAMES {
                members.insert(name, value);
            }
        }
        Ok(Value::Object(members))
    }
}

/// Returns a text or whole number that can be an id of the seller's own.
pub(super) fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let good = !text.is_empty() && text.len() <= MAX_ID && !text.chars().any(char::is_control);
    good.then_some(text)
}
