//! The lives of the simulation's people, and the webhooks that report them.
//!
//! Each life is an agenda of steps. The earliest step is taken; it changes the person, posts
//! webhooks, and puts further steps on the agenda. So everything is recorded in its true order, and
//! nothing has to be sorted or derived here.
//!
//! Times at which a timer would run (the end of grace, a scheduled cancellation) never fall close
//! to the end of the traffic or on the day after it, so that a person's state at the comparison
//! does not depend on the minute in which it is made.

mod billing;
mod changes;
mod identity;
mod money;
mod purchases;
mod returns;
mod signup;
mod whims;

use std::collections::BTreeMap;

use serde_json::Value;

use super::draw::Draw;
use super::person::{Act, Person, SameEmail, Subscription};
use super::provider::Provider;
use super::wire::{self, Entry};
use crate::domain::time::Timestamp;

pub(super) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 24 * HOUR;
/// A month of the simulation, and the period of all its prices.
pub(super) const MONTH: i64 = 30 * DAY;
/// The default of the policy: a failure of this length suspends.
pub(super) const SUSPEND_AFTER: i64 = 7 * DAY;
/// The default of the policy: a failure of this length ends the subscription.
pub(super) const END_AFTER: i64 = 30 * DAY;
/// The default of the policy: no word for this long after the end of a period is flagged.
pub(super) const SILENCE_AFTER: i64 = 3 * DAY;

/// The time that the traffic covers, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Span {
    /// True if a timer due at that time would make the comparison depend on its minute.
    fn is_edge(self, due: i64) -> bool {
        (self.until - 2 * HOUR..=self.until + 26 * HOUR).contains(&due)
    }
}

/// A webhook of the traffic.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) provider: Provider,
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) at: Timestamp,
    /// Index of the person.
    pub(super) person: usize,
    /// Index of the account among the person's.
    pub(super) account: usize,
    pub(super) body: String,
}

/// A step of a life; the numbers are indexes into the person's lists.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open(usize),
    SignUp(usize),
    FirstPayment(Due),
    FirstPaymentNeverCame(Due),
    TrialEnd(Due),
    PeriodEnd(Due),
    Charge(Due, usize),
    Retry(Due, u32),
    Settle(Due),
    Whim(Due),
    Uncancel(Due),
    ResumeCollection(Due),
    Resume(Due),
    Contact(usize),
    Identify(usize),
    Simulate(Due),
    Remove(usize),
    Purchase(usize),
    Refund(usize),
    Return(usize),
    Warn(usize),
    OpenDispute(usize),
    MoveDispute(usize),
    Noise(usize),
}

/// A subscription, and the epoch of the plans for it: plans of an earlier epoch are void.
#[derive(Clone, Copy, Debug)]
struct Due {
    subscription: usize,
    epoch: u32,
}

/// A life in progress.
pub(super) struct Life {
    draw: Draw,
    span: Span,
    /// Accounts of one address are one customer.
    joins: bool,
    person: Person,
    agenda: BTreeMap<(i64, u32), Step>,
    steps: u32,
    /// The last instant at which something happened.
    now: Timestamp,
    webhooks: Vec<Webhook>,
}

/// Lives the life of one person; returns the person at its end and all webhooks in their true
/// order.
pub(super) fn live(seed: u64, index: usize, span: Span) -> (Person, Vec<Webhook>) {
    let mut life = Life {
        draw: Draw::new(seed, index as u64),
        span,
        joins: SameEmail::of(seed) == SameEmail::Join,
        person: Person {
            index,
            ..Person::default()
        },
        agenda: BTreeMap::new(),
        steps: 0,
        now: Timestamp::from_nanos(0),
        webhooks: Vec::new(),
    };
    life.be_born();
    while let Some(((at, _), step)) = life.agenda.pop_first() {
        if at >= span.until - 2 * HOUR {
            break;
        }
        life.now = life.now.max(seconds(at));
        life.take(step);
    }
    let Life {
        mut person,
        webhooks,
        ..
    } = life;
    let accounts = &person.accounts;
    let is_open = |it: &Act| accounts[it.account].opened.is_some() && accounts[0].opened.is_some();
    person.acts.retain(is_open);
    (person, webhooks)
}

/// Converts seconds since 1970.
pub(super) fn seconds(at: i64) -> Timestamp {
    Timestamp::from_nanos(at.saturating_mul(1_000_000_000))
}

