//! What the convergence tests share: a language for histories, and what "the same end" means.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::domain::access::plan::{PackageGrant, Plans};
use tollgate::domain::billing::assessment::Assessment;
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Occurrence, SubscriptionFact,
    SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::billing::history::{DisputeHistory, RefundHistory, SubscriptionHistory};
use tollgate::domain::customer::explain::Explanation;
use tollgate::domain::customer::flag::{Flag, HeldFlag};
use tollgate::domain::customer::row::Derived;
use tollgate::domain::id::{Kind, ObjectKey, Scope};
use tollgate::domain::identity::account::AccountHistory;
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
        "apikey" => Kind::Other,
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

/// Prices A and B have plans, other prices do not.
pub(crate) fn plans() -> Plans {
    let plan = |price: &str| {
        let package = format!("acme/{}", price.to_lowercase());
        vec![PackageGrant {
            package,
            constraint: "*".to_owned(),
        }]
    };
    let keys = provider::names().flat_map(|p| ["A", "B"].map(|price| (p, price)));
    keys.map(|(provider, price)| ((provider, price.to_owned()), plan(price)))
        .collect()
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
    };
    Sub(SubscriptionFact {
        subscription: subscription.clone(),
        state,
        before: None,
        created: false,
        request: None,
        ended_at: None,
    })
}

fn item(price: &str) -> Item {
    Item {
        price: price.to_owned(),
        product: None,
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

pub(crate) fn failed(second: i64) -> Occurrence {
    let subscription = stripe("sub_1");
    event(
        second,
        Fact::PaymentFailed {
            subscription,
            account: Some(stripe("cus_1")),
        },
    )
}

pub(crate) fn paid(second: i64) -> Occurrence {
    let subscription = stripe("sub_1");
    event(
        second,
        Fact::PaymentSucceeded {
            subscription,
            account: Some(stripe("cus_1")),
        },
    )
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

pub(crate) fn refunded(charge: &str, full: bool, second: i64) -> Occurrence {
    let refund = stripe(charge);
    let fact = Fact::Refunded {
        ids: ids(std::slice::from_ref(&refund)),
        part: refund.clone(),
        refund,
        full,
        amount: 0,
    };
    event(second, fact)
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
    pub(crate) references: BTreeSet<(ObjectKey, ObjectKey)>,
    /// Flags of what no customer was found for.
    pub(crate) nobodys: BTreeSet<HeldFlag>,
}

impl End {
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
