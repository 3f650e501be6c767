//! Packages of customers as answers show them, each with its source.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::time;
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::live_grant::{GrantSource, LiveGrant};
use crate::domain::customer::row::Customer;
use crate::domain::id::Kind;
use crate::http::openapi::words;
use crate::store::{GivenGrant, Granted};

/// The origin of a grant: by hand, or by a plan.
fn grant_source() -> Object {
    words::one_of(["manual", "plan"])
}

/// A package that a customer may have, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerPackage)]
pub(in crate::http) struct PackageView {
    pub(in crate::http) package: String,
    constraint: String,
    /// By hand, or by a plan.
    #[schema(schema_with = grant_source)]
    source: &'static str,
    /// Only for grants of a plan.
    #[schema(examples("stripe"))]
    provider: Option<String>,
    /// Only for grants of a plan.
    price_id: Option<String>,
    /// The subscription that pays for a plan.
    subscription_id: Option<String>,
    /// The invoice, transaction or Checkout session by which a plan was bought once.
    payment_id: Option<String>,
    /// Only what was released until then is included; null: every version.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Only for grants by hand: what billing means for it.
    #[schema(schema_with = words::grant_billing_or_null)]
    billing: Option<&'static str>,
    /// Only for grants by hand: the time at which it runs out; null: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Only for grants by hand: the time of the grant.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

impl PackageView {
    pub(in crate::http) fn key(&self) -> String {
        let Self {
            package,
            constraint,
            price_id,
            subscription_id,
            payment_id,
            ..
        } = self;
        format!("{package} {constraint} {price_id:?} {subscription_id:?} {payment_id:?}")
    }
}

impl From<GivenGrant> for PackageView {
    fn from(given: GivenGrant) -> Self {
        let HandGrant {
            grant,
            billing,
            expires_at,
        } = given.grant;
        let source = GrantSource::Hand {
            billing,
            expires_at,
            created_at: given.created_at,
        };
        Self::from(LiveGrant {
            grant,
            until: None,
            source,
        })
    }
}

impl From<LiveGrant> for PackageView {
    fn from(live: LiveGrant) -> Self {
        let mut view = Self {
            package: live.grant.package,
            constraint: live.grant.constraint,
            source: "manual",
            provider: None,
            price_id: None,
            subscription_id: None,
            payment_id: None,
            until: time(live.until),
            billing: None,
            expires_at: None,
            created_at: None,
        };
        match live.source {
            GrantSource::Hand {
                billing,
                expires_at,
                created_at,
            } => {
                view.billing = Some(billing.as_str());
                view.expires_at = time(expires_at);
                view.created_at = Some(created_at.to_string());
            }
            GrantSource::Plan {
                provider,
                price,
                source,
            } => {
                view.source = "plan";
                view.provider = Some(provider.into());
                view.price_id = Some(price);
                if source.kind == Kind::Subscription {
                    view.subscription_id = Some(source.id);
                } else {
                    view.payment_id = Some(source.id);
                }
            }
        }
        view
    }
}

/// Everything that gives a customer packages now, by package.
pub(in crate::http) fn packages_of(customer: &Customer, granted: &Granted) -> Vec<PackageView> {
    views_of(granted.of(customer))
}

/// Grants as they are shown, by package.
pub(in crate::http) fn views_of(live: Vec<LiveGrant>) -> Vec<PackageView> {
    let mut packages: Vec<PackageView> = live.into_iter().map(PackageView::from).collect();
    packages.sort_by_key(PackageView::key);
    packages
}
