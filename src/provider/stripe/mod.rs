//! Stripe's events, of any API version: snapshot events, and of thin events that there is
//! something to fetch, if a snapshot of their type would say anything.
//!
//! Of a subscription that changes, `customer.subscription.updated` always tells, so nothing is
//! taken from `…trial_will_end` and `…pending_update_…`: their snapshot would be one more
//! observation of the same second, without the state before. `invoice.payment_succeeded` is
//! ignored since `invoice.paid` accompanies it and also comes for invoices paid elsewhere.
//!
//! The fields and their places: <https://docs.stripe.com/api>; when each moved:
//! <https://docs.stripe.com/changelog>; the types: <https://docs.stripe.com/api/events/types>.

mod charge;
mod checkout;
mod customer;
mod envelope;
mod features;
mod invoice;
mod line;
mod links;
mod named;
mod subscription;
mod thin;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use self::envelope::Envelope;
use self::links::{keys, link};
use super::event::{Event, EventType, event_types};
use super::fields::Fields;
use super::head::{self, EventHead, PayloadError};
use super::json;
use super::reading::{IgnoreReason, Meaning, ReadError, Reading};
use super::signature::TimedHmac;
use super::spec::Spec;
use crate::domain::billing::fact::Fact;
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// Stripe Billing.
pub const STRIPE: &Spec = &Spec {
    name: envelope::NAME,
    header: "Stripe-Signature",
    header_form: "From Stripe: `t=…,v1=…`.",
    event_id: Some("id"),
    // `acct_…` where a connected account is the customer:
    // <https://docs.stripe.com/connect/use-accounts-as-customers>
    account_prefixes: &["cus_", "acct_"],
    // Payment links, payouts and transfers.
    shared_prefixes: &["plink_", "po_", "tr_"],
    // The number of deliveries that are still open: <https://docs.stripe.com/api/events/object>
    per_delivery: &["pending_webhooks"],
    // An endpoint has a version of its own, and while it is upgraded there are two:
    // <https://docs.stripe.com/webhooks/versioning>
    version: Some("api_version"),
    // `livemode`, which every event of Stripe's own has: <https://docs.stripe.com/api/events/object>
    says_mode: true,
    // `t=<unix seconds>,v1=<64 hex>[,v1=…]`: <https://docs.stripe.com/webhooks#verify-manually>
    signature: &TimedHmac {
        separator: ',',
        time: "t",
        digest: "v1",
        joint: ".",
    },
    types: TYPES,
    head: head_of,
    read,
    named: named::named,
    test,
};

/// The types that are read, the most telling first.
const TYPES: &[EventType] = event_types! {
    "stripe", "--2025-11-17.clover.json";
    "customer.created" "new" => customer::contact, "a billing account and its contact";
    "customer.updated" "email" => customer::contact, "a changed contact";
    "customer.deleted" "by-seller" => customer::removed, "the account and its subscriptions end";
    "customer.subscription.created" "active" => subscription::changed, "a subscription begins";
    "customer.subscription.updated" "plan-change" => subscription::changed, "status, items, period or a scheduled end change";
    "customer.subscription.deleted" "at-period-end" => subscription::changed, "a subscription has ended";
    "customer.subscription.paused" "trial-end" => subscription::changed, "a trial ended without a payment method";
    "customer.subscription.resumed" "card-added" => subscription::changed, "a paused subscription goes on";
    "entitlements.active_entitlement_summary.updated" "added" => features::changed, "the features that an account's subscriptions include";
    "invoice.paid" "renewal" => invoice::paid, "an invoice was paid, and what for";
    "invoice.payment_failed" "renewal" => invoice::payment_failed, "a try to collect an invoice failed";
    "invoice.voided" "by-seller" => invoice::given_up, "an invoice will not be collected";
    "invoice.marked_uncollectible" "by-seller" => invoice::given_up, "an invoice will not be collected";
    "invoice.finalized" "renewal" => invoice::known, "an invoice exists, and what for";
    "invoice.overdue" "renewal" => invoice::known, "an invoice exists, and what for";
    "invoice_payment.paid" "renewal" => invoice::payment_paid, "what paid an invoice";
    "checkout.session.completed" "subscription" => checkout::finished, "a buyer's account and contact, and what was bought once";
    "checkout.session.async_payment_succeeded" "payment" => checkout::finished, "a purchase was paid later";
    "checkout.session.async_payment_failed" "payment" => checkout::finished, "a purchase was not paid";
    "charge.refunded" "full" => charge::refunded, "how much of a charge was refunded";
    "charge.dispute.created" "chargeback" => charge::dispute, "a dispute or an inquiry is opened";
    "charge.dispute.updated" "under-review" => charge::dispute, "how a dispute stands";
    "charge.dispute.closed" "lost" => charge::dispute, "a dispute is lost, won or dropped";
    "charge.dispute.funds_withdrawn" "chargeback" => charge::dispute, "how a dispute stands";
    "charge.dispute.funds_reinstated" "won" => charge::dispute, "how a dispute stands";
    "radar.early_fraud_warning.created" "unreported" => charge::fraud_warning, "a card's bank suspects fraud";
    "charge.succeeded" "first-payment" => charge::succeeded, "which ids belong together";
    "payment_intent.succeeded" "first-payment" => charge::payment_intent_succeeded, "which ids belong together, and that an authorized payment was captured";
    "refund.created" "part" => charge::refund, "a refund, and how it stands";
    "refund.updated" "succeeded" => charge::refund, "a refund, and how it stands";
    "refund.failed" "part" => charge::refund, "a refund failed: the seller has the money";
    "charge.refund.updated" "succeeded" => charge::refund, "a refund, and how it stands";
};

