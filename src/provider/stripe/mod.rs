//! Stripe's snapshot events, of any API version.
//!
//! Which types are read, and what they say:
//!
//! | types | facts |
//! | --- | --- |
//! | `customer.created`, `.updated` | contact |
//! | `customer.deleted` | the account is removed |
//! | `customer.subscription.created`, `.updated`, `.deleted`, `.paused`, `.resumed` | a subscription's state |
//! | `invoice.paid`, `invoice.payment_failed` | a payment of a subscription; contact of the second rank |
//! | `checkout.session.completed` | a new subscriber's account; contact of the second rank |
//! | `charge.refunded` | a refund, if it is of the whole charge |
//! | `charge.dispute.*` | how a dispute stands |
//! | `charge.succeeded`, `payment_intent.succeeded`, `refund.*` | which ids belong together |
//! | `refund.*` with status `failed` or `canceled` | the charge has not gone back as a whole |
//!
//! Of a subscription that changes, `customer.subscription.updated` always tells, so nothing is
//! taken from `…trial_will_end` and `…pending_update_…`: their snapshot would be one more
//! observation of the same second, without the state before. `invoice.payment_succeeded` is
//! ignored since `invoice.paid` accompanies it and also comes for invoices paid elsewhere.
//!
//! The fields and their places: <https://docs.stripe.com/api>; when each moved:
//! <https://docs.stripe.com/changelog>.

mod charge;
mod checkout;
mod customer;
mod invoice;
mod links;
mod subscription;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{self, Fields};
use super::signature::TimedHmac;
use super::{EventHead, IgnoreReason, Meaning, Mode, PayloadError, ReadError, Reading, Spec};
use crate::domain::billing::fact::Fact;
use crate::domain::id::{Kind, ObjectKey, Provider, Scope};
use crate::domain::time::Timestamp;

/// Stripe Billing.
pub const STRIPE: &Spec = &Spec {
    name: Provider::named("stripe"),
    header: "Stripe-Signature",
    event_id: "id",
    // `t=<unix seconds>,v1=<64 hex>[,v1=…]`
    signature: &TimedHmac {
        separator: ',',
        time: "t",
        digest: "v1",
        joint: ".",
    },
    head,
    read,
};

fn head(text: &str) -> Result<EventHead, PayloadError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        r#type: Option<&'a RawValue>,
    }
    let head: Head<'_> = super::parse(text)?;
    super::event_head(head.id, head.r#type)
}

/// What a reader of some event types makes of an event: nothing, if it says nothing.
type Reader = fn(&Event<'_>) -> Result<Vec<Fact>, ReadError>;

/// The one table of what is read.
fn reader(event_type: &str) -> Option<Reader> {
    Some(match event_type {
        "customer.created" | "customer.updated" => customer::contact,
        "customer.deleted" => customer::removed,
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.deleted"
        | "customer.subscription.paused"
        | "customer.subscription.resumed" => subscription::changed,
        "invoice.paid" => invoice::paid,
        "invoice.payment_failed" => invoice::payment_failed,
        "checkout.session.completed" => checkout::completed,
        "charge.succeeded" => charge::succeeded,
        "payment_intent.succeeded" => charge::payment_intent_succeeded,
        "charge.refunded" => charge::refunded,
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            charge::refund
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => charge::dispute,
        _ => return None,
    })
}

/// Says what an event means. `text` is a JSON object.
fn read(text: &str, event_type: &str, mode: Mode) -> Result<Reading, ReadError> {
    let envelope: Envelope<'_> = super::parse(text)?;
    let expected = mode.livemode();
    let said = envelope.livemode.as_ref().and_then(Value::as_bool);
    let livemode = said.or(expected);
    let mut reading = Reading {
        occurred_at: envelope.occurred_at(),
        livemode,
        connected: envelope.connected().unwrap_or_default(),
        meaning: Meaning::Ignored(IgnoreReason::Type),
    };
    if expected.is_some() && livemode != expected {
        reading.meaning = Meaning::Ignored(IgnoreReason::LivemodeMismatch);
        return Ok(reading);
    }
    if envelope.is_thin() {
        let object = envelope.related(&envelope.scope(livemode)?)?;
        reading.meaning = Meaning::of(envelope.need_time()?, vec![Fact::Unfetched { object }]);
        return Ok(reading);
    }
    let Some(reader) = reader(event_type) else {
        return Ok(reading);
    };

    let at = envelope.need_time()?;
    let data = envelope.data()?;
    let event = Event {
        kind: event_type,
        scope: envelope.scope(livemode)?,
        request: envelope.request(),
        object: Fields::new(data.get("object").unwrap_or(&Value::Null), "data.object"),
        previous: data
            .get("previous_attributes")
            .filter(|value| value.is_object()),
    };
    let facts = reader(&event)?;
    reading.meaning = Meaning::of(at, facts);
    Ok(reading)
}

/// What Stripe calls an object, in our words. Thin events put its version before a newer name,
/// as in `v2.core.account`: <https://docs.stripe.com/api/v2/core/events>.
fn kind(object_type: &str) -> Kind {
    match object_type {
        "customer" => Kind::Account,
        "subscription" => Kind::Subscription,
        "invoice" => Kind::Invoice,
        "charge" => Kind::Charge,
        "payment_intent" => Kind::PaymentIntent,
        "checkout.session" => Kind::Session,
        "dispute" => Kind::Dispute,
        "refund" => Kind::Refund,
        "event" => Kind::Event,
        _ => Kind::Other,
    }
}

/// An event whose object is about to be read.
struct Event<'a> {
    kind: &'a str,
    scope: Scope,
    request: Option<String>,
    /// The object as it was when the event was made.
    object: Fields<'a>,
    previous: Option<&'a Value>,
}

