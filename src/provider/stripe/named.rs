//! The ids that a Stripe event names, whether or not it can be read.

use super::super::head;
use super::super::named::{Found, Named, Places};
use super::envelope::Envelope;
use crate::domain::id::Kind;
use crate::domain::mode::Mode;

/// The fields of Stripe's objects that refer to others which have a page of their own in its
/// dashboard: <https://docs.stripe.com/api>.
const PLACES: Places = Places {
    top: 2,
    references: &[
        "charge",
        "checkout_session",
        "credit_note",
        "customer",
        "customer_account",
        "dispute",
        "invoice",
        "latest_charge",
        "latest_invoice",
        "payment_intent",
        "payment_link",
        "payout",
        "quote",
        "refund",
        "schedule",
        "setup_intent",
        "subscription",
        "transfer",
    ],
    containers: &[
        "charges",
        "data",
        "object",
        "parent",
        "payment",
        "payments",
        "refunds",
        "subscription_details",
    ],
};

/// What an event names. `text` is a JSON object.
pub(super) fn named(text: &str, event_type: &str, mode: Mode) -> Named {
    let Ok(envelope) = head::parse::<Envelope<'_>>(text) else {
        return Named::default();
    };
    let livemode = envelope.livemode().or(mode.livemode());
    let scope = envelope.scope(livemode);
    if envelope.is_thin() {
        let related = scope.and_then(|scope| envelope.related(&scope));
        let related = related.ok().filter(|key| key.kind != Kind::Event);
        let account = related.clone().filter(|key| key.kind == Kind::Account);
        let ids = related.into_iter().map(|key| key.id).collect();
        return Named { account, ids };
    }
    let found = Found::within(envelope.raw_data(), PLACES);
    let is_customer = match &found.kind {
        Some(kind) => kind == "customer",
        None => matches!(
            event_type,
            "customer.created" | "customer.updated" | "customer.deleted"
        ),
    };
    let own: &[&str] = if is_customer {
        &["id"]
    } else {
        &["customer", "customer_account"]
    };
    let account = scope.ok().zip(found.top(own));
    Named {
        account: account.map(|(scope, id)| scope.key(Kind::Account, id)),
        ids: found.into_ids(),
    }
}
