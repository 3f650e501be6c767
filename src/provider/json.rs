//! Parsing the fields of a payload that are read.
//!
//! Only the names in [`is_read`] are built. An event is mostly fields that nobody here asks for,
//! and building all of them costs several times more than verifying its signature.
//!
//! A value takes up to eighty times the memory of its text, and everything that is kept of a list
//! is written several times more: as prices, flags, changes, entries of the audit. So no list is
//! read beyond [`MAX_MEMBERS`], however many fit into a payload.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::metadata::{Metadata, is_metadata};

/// The most members of a list that are read. Stripe allows 20 items in a subscription
/// (<https://docs.stripe.com/billing/subscriptions/multiple-products>) and shows ten of a list in an
/// event; this leaves room for what providers may allow one day.
pub(super) const MAX_MEMBERS: usize = 500;

/// The most values that are built of a payload. The fields that are read of two full lists of items
/// (one is the list before the change) are less than a tenth of it.
const MAX_VALUES: usize = 100_000;

/// The names of all fields that any reader asks for. [`Fields::at`](super::fields::Fields::at) checks in debug builds that
/// it is asked for no other.
#[expect(clippy::too_many_lines, reason = "a list, one name a line")]
pub(super) fn is_read(name: &str) -> bool {
    matches!(
        name,
        "action"
            | "address"
            | "adjusted_totals"
            | "affirm"
            | "afterpay_clearpay"
            | "amazon_pay"
            | "amount"
            | "amount_captured"
            | "amount_paid"
            | "amount_received"
            | "amount_refunded"
            | "amount_total"
            | "api_key_id"
            | "billed_at"
            | "billing_cycle"
            | "billing_period"
            | "billing_reason"
            | "cancel_at"
            | "cancel_at_period_end"
            | "canceled_at"
            | "capture_method"
            | "captured"
            | "card"
            | "cashapp"
            | "charge"
            | "charges"
            | "city"
            | "client_reference_id"
            | "country"
            | "created_at"
            | "current_billing_period"
            | "current_period_end"
            | "current_period_start"
            | "custom_data"
            | "customer"
            | "customer_account"
            | "customer_address"
            | "customer_details"
            | "customer_email"
            | "customer_id"
            | "customer_name"
            | "customer_phone"
            | "data"
            | "details"
            | "discount_amounts"
            | "effective_at"
            | "email"
            | "end"
            | "ended_at"
            | "ends_at"
            | "entitlements"
            | "external_id"
            | "feature"
            | "frequency"
            | "grand_total"
            | "has_more"
            | "id"
            | "import_meta"
            | "interval"
            | "invoice"
            | "invoice_item_details"
            | "item_id"
            | "items"
            | "klarna"
            | "latest_charge"
            | "latest_invoice"
            | "line1"
            | "line2"
            | "line_items"
            | "lines"
            | "link"
            | "lookup_key"
            | "metadata"
            | "mobilepay"
            | "mode"
            | "name"
            | "next_payment_attempt"
            | "object"
            | "origin"
            | "parent"
            | "pause_collection"
            | "paused"
            | "payment"
            | "payment_intent"
            | "payment_link"
            | "payment_method_options"
            | "payment_status"
            | "payments"
            | "paypal"
            | "period"
            | "phone"
            | "plan"
            | "postal_code"
            | "pre_payment_credit_notes_amount"
            | "previous_attributes"
            | "price"
            | "price_details"
            | "price_id"
            | "pricing"
            | "product"
            | "product_id"
            | "proration"
            | "quantity"
            | "recurring"
            | "refunded"
            | "revolut_pay"
            | "scheduled_change"
            | "start"
            | "starts_at"
            | "state"
            | "status"
            | "status_details"
            | "subscription"
            | "subscription_details"
            | "subscription_id"
            | "subscription_item"
            | "subscription_item_details"
            | "test_clock"
            | "total"
            | "totals"
            | "transaction_id"
            | "trial_end"
            | "type"
            | "unit_price"
    )
}

/// Parses JSON, keeping only objects' fields that [`is_read`] names.
///
/// A list that is longer than [`MAX_MEMBERS`] ends in one null more, so that [`is_cut`] can tell.
///
/// # Errors
/// If it is no JSON, or what is kept is nested more than 128 deep or has too many values.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Pruned::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value.0)
}

/// What the JSON should have been that was refused: the end of "is not …". Half a character is JSON by its
/// grammar (RFC 8259, section 8.2), and no text.
pub(super) fn wanted(error: &serde_json::Error) -> &'static str {
    let said = error.to_string();
    if said.contains("surrogate") || said.contains("end of hex escape") {
        "readable: a text in it has half a character, such as `\\ud800` alone"
    } else {
        "an object"
    }
}

/// Reports whether some members of a list were left out.
pub(super) fn is_cut(members: &[Value]) -> bool {
    members.len() > MAX_MEMBERS
}

/// A value of which only what is read was built.
pub(super) struct Pruned(pub(super) Value);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(MAX_VALUES);
        Kept { left: &left }.deserialize(deserializer).map(Self)
    }
}

/// Puts Stripe's `previous_attributes` back into the object: objects key by key, arrays and
/// everything else whole. <https://docs.stripe.com/api/events/object#event_object-data>
pub(super) fn put_back(object: &mut Value, previous: &Value) {
    match (object, previous) {
        (Value::Object(object), Value::Object(previous)) => {
            for (name, value) in previous {
                put_back(object.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (place, previous) => previous.clone_into(place),
    }
}

/// Builds a [`Value`] of the fields that are read.
#[derive(Clone, Copy)]
struct Kept<'a> {
    /// The number of values that may still be built.
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Kept<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kept<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while values.len() < MAX_MEMBERS {
            match seq.next_element_seed(self)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            values.push(Value::Null);
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key_seed(KeptName)? {
            if let Some(name) = name {
                let value = if is_metadata(&name) {
                    map.next_value_seed(Metadata::Whole)?
                } else {
                    map.next_value_seed(self)?
                };
                fields.insert(name, value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(fields))
    }
}

/// Builds the name of a field only if it is read.
struct KeptName;

impl<'de> DeserializeSeed<'de> for KeptName {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeptName {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(is_read(name).then(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_named() {
        for (text, named) in [
            (r#"{"name": "A\ud800B"}"#, true),
            (r#"{"name": "\ud800"}"#, true),
            (r#"{"name": "\udc00 x"}"#, true),
            (r#"{"name": "\ud800\u0041"}"#, true),
            (r#"{"name": "\ud83d\ude00", "x"}"#, false),
            ("[", false),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                wanted(&error).contains("half a character"),
                named,
                "{error}"
            );
        }
    }
}
