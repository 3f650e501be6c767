//! What the convergence tests share: a language for histories, and what "the same end" means.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::domain::access::license::LicenseCode;
use tollgate::domain::access::plan::{PackageGrant, Plan, PlanLicense, Plans};
use tollgate::domain::billing::assessment::Assessment;
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Line, Occurrence, PaymentFact,
    PaymentStep, RefundFact, RefundStage, SubscriptionFact, SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::billing::feature::{Feature, FeatureList, FeaturesFact};
use tollgate::domain::billing::history::{
    DisputeHistory, PaymentHistory, RefundHistory, SubscriptionHistory,
};
use tollgate::domain::billing::trace::PaymentLinks;
use tollgate::domain::customer::explain::Explanation;
use tollgate::domain::customer::flag::{Flag, HeldFlag};
use tollgate::domain::customer::row::Derived;
use tollgate::domain::id::{Kind, ObjectKey, Scope};
use tollgate::domain::identity::account::AccountHistory;
use tollgate::domain::policy::{OnSameEmail, Policy};
use tollgate::domain::time::Timestamp;
use tollgate::provider::{self, PADDLE, STRIPE};

/// Second `n` of provider time.
pub(crate) fn at(n: i64) -> Timestamp {
    Timestamp::from_seconds(n).unwrap()
}

/// The local time of the named cases: after all events, before any end by failing too long.
pub(crate) const NOW: i64 = 800;

/// What the ids of these tests name, by how they begin.
pub(crate) fn kind(id: &str) -> Kind {
    match id.split('_').next().unwrap() {
        "cus" | "ctm" | "acct" => Kind::Account,
        "sub" => Kind::Subscription,
        "in" => Kind::Invoice,
        "ch" => Kind::Charge,
        "pi" => Kind::PaymentIntent,
        "cs" => Kind::Session,
        "txn" => Kind::Transaction,
        "dp" | "du" | "issfr" => Kind::Dispute,
        "re" => Kind::Refund,
        "adj" => Kind::Adjustment,
        "evt" => Kind::Event,
        "apikey" => Kind::ApiKey,
        _ => panic!("what is {id}?"),
    }
}

pub(crate) fn stripe(id: &str) -> ObjectKey {
    let scope = Scope {
        provider: STRIPE.name,
        livemode: true,
        connected: None,
    };
    scope.key(kind(id), id)
}

pub(crate) fn paddle(id: &str) -> ObjectKey {
    let scope = Scope {
        provider: PADDLE.name,
        livemode: true,
        connected: None,
    };
    scope.key(kind(id), id)
}

/// A licence of a product.
pub(crate) fn license(product: &str) -> PlanLicense {
    PlanLicense {
        product: product.to_owned(),
        activations_limit: None,
    }
}

/// Prices A, B and P have plans, F has one that buys nothing, C one that only counts, U one with a
/// year of updates; other prices have none. Of the features `docs` and `pro` have plans.
pub(crate) fn plans() -> Plans {
    let plan = |price: &str| Plan {
        name: None,
        packages: match price {
            "F" | "C" => Vec::new(),
            price => vec![PackageGrant {
                package: format!("acme/{}", price.to_lowercase()),
                constraint: "*".to_owned(),
            }],
        },
        licenses: match price {
            "F" | "C" => Vec::new(),
            // A product of its own, and one that several prices buy.
            price => ["suite", price].map(license).to_vec(),
        },
        counts: price == "C",
        updates: (price == "U").then(|| "365d".parse().unwrap()),
    };
    let prices = ["A", "B", "C", "F", "P", "U", "plink_1", "docs", "pro"];
    let keys = provider::names().flat_map(|p| prices.map(|price| (p, price)));
    keys.map(|(provider, price)| ((provider, price.to_owned()), plan(price)))
        .collect()
}

/// The policy of the named cases: no grace, two weeks until a failure ends, and a shared address
/// joins.
pub(crate) fn policy() -> Policy {
    Policy {
        suspend_after: "0d".parse().unwrap(),
        end_after: "14d".parse().unwrap(),
        on_same_email: OnSameEmail::Join,
        ..Policy::default()
    }
}

pub(crate) fn event(second: i64, fact: Fact) -> Occurrence {
    Occurrence {
        at: at(second),
        facts: vec![fact],
    }
}

/// A subscription as an event shows it; turned into an event by [`Sub::at`].
#[derive(Clone)]
pub(crate) struct Sub(pub(crate) SubscriptionFact);