impl Event<'_> {
    /// The object as it was before the change; `None` if the event does not say.
    fn object_before(&self) -> Option<Value> {
        let mut object = self.object.whole().clone();
        fields::put_back(&mut object, self.previous?);
        Some(object)
    }

    /// The key of the object's billing account. For customers of the accounts API `customer` can
    /// be null, and `customer_account` names them.
    fn account(&self) -> Result<Option<ObjectKey>, ReadError> {
        Ok(self
            .object
            .id(&["customer", "customer_account"])?
            .map(|id| self.scope.key(Kind::Account, id)))
    }

    /// Like [`account`](Self::account), of an object that has to have one.
    fn need_account(&self) -> Result<ObjectKey, ReadError> {
        self.account()?
            .ok_or_else(|| self.object.missing("customer"))
    }
}

/// The event around the object: <https://docs.stripe.com/api/events/object>.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: Option<Value>,
    object: Option<Value>,
    created: Option<Value>,
    livemode: Option<Value>,
    account: Option<Value>,
    context: Option<Value>,
    request: Option<Value>,
    related_object: Option<Value>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// Event notifications ("thin events") carry no object, only where to fetch it:
    /// <https://docs.stripe.com/api/v2/core/events>.
    fn is_thin(&self) -> bool {
        self.object.as_ref().and_then(Value::as_str) == Some("v2.core.event")
    }

    /// What a thin event is about; the event itself, if it does not say.
    fn related(&self, scope: &Scope) -> Result<ObjectKey, ReadError> {
        let related = self.related_object.as_ref().unwrap_or(&Value::Null);
        let related = Fields::new(related, "related_object");
        if let Some(id) = related.id(&["id"])? {
            let kind = related.word("type")?.map_or(Kind::Other, kind);
            return Ok(scope.key(kind, id));
        }
        let event = self.id.as_ref().and_then(Value::as_str);
        Ok(scope.key(Kind::Event, event.unwrap_or_default()))
    }

    /// Snapshot events say seconds, thin ones RFC 3339.
    fn occurred_at(&self) -> Option<Timestamp> {
        match self.created.as_ref()? {
            Value::String(text) => Timestamp::parse(text),
            value => value.as_i64().and_then(Timestamp::from_seconds),
        }
    }

    fn need_time(&self) -> Result<Timestamp, ReadError> {
        let path = || "created".to_owned();
        match &self.created {
            None => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => self.occurred_at().ok_or_else(|| ReadError::FieldMalformed {
                path: path(),
                wanted: "a time in seconds since 1970",
            }),
        }
    }

    /// The connected account. Endpoints of an organisation get `context` alone, such as
    /// `org_1/acct_2`; a connected account's events carry both.
    fn connected(&self) -> Result<Option<String>, ReadError> {
        let (path, account) = match (&self.account, &self.context) {
            (Some(account), _) => ("account", account.as_str()),
            (None, Some(Value::String(context))) => {
                let last = context.rsplit('/').next();
                ("context", last.filter(|last| last.starts_with("acct_")))
            }
            (None, _) => return Ok(None),
        };
        // The account is a part of keys whose parts are joined by colons.
        let good = |id: &&str| {
            (1..=255).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b':')
        };
        match account.filter(good) {
            Some(account) => Ok(Some(account.to_owned())),
            None if path == "context" => Ok(None),
            None => Err(ReadError::FieldMalformed {
                path: path.to_owned(),
                wanted: "an id",
            }),
        }
    }

    fn scope(&self, livemode: Option<bool>) -> Result<Scope, ReadError> {
        if self
            .livemode
            .as_ref()
            .is_some_and(|value| !value.is_boolean())
        {
            let path = "livemode".to_owned();
            return Err(ReadError::FieldMalformed {
                path,
                wanted: "true or false",
            });
        }
        Ok(Scope {
            provider: STRIPE.name,
            livemode: livemode.unwrap_or(true),
            connected: self.connected()?,
        })
    }

    /// The id of the API call behind the event; before 2017-05-25 `request` was that id itself.
    fn request(&self) -> Option<String> {
        let request = self.request.as_ref()?;
        request
            .get("id")
            .unwrap_or(request)
            .as_str()
            .map(str::to_owned)
    }

    fn data(&self) -> Result<Value, ReadError> {
        let path = || "data.object".to_owned();
        let data = self
            .data
            .ok_or_else(|| ReadError::FieldMissing { path: path() })?;
        let data = fields::parse(data.get()).map_err(|_| ReadError::FieldMalformed {
            path: path(),
            wanted: "an object",
        })?;
        match data.get("object") {
            Some(Value::Object(_)) => Ok(data),
            None | Some(Value::Null) => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => Err(ReadError::FieldMalformed {
                path: path(),
                wanted: "an object",
            }),
        }
    }
}
