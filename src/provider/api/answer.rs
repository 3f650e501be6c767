//! What lists have, and what an answer is.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::id::Kind;
use crate::domain::time::Timestamp;

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
}

/// An object that was asked for by its id.
#[derive(Debug)]
pub struct Fetched {
    /// The object as the provider wrote it.
    pub object: Box<RawValue>,
    /// The provider's clock: the answer's `Date`, in whole seconds.
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

/// The provider did not answer what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The key is wrong, or may not read this.
    #[error("the API key was refused with {status}: {detail}")]
    KeyRefused {
        /// 401 or 403.
        status: u16,
        /// What the provider says.
        detail: String,
    },
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// The provider limits the rate, has a fault, or cannot be reached. It may answer later.
    #[error("the provider did not answer: {detail}")]
    Away {
        /// What happened at last.
        detail: String,
        /// When it asks to be asked again.
        retry_after: Option<Duration>,
    },
    /// It answered what nobody here understands.
    #[error("the answer was not understood: {detail}")]
    NotUnderstood {
        /// What is wrong with it.
        detail: String,
    },
}

impl ApiError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyRefused { .. } => "api_key_refused",
            Self::NotFound => "object_gone",
            Self::Away { .. } => "provider_away",
            Self::NotUnderstood { .. } => "answer_not_understood",
        }
    }

    /// True if the same question may be answered later without anybody changing anything.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
