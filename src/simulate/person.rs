//! The people of a simulation: what was done to each, kept as the generator did it.
//!
//! This is the whole memory of the model. It is written by the lives as they go, in the true
//! order of things, and knows nothing of how Tollgate keeps or derives anything.

use std::collections::BTreeMap;

use crate::domain::time::Timestamp;
use crate::simulate::provider::{Provider, Side};
use crate::simulate::shop::Price;

/// A person who buys.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) index: usize,
    /// In the order in which they were opened.
    pub(super) accounts: Vec<Account>,
    pub(super) subscriptions: Vec<Subscription>,
    /// Everything that was billed, paid or not.
    pub(super) bills: Vec<Bill>,
    pub(super) disputes: Vec<Dispute>,
    /// Early warnings of fraud: the account and the warning.
    pub(super) warnings: Vec<(usize, String)>,
    /// All addresses that its accounts changed to.
    pub(super) addresses_taken: Vec<String>,
    /// An admin made this customer before the first webhook.
    pub(super) admin_made: Option<AdminMade>,
    /// What an admin does with its accounts, in this order.
    pub(super) acts: Vec<Act>,
}

/// Something that an admin does by hand with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) account: usize,
    pub(super) kind: ActKind,
    /// Before the first webhook, and not between webhooks.
    pub(super) is_early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActKind {
    /// Links it to the customer that an admin made.
    LinkToMade,
    /// Links it to the customer of the first account.
    LinkToFirst,
    /// Parts it from the customer that an admin made, to which it was linked before.
    Part,
}

impl Person {
    /// Where an admin put an account last.
    pub(super) fn put(&self, account: usize) -> Option<ActKind> {
        let last = self.acts.iter().rfind(|act| act.account == account);
        last.map(|act| act.kind)
    }
}

/// The profile that an admin gave a customer.
#[derive(Clone, Debug)]
pub(super) struct AdminMade {
    pub(super) external_id: String,
    /// The seller's id of the customer.
    pub(super) user_id: Option<String>,
    pub(super) email: String,
    pub(super) name: String,
}

/// A billing account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) provider: Provider,
    pub(super) side: Side,
    pub(super) form: Form,
    pub(super) id: String,
    /// When its first webhook was sent.
    pub(super) opened: Option<Timestamp>,
    /// It ran elsewhere before (Paddle).
    pub(super) is_imported: bool,
    /// The seller's own id of its owner, as its objects show it.
    pub(super) seller_id: Option<String>,
    pub(super) first_email: String,
    pub(super) email: String,
    /// Its addresses, lower case, and the second in which it first had each.
    pub(super) addresses: BTreeMap<String, i64>,
    pub(super) name: String,
    pub(super) street: Option<String>,
    /// True if it has had an address other than its first.
    pub(super) has_left_first_email: bool,
    /// True if an earlier account still had the same first address when this one was opened.
    pub(super) follows: Option<usize>,
    pub(super) is_removed: bool,
    /// What the seller owes the account, in cents: it pays a part of the next invoice (Stripe).
    pub(super) credit: i64,
}

impl Account {
    /// The id that is shown of a customer who has no other: that of the account.
    pub(super) fn external_id(&self) -> String {
        format!("{}_{}", self.provider, self.place(&self.id))
    }

    /// How an id of one of its objects is written: that of a connected account is said.
    pub(super) fn place(&self, id: &str) -> String {
        match self.side.connected() {
            Some(connected) => format!("{connected}/{id}"),
            None => id.to_owned(),
        }
    }

    /// True if its facts are told and count.
    pub(super) const fn is_there(&self) -> bool {
        self.opened.is_some() && self.side.counts()
    }
}

/// What an app does about two accounts of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SameEmail {
    Flag,
    Join,
    Ignore,
}

impl SameEmail {
    /// Draws one: each has its turn.
    pub(super) const fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::Flag,
            1 => Self::Join,
            _ => Self::Ignore,
        }
    }

    /// The word in the policy.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Join => "join",
            Self::Ignore => "ignore",
        }
    }
}

/// The API version of a Stripe account's payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Before 2025-03-31: one period for a subscription, invoices name it and their charge.
    Acacia,
    /// After: a period for each item, invoices name their parent, nothing names the invoice.
    Clover,
}

impl Form {
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Acacia => "2024-06-20",
            Self::Clover => "2025-11-17.clover",
        }
    }
}

/// The phase of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

