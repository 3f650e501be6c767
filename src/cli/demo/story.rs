//! Who lives through what.

use std::fmt;

use serde_json::Value;

use crate::cli::CliError;
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;

/// The people of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Customer {
    /// Stripe: signs up, renews, fails to pay, recovers, changes plan, cancels.
    Ada,
    /// Stripe: a trial that ends without a card, paused, then resumed.
    Ben,
    /// Paddle: the same ups and downs as Ada's.
    Fay,
    /// Paddle: a trial, a subscription, cancelled at once.
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

    /// The id by which the API finds the customer.
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
    pub(super) provider: Provider,
    pub(super) customer: Customer,
    pub(super) event_type: &'static str,
    pub(super) payload: String,
    /// The status that the customer must have afterwards.
    pub(super) status_after: Option<&'static str>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Webhook(Webhook),
    Release {
        package: &'static str,
        version: &'static str,
    },
    Access {
        customer: Customer,
        package: &'static str,
        version: &'static str,
        code: &'static str,
    },
}

/// A package and the constraint under which it is granted.
type Grant = (&'static str, &'static str);

/// What the prices of the story buy.
pub(super) const PLANS: [(Provider, &str, &[Grant]); 4] = [
    (Provider::Stripe, "price_1TgTeamMonthly0000000001", TEAM),
    (
        Provider::Stripe,
        "price_1TgBusinessMonthly00000001",
        BUSINESS,
    ),
    (Provider::Paddle, "pri_01ktteam000000000000000001", TEAM),
    (Provider::Paddle, "pri_01ktbsns000000000000000001", BUSINESS),
];
const TEAM: &[Grant] = &[("acme/forms", "^1.0")];
const BUSINESS: &[Grant] = &[("acme/forms", "*"), ("acme/charts", "^1.0")];

