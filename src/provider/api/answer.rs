//! What can be asked, and what comes back.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::id::{Kind, Provider};
use crate::domain::time::Timestamp;
use crate::provider::STRIPE;

/// The objects that a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listed {
    /// Billing accounts.
    Customers,
    /// Subscriptions, ended ones too.
    Subscriptions,
    /// Stripe's invoices, Paddle's transactions.
    Payments,
    /// Disputes. Paddle's are adjustments.
    Disputes,
    /// Refunds; Paddle's adjustments of all kinds.
    Refunds,
    /// Events.
    Events,
}

impl Listed {
    /// Returns the list that has objects of a kind; `None` if no list of these has.
    pub const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Account => Some(Self::Customers),
            Kind::Subscription => Some(Self::Subscriptions),
            Kind::Invoice | Kind::Transaction => Some(Self::Payments),
            Kind::Dispute => Some(Self::Disputes),
            Kind::Refund | Kind::Adjustment => Some(Self::Refunds),
            Kind::Event => Some(Self::Events),
            _ => None,
        }
    }

    /// Returns the kind of the objects of a provider's list.
    pub fn kind(self, provider: Provider) -> Kind {
        let is_stripe = provider == STRIPE.name;
        match self {
            Self::Customers => Kind::Account,
            Self::Subscriptions => Kind::Subscription,
            Self::Payments if is_stripe => Kind::Invoice,
            Self::Payments => Kind::Transaction,
            Self::Disputes if is_stripe => Kind::Dispute,
            Self::Refunds if is_stripe => Kind::Refund,
            Self::Disputes | Self::Refunds => Kind::Adjustment,
            Self::Events => Kind::Event,
        }
    }
}

/// An object that was asked for by its id.
#[derive(Debug)]
pub struct Fetched {
    /// The object as the provider wrote it.
    pub object: Box<RawValue>,
    /// The provider's clock when it was asked, in whole seconds: the answer's `Date`, less the time that
    /// it took.
    pub at: Timestamp,
}

/// A page of a list.
#[derive(Debug)]
pub struct ApiPage {
    /// The objects as the provider wrote them.
    pub objects: Vec<Box<RawValue>>,
    /// The place from which the list goes on; `None` at its end.
    pub next: Option<String>,
    /// The provider's clock: the answer's `Date`, in whole seconds.
    pub at: Timestamp,
    /// How long the provider took: the objects may be older than the answer by this.
    pub took: Duration,
}