impl Phase {
    /// Returns the status that both providers use.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }

    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// A subscription.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something of its own that happened to it"
)]
pub(super) struct Subscription {
    pub(super) account: usize,
    pub(super) id: String,
    pub(super) items: Vec<Item>,
    pub(super) phase: Phase,
    pub(super) started_at: i64,
    /// Start and end of the paid period, in seconds.
    pub(super) period: (i64, i64),
    pub(super) trial_end: Option<i64>,
    /// When it is to end, in seconds: always the end of a period.
    pub(super) cancel_at: Option<i64>,
    /// When it is to pause, in seconds (Paddle).
    pub(super) pause_at: Option<i64>,
    /// Stripe's `pause_collection`.
    pub(super) is_collection_paused: bool,
    pub(super) asked_to_cancel_at: Option<i64>,
    pub(super) paused_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) end_reason: Option<&'static str>,
    /// True if it ran elsewhere before (Paddle).
    pub(super) is_imported: bool,
    /// The bill that it began with.
    pub(super) first_bill: Option<usize>,
    /// The newest bill of its own: Stripe's `latest_invoice`.
    pub(super) latest_bill: Option<usize>,
    /// The unpaid bill that it owes.
    pub(super) open_bill: Option<usize>,
    /// Stripe's `latest_invoice`.
    pub(super) latest_invoice: Option<String>,
    /// Stripe's reason of a pause.
    pub(super) pause_reason: Option<&'static str>,
    /// An upgrade that takes effect once it is paid (Stripe's `pending_update`).
    pub(super) has_pending_update: bool,
    /// The start of the current failure, by the provider's status.
    pub(super) failing_since: Option<Timestamp>,
    /// True if it was paid or in a trial at least once.
    pub(super) has_begun: bool,
    /// The status that its webhooks told last. It stays behind where an update was never sent.
    pub(super) told: Phase,
    /// When its webhooks told something last.
    pub(super) told_at: Option<Timestamp>,
    /// True if its last events left a state and returned to it.
    pub(super) has_circled: bool,
    /// Increases when earlier plans for it become void.
    pub(super) epoch: u32,
}

/// An item of a subscription.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) price: &'static Price,
    pub(super) quantity: i64,
}

/// Something that was billed: an invoice, a transaction, or a Checkout session without an invoice.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) account: usize,
    pub(super) subscription: Option<usize>,
    pub(super) form: Document,
    /// The document: Stripe's invoice, or of a session without one its payment intent or itself;
    /// Paddle's transaction.
    pub(super) id: String,
    /// Stripe's charge.
    pub(super) charge: String,
    /// Stripe's payment intent.
    pub(super) intent: String,
    /// The Checkout session in which it was bought.
    pub(super) session: String,
    /// Stripe's `billing_reason`, Paddle's `origin`.
    pub(super) reason: &'static str,
    pub(super) lines: Vec<Line>,
    /// The money that pays it: what it costs, less what a credit balance pays.
    pub(super) money: i64,
    pub(super) made_at: i64,
    pub(super) failed_at: Option<Timestamp>,
    /// The first time at which it was paid.
    pub(super) paid_at: Option<Timestamp>,
    /// True while the bank has taken the payment back (Stripe).
    pub(super) is_returned: bool,
    /// The sum of what was given back and stayed so.
    pub(super) refunded: i64,
}

impl Bill {
    /// What it is for, in cents; below 0 if it gives more back than it asks.
    pub(super) fn cost(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

/// The kind of document of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Invoice,
    Transaction,
    /// A Checkout session without an invoice, paid through a payment intent.
    Intent,
    /// A Checkout session that asked nothing.
    Session,
}

/// A line of a bill.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) price: &'static Price,
    pub(super) quantity: i64,
    /// In cents; below 0 for a credit.
    pub(super) amount: i64,
    /// Start and end of what it pays for, in seconds; none for what is bought once.
    pub(super) period: Option<(i64, i64)>,
    pub(super) is_proration: bool,
    /// The item of the subscription.
    pub(super) item: Option<String>,
}

/// A dispute: money claimed back through the bank.
#[derive(Clone, Debug)]
pub(super) struct Dispute {
    pub(super) bill: usize,
    /// Stripe's dispute; Paddle's transaction, for its reversal is another adjustment.
    pub(super) id: String,
    pub(super) standing: DisputeStage,
    pub(super) opened_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisputeStage {
    Inquiry,
    Open,
    Over,
    Lost,
}