macro_rules! stripe {
    ($customer:ident, $type:literal, $what:literal) => {
        stripe!($customer, $type, $what, None)
    };
    ($customer:ident, $type:literal, $what:literal, $status:expr) => {
        row(
            Provider::Stripe,
            Customer::$customer,
            $type,
            include_str!(concat!(
                "../../../fixtures/stripe/",
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
            Provider::Paddle,
            Customer::$customer,
            $type,
            include_str!(concat!(
                "../../../fixtures/paddle/",
                $type,
                "--",
                $what,
                ".json"
            )),
            $status,
        )
    };
}

/// Ada's webhooks in the older API version, under Zoe's name.
macro_rules! zoe {
    ($type:literal, $what:literal) => {
        row(
            Provider::Stripe,
            Customer::Zoe,
            $type,
            include_str!(concat!(
                "../../../fixtures/stripe/",
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
    provider: Provider,
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

fn ada() -> Vec<Webhook> {
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
        stripe!(Ada, "invoice.payment_failed", "renewal", SUSPENDED),
        stripe!(Ada, "customer.subscription.updated", "past-due", SUSPENDED),
        stripe!(Ada, "invoice.payment_failed", "second-attempt", SUSPENDED),
        stripe!(Ada, "invoice.paid", "recovered", ACTIVE),
        stripe!(Ada, "customer.subscription.updated", "recovered", ACTIVE),
        stripe!(Ada, "customer.subscription.updated", "plan-change", ACTIVE),
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

fn ben() -> Vec<Webhook> {
    vec![
        stripe!(Ben, "customer.created", "trial"),
        stripe!(Ben, "customer.subscription.created", "trialing", ACTIVE),
        stripe!(Ben, "customer.subscription.paused", "trial-end", SUSPENDED),
        stripe!(Ben, "customer.subscription.resumed", "card-added", ACTIVE),
        stripe!(Ben, "invoice.paid", "after-trial", ACTIVE),
    ]
}

fn fay() -> Vec<Webhook> {
    vec![
        paddle!(Fay, "customer.created", "new"),
        paddle!(Fay, "subscription.created", "active", ACTIVE),
        paddle!(Fay, "transaction.completed", "first-checkout"),
        paddle!(Fay, "subscription.updated", "renewed", ACTIVE),
        paddle!(Fay, "transaction.completed", "renewal"),
        paddle!(Fay, "transaction.payment_failed", "renewal", SUSPENDED),
        paddle!(Fay, "subscription.past_due", "renewal", SUSPENDED),
        paddle!(Fay, "transaction.completed", "recovered", ACTIVE),
        paddle!(Fay, "subscription.updated", "recovered", ACTIVE),
        paddle!(Fay, "subscription.updated", "plan-change", ACTIVE),
        paddle!(Fay, "subscription.updated", "cancel-scheduled", ACTIVE),
        paddle!(Fay, "subscription.canceled", "at-period-end", FROZEN),
    ]
}

fn hal() -> Vec<Webhook> {
    vec![
        paddle!(Hal, "customer.created", "trial"),
        paddle!(Hal, "subscription.created", "trialing", ACTIVE),
        paddle!(Hal, "subscription.activated", "trial-end", ACTIVE),
        paddle!(Hal, "subscription.canceled", "now", FROZEN),
    ]
}

/// Ada's life once more, with ids and addresses of Zoe's.
pub(super) fn ada_again() -> Result<Vec<Webhook>, CliError> {
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
        zoe!("customer.subscription.updated", "cancel-scheduled"),
        zoe!("customer.subscription.updated", "cancel-undone"),
        zoe!("customer.subscription.updated", "cancel-scheduled-again"),
        zoe!("customer.subscription.deleted", "at-period-end"),
    ];
    webhooks.into_iter().map(in_zoes_name).collect()
}

fn in_zoes_name(mut webhook: Webhook) -> Result<Webhook, CliError> {
    let text = webhook
        .payload
        .replace("TgAda", "TgZoe")
        .replace("ada@", "zoe@");
    let mut payload: Value =
        serde_json::from_str(&text).map_err(|error| not_json(&webhook, &error))?;
    // The two versions' fixtures tell of the same events, so their event ids are the same too.
    if let Some(id) = payload["id"].as_str().map(|id| format!("{id}z")) {
        payload["id"] = Value::String(id);
    }
    webhook.payload = payload.to_string();
    Ok(webhook)
}

/// Everything that happens, in the order of time.
pub(super) fn timeline() -> Result<Vec<Scene>, CliError> {
    use Customer::{Ada, Ben, Fay};
    let webhooks = [ada(), ben(), fay(), hal()].into_iter().flatten();
    let mut scenes = webhooks
        .map(|webhook| {
            Ok(Scene {
                at: occurred_at(&webhook)?,
                what: What::Webhook(webhook),
            })
        })
        .collect::<Result<Vec<Scene>, CliError>>()?;
    for (at, package, version) in [
        ("2026-03-01T08:00:00Z", "acme/forms", "1.0.0"),
        ("2026-03-01T08:00:01Z", "acme/charts", "1.0.0"),
        ("2026-05-15T08:00:00Z", "acme/forms", "2.0.0"),
        ("2026-06-15T08:00:00Z", "acme/forms", "2.1.0"),
    ] {
        scenes.push(Scene {
            at: instant(at)?,
            what: What::Release { package, version },
        });
    }
    for (at, customer, package, version, code) in [
        ("2026-03-02T12:00:00Z", Ada, "acme/forms", "1.0.0", "ok"),
        (
            "2026-03-02T12:00:01Z",
            Ada,
            "acme/forms",
            "2.0.0",
            "version_not_allowed",
        ),
        (
            "2026-03-02T12:00:02Z",
            Ada,
            "acme/charts",
            "1.0.0",
            "package_not_granted",
        ),
        (
            "2026-03-17T12:00:00Z",
            Ben,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        ("2026-03-18T12:00:00Z", Ben, "acme/forms", "1.0.0", "ok"),
        (
            "2026-05-02T12:00:00Z",
            Ada,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        (
            "2026-05-09T12:00:00Z",
            Fay,
            "acme/forms",
            "1.0.0",
            "customer_suspended",
        ),
        ("2026-05-16T12:00:00Z", Ada, "acme/forms", "2.0.0", "ok"),
        ("2026-05-16T12:00:01Z", Fay, "acme/charts", "1.0.0", "ok"),
    ] {
        let what = What::Access {
            customer,
            package,
            version,
            code,
        };
        scenes.push(Scene {
            at: instant(at)?,
            what,
        });
    }
    scenes.sort_by_key(|scene| scene.at);
    Ok(scenes)
}

/// What must be let through at the end, and what not: package, version, code.
pub(super) fn last_checks(
    customer: Customer,
) -> &'static [(&'static str, &'static str, &'static str)] {
    match customer {
        Customer::Ada | Customer::Fay | Customer::Zoe => &[
            ("acme/forms", "2.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_frozen"),
        ],
        Customer::Ben => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.1.0", "version_not_allowed"),
        ],
        Customer::Hal => &[
            ("acme/forms", "1.0.0", "ok"),
            ("acme/forms", "2.0.0", "version_not_allowed"),
        ],
    }
}

fn occurred_at(webhook: &Webhook) -> Result<Timestamp, CliError> {
    let payload: Value =
        serde_json::from_str(&webhook.payload).map_err(|error| not_json(webhook, &error))?;
    let at = match webhook.provider {
        Provider::Stripe => payload["created"]
            .as_i64()
            .and_then(Timestamp::from_seconds),
        Provider::Paddle => payload["occurred_at"].as_str().and_then(Timestamp::parse),
    };
    at.ok_or_else(|| CliError::Demo(format!("the payload of {} has no time", webhook.event_type)))
}

fn not_json(webhook: &Webhook, error: &serde_json::Error) -> CliError {
    CliError::Demo(format!(
        "the payload of {} is not JSON: {error}",
        webhook.event_type
    ))
}

fn instant(text: &str) -> Result<Timestamp, CliError> {
    Timestamp::parse(text).ok_or_else(|| CliError::Demo(format!("`{text}` is no time")))
}