fn head_of(text: &str) -> Result<EventHead, PayloadError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        r#type: Option<&'a RawValue>,
    }
    let head: Head<'_> = head::parse(text)?;
    head::event_head(head.id, head.r#type)
}

/// An event of our own in the form of theirs (<https://docs.stripe.com/api/events/object>). Of the mode
/// of the secret alone: a live one would show that an endpoint whose secret is of any mode is live.
fn test(id: &str, event_type: &str, at: Timestamp, mode: Mode) -> Value {
    json!({
        "id": id, "object": "event", "type": event_type, "created": at.seconds(),
        "livemode": mode == Mode::Live, "data": {"object": {}},
    })
}

/// Says what an event means. `text` is a JSON object.
fn read(text: &str, event_type: &str, mode: Mode) -> Result<Reading, ReadError> {
    let envelope: Envelope<'_> = head::parse(text)?;
    let expected = mode.livemode();
    let livemode = envelope.livemode().or(expected);
    let mut reading = Reading {
        occurred_at: envelope.occurred_at(),
        livemode,
        connected: envelope.connected().unwrap_or_default(),
        simulated: false,
        meaning: Meaning::Ignored(IgnoreReason::Type),
    };
    if expected.is_some() && livemode != expected {
        reading.meaning = Meaning::Ignored(IgnoreReason::LivemodeMismatch);
        return Ok(reading);
    }
    if envelope.is_thin() {
        if !thin::is_read(event_type, |name| STRIPE.reader(name).is_some()) {
            return Ok(reading);
        }
        let object = envelope.related(&envelope.scope(livemode)?)?;
        reading.meaning = Meaning::of(envelope.need_time()?, vec![Fact::Unfetched { object }]);
        return Ok(reading);
    }
    let Some(reader) = STRIPE.reader(event_type) else {
        return Ok(reading);
    };

    let at = envelope.need_time()?;
    let data = envelope.data()?;
    let event = Event {
        type_name: event_type,
        at,
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

impl Event<'_> {
    /// The object as it was before the change; `None` if the event does not say.
    fn object_before(&self) -> Option<Value> {
        let mut object = self.object.whole().clone();
        json::put_back(&mut object, self.previous?);
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

    /// The fact that an account has two ids, if the object names both.
    fn account_link(&self) -> Result<Option<Fact>, ReadError> {
        let places = [
            ("customer", Kind::Account),
            ("customer_account", Kind::Account),
        ];
        Ok(link(keys(self, &places)?))
    }

    /// Like [`account`](Self::account), of an object that has to have one.
    fn need_account(&self) -> Result<ObjectKey, ReadError> {
        self.account()?
            .ok_or_else(|| self.object.missing("customer"))
    }
}
