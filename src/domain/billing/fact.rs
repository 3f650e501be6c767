//! Facts: what happened, in our terms, regardless of the provider.
//!
//! `provider` turns a payload of any API version into an [`Occurrence`]; nothing after it knows
//! JSON or a provider's field names. Facts are observations, not commands: merging them into a
//! history is commutative and idempotent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::billing::feature::FeaturesFact;
use crate::domain::id::ObjectKey;
use crate::domain::identity::seller_id::SellerIdFact;
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
    /// The seller's own id of a billing account, as it may stand in the payload.
    SellerId(SellerIdFact),
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
    /// The features that the subscriptions of an account include.
    Features(FeaturesFact),
    /// A payment: what a document was for, and how far it is paid.
    Payment(PaymentFact),
    /// A dispute was opened, changed or closed.
    Disputed {
        /// Stripe: the dispute (`dp_…`, `du_…`), or its charge where an old payload has no id of
        /// it. Paddle: the transaction, because a reversal is another adjustment of the same
        /// transaction.
        dispute: ObjectKey,
        /// The stage of the dispute at that time.
        stage: DisputeStage,
        /// Every id by which the payload links it to an account: charge, payment intent,
        /// transaction, account.
        ids: BTreeSet<ObjectKey>,
    },
    /// Money was given back, or was to be: a refund with an id of its own.
    Refunded(RefundFact),
    /// A charge's own count of what was given back of it (Stripe's `amount_refunded`).
    ChargeRefunded {
        /// The charge.
        charge: ObjectKey,
        /// The sum of its refunds, in the currency's smallest unit.
        amount: i64,
        /// Every id by which the payload links it to a payment.
        ids: BTreeSet<ObjectKey>,
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
    /// A secret API key of the seller was found in public (Paddle).
    KeyExposed {
        /// The key (`apikey_…`).
        key: ObjectKey,
    },
}

impl Fact {
    /// True if the fact only helps to interpret other facts, without affecting access by itself.
    pub const fn is_background(&self) -> bool {
        matches!(self, Self::PaymentLink { .. } | Self::SellerId(_))
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

/// A payment as one event showed it. Payments are kept by document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFact {
    /// Stripe: the invoice (`in_…`); of a Checkout session in mode `payment` its payment intent, or
    /// the session itself where it has none. Paddle: the transaction (`txn_…`).
    pub document: ObjectKey,
    /// The account that pays, where the payload names it.
    pub account: Option<ObjectKey>,
    /// The subscription that it is about, where the payload names it.
    pub subscription: Option<ObjectKey>,
    /// The provider's word for why it was billed: Stripe's `billing_reason`, Paddle's `origin`.
    pub reason: Option<String>,
    /// How far it is.
    pub step: PaymentStep,
    /// The lines that the payload shows; empty if it shows none.
    pub lines: Vec<Line>,
    /// True if the payload says that there are more lines than it shows.
    pub lines_incomplete: bool,
    /// True if it shows a line for something bought once that names no price, only an amount: it
    /// buys nothing here, but it is no period of a subscription either.
    pub has_unpriced_items: bool,
}

/// How far a payment is by one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStep {
    /// The document exists; nothing is said about its payment.
    Known,
    /// It was paid.
    Paid {
        /// The money that was paid, in the currency's smallest unit: Stripe's `amount_paid`,
        /// Paddle's `grand_total`.
        money: i64,
        /// The amount that it was for, before any credit balance paid a part: Stripe's `total`,
        /// Paddle's `total`.
        cost: i64,
    },
    /// A try to collect it failed.
    Failed {
        /// The time of the next try, where the payload names it.
        next_attempt: Option<Timestamp>,
    },
    /// It will not be collected: voided, written off or cancelled.
    Void,
}

/// One line of a payment's document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Line {
    /// Price id; of a Checkout session that shows no lines its payment link (`plink_…`), or the
    /// session itself.
    pub price: String,
    /// Product id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The seller's own name of the price (Stripe's `lookup_key`), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
    /// The amount after discounts, in the currency's smallest unit; below 0 for a credit.
    pub amount: i64,
    /// How many of the price it is about, where that is more than one. A credit of some of several
    /// seats leaves the rest paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// The start of the period that it pays for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end of that period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// True for something bought once, false for a period of a subscription.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// The provider's id of the line; of a line that stands for a whole Checkout session, the
    /// session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A refund as one event showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundFact {
    /// Stripe's refund (`re_…`), Paddle's adjustment (`adj_…`) of the action `refund`.
    pub refund: ObjectKey,
    /// How it stands.
    pub stage: RefundStage,
    /// The amount, in the currency's smallest unit.
    pub amount: i64,
    /// Paddle: the lines that it gives money back for, by their ids, each with its amount; of a line that is
    /// refunded in full the greatest that there is. Stripe's refunds name no lines.
    pub lines: BTreeMap<String, i64>,
    /// Every id by which the payload links it to a payment.
    pub ids: BTreeSet<ObjectKey>,
}

/// The stage of a refund. Of several in one instant the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStage {
    /// It was asked for, and may still fail.
    Pending,
    /// The money was given back: Stripe's `succeeded`, Paddle's `approved`.
    Succeeded,
    /// It failed or was cancelled: the seller has the money.
    Failed,
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
    /// True if the event imported it: it had begun elsewhere.
    pub imported: bool,
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
    /// The invoice that the subscription owes or paid last (Stripe's `latest_invoice`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_invoice: Option<String>,
    /// Why the subscription is paused, as the provider wrote it (Stripe's
    /// `status_details.paused.subscription.type`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// Stripe's test clock (`clock_…`), whose time is the subscription's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock: Option<String>,
}

/// One bought item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Price id (Stripe `price_…` or an old `plan` id, Paddle `pri_…`).
    pub price: String,
    /// Product id (`prod_…`, `pro_…`), where known.
    pub product: Option<String>,
    /// The seller's own name of the price (Stripe's `lookup_key`), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
    /// The quantity; absent on metered items. Of 0 nothing is bought.
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
    /// A payment service suspects fraud (Stripe's early fraud warnings): nothing has been disputed.
    FraudWarning,
    /// An inquiry: no money has moved.
    Warning,
    /// Money has been taken back; the seller may respond.
    Open,
    /// The seller won, or the inquiry was closed.
    Won,
    /// The seller lost.
    Lost,
}
