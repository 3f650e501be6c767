//! Facts: what happened, in our terms, regardless of the provider.
//!
//! `provider` turns a payload of any API version into an [`Occurrence`]; nothing after it knows
//! JSON or a provider's field names. Facts are observations, not commands: merging them into a
//! history is commutative and idempotent.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// All facts of one event, with the provider's time of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The time of the event by the provider's clock: Stripe's `created`, Paddle's `occurred_at`.
    pub at: Timestamp,
    /// The facts. An event with nothing but [background](Fact::is_background) facts is recorded as
    /// ignored unless they change something.
    pub facts: Vec<Fact>,
}

/// One observation in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A billing account and how to reach its owner.
    Contact(ContactFact),
    /// Something else (a payment, a session) names a billing account, so it exists.
    AccountNamed {
        /// The account.
        account: ObjectKey,
    },
    /// The provider deleted the billing account (Stripe's `customer.deleted`).
    AccountRemoved {
        /// The account.
        account: ObjectKey,
    },
    /// The state of a subscription.
    Subscription(SubscriptionFact),
    /// A renewal payment of a subscription failed. First payments and one-off sales do not produce
    /// this fact.
    PaymentFailed {
        /// The subscription that was to be paid.
        subscription: ObjectKey,
        /// The account of the subscription, where the payload names it.
        account: Option<ObjectKey>,
    },
    /// A payment of a subscription succeeded.
    PaymentSucceeded {
        /// The subscription that was paid.
        subscription: ObjectKey,
        /// The account of the subscription, where the payload names it.
        account: Option<ObjectKey>,
    },
    /// A dispute was opened, changed or closed.
    Disputed {
        /// Stripe: the dispute (`dp_…`, `du_…`). Paddle: the transaction, because a reversal is
        /// another adjustment of the same transaction.
        dispute: ObjectKey,
        /// The stage of the dispute at that time.
        stage: DisputeStage,
        /// Every id by which the payload links it to an account: charge, payment intent,
        /// transaction, account.
        ids: BTreeSet<ObjectKey>,
    },
    /// Money was given back.
    Refunded {
        /// The payment: Stripe's charge, Paddle's transaction.
        refund: ObjectKey,
        /// The object that reports the refund: Stripe's charge itself, which sums its refunds, or
        /// Paddle's adjustment, of which a transaction can have several.
        part: ObjectKey,
        /// True if all of the payment has been given back with this part.
        full: bool,
        /// The amount of this part, in the currency's smallest unit; 0 where `full` covers
        /// everything.
        amount: i64,
        /// Every id by which the payload links it to an account.
        ids: BTreeSet<ObjectKey>,
    },
    /// The amount of a payment, to compare the sum of its refunded parts with (Paddle).
    Charged {
        /// The transaction.
        payment: ObjectKey,
        /// The whole amount, in the currency's smallest unit.
        amount: i64,
    },
    /// Ids of payment objects that one event named together (charge, payment intent, invoice,
    /// transaction, account), so that a dispute or refund that names no account can be traced to
    /// one.
    PaymentLink {
        /// The ids.
        ids: BTreeSet<ObjectKey>,
    },
    /// Something happened to an object that the payload only names (Stripe's thin events). The
    /// details could only be fetched.
    Unfetched {
        /// The object, or the event itself if it names none.
        object: ObjectKey,
    },
}

impl Fact {
    /// True if the fact only helps to interpret other facts, without affecting access by itself.
    pub const fn is_background(&self) -> bool {
        matches!(self, Self::PaymentLink { .. } | Self::Charged { .. })
    }
}

/// A contact as one event showed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContactFact {
    /// The account of the contact.
    pub account: ObjectKey,
    /// The contact that the event shows.
    pub contact: Contact,
    /// The same fields before the change, where the event has them (Stripe's
    /// `previous_attributes`).
    pub before: Option<Contact>,
    /// The kind of event that showed it.
    pub source: ContactSource,
    /// Stripe's `request.id`, which tells two events of one change from two changes.
    pub request: Option<String>,
}

/// The source of a contact, most reliable first.
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

/// The contact details of a customer. Empty texts are `None`.
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

/// A postal address, with Stripe's fields.
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

/// The state of a subscription in one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionFact {
    /// The subscription.
    pub subscription: ObjectKey,
    /// The state that the event shows.
    pub state: SubscriptionState,
    /// The state before the change, rebuilt from `previous_attributes`; `None` where the event has
    /// none (all of Paddle's).
    pub before: Option<SubscriptionState>,
    /// True if the event created or imported the subscription.
    pub created: bool,
    /// Stripe's `request.id`.
    pub request: Option<String>,
    /// The time of its end, if the payload of a terminal state has it (Stripe's `ended_at`,
    /// Paddle's
    /// `canceled_at`).
    pub ended_at: Option<Timestamp>,
}

/// All fields of a subscription that matter to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// The provider's status.
    pub status: SubscriptionStatus,
    /// The bought items, as the provider sorts them.
    pub items: Vec<Item>,
    /// The end of the paid period: the latest of the items' or the subscription's own.
    pub period_end: Option<Timestamp>,
    /// The time of its scheduled end; `None` if none is scheduled.
    pub cancel_at: Option<Timestamp>,
    /// True if Stripe's `pause_collection` is set: invoices are not collected, and the status
    /// stays.
    pub collection_paused: bool,
    /// True if only some of the items are known: the event lists no more (Stripe's `has_more`; its
    /// lists end at ten), or so many that not all are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub items_incomplete: bool,
    /// The billing account that pays; `None` where the payload does not name it.
    pub account: Option<ObjectKey>,
}

/// One bought item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Price id (Stripe `price_…` or an old `plan` id, Paddle `pri_…`).
    pub price: String,
    /// Product id (`prod_…`, `pro_…`), where known.
    pub product: Option<String>,
    /// The quantity; absent on metered items.
    pub quantity: Option<i64>,
}

/// A subscription's status. The providers' lists are open: an unknown status grants nothing and
/// takes nothing away.
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
    /// A renewal payment failed; the provider retries.
    PastDue,
    /// The retries are used up (Stripe).
    Unpaid,
    /// The subscription is paused.
    Paused,
    /// Ended. Terminal.
    Canceled,
    /// A status that this version does not know, as the provider wrote it.
    Unknown(String),
}

impl SubscriptionStatus {
    /// Parses the provider's word.
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

    /// Returns the provider's word.
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

    /// True if nothing revives a subscription in this status.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// The stage of a dispute. Of several in one instant the greatest counts, so they are sorted by a
/// dispute's course, with `Lost` last, so that nothing hides a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// An inquiry: no money has moved.
    Warning,
    /// Money has been taken back; the seller may respond.
    Open,
    /// The seller won, or the inquiry was closed.
    Won,
    /// The seller lost.
    Lost,
}
