//! The payloads that the providers post when something happens.

pub(super) mod paddle;
pub(super) mod stripe;
pub(super) mod stripe_money;

use serde_json::{Map, Value, json};

use super::person::Account;
use super::provider::{Provider, Side};
use crate::domain::time::Timestamp;

/// The content of an event, without the envelope.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) event_type: String,
    pub(super) object: Value,
    /// Stripe's `previous_attributes`.
    pub(super) previous: Option<Value>,
    /// True if a call of the provider's API caused it, not the provider itself.
    pub(super) is_called: bool,
}

impl Entry {
    /// Makes the entry of something that the provider did by itself.
    pub(super) fn new(event_type: &str, object: Value) -> Self {
        Self {
            event_type: event_type.to_owned(),
            object,
            previous: None,
            is_called: false,
        }
    }

    /// Makes the entry of something that the provider was asked to do.
    pub(super) fn called(event_type: &str, object: Value) -> Self {
        Self {
            is_called: true,
            ..Self::new(event_type, object)
        }
    }
}

/// Wraps an entry in its event.
pub(super) fn envelope(
    account: &Account,
    id: &str,
    request: &str,
    at: Timestamp,
    entry: &Entry,
) -> Value {
    match account.provider {
        Provider::Stripe => {
            let is_live = account.side != Side::Test;
            let mut data = json!({ "object": entry.object });
            if let Some(livemode) = data["object"].get_mut("livemode") {
                *livemode = json!(is_live);
            }
            if let Some(previous) = &entry.previous {
                data["previous_attributes"] = previous.clone();
            }
            let mut event = json!({
                "id": id, "object": "event", "api_version": account.form.version(),
                "created": at.seconds(), "data": data, "livemode": is_live, "pending_webhooks": 1,
                "request": {
                    "id": entry.is_called.then_some(request),
                    "idempotency_key": entry.is_called.then(|| format!("key-{request}")),
                },
                "type": entry.event_type,
            });
            if let Some(connected) = account.side.connected() {
                event["account"] = json!(connected);
            }
            event
        }
        Provider::Paddle => json!({
            "data": entry.object, "event_id": id, "event_type": entry.event_type,
            "notification_id": notification(id), "occurred_at": at.exact(),
        }),
    }
}

fn notification(event: &str) -> String {
    match event.strip_prefix("ntfsimevt_") {
        Some(simulated) => format!("ntfsim_{simulated}"),
        None => event.replacen("evt", "ntf", 1),
    }
}

/// Returns `previous_attributes` as Stripe sends them: the old values of the keys that changed;
/// objects key by key, lists whole, missing values as null.
/// <https://docs.stripe.com/api/events/object#event_object-data-previous_attributes>
pub(super) fn previous(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return before.clone();
    };
    let mut changed = Map::new();
    for (key, new) in after {
        let old = before.get(key).unwrap_or(&Value::Null);
        if old != new {
            changed.insert(key.clone(), previous(old, new));
        }
    }
    for (key, old) in before {
        if !after.contains_key(key) {
            changed.insert(key.clone(), old.clone());
        }
    }
    Value::Object(changed)
}

/// The kind of a change of a subscription, which determines its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Created,
    Imported,
    /// Its first payment arrived, or its trial ended well.
    Activated,
    /// It changed by itself: a renewal, the end of retries.
    Updated,
    /// Somebody asked for it.
    Asked,
    PastDue,
    Recovered,
    Paused,
    Resumed,
    Canceled,
}

impl Turn {
    /// Returns the event types of the change, in their usual order.
    pub(super) const fn event_types(self, provider: Provider) -> &'static [&'static str] {
        match (provider, self) {
            (Provider::Stripe, Self::Created | Self::Imported) => {
                &["customer.subscription.created"]
            }
            (
                Provider::Stripe,
                Self::Activated | Self::Updated | Self::Asked | Self::PastDue | Self::Recovered,
            ) => &["customer.subscription.updated"],
            (Provider::Stripe, Self::Paused) => &[
                "customer.subscription.updated",
                "customer.subscription.paused",
            ],
            (Provider::Stripe, Self::Resumed) => &[
                "customer.subscription.resumed",
                "customer.subscription.updated",
            ],
            (Provider::Stripe, Self::Canceled) => &["customer.subscription.deleted"],
            (Provider::Paddle, Self::Created) => &["subscription.created"],
            (Provider::Paddle, Self::Imported) => &["subscription.imported"],
            (Provider::Paddle, Self::Activated) => {
                &["subscription.updated", "subscription.activated"]
            }
            (Provider::Paddle, Self::Updated | Self::Asked | Self::Recovered) => {
                &["subscription.updated"]
            }
            (Provider::Paddle, Self::PastDue) => &["subscription.updated", "subscription.past_due"],
            (Provider::Paddle, Self::Paused) => &["subscription.updated", "subscription.paused"],
            (Provider::Paddle, Self::Resumed) => &["subscription.updated", "subscription.resumed"],
            (Provider::Paddle, Self::Canceled) => {
                &["subscription.updated", "subscription.canceled"]
            }
        }
    }

    /// True if a call of the provider's API caused it.
    pub(super) const fn is_asked_for(self) -> bool {
        matches!(self, Self::Asked | Self::Resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_attributes_are_the_old_values_of_what_changed() {
        let cases = [
            ("nothing", json!({"a": 1}), json!({"a": 1}), json!({})),
            (
                "a value",
                json!({"a": 1, "b": 2}),
                json!({"a": 3, "b": 2}),
                json!({"a": 1}),
            ),
            ("a new key", json!({}), json!({"a": 1}), json!({"a": null})),
            (
                "a key that went",
                json!({"a": 1}),
                json!({}),
                json!({"a": 1}),
            ),
            (
                "within an object",
                json!({"o": {"a": 1, "b": 2}}),
                json!({"o": {"a": 1, "b": 3}}),
                json!({"o": {"b": 2}}),
            ),
            (
                "a list",
                json!({"l": [1, 2]}),
                json!({"l": [1, 3]}),
                json!({"l": [1, 2]}),
            ),
        ];
        for (description, before, after, expected) in cases {
            assert_eq!(previous(&before, &after), expected, "{description}");
        }
    }
}