impl Life {
    fn take(&mut self, step: Step) {
        if let Some(due) = step.due()
            && self.subscription(due.subscription).epoch != due.epoch
        {
            return;
        }
        match step {
            Step::Open(account) => self.open(account),
            Step::SignUp(account) => self.sign_up(account),
            Step::FirstPayment(due) => self.first_payment(due.subscription),
            Step::FirstPaymentNeverCame(due) => self.first_payment_never_came(due.subscription),
            Step::TrialEnd(due) => self.trial_end(due.subscription),
            Step::PeriodEnd(due) => self.period_end(due.subscription),
            Step::Charge(due, bill) => self.charge(due.subscription, bill),
            Step::Retry(due, attempt) => self.retry(due.subscription, attempt),
            Step::Settle(due) => self.settle(due.subscription),
            Step::Whim(due) => self.whim(due.subscription),
            Step::Uncancel(due) => self.uncancel(due.subscription),
            Step::ResumeCollection(due) => self.resume_collection(due.subscription),
            Step::Resume(due) => self.resume(due.subscription),
            Step::Contact(account) => self.change_contact(account),
            Step::Identify(account) => self.identify(account),
            Step::Simulate(due) => self.simulate_end(due.subscription),
            Step::Remove(account) => self.remove(account),
            Step::Purchase(account) => self.purchase(account),
            Step::Refund(bill) => self.refund(bill),
            Step::Return(bill) => self.return_debit(bill),
            Step::Warn(bill) => self.warn(bill),
            Step::OpenDispute(bill) => self.open_dispute(bill),
            Step::MoveDispute(dispute) => self.move_dispute(dispute),
            Step::Noise(account) => self.noise(account),
        }
    }

    fn plan(&mut self, at: i64, step: Step) {
        self.agenda.insert((at, self.steps), step);
        self.steps += 1;
    }

    /// Plans a step for the present epoch of a subscription.
    fn plan_for(&mut self, at: i64, subscription: usize, step: impl FnOnce(Due) -> Step) {
        let epoch = self.subscription(subscription).epoch;
        self.plan(
            at,
            step(Due {
                subscription,
                epoch,
            }),
        );
    }

    /// Voids the plans for a subscription.
    fn forget_plans(&mut self, subscription: usize) {
        self.person.subscriptions[subscription].epoch += 1;
    }

    fn subscription(&self, subscription: usize) -> &Subscription {
        &self.person.subscriptions[subscription]
    }

    fn provider(&self, account: usize) -> Provider {
        self.person.accounts[account].provider
    }

    fn provider_of(&self, subscription: usize) -> Provider {
        self.provider(self.subscription(subscription).account)
    }

    /// The instant of the step, in whole seconds.
    fn second(&self) -> i64 {
        self.now.seconds()
    }

    /// True unless the timers of a failure that begins now would make the comparison depend on its
    /// minute.
    fn may_fail(&self) -> bool {
        let now = self.second();
        let mut dues = [SUSPEND_AFTER, END_AFTER].iter();
        dues.all(|after| !self.span.is_edge(now + after))
    }

    /// Lets a little time pass: often less than a second, so that Stripe's events share one.
    fn pass(&mut self, provider: Provider) -> Timestamp {
        let micros = match self.draw.index(4) {
            0 => self.draw.between(400_000, 1_600_000),
            _ => self.draw.between(1, 40_000),
        };
        // Paddle writes up to nine digits.
        let nanos = if self.draw.chance(0.2) {
            self.draw.between(1, 1_000)
        } else {
            0
        };
        let nanos = self.now.nanos() + micros * 1_000 + nanos;
        self.now = Timestamp::from_nanos(nanos);
        match provider {
            Provider::Stripe => seconds(self.now.seconds()),
            Provider::Paddle => self.now,
        }
    }

    /// Posts an entry about an account, at an instant.
    fn post(&mut self, account: usize, at: Timestamp, entry: Entry) {
        let id = match self.provider(account) {
            Provider::Stripe => self.draw.id("evt_1", 23),
            Provider::Paddle => self.draw.id("evt_01", 24),
        };
        self.post_as(account, at, id, entry);
    }

    fn post_as(&mut self, account: usize, at: Timestamp, id: String, entry: Entry) {
        let request = self.draw.id("req_", 14);
        let of = &self.person.accounts[account];
        let body: Value = wire::envelope(of, &id, &request, at, &entry);
        self.webhooks.push(Webhook {
            provider: of.provider,
            id,
            event_type: entry.event_type,
            at,
            person: self.person.index,
            account,
            body: body.to_string(),
        });
    }

    /// Lets a little time pass and posts an entry.
    fn say(&mut self, account: usize, entry: Entry) -> Timestamp {
        let at = self.pass(self.provider(account));
        self.post(account, at, entry);
        at
    }
}

impl Step {
    fn due(self) -> Option<Due> {
        match self {
            Self::FirstPayment(due)
            | Self::FirstPaymentNeverCame(due)
            | Self::TrialEnd(due)
            | Self::PeriodEnd(due)
            | Self::Charge(due, _)
            | Self::Retry(due, _)
            | Self::Settle(due)
            | Self::Whim(due)
            | Self::Uncancel(due)
            | Self::ResumeCollection(due)
            | Self::Simulate(due)
            | Self::Resume(due) => Some(due),
            Self::Open(_)
            | Self::SignUp(_)
            | Self::Contact(_)
            | Self::Identify(_)
            | Self::Remove(_)
            | Self::Purchase(_)
            | Self::Refund(_)
            | Self::Return(_)
            | Self::Warn(_)
            | Self::OpenDispute(_)
            | Self::MoveDispute(_)
            | Self::Noise(_) => None,
        }
    }
}