/// The subscription `s` of `cus_1`, with price A.
pub(crate) fn sub(status: &str) -> Sub {
    sub_of(&stripe("sub_1"), &stripe("cus_1"), status)
}

pub(crate) fn sub_of(subscription: &ObjectKey, account: &ObjectKey, status: &str) -> Sub {
    let state = SubscriptionState {
        status: SubscriptionStatus::parse(status),
        items: vec![item("A")],
        period_end: None,
        cancel_at: None,
        collection_paused: false,
        items_incomplete: false,
        account: Some(account.clone()),
        latest_invoice: None,
        pause_reason: None,
        test_clock: None,
    };
    Sub(SubscriptionFact {
        subscription: subscription.clone(),
        state,
        before: None,
        created: false,
        imported: false,
        request: None,
        ended_at: None,
    })
}

fn item(price: &str) -> Item {
    Item {
        price: price.to_owned(),
        product: None,
        lookup_key: None,
        quantity: Some(1),
    }
}

impl Sub {
    pub(crate) fn created(mut self) -> Self {
        self.0.created = true;
        self
    }

    pub(crate) fn price(mut self, price: &str) -> Self {
        self.0.state.items = vec![item(price)];
        self
    }

    /// Shows the invoice that it owes or paid last.
    pub(crate) fn latest(mut self, invoice: &str) -> Self {
        self.0.state.latest_invoice = Some(invoice.to_owned());
        self
    }

    pub(crate) fn period_end(mut self, second: i64) -> Self {
        self.0.state.period_end = Some(at(second));
        self
    }

    pub(crate) fn pause_reason(mut self, reason: &str) -> Self {
        self.0.state.pause_reason = Some(reason.to_owned());
        self
    }

    pub(crate) fn cancel_at(mut self, second: i64) -> Self {
        self.0.state.cancel_at = Some(at(second));
        self
    }

    /// `previous_attributes`: the same state but for what `change` puts back.
    pub(crate) fn before(mut self, change: impl FnOnce(&mut SubscriptionState)) -> Self {
        let mut before = self.0.state.clone();
        change(&mut before);
        self.0.before = Some(before);
        self
    }

    pub(crate) fn before_status(self, status: &str) -> Self {
        self.before(|state| state.status = SubscriptionStatus::parse(status))
    }

    pub(crate) fn at(self, second: i64) -> Occurrence {
        event(second, Fact::Subscription(self.0))
    }
}

/// A payment's document as an event shows it; turned into an event by what happened to it.
#[derive(Clone)]
pub(crate) struct Pay(PaymentFact);

/// An invoice of `sub_1` of `cus_1`, without lines.
pub(crate) fn invoice(id: &str) -> Pay {
    pay(&stripe(id), &stripe("cus_1")).of(&stripe("sub_1"))
}

/// A document of an account, of no subscription, without lines.
pub(crate) fn pay(document: &ObjectKey, account: &ObjectKey) -> Pay {
    Pay(PaymentFact {
        document: document.clone(),
        account: Some(account.clone()),
        subscription: None,
        reason: None,
        step: PaymentStep::Known,
        lines: Vec::new(),
        lines_incomplete: false,
        has_unpriced_items: false,
    })
}

impl Pay {
    pub(crate) fn of(mut self, subscription: &ObjectKey) -> Self {
        self.0.subscription = Some(subscription.clone());
        self
    }

    /// Names neither who pays nor what for.
    pub(crate) fn of_nobody(mut self) -> Self {
        (self.0.account, self.0.subscription) = (None, None);
        self
    }

    pub(crate) fn reason(mut self, reason: &str) -> Self {
        self.0.reason = Some(reason.to_owned());
        self
    }

    /// A line for a period; a credit if the amount is below 0.
    pub(crate) fn line(mut self, price: &str, amount: i64, start: i64, end: i64) -> Self {
        self.0.lines.push(Line {
            price: price.to_owned(),
            product: None,
            lookup_key: None,
            amount,
            quantity: None,
            start: Some(at(start)),
            end: Some(at(end)),
            once: false,
            id: None,
        });
        self
    }

    /// The last line is about this many; of a credit that many are taken back.
    pub(crate) fn many(mut self, quantity: i64) -> Self {
        self.0.lines.last_mut().unwrap().quantity = Some(quantity);
        self
    }

