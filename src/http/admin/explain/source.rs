//! The sources of access in an explanation.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::access::hand_grant::GrantBilling;
use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::explain::{GivenPackage, PaidUntil, SourceCause, Uncounted};
use crate::domain::id::Provider;
use crate::http::api::time;
use crate::http::openapi::words;

/// A source of access and how it counts. A grant by hand that follows billing is listed too,
/// although it gives what it gives by the other sources.
#[derive(Serialize, ToSchema)]
#[schema(as = SourceCause)]
pub(super) struct SourceView {
    #[schema(schema_with = words::source_kind)]
    kind: &'static str,
    /// The provider that bills; null for a grant by hand.
    #[schema(schema_with = words::provider_or_null)]
    provider: Option<Provider>,
    /// The id of the subscription, or of the document by which something was bought (invoice,
    /// payment intent, Checkout session or transaction); of a grant by hand the package.
    id: String,
    /// Null for a grant by hand.
    livemode: Option<bool>,
    /// The billing account that pays.
    account: Option<String>,
    /// Its verdict under the policy, disputes and refunds included; null if it does not count.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    /// The reason of a verdict other than `good`: `payment_failed`, `collection_paused`, `overdue`,
    /// `subscription_paused`, `subscription_ended`, `updates_ended`, `dispute_open`, `dispute_lost`,
    /// `full_refund` or `grant_expired`.
    reason: Option<&'static str>,
    /// The start of what the reason says.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// The reason for which it does not count.
    #[schema(schema_with = words::uncounted)]
    uncounted: Option<&'static str>,
    /// The packages that it gives the customer now.
    gives: Vec<GivenView>,
    /// The products of which it gives the customer a licence now.
    licenses: Vec<String>,
    /// The time until which each price of a subscription is paid, as far as payments show.
    paid_until: Vec<PaidUntilView>,
    /// True if nobody ever paid for it.
    never_paid: bool,
    /// The disputes and refunded payments that hold it or have ended it.
    held_by: Vec<String>,
    /// The effect of billing on a grant by hand; null for other sources.
    #[schema(schema_with = words::grant_billing_or_null)]
    billing: Option<&'static str>,
    /// The time at which a grant by hand runs out.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The time at which a timer changes this.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The reason for this, in a sentence.
    because: String,
}

/// A package that a source gives.
#[derive(Serialize, ToSchema)]
#[schema(as = GivenPackage)]
struct GivenView {
    package: String,
    constraint: String,
    /// The price whose plan includes it; null for a grant by hand.
    price: Option<String>,
    /// Only what was released until then; null for everything.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// A price and the time until which it is paid.
#[derive(Serialize, ToSchema)]
#[schema(as = PaidUntil)]
struct PaidUntilView {
    price: String,
    #[schema(format = DateTime)]
    until: String,
}

impl From<SourceCause> for SourceView {
    fn from(it: SourceCause) -> Self {
        Self {
            kind: it.kind.as_str(),
            provider: it.provider,
            id: it.id,
            livemode: it.livemode,
            account: it.account,
            verdict: it.verdict.map(Verdict::as_str),
            reason: it.reason,
            since: time(it.since),
            uncounted: it.uncounted.map(Uncounted::as_str),
            gives: it.gives.into_iter().map(GivenView::from).collect(),
            licenses: it.licenses.into_iter().collect(),
            paid_until: it.paid_until.into_iter().map(PaidUntilView::from).collect(),
            never_paid: it.never_paid,
            held_by: it.held_by,
            billing: it.billing.map(GrantBilling::as_str),
            expires_at: time(it.expires_at),
            due_at: time(it.due_at),
            because: it.because,
        }
    }
}

impl From<GivenPackage> for GivenView {
    fn from(it: GivenPackage) -> Self {
        Self {
            package: it.grant.package,
            constraint: it.grant.constraint,
            price: it.price,
            until: time(it.until),
        }
    }
}

impl From<PaidUntil> for PaidUntilView {
    fn from(it: PaidUntil) -> Self {
        Self {
            price: it.price,
            until: it.until.to_string(),
        }
    }
}
