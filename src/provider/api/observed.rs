//! Turns a fetched object into an event, so that the reader of webhooks reads it.
//!
//! The kind and the state of the object decide the type. Of a change nothing is said: an observation
//! has no `previous_attributes`. It is stamped with the provider's clock at the time it was asked,
//! except for what is known to have happened before: an invoice says when it was paid, and of two
//! adjustments of one transaction the later one must not seem to be the earlier.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::answer::Listed;
use super::stripe;
use crate::domain::id::{Kind, ObjectKey, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::{ReadError, STRIPE, Spec};

/// How the ids of observations begin.
const PREFIX: &str = "fetched_";

/// True of an event id that was made here for an observation.
pub fn is_observed(event_id: &str) -> bool {
    event_id.starts_with(PREFIX)
}

/// An object as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The event's id: the provider's, or of an observation a digest of what was observed and when.
    pub id: String,
    /// The provider's name for its type.
    pub event_type: String,
    /// The payload.
    pub body: String,
}

/// Makes an event of an object; `None` of one that says nothing that matters here, such as a draft.
/// `mode` is the key's: some objects do not say whether they are live.
///
/// # Errors
/// When it is not an object with an id.
pub fn observed(
    provider: Provider,
    what: Listed,
    object: &RawValue,
    at: Timestamp,
    mode: Mode,
) -> Result<Option<Observed>, ReadError> {
    observed_object(provider, what.kind(provider), object, at, mode)
}

/// Like [`observed`], of an object of any kind.
///
/// # Errors
/// When it is not an object with an id.
pub fn observed_object(
    provider: Provider,
    kind: Kind,
    object: &RawValue,
    at: Timestamp,
    mode: Mode,
) -> Result<Option<Observed>, ReadError> {
    envelope(provider, kind, object, at, (mode.livemode(), None))
}

/// Like [`observed`], of the object of a key, which says whose it is.
///
/// # Errors
/// When it is not an object with an id.
pub fn observed_of(
    key: &ObjectKey,
    object: &RawValue,
    at: Timestamp,
) -> Result<Option<Observed>, ReadError> {
    let ObjectKey { scope, kind, .. } = key;
    let whose = (Some(scope.livemode), scope.connected.as_deref());
    envelope(scope.provider, *kind, object, at, whose)
}

fn envelope(
    provider: Provider,
    kind: Kind,
    object: &RawValue,
    at: Timestamp,
    (livemode, connected): (Option<bool>, Option<&str>),
) -> Result<Option<Observed>, ReadError> {
    if kind == Kind::Event {
        return event(provider, object).map(Some);
    }
    let seen: Seen<'_> =
        serde_json::from_str(object.get()).map_err(|_| ReadError::FieldMissing {
            path: "id".to_owned(),
        })?;
    let is_stripe = provider == STRIPE.name;
    let told = if is_stripe {
        seen.as_stripe(kind, at)
    } else {
        seen.as_paddle(kind, at)
    };
    let Some((event_type, at)) = told else {
        return Ok(None);
    };
    let id = id_of(event_type, seen.id, at, object);
    let body = if is_stripe {
        let connected = connected.map_or_else(String::new, |account| {
            format!(r#""account":{},"#, json!(account))
        });
        format!(
            r#"{{"id":{},"object":"event","type":{},"created":{},"livemode":{},{connected}"api_version":{},"data":{{"object":{}}}}}"#,
            json!(id),
            json!(event_type),
            at.seconds(),
            json!(seen.livemode.or(livemode)),
            json!(stripe::version()),
            object.get()
        )
    } else {
        format!(
            r#"{{"event_id":{},"event_type":{},"occurred_at":{},"data":{}}}"#,
            json!(id),
            json!(event_type),
            json!(at.exact()),
            object.get()
        )
    };
    Ok(Some(Observed {
        id,
        event_type: event_type.to_owned(),
        body,
    }))
}

/// Takes an event of a list as it is.
///
/// # Errors
/// When it has no id or no type.
pub fn event(provider: Provider, object: &RawValue) -> Result<Observed, ReadError> {
    let spec: &Spec = provider.as_str().parse()?;
    let head = spec.head(object.get().as_bytes())?;
    Ok(Observed {
        id: head.id,
        event_type: head.event_type,
        body: object.get().to_owned(),
    })
}

/// The same observation of the same second is the same event.
fn id_of(event_type: &str, id: &str, at: Timestamp, object: &RawValue) -> String {
    let mut digest = Sha256::new();
    for part in [event_type, id, &at.exact(), object.get()] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let digest = hex::encode(digest.finalize());
    format!("{PREFIX}{}", &digest[..32])
}

/// The fields that decide what kind of event an object makes.
#[derive(Deserialize)]
struct Seen<'a> {
    id: &'a str,
    #[serde(default)]
    deleted: bool,
    livemode: Option<bool>,
    status: Option<&'a str>,
    action: Option<&'a str>,
    #[serde(default)]
    attempt_count: i64,
    status_transitions: Option<Transitions>,
    #[serde(default)]
    payments: Option<Payments<'a>>,
    created_at: Option<&'a str>,
}