    /// It has a line for something bought once that names no price.
    pub(crate) fn unpriced(mut self) -> Self {
        self.0.has_unpriced_items = true;
        self
    }

    /// A line for something bought once.
    pub(crate) fn once(mut self, price: &str, amount: i64) -> Self {
        self.0.lines.push(Line {
            price: price.to_owned(),
            product: None,
            lookup_key: None,
            amount,
            quantity: None,
            start: None,
            end: None,
            once: true,
            id: None,
        });
        self
    }

    /// The id of the last line.
    pub(crate) fn with_id(mut self, id: &str) -> Self {
        self.0.lines.last_mut().unwrap().id = Some(id.to_owned());
        self
    }

    /// A line that stands for a Checkout session.
    pub(crate) fn session(self, price: &str, session: &str, amount: i64) -> Self {
        self.once(price, amount).with_id(session)
    }

    fn step(mut self, second: i64, step: PaymentStep) -> Occurrence {
        self.0.step = step;
        event(second, Fact::Payment(self.0))
    }

    /// Paid with money, for what its lines sum up to; an invoice without lines for 100.
    pub(crate) fn paid(self, second: i64) -> Occurrence {
        let sum = self.0.lines.iter().map(|line| line.amount).sum();
        let cost = if self.0.lines.is_empty() { 100 } else { sum };
        self.paid_with(cost, cost, second)
    }

    pub(crate) fn paid_with(self, money: i64, cost: i64, second: i64) -> Occurrence {
        self.step(second, PaymentStep::Paid { money, cost })
    }

    pub(crate) fn failed(self, second: i64) -> Occurrence {
        self.step(second, PaymentStep::Failed { next_attempt: None })
    }

    pub(crate) fn known(self, second: i64) -> Occurrence {
        self.step(second, PaymentStep::Known)
    }
}

/// A list of features as an event shows it; turned into an event by [`Features::at`].
#[derive(Clone)]
pub(crate) struct Features(FeaturesFact);

/// The features of `cus_1`, by their lookup keys.
pub(crate) fn features(names: &[&str]) -> Features {
    features_of("cus_1", names)
}

pub(crate) fn features_of(account: &str, names: &[&str]) -> Features {
    Features(FeaturesFact {
        account: stripe(account),
        list: feature_list(names),
        before: None,
        request: None,
    })
}

fn feature_list(names: &[&str]) -> FeatureList {
    let feature = |name: &&str| Feature {
        id: format!("feat_{name}"),
        lookup_key: Some((*name).to_owned()),
    };
    FeatureList {
        features: names.iter().map(feature).collect(),
        incomplete: false,
    }
}

impl Features {
    /// `previous_attributes`.
    pub(crate) fn before(mut self, names: &[&str]) -> Self {
        self.0.before = Some(feature_list(names));
        self
    }

    /// There are more than it lists.
    pub(crate) fn cut(mut self) -> Self {
        self.0.list.incomplete = true;
        self
    }

    pub(crate) fn fact(self) -> Fact {
        Fact::Features(self.0)
    }

    pub(crate) fn at(self, second: i64) -> Occurrence {
        event(second, self.fact())
    }
}

pub(crate) fn removed(account: &str, second: i64) -> Occurrence {
    event(
        second,
        Fact::AccountRemoved {
            account: stripe(account),
        },
    )
}

/// A contact without a change, as a fetched object shows it.
pub(crate) fn contact(account: &str, email: &str, second: i64) -> Occurrence {
    named_contact(account, email, None, second)
}

pub(crate) fn named_contact(
    account: &str,
    email: &str,
    name: Option<&str>,
    second: i64,
) -> Occurrence {
    let contact = Contact {
        email: Some(email.to_owned()),
        name: name.map(str::to_owned),
        ..Contact::default()
    };
    let fact = ContactFact {
        account: stripe(account),
        contact,
        before: None,
        source: ContactSource::Updated,
        request: None,
    };
    event(second, Fact::Contact(fact))
}

pub(crate) fn ids(keys: &[ObjectKey]) -> BTreeSet<ObjectKey> {
    keys.iter().cloned().collect()
}

pub(crate) fn pair(a: &str, b: &str, second: i64) -> Occurrence {
    event(
        second,
        Fact::PaymentLink {
            ids: ids(&[stripe(a), stripe(b)]),
        },
    )
}

