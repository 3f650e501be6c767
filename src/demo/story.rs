//! The people of the story and their webhooks.

use std::fmt;

use serde_json::Value;

use super::error::DemoError;
use crate::provider::{PADDLE, STRIPE, Spec};

/// The people of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Customer {
    /// Stripe: signs up, renews, fails to pay, recovers, changes plan, cancels.
    Ada,
    /// Stripe: a trial that ends without a card, paused, then resumed.
    Ben,
    /// Paddle: the same ups and downs as Ada's.
    Fay,
    /// Paddle: a trial, a subscription paid once, cancelled at once.
    Hal,
    /// Stripe: Ada's life, told in disorder.
    Zoe,
}

impl Customer {
    pub(super) const ALL: [Self; 5] = [Self::Ada, Self::Ben, Self::Fay, Self::Hal, Self::Zoe];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ada => "Ada",
            Self::Ben => "Ben",
            Self::Fay => "Fay",
            Self::Hal => "Hal",
            Self::Zoe => "Zoe",
        }
    }

    /// Returns the id by which the API finds the customer.
    pub(super) const fn external_id(self) -> &'static str {
        match self {
            Self::Ada => "stripe_cus_TgAda0000000001",
            Self::Ben => "stripe_cus_TgBen0000000001",
            Self::Fay => "paddle_ctm_01ktfay0000000000000000001",
            Self::Hal => "paddle_ctm_01kthaz0000000000000000001",
            Self::Zoe => "stripe_cus_TgZoe0000000001",
        }
    }
}

impl fmt::Display for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A webhook of the story.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) provider: &'static Spec,
    pub(super) customer: Customer,
    pub(super) event_type: &'static str,
    pub(super) payload: String,
    /// The status that the customer must have afterwards.
    pub(super) status_after: Option<&'static str>,
}

/// A package and the constraint under which it is granted.
type Grant = (&'static str, &'static str);

/// The packages that each price of the story buys.
pub(super) const PLANS: [(&Spec, &str, &[Grant]); 4] = [
    (STRIPE, "price_1TgTeamMonthly0000000001", TEAM),
    (STRIPE, "price_1TgBusinessMonthly00000001", BUSINESS),
    (PADDLE, "pri_01ktteam000000000000000001", TEAM),
    (PADDLE, "pri_01ktbsns000000000000000001", BUSINESS),
];
const TEAM: &[Grant] = &[("acme/forms", "^1.0")];
const BUSINESS: &[Grant] = &[("acme/forms", "*"), ("acme/charts", "^1.0")];

macro_rules! stripe {
    ($customer:ident, $type:literal, $what:literal) => {
        stripe!($customer, $type, $what, None)
    };
    ($customer:ident, $type:literal, $what:literal, $status:expr) => {
        row(
            STRIPE,
            Customer::$customer,
            $type,
            include_str!(concat!(
                "../../fixtures/stripe/",
                $type,
                "--",
                $what,
                "--2025-11-17.clover.json"
            )),
            $status,
        )
    };
}

macro_rules! paddle {
    ($customer:ident, $type:literal, $what:literal) => {
        paddle!($customer, $type, $what, None)
    };
    ($customer:ident, $type:literal, $what:literal, $status:expr) => {
        row(
            PADDLE,
            Customer::$customer,
            $type,
            include_str!(concat!(
                "../../fixtures/paddle/",
                $type,
                "--",
                $what,
                ".json"
            )),
            $status,
        )
    };
}

/// One of Ada's webhooks in the older API version, under Zoe's name.
macro_rules! zoe {
    ($type:literal, $what:literal) => {
        row(
            STRIPE,
            Customer::Zoe,
            $type,
            include_str!(concat!(
                "../../fixtures/stripe/",
                $type,
                "--",
                $what,
                "--2024-06-20.json"
            )),
            None,
        )
    };
}

type Status = Option<&'static str>;

fn row(
    provider: &'static Spec,
    customer: Customer,
    event_type: &'static str,
    payload: &str,
    status_after: Status,
) -> Webhook {
    Webhook {
        provider,
        customer,
        event_type,
        payload: payload.to_owned(),
        status_after,
    }
}

const ACTIVE: Status = Some("active");
const SUSPENDED: Status = Some("suspended");
const FROZEN: Status = Some("frozen");

