//! Facts: what happened, in our words, whichever provider said it.
//!
//! `provider` turns a payload of any API version into an [`Occurrence`]; nothing behind it knows
//! JSON or a provider's field names. Facts are observations, not commands: putting them into
//! what is kept commutes and repeats harmlessly.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// All facts of one event, with the provider's time of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When it happened by the provider's clock: Stripe's `created`, Paddle's `occurred_at`.
    pub at: Timestamp,
    /// What the event says. An event that has nothing but [background](Fact::is_background) is
    /// recorded as ignored unless that changes something.
    pub facts: Vec<Fact>,
}

/// One thing that an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A billing account and how to reach its owner.
    Contact(ContactFact),
    /// A billing account is named by something else (a payment, a session) and so exists.
    AccountNamed {
        /// The account.
        account: ObjectKey,
    },
    /// The provider deleted the billing account (Stripe's `customer.deleted`).
    AccountRemoved {
        /// The account.
        account: ObjectKey,
    },
    /// What a subscription looked like.
    Subscription(SubscriptionFact),
    /// A payment of a subscription's renewal failed. First payments and one-off sales are no
    /// facts of this kind.
    PaymentFailed {
        /// The subscription that was to be paid.
        subscription: ObjectKey,
        /// Whose subscription it is, where the payload says so.
        account: Option<ObjectKey>,
    },
    /// A payment of a subscription succeeded.
    PaymentSucceeded {
        /// The subscription that was paid.
        subscription: ObjectKey,
        /// Whose subscription it is, where the payload says so.
        account: Option<ObjectKey>,
    },
    /// A dispute as it stood: opened, changed or closed.
    Disputed {
        /// Stripe: the dispute (`dp_…`, `du_…`). Paddle: the transaction, because a reversal is
        /// another adjustment of the same transaction.
        dispute: ObjectKey,
        /// How it stood.
        stage: DisputeStage,
        /// Every id by which the payload ties it to an account: charge, payment intent,
        /// transaction, account.
        ids: BTreeSet<ObjectKey>,
    },
    /// Money went back.
    Refunded {
        /// The payment: Stripe's charge, Paddle's transaction.
        refund: ObjectKey,
        /// What says so: the charge itself, which counts its refunds; Paddle's adjustment, of
        /// which a transaction can have several.
        part: ObjectKey,
        /// With this part all of the payment has gone back.
        full: bool,
        /// How much this part gave back, in the currency's smallest unit; 0 where `full` says
        /// all.
        amount: i64,
        /// Every id by which the payload ties it to an account.
        ids: BTreeSet<ObjectKey>,
    },
    /// How much a payment was, so that the parts of it that went back can be summed (Paddle).
    Charged {
        /// The transaction.
        payment: ObjectKey,
        /// All of it, in the currency's smallest unit.
        amount: i64,
    },
    /// Ids of money that one event named together, pairwise, so that a dispute or refund which
    /// names no account can be traced to one: charge, payment intent, invoice, transaction,
    /// account.
    PaymentLink {
        /// The ids.
        ids: BTreeSet<ObjectKey>,
    },
    /// Something happened to an object that the payload only names (Stripe's thin events). What
    /// it was can only be fetched.
    Unfetched {
        /// The object; of an event that names none, the event.
        object: ObjectKey,
    },
}

impl Fact {
    /// Whether it only serves to understand others: by itself it is about nobody's access.
    pub const fn is_background(&self) -> bool {
        matches!(self, Self::PaymentLink { .. } | Self::Charged { .. })
    }
}

/// A contact as one event showed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContactFact {
    /// Whose contact.
    pub account: ObjectKey,
    /// What the event shows.
    pub contact: Contact,
    /// The same fields before the change, where the event says so (Stripe's
    /// `previous_attributes`).
    pub before: Option<Contact>,
    /// What kind of event said it.
    pub source: ContactSource,
    /// Stripe's `request.id`: tells two events of one change from two changes.
    pub request: Option<String>,
}

/// How much a contact is worth, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactSource {
    /// The account was created or imported with it.
    Created,
    /// Any later event about the account itself.
    Updated,
    /// A Checkout session or an invoice: counts only while no event about the account itself
    /// has shown an address.
    Secondary,
}

/// How to reach a customer. Empty texts are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// E-mail address as the provider wrote it.
    pub email: Option<String>,
    /// Name of a person or company.
    pub name: Option<String>,
    /// Telephone number, in any form.
    pub phone: Option<String>,
    /// Postal address.
    pub address: Option<Address>,
}

/// A postal address, in Stripe's division.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub line1: Option<String>,
    /// Suite, floor.
    pub line2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State, province or county.
    pub state: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Two-letter country code (ISO 3166-1).
    pub country: Option<String>,
}

/// What a subscription looked like in one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionFact {
    /// Which subscription.
    pub subscription: ObjectKey,
    /// What the event shows.
    pub state: SubscriptionState,
    /// The same fields after putting `previous_attributes` back; `None` where the event carries
    /// none (all of Paddle's).
    pub before: Option<SubscriptionState>,
    /// The event created or imported the subscription.
    pub born: bool,
    /// Stripe's `request.id`.
    pub request: Option<String>,
    /// When it ended, if the payload of a terminal state says so (Stripe's `ended_at`, Paddle's
    /// `canceled_at`).
    pub ended_at: Option<Timestamp>,
}

/// All fields of a subscription that a verdict reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// The provider's status.
    pub status: SubscriptionStatus,
    /// What is bought, in the provider's order.
    pub items: Vec<Item>,
    /// End of the paid period: the latest of the items' or the subscription's own.
    pub period_end: Option<Timestamp>,
    /// When it is scheduled to end; `None` if it is not.
    pub cancel_at: Option<Timestamp>,
    /// Stripe's `pause_collection` is set: invoices are not collected, the status stays.
    pub collection_paused: bool,
    /// The event lists some of the items only (Stripe's `has_more`; its lists end at ten).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub items_incomplete: bool,
    /// The billing account that pays; `None` where the payload does not say.
    pub account: Option<ObjectKey>,
}

/// One bought thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Price id (Stripe `price_…` or an old `plan` id, Paddle `pri_…`).
    pub price: String,
    /// Product id (`prod_…`, `pro_…`), where known.
    pub product: Option<String>,
    /// How many; absent on metered items.
    pub quantity: Option<i64>,
}

/// A subscription's status. All of the providers' enums are open: an unknown one grants nothing
/// and takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// The first payment is outstanding (Stripe).
    Incomplete,
    /// The first payment never came (Stripe). Terminal.
    IncompleteExpired,
    /// In a trial.
    Trialing,
    /// In good standing.
    Active,
    /// A renewal failed, the provider retries.
    PastDue,
    /// Retries used up (Stripe).
    Unpaid,
    /// Paused.
    Paused,
    /// Ended. Terminal.
    Canceled,
    /// Something that this version does not know, as the provider wrote it.
    Unknown(String),
}

impl SubscriptionStatus {
    /// Reads the provider's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            "canceled" => Self::Canceled,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The provider's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
            Self::Unknown(word) => word,
        }
    }

    /// Nothing revives a subscription in this status.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// How a dispute stands. A later one of the same instant is worth more, so the order is that of
/// a dispute's life; `Lost` last, so that nothing hides a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// An inquiry: no money has moved.
    Warning,
    /// Money has been taken back; the seller may answer.
    Open,
    /// The seller won, or the inquiry was closed.
    Won,
    /// The seller lost.
    Lost,
}