/// When an invoice became what it is, in seconds.
/// <https://docs.stripe.com/api/invoices/object#invoice_object-status_transitions>
#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as Stripe names them")]
struct Transitions {
    finalized_at: Option<i64>,
    marked_uncollectible_at: Option<i64>,
    paid_at: Option<i64>,
    voided_at: Option<i64>,
}

/// Stripe's list of an invoice's payments, or Paddle's of a transaction's tries.
#[derive(Deserialize)]
#[serde(untagged)]
enum Payments<'a> {
    #[serde(borrow)]
    Tries(Vec<Try<'a>>),
    Other(serde::de::IgnoredAny),
}

/// <https://developer.paddle.com/api-reference/transactions/overview>
#[derive(Deserialize)]
struct Try<'a> {
    #[serde(borrow)]
    captured_at: Option<&'a str>,
}

type Told = Option<(&'static str, Timestamp)>;

impl Seen<'_> {
    fn as_stripe(&self, kind: Kind, at: Timestamp) -> Told {
        let event_type = match kind {
            Kind::Account if self.deleted => "customer.deleted",
            Kind::Account => "customer.updated",
            Kind::Subscription => "customer.subscription.updated",
            Kind::FeatureList => "entitlements.active_entitlement_summary.updated",
            Kind::Invoice => return self.as_invoice(at),
            Kind::Dispute => "charge.dispute.updated",
            Kind::Refund => "refund.updated",
            Kind::Charge if self.status == Some("succeeded") => "charge.succeeded",
            Kind::PaymentIntent if self.status == Some("succeeded") => "payment_intent.succeeded",
            Kind::Session if self.status == Some("complete") => "checkout.session.completed",
            _ => return None,
        };
        Some((event_type, at))
    }

    fn as_invoice(&self, at: Timestamp) -> Told {
        let transitions = self.status_transitions.as_ref();
        let then = |then: fn(&Transitions) -> Option<i64>| {
            let then = transitions.and_then(then).and_then(Timestamp::from_seconds);
            then.unwrap_or(at)
        };
        Some(match self.status? {
            "paid" => ("invoice.paid", then(|it| it.paid_at)),
            "void" => ("invoice.voided", then(|it| it.voided_at)),
            "uncollectible" => (
                "invoice.marked_uncollectible",
                then(|it| it.marked_uncollectible_at),
            ),
            "open" if self.attempt_count > 0 => ("invoice.payment_failed", at),
            "open" => ("invoice.finalized", then(|it| it.finalized_at)),
            // A draft: nobody owes it yet.
            _ => return None,
        })
    }

    fn as_paddle(&self, kind: Kind, at: Timestamp) -> Told {
        let made = || self.created_at.and_then(Timestamp::parse).unwrap_or(at);
        Some(match kind {
            Kind::Account => ("customer.updated", at),
            Kind::Subscription => ("subscription.updated", at),
            Kind::Transaction => match self.status? {
                "completed" => ("transaction.completed", self.captured_at().unwrap_or(at)),
                "paid" => ("transaction.paid", self.captured_at().unwrap_or(at)),
                "past_due" => ("transaction.past_due", at),
                "canceled" => ("transaction.canceled", at),
                "billed" => ("transaction.billed", at),
                "ready" => ("transaction.ready", at),
                _ => return None,
            },
            Kind::Adjustment => match self.action? {
                "refund" => ("adjustment.updated", at),
                _ => ("adjustment.created", made()),
            },
            _ => return None,
        })
    }

    fn captured_at(&self) -> Option<Timestamp> {
        let Some(Payments::Tries(tries)) = &self.payments else {
            return None;
        };
        let captured = tries.iter().filter_map(|it| it.captured_at);
        captured.filter_map(Timestamp::parse).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{self, Meaning, PADDLE};

    fn told(provider: Provider, what: Listed, object: &str) -> Option<(String, Option<i64>)> {
        let object = RawValue::from_string(object.to_owned()).unwrap();
        let at = Timestamp::from_seconds(1_800_000_000).unwrap();
        let observed = observed(provider, what, &object, at, Mode::Live).unwrap()?;
        let (event_type, body) = (&observed.event_type, observed.body.as_bytes());
        let reading = provider::read(provider, event_type, body, Mode::Live).unwrap();
        assert!(matches!(reading.meaning, Meaning::Facts(_)), "{event_type}");
        let at = reading.occurred_at.map(Timestamp::seconds);
        Some((observed.event_type, at))
    }

    #[test]
    fn the_state_of_an_object_decides_what_is_told_and_when_it_was() {
        let now = Some(1_800_000_000);
        let invoice = |rest: &str| format!(r#"{{"id":"in_1","customer":"cus_1",{rest}}}"#);
        let stripe = STRIPE.name;
        for (what, object, expected) in [
            (
                Listed::Customers,
                r#"{"id":"cus_1","deleted":true}"#.to_owned(),
                Some(("customer.deleted", now)),
            ),
            (
                Listed::Customers,
                r#"{"id":"cus_1","email":"a@b.example"}"#.to_owned(),
                Some(("customer.updated", now)),
            ),
            (
                Listed::Payments,
                invoice(r#""status":"paid","total":5,"status_transitions":{"paid_at":1700000000}"#),
                Some(("invoice.paid", Some(1_700_000_000))),
            ),
            (
                Listed::Payments,
                invoice(r#""status":"open","attempt_count":2"#),
                Some(("invoice.payment_failed", now)),
            ),
            (Listed::Payments, invoice(r#""status":"draft""#), None),
            (
                Listed::Refunds,
                r#"{"id":"re_1","status":"succeeded","amount":5,"charge":"ch_1"}"#.to_owned(),
                Some(("refund.updated", now)),
            ),
        ] {
            let expected = expected.map(|(it, at)| (it.to_owned(), at));
            assert_eq!(told(stripe, what, &object), expected, "{object}");
        }
        let paddle = PADDLE.name;
        let adjustment = |action: &str| {
            format!(
                r#"{{"id":"adj_1","action":"{action}","status":"approved","transaction_id":"txn_1",
                "customer_id":"ctm_1","created_at":"2020-01-01T00:00:00Z"}}"#
            )
        };
        for (what, object, expected) in [
            (
                Listed::Refunds,
                adjustment("chargeback"),
                ("adjustment.created", Some(1_577_836_800)),
            ),
            (
                Listed::Refunds,
                adjustment("refund"),
                ("adjustment.updated", now),
            ),
            (
                Listed::Payments,
                r#"{"id":"txn_1","status":"completed","customer_id":"ctm_1",
                    "payments":[{"captured_at":"2020-01-01T00:00:00Z"}]}"#
                    .to_owned(),
                ("transaction.completed", Some(1_577_836_800)),
            ),
        ] {
            let expected = Some((expected.0.to_owned(), expected.1));
            assert_eq!(told(paddle, what, &object), expected, "{object}");
        }
    }
}