pub(crate) fn disputed(
    dispute: &ObjectKey,
    stage: DisputeStage,
    tied: &[ObjectKey],
    second: i64,
) -> Occurrence {
    let fact = Fact::Disputed {
        dispute: dispute.clone(),
        stage,
        ids: ids(tied),
    };
    event(second, fact)
}

/// A charge's own count of what was given back of it.
pub(crate) fn counted(charge: &str, amount: i64, second: i64) -> Occurrence {
    let charge = stripe(charge);
    let fact = Fact::ChargeRefunded {
        ids: ids(std::slice::from_ref(&charge)),
        charge,
        amount,
    };
    event(second, fact)
}

/// A refund with an id of its own.
pub(crate) fn refund(
    refund: &ObjectKey,
    stage: RefundStage,
    amount: i64,
    tied: &[ObjectKey],
    second: i64,
) -> Occurrence {
    let fact = RefundFact {
        refund: refund.clone(),
        stage,
        amount,
        lines: BTreeMap::new(),
        ids: ids(tied),
    };
    event(second, Fact::Refunded(fact))
}

/// A refund of `txn_1` at Paddle, which names what it is for.
pub(crate) fn adjustment(
    id: &str,
    stage: RefundStage,
    lines: &[(&str, i64)],
    second: i64,
) -> Occurrence {
    let amounts = lines.iter().map(|(_, amount)| *amount);
    let fact = RefundFact {
        refund: paddle(id),
        stage,
        amount: amounts.fold(0, i64::saturating_add),
        lines: lines
            .iter()
            .map(|(id, it)| ((*id).to_owned(), *it))
            .collect(),
        ids: ids(&[paddle("txn_1"), paddle("ctm_1")]),
    };
    event(second, Fact::Refunded(fact))
}

/// A customer as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) accounts: BTreeSet<ObjectKey>,
    pub(crate) derived: Derived,
    pub(crate) flags: BTreeSet<Flag>,
    /// Why it is shown so; of a deleted customer nothing.
    pub(crate) explanation: Option<Explanation>,
}

/// What must be equal, whatever the order: everything but ids and local times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) customers: Vec<Seen>,
    pub(crate) subscriptions: BTreeMap<ObjectKey, Assessment>,
    /// Accounts of disputes and refunds.
    pub(crate) money: BTreeMap<ObjectKey, Option<ObjectKey>>,
    /// What is kept. A pin names a row, and ids of rows are made here, so without pins.
    pub(crate) accounts: BTreeMap<ObjectKey, AccountHistory>,
    pub(crate) kept: BTreeMap<ObjectKey, SubscriptionHistory>,
    pub(crate) disputes: BTreeMap<ObjectKey, DisputeHistory>,
    pub(crate) refunds: BTreeMap<ObjectKey, RefundHistory>,
    pub(crate) payments: BTreeMap<ObjectKey, (Option<ObjectKey>, PaymentHistory)>,
    pub(crate) references: PaymentLinks,
    /// Licences by source and product: the plan, the accounts of whose it is, and whether it is
    /// valid.
    pub(crate) licenses: BTreeMap<(ObjectKey, String), SeenLicense>,
    /// Flags of what no customer was found for.
    pub(crate) nobodys: BTreeSet<HeldFlag>,
}

/// A licence that was made for what was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenLicense {
    pub(crate) plan: String,
    pub(crate) accounts: Vec<ObjectKey>,
    pub(crate) code: LicenseCode,
}

impl End {
    /// Source, product and code of each licence.
    pub(crate) fn licenses(&self) -> Vec<(&str, &str, &str)> {
        let licenses = self.licenses.iter();
        let told = licenses.map(|((source, product), it)| {
            (source.id.as_str(), product.as_str(), it.code.as_str())
        });
        told.collect()
    }

    /// What is shown of the customer with this account.
    pub(crate) fn of(&self, account: &str) -> &Derived {
        &self.seen(account).derived
    }

    pub(crate) fn flags(&self, account: &str) -> &BTreeSet<Flag> {
        &self.seen(account).flags
    }

    fn seen(&self, account: &str) -> &Seen {
        let has = |seen: &&Seen| seen.accounts.iter().any(|key| key.id == account);
        self.customers.iter().find(has).unwrap()
    }

    pub(crate) fn assessment(&self, subscription: &str) -> &Assessment {
        let mut all = self.subscriptions.iter();
        all.find(|(key, _)| key.id == subscription).unwrap().1
    }
}
