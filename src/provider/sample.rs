//! The event types that are read, each with a sample where there is one.
//!
//! `trigger` posts the samples and the documentation lists the types; a test holds the table
//! against the readers. Of several API versions the sample has the newest that the fixtures have.

use crate::domain::id::Provider;

/// An event type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    /// Whose type it is.
    pub provider: Provider,
    /// The provider's name for it.
    pub event_type: &'static str,
    /// What it says.
    pub says: &'static str,
    /// A payload of the type, as the provider would post it.
    pub sample: Option<&'static str>,
}

/// One row of the table. The sample is named as its file is, without the end of the name, which
/// for Stripe is the API version.
macro_rules! row {
    (stripe, $name:literal, $says:literal) => {
        EventType {
            provider: Provider::Stripe,
            event_type: $name,
            says: $says,
            sample: None,
        }
    };
    (paddle, $name:literal, $says:literal) => {
        EventType {
            provider: Provider::Paddle,
            event_type: $name,
            says: $says,
            sample: None,
        }
    };
    (stripe, $name:literal, $says:literal, $what:literal) => {
        EventType {
            sample: Some(include_str!(concat!(
                "../../fixtures/stripe/",
                $name,
                "--",
                $what,
                "--2025-11-17.clover.json"
            ))),
            ..row!(stripe, $name, $says)
        }
    };
    (paddle, $name:literal, $says:literal, $what:literal) => {
        EventType {
            sample: Some(include_str!(concat!(
                "../../fixtures/paddle/",
                $name,
                "--",
                $what,
                ".json"
            ))),
            ..row!(paddle, $name, $says)
        }
    };
}

/// All types that are read, provider by provider, the most telling first.
pub const TYPES: &[EventType] = &[
    row!(
        stripe,
        "customer.created",
        "a billing account and its contact",
        "new"
    ),
    row!(stripe, "customer.updated", "a changed contact", "email"),
    row!(
        stripe,
        "customer.deleted",
        "the account and its subscriptions end",
        "by-seller"
    ),
    row!(
        stripe,
        "customer.subscription.created",
        "a subscription begins",
        "active"
    ),
    row!(
        stripe,
        "customer.subscription.updated",
        "status, items, period or a scheduled end change",
        "plan-change"
    ),
    row!(
        stripe,
        "customer.subscription.deleted",
        "a subscription has ended",
        "at-period-end"
    ),
    row!(
        stripe,
        "customer.subscription.paused",
        "a trial ended without a payment method",
        "trial-end"
    ),
    row!(
        stripe,
        "customer.subscription.resumed",
        "a paused subscription goes on",
        "card-added"
    ),
    row!(stripe, "invoice.paid", "a subscription was paid", "renewal"),
    row!(
        stripe,
        "invoice.payment_failed",
        "a renewal failed",
        "renewal"
    ),
    row!(
        stripe,
        "checkout.session.completed",
        "a new subscriber's account and contact",
        "subscription"
    ),
    row!(
        stripe,
        "charge.refunded",
        "a refund of the whole charge",
        "full"
    ),
    row!(
        stripe,
        "charge.dispute.created",
        "a dispute or an inquiry is opened",
        "chargeback"
    ),
    row!(
        stripe,
        "charge.dispute.updated",
        "how a dispute stands",
        "under-review"
    ),
    row!(
        stripe,
        "charge.dispute.closed",
        "a dispute is lost, won or dropped",
        "lost"
    ),
    row!(
        stripe,
        "charge.dispute.funds_withdrawn",
        "how a dispute stands",
        "chargeback"
    ),
    row!(
        stripe,
        "charge.dispute.funds_reinstated",
        "how a dispute stands",
        "won"
    ),
    row!(
        stripe,
        "charge.succeeded",
        "which ids belong together",
        "first-payment"
    ),
    row!(
        stripe,
        "payment_intent.succeeded",
        "which ids belong together",
        "first-payment"
    ),
    row!(
        stripe,
        "refund.created",
        "which ids belong together",
        "part"
    ),
    row!(stripe, "refund.updated", "which ids belong together"),
    row!(stripe, "refund.failed", "which ids belong together"),
    row!(stripe, "charge.refund.updated", "which ids belong together"),
    row!(
        paddle,
        "customer.created",
        "a billing account and its contact",
        "new"
    ),
    row!(
        paddle,
        "customer.imported",
        "a billing account and its contact",
        "moved"
    ),
    row!(paddle, "customer.updated", "a changed contact", "email"),
    row!(
        paddle,
        "business.created",
        "a company's name, while nothing better is known",
        "company"
    ),
    row!(
        paddle,
        "business.imported",
        "a company's name, while nothing better is known"
    ),
    row!(
        paddle,
        "business.updated",
        "a company's name, while nothing better is known"
    ),
    row!(
        paddle,
        "subscription.created",
        "a subscription begins",
        "active"
    ),
    row!(
        paddle,
        "subscription.imported",
        "a subscription begins",
        "moved"
    ),
    row!(
        paddle,
        "subscription.activated",
        "a subscription is active",
        "new"
    ),
    row!(paddle, "subscription.trialing", "a trial begins", "new"),
    row!(
        paddle,
        "subscription.updated",
        "status, items, period or a scheduled end change",
        "plan-change"
    ),
    row!(
        paddle,
        "subscription.past_due",
        "a renewal failed",
        "renewal"
    ),
    row!(
        paddle,
        "subscription.paused",
        "a subscription pauses",
        "at-period-end"
    ),
    row!(
        paddle,
        "subscription.resumed",
        "a paused subscription goes on",
        "by-customer"
    ),
    row!(
        paddle,
        "subscription.canceled",
        "a subscription has ended",
        "at-period-end"
    ),
    row!(
        paddle,
        "transaction.completed",
        "a subscription was paid",
        "renewal"
    ),
    row!(
        paddle,
        "transaction.payment_failed",
        "a renewal failed",
        "renewal"
    ),
    row!(
        paddle,
        "transaction.past_due",
        "a renewal failed",
        "renewal"
    ),
    row!(
        paddle,
        "transaction.created",
        "which ids belong together",
        "draft"
    ),
    row!(
        paddle,
        "transaction.ready",
        "which ids belong together",
        "first-checkout"
    ),
    row!(
        paddle,
        "transaction.billed",
        "which ids belong together",
        "renewal"
    ),
    row!(
        paddle,
        "transaction.paid",
        "which ids belong together",
        "first-checkout"
    ),
    row!(paddle, "transaction.canceled", "which ids belong together"),
    row!(
        paddle,
        "transaction.updated",
        "which ids belong together",
        "first-checkout"
    ),
    row!(paddle, "transaction.revised", "which ids belong together"),
    row!(
        paddle,
        "adjustment.created",
        "a refund or a dispute",
        "chargeback"
    ),
    row!(
        paddle,
        "adjustment.updated",
        "a refund or a dispute",
        "refund-approved"
    ),
];

/// The types of a provider that are read.
pub fn types(provider: Provider) -> impl Iterator<Item = &'static EventType> {
    TYPES.iter().filter(move |row| row.provider == provider)
}

/// A sample payload of a type; `None` for types that are not read or have none.
pub fn sample(provider: Provider, event_type: &str) -> Option<&'static str> {
    types(provider).find(|row| row.event_type == event_type)?.sample
}