pub(super) fn ada() -> Vec<Webhook> {
    vec![
        stripe!(Ada, "customer.created", "new"),
        stripe!(Ada, "customer.subscription.created", "active", ACTIVE),
        stripe!(Ada, "invoice.paid", "first-payment"),
        stripe!(Ada, "checkout.session.completed", "subscription"),
        stripe!(Ada, "customer.updated", "email"),
        stripe!(Ada, "customer.subscription.updated", "renewed", ACTIVE),
        stripe!(Ada, "invoice.paid", "renewal"),
        stripe!(
            Ada,
            "customer.subscription.updated",
            "second-renewal",
            ACTIVE
        ),
        stripe!(Ada, "invoice.payment_failed", "renewal", ACTIVE),
        stripe!(Ada, "customer.subscription.updated", "past-due", SUSPENDED),
        stripe!(Ada, "invoice.payment_failed", "second-attempt", SUSPENDED),
        stripe!(Ada, "invoice.paid", "recovered", ACTIVE),
        stripe!(Ada, "customer.subscription.updated", "recovered", ACTIVE),
        stripe!(Ada, "customer.subscription.updated", "plan-change", ACTIVE),
        stripe!(Ada, "invoice.paid", "plan-change"),
        stripe!(
            Ada,
            "customer.subscription.updated",
            "cancel-scheduled",
            ACTIVE
        ),
        stripe!(
            Ada,
            "customer.subscription.updated",
            "cancel-undone",
            ACTIVE
        ),
        stripe!(
            Ada,
            "customer.subscription.updated",
            "cancel-scheduled-again",
            ACTIVE
        ),
        stripe!(
            Ada,
            "customer.subscription.deleted",
            "at-period-end",
            FROZEN
        ),
    ]
}

pub(super) fn ben() -> Vec<Webhook> {
    vec![
        stripe!(Ben, "customer.created", "trial"),
        stripe!(Ben, "customer.subscription.created", "trialing", ACTIVE),
        stripe!(Ben, "customer.subscription.paused", "trial-end", SUSPENDED),
        stripe!(Ben, "customer.subscription.resumed", "card-added", ACTIVE),
        stripe!(Ben, "invoice.paid", "after-trial", ACTIVE),
    ]
}

pub(super) fn fay() -> Vec<Webhook> {
    vec![
        paddle!(Fay, "customer.created", "new"),
        paddle!(Fay, "subscription.created", "active", ACTIVE),
        paddle!(Fay, "transaction.completed", "first-checkout"),
        paddle!(Fay, "subscription.updated", "renewed", ACTIVE),
        paddle!(Fay, "transaction.completed", "renewal"),
        paddle!(Fay, "transaction.payment_failed", "renewal", ACTIVE),
        paddle!(Fay, "subscription.past_due", "renewal", SUSPENDED),
        paddle!(Fay, "transaction.completed", "recovered", ACTIVE),
        paddle!(Fay, "subscription.updated", "recovered", ACTIVE),
        paddle!(Fay, "subscription.updated", "plan-change", ACTIVE),
        paddle!(Fay, "subscription.updated", "cancel-scheduled", ACTIVE),
        paddle!(Fay, "subscription.canceled", "at-period-end", FROZEN),
    ]
}

pub(super) fn hal() -> Vec<Webhook> {
    vec![
        paddle!(Hal, "customer.created", "trial"),
        paddle!(Hal, "subscription.created", "trialing", ACTIVE),
        paddle!(Hal, "subscription.activated", "trial-end", ACTIVE),
        paddle!(Hal, "transaction.completed", "trial-end", ACTIVE),
        paddle!(Hal, "subscription.canceled", "now", FROZEN),
    ]
}

/// Returns Ada's webhooks again, with Zoe's ids and addresses.
pub(super) fn ada_again() -> Result<Vec<Webhook>, DemoError> {
    let webhooks = vec![
        zoe!("customer.created", "new"),
        zoe!("customer.subscription.created", "active"),
        zoe!("invoice.paid", "first-payment"),
        zoe!("checkout.session.completed", "subscription"),
        zoe!("customer.updated", "email"),
        zoe!("customer.subscription.updated", "renewed"),
        zoe!("invoice.paid", "renewal"),
        zoe!("customer.subscription.updated", "second-renewal"),
        zoe!("invoice.payment_failed", "renewal"),
        zoe!("customer.subscription.updated", "past-due"),
        zoe!("invoice.payment_failed", "second-attempt"),
        zoe!("invoice.paid", "recovered"),
        zoe!("customer.subscription.updated", "recovered"),
        zoe!("customer.subscription.updated", "plan-change"),
        zoe!("invoice.paid", "plan-change"),
        zoe!("customer.subscription.updated", "cancel-scheduled"),
        zoe!("customer.subscription.updated", "cancel-undone"),
        zoe!("customer.subscription.updated", "cancel-scheduled-again"),
        zoe!("customer.subscription.deleted", "at-period-end"),
    ];
    webhooks.into_iter().map(in_zoes_name).collect()
}

fn in_zoes_name(mut webhook: Webhook) -> Result<Webhook, DemoError> {
    let text = webhook
        .payload
        .replace("TgAda", "TgZoe")
        .replace("ada@", "zoe@");
    let mut payload: Value =
        serde_json::from_str(&text).map_err(|error| not_json(&webhook, &error))?;
    // The fixtures of both versions describe the same events, so their event ids are the same too.
    if let Some(id) = payload["id"].as_str().map(|id| format!("{id}z")) {
        payload["id"] = Value::String(id);
    }
    webhook.payload = payload.to_string();
    Ok(webhook)
}

pub(super) fn not_json(webhook: &Webhook, error: &serde_json::Error) -> DemoError {
    DemoError::Wrong(format!(
        "the payload of {} is not JSON: {error}",
        webhook.event_type
    ))
}
