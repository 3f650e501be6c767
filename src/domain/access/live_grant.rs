//! What a customer may have now: packages, each with its source and how far it reaches.

use super::hand_grant::{GrantBilling, HandGrant};
use super::plan::{Entitlement, PackageGrant, Plans, grants};
use crate::domain::customer::row::{Derived, Status};
use crate::domain::id::{ObjectKey, Provider};
use crate::domain::time::Timestamp;

/// A package that something gives a customer now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveGrant {
    /// The package and its versions.
    pub grant: PackageGrant,
    /// Only what was released until then; `None`: everything.
    pub until: Option<Timestamp>,
    /// The source.
    pub source: GrantSource,
}

/// The source of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantSource {
    /// An admin gave it.
    Hand {
        /// The effect of billing on it.
        billing: GrantBilling,
        /// The time at which it runs out, by the local clock.
        expires_at: Option<Timestamp>,
        /// The time at which it was given or changed, by the local clock.
        created_at: Timestamp,
    },
    /// A price buys it.
    Plan {
        /// The provider that bills.
        provider: Provider,
        /// The price.
        price: String,
        /// The subscription, or the document of the payment by which it was bought once.
        source: ObjectKey,
    },
}

impl LiveGrant {
    /// Makes it of a grant by hand, unless that has run out.
    pub fn of_hand(
        it: &HandGrant,
        created_at: Timestamp,
        derived: &Derived,
        now: Timestamp,
    ) -> Option<Self> {
        it.is_live(now).then(|| Self {
            grant: it.grant.clone(),
            until: earlier(None, derived),
            source: GrantSource::Hand {
                billing: it.billing,
                expires_at: it.expires_at,
                created_at,
            },
        })
    }

    /// Makes them of a price, one for each package of its plan.
    pub fn of_price(it: &Entitlement, plans: &Plans, derived: &Derived) -> Vec<Self> {
        let packages = grants(plans, it).unwrap_or_default();
        let live = packages.iter().map(|grant| Self {
            grant: grant.clone(),
            until: earlier(it.until, derived),
            source: GrantSource::Plan {
                provider: it.provider,
                price: it.price.clone(),
                source: it.source.clone(),
            },
        });
        live.collect()
    }
}

/// Returns how far something reaches that is given: to a frozen customer not further than the customer
/// does.
pub fn earlier(until: Option<Timestamp>, derived: &Derived) -> Option<Timestamp> {
    let frozen_at = match derived.status {
        Status::Frozen { at } => Some(at),
        Status::Active | Status::Suspended | Status::Expired => None,
    };
    until.into_iter().chain(frozen_at).min()
}
