//! A life: payloads step by step, and what is shown after some of them.

use std::collections::BTreeSet;

use serde_json::Value;
use tollgate::domain::access::plan::{PackageGrant, Plan, Plans, grants};
use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::row::Status;
use tollgate::domain::id::Provider;
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};

use crate::convergence::orders::{Shuffle, orders};
use crate::convergence::rig::{End, license, policy};
use crate::convergence::store::MemoryStore;
use crate::convergence::traces::{end_of, occurrence};
use crate::support::fixtures::{NEW, OLD, load, provider_of};

/// How many events may come in every order; more come in random orders.
const ALL_ORDERS_UP_TO: usize = 4;

const RANDOM_ORDERS: u64 = 12;

type Edit = Box<dyn Fn(&mut Value)>;

/// What happens in a life.
enum Step {
    /// A payload, named by folder and type and what is special, with what is changed in it.
    Payload(String, Edit),
    /// An invoice and the payment intent that paid it.
    Linked(&'static str, &'static str),
    /// What is shown, a second after the newest event or at an instant.
    Derived(Option<&'static str>, &'static str),
}

/// A life that is being told.
pub(crate) struct Life {
    name: &'static str,
    policy: Policy,
    steps: Vec<Step>,
}

impl Life {
    pub(crate) fn of(name: &'static str) -> Self {
        Self {
            name,
            policy: policy(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn under(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    /// Payloads as they are, separated by blanks.
    pub(crate) fn then(mut self, files: &str) -> Self {
        for file in files.split_whitespace() {
            self = self.then_edited(file, |_| ());
        }
        self
    }

    /// A payload with something changed.
    pub(crate) fn then_edited(mut self, file: &str, edit: impl Fn(&mut Value) + 'static) -> Self {
        self.steps
            .push(Step::Payload(file.to_owned(), Box::new(edit)));
        self
    }

    /// The event that names an invoice together with the payment intent that paid it. Before 2025
    /// the invoice and the charge name each other.
    pub(crate) fn then_linked(mut self, invoice: &'static str, intent: &'static str) -> Self {
        self.steps.push(Step::Linked(invoice, intent));
        self
    }

    /// What is shown now, as [`told`] tells it.
    pub(crate) fn shows(mut self, expected: &'static str) -> Self {
        self.steps.push(Step::Derived(None, expected));
        self
    }

    /// The same at a later instant, though nothing has happened since.
    pub(crate) fn shows_at(mut self, instant: &'static str, expected: &'static str) -> Self {
        self.steps.push(Step::Derived(Some(instant), expected));
        self
    }

    /// Checks the life, in each shape that its payloads have.
    pub(crate) fn check(&self) {
        let is_stripes = |step: &Step| match step {
            Step::Payload(file, _) => provider_of(file) == STRIPE.name,
            Step::Linked(..) => true,
            Step::Derived(..) => false,
        };
        if self.steps.iter().any(is_stripes) {
            self.check_shape(OLD);
            self.check_shape(NEW);
        } else {
            self.check_shape(".json");
        }
    }

    fn check_shape(&self, shape: &str) {
        let (mut events, mut checks) = (Vec::new(), 0);
        for step in &self.steps {
            match step {
                Step::Payload(file, edit) => {
                    let mut payload = load(&format!("{file}{shape}"));
                    edit(&mut payload);
                    events.extend(occurrence(provider_of(file), &payload));
                }
                Step::Linked(invoice, intent) if shape == NEW => {
                    let mut payload = load(&format!("stripe/invoice_payment.paid--renewal{NEW}"));
                    let object = &mut payload["data"]["object"];
                    object["invoice"] = Value::from(*invoice);
                    object["payment"]["payment_intent"] = Value::from(*intent);
                    events.extend(occurrence(STRIPE.name, &payload));
                }
                Step::Linked(..) => {}
                Step::Derived(instant, expected) => {
                    checks += 1;
                    let newest = events.iter().map(|event: &Occurrence| event.at).max();
                    let soon = Timestamp::from_seconds(newest.map_or(0, Timestamp::seconds) + 1);
                    let now = instant.map_or(soon, Timestamp::parse).unwrap();
                    let whose = format!("{}, check {checks}, in the shape of {shape}", self.name);
                    let end = self.one_end(&events, now, &whose);
                    assert_eq!(told(&end), *expected, "{whose}");
                }
            }
        }
        assert!(checks > 0, "{}: nothing is checked", self.name);
    }

    /// The end of events in the order of the story, which that of every other order must equal.
    fn one_end(&self, events: &[Occurrence], now: Timestamp, whose: &str) -> End {
        let new = |documents| MemoryStore::with_plans(self.policy.clone(), plans(), documents);
        let alone = events.iter().map(|event| vec![event.clone()]);
        let end = end_of(|| new(true), alone, now);
        let same = |batches: Vec<Vec<Occurrence>>, how: &str| {
            let this = end_of(|| new(false), batches, now);
            assert_eq!(end, this, "{whose}: {how}");
        };
        let reversed = events.iter().rev();
        same(
            reversed.clone().map(|event| vec![event.clone()]).collect(),
            "reversed",
        );
        same(vec![reversed.cloned().collect()], "reversed in one batch");
        let doubled = events
            .iter()
            .map(|event| vec![event.clone(), event.clone()]);
        same(doubled.collect(), "each twice");
        same(vec![[events, events].concat()], "all, and then all again");
        if events.len() <= ALL_ORDERS_UP_TO {
            for order in orders(events.len(), 1) {
                let batches = order.iter().map(|event| vec![events[*event].clone()]);
                same(batches.collect(), &format!("{order:?}"));
            }
        }
        for seed in 1..=RANDOM_ORDERS {
            same(
                Shuffle(seed << 20).batches(events),
                &format!("shuffled by {seed}"),
            );
        }
        end
    }
}

/// What is shown of all customers, in one line: status, holds, packages, what there is to look
/// at. Such as `suspended by billing: team, look at open_dispute`.
fn told(end: &End) -> String {
    let customer = |seen: &crate::convergence::rig::Seen| {
        let shown = &seen.derived;
        let since = match shown.status {
            Status::Frozen { at } => format!(" at {at}"),
            Status::Active | Status::Suspended | Status::Expired => String::new(),
        };
        let holds = listed(
            " by ",
            shown.holds.iter().map(|hold| hold.as_str().to_owned()),
        );
        let plans = plans();
        let granted = shown
            .entitlements
            .iter()
            .filter_map(|entitlement| grants(&plans, entitlement));
        let packages: BTreeSet<String> = granted.flatten().map(|it| it.package.clone()).collect();
        let packages = if packages.is_empty() {
            "nothing".to_owned()
        } else {
            listed("", packages)
        };
        let flags: BTreeSet<&str> = seen.flags.iter().map(|flag| flag.kind.as_str()).collect();
        let flags = listed(", look at ", flags.into_iter().map(str::to_owned));
        format!("{}{since}{holds}: {packages}{flags}", shown.status.as_str())
    };
    let customers: Vec<String> = end.customers.iter().map(customer).collect();
    if customers.is_empty() {
        "nobody".to_owned()
    } else {
        customers.join("; ")
    }
}

fn listed(before: &str, words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    if words.is_empty() {
        String::new()
    } else {
        format!("{before}{}", words.join(" and "))
    }
}

/// What the prices of our payloads buy.
fn plans() -> Plans {
    let plan = |(provider, price, package): (Provider, &str, &str)| {
        let grant = PackageGrant {
            package: package.to_owned(),
            constraint: "*".to_owned(),
        };
        let plan = Plan {
            name: None,
            packages: vec![grant],
            licenses: vec![license(package)],
            ..Plan::default()
        };
        ((provider, price.to_owned()), plan)
    };
    let plans = [
        (STRIPE.name, "price_1TgTeamMonthly0000000001", "team"),
        (STRIPE.name, "price_1TgTeamYearly00000000001", "team"),
        (STRIPE.name, "price_1TgBusinessMonthly00000001", "business"),
        (PADDLE.name, "pri_01ktteam000000000000000001", "team"),
        (PADDLE.name, "pri_01ktbsns000000000000000001", "business"),
    ];
    plans.into_iter().map(plan).collect()
}
