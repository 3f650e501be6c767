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

/// A row is a provider, a type, the middle of the sample's file name if there is a sample, and
/// what the type says.
macro_rules! table {
    ($($provider:ident $event_type:literal $($what:literal)? => $says:literal;)*) => {
        &[$(EventType {
            provider: table!(@ $provider),
            event_type: $event_type,
            says: $says,
            sample: table!(@ $provider $event_type $($what)?),
        }),*]
    };
    (@ Stripe) => { super::STRIPE.name };
    (@ Paddle) => { super::PADDLE.name };
    (@ $provider:ident $event_type:literal) => { None };
    (@ Stripe $event_type:literal $what:literal) => {
        table!(@ "stripe/" $event_type $what "--2025-11-17.clover.json")
    };
    (@ Paddle $event_type:literal $what:literal) => {
        table!(@ "paddle/" $event_type $what ".json")
    };
    (@ $folder:literal $event_type:literal $what:literal $end:literal) => {
        Some(include_str!(concat!("../../fixtures/", $folder, $event_type, "--", $what, $end)))
    };
}

/// All types that are read, provider by provider, the most telling first.
pub const TYPES: &[EventType] = table! {
    Stripe "customer.created" "new" => "a billing account and its contact";
    Stripe "customer.updated" "email" => "a changed contact";
    Stripe "customer.deleted" "by-seller" => "the account and its subscriptions end";
    Stripe "customer.subscription.created" "active" => "a subscription begins";
    Stripe "customer.subscription.updated" "plan-change" => "status, items, period or a scheduled end change";
    Stripe "customer.subscription.deleted" "at-period-end" => "a subscription has ended";
    Stripe "customer.subscription.paused" "trial-end" => "a trial ended without a payment method";
    Stripe "customer.subscription.resumed" "card-added" => "a paused subscription goes on";
    Stripe "invoice.paid" "renewal" => "a subscription was paid";
    Stripe "invoice.payment_failed" "renewal" => "a renewal failed";
    Stripe "checkout.session.completed" "subscription" => "a new subscriber's account and contact";
    Stripe "charge.refunded" "full" => "a refund of the whole charge";
    Stripe "charge.dispute.created" "chargeback" => "a dispute or an inquiry is opened";
    Stripe "charge.dispute.updated" "under-review" => "how a dispute stands";
    Stripe "charge.dispute.closed" "lost" => "a dispute is lost, won or dropped";
    Stripe "charge.dispute.funds_withdrawn" "chargeback" => "how a dispute stands";
    Stripe "charge.dispute.funds_reinstated" "won" => "how a dispute stands";
    Stripe "charge.succeeded" "first-payment" => "which ids belong together";
    Stripe "payment_intent.succeeded" "first-payment" => "which ids belong together";
    Stripe "refund.created" "part" => "which ids belong together";
    Stripe "refund.updated" => "which ids belong together";
    Stripe "refund.failed" => "which ids belong together";
    Stripe "charge.refund.updated" => "which ids belong together";
    Paddle "customer.created" "new" => "a billing account and its contact";
    Paddle "customer.imported" "moved" => "a billing account and its contact";
    Paddle "customer.updated" "email" => "a changed contact";
    Paddle "business.created" "company" => "a company's name, while nothing better is known";
    Paddle "business.imported" => "a company's name, while nothing better is known";
    Paddle "business.updated" => "a company's name, while nothing better is known";
    Paddle "subscription.created" "active" => "a subscription begins";
    Paddle "subscription.imported" "moved" => "a subscription begins";
    Paddle "subscription.activated" "new" => "a subscription is active";
    Paddle "subscription.trialing" "new" => "a trial begins";
    Paddle "subscription.updated" "plan-change" => "status, items, period or a scheduled end change";
    Paddle "subscription.past_due" "renewal" => "a renewal failed";
    Paddle "subscription.paused" "at-period-end" => "a subscription pauses";
    Paddle "subscription.resumed" "by-customer" => "a paused subscription goes on";
    Paddle "subscription.canceled" "at-period-end" => "a subscription has ended";
    Paddle "transaction.completed" "renewal" => "a subscription was paid";
    Paddle "transaction.payment_failed" "renewal" => "a renewal failed";
    Paddle "transaction.past_due" "renewal" => "a renewal failed";
    Paddle "transaction.created" "renewal" => "which ids belong together";
    Paddle "transaction.ready" "first-checkout" => "which ids belong together";
    Paddle "transaction.billed" "renewal" => "which ids belong together";
    Paddle "transaction.paid" "first-checkout" => "which ids belong together";
    Paddle "transaction.canceled" => "which ids belong together";
    Paddle "transaction.updated" "first-checkout" => "which ids belong together";
    Paddle "transaction.revised" => "which ids belong together";
    Paddle "adjustment.created" "chargeback" => "a refund or a dispute";
    Paddle "adjustment.updated" "refund-approved" => "a refund or a dispute";
};

/// The types of a provider that are read.
pub fn types(provider: Provider) -> impl Iterator<Item = &'static EventType> {
    TYPES.iter().filter(move |row| row.provider == provider)
}

/// A sample payload of a type; `None` for types that are not read or have none.
pub fn sample(provider: Provider, event_type: &str) -> Option<&'static str> {
    types(provider)
        .find(|row| row.event_type == event_type)?
        .sample
}
