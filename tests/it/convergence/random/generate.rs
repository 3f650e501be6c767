//! What histories are made of.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Occurrence, SubscriptionFact,
    SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::customer::row::Profile;
use tollgate::domain::id::{ObjectKey, Scope};
use tollgate::domain::policy::{
    OnCollectionPause, OnDisputeOpened, OnEnd, OnFullRefund, OnPause, OnPaymentFailed, Policy, Span,
};
use tollgate::provider::STRIPE;

use super::{Act, History};
use crate::convergence::rig::{at, ids, kind, paddle, stripe};

/// Provider time runs over so many seconds.
const SECONDS: i64 = 6;

fn accounts() -> Vec<ObjectKey> {
    let test = Scope {
        provider: STRIPE.name,
        livemode: false,
        connected: None,
    };
    vec![
        stripe("cus_1"),
        stripe("cus_2"),
        paddle("ctm_1"),
        test.key(kind("cus_1"), "cus_1"),
    ]
}

fn subscriptions() -> Vec<(ObjectKey, ObjectKey)> {
    let of = |account: &ObjectKey, id: &str| (account.scope.key(kind(id), id), account.clone());
    let mut all: Vec<_> = accounts()
        .iter()
        .map(|account| of(account, "sub_1"))
        .collect();
    all[1] = of(&stripe("cus_2"), "sub_2");
    all.push(of(&stripe("cus_1"), "sub_3"));
    all
}

fn statuses() -> impl Strategy<Value = SubscriptionStatus> {
    const WORDS: [&str; 12] = [
        "active",
        "active",
        "trialing",
        "past_due",
        "past_due",
        "unpaid",
        "paused",
        "incomplete",
        "incomplete_expired",
        "canceled",
        "hologram",
        "ghost",
    ];
    select(&WORDS[..]).prop_map(SubscriptionStatus::parse)
}

/// States without an account.
fn states() -> impl Strategy<Value = SubscriptionState> {
    let prices = select(&["A", "A", "B", "X"][..]);
    let cancel_at = option::weighted(0.2, 4..12_i64);
    let paused = prop::bool::weighted(0.1);
    (statuses(), prices, cancel_at, paused).prop_map(
        |(status, price, cancel_at, collection_paused)| SubscriptionState {
            status,
            items: vec![Item {
                price: price.to_owned(),
                product: None,
                quantity: Some(1),
            }],
            period_end: None,
            cancel_at: cancel_at.map(at),
            collection_paused,
            items_incomplete: false,
            account: None,
        },
    )
}

fn subscription_facts(of: Vec<(ObjectKey, ObjectKey)>) -> impl Strategy<Value = Fact> {
    let request = option::of(select(&["req_1", "req_2"][..]));
    let ended_at = option::weighted(0.2, (0..SECONDS).prop_map(at));
    let signs = (
        prop::bool::weighted(0.15),
        request,
        ended_at,
        prop::bool::weighted(0.9),
    );
    (select(of), states(), option::of(states()), signs).prop_map(
        |((subscription, account), mut state, mut before, (created, request, ended_at, named))| {
            for state in before.iter_mut().chain([&mut state]) {
                state.account = named.then(|| account.clone());
            }
            Fact::Subscription(SubscriptionFact {
                subscription,
                state,
                before,
                created,
                request: request.map(str::to_owned),
                ended_at,
            })
        },
    )
}

fn payments(of: Vec<(ObjectKey, ObjectKey)>) -> impl Strategy<Value = Fact> {
    (select(of), any::<bool>(), any::<bool>()).prop_map(
        |((subscription, account), named, failed)| {
            let account = named.then_some(account);
            if failed {
                Fact::PaymentFailed {
                    subscription,
                    account,
                }
            } else {
                Fact::PaymentSucceeded {
                    subscription,
                    account,
                }
            }
        },
    )
}

/// Addresses are shared by all accounts, or each account has its own.
fn contacts(shared: bool) -> impl Strategy<Value = Fact> {
    let address = option::weighted(
        0.9,
        select(&["x@e.com", "X@e.com", "y@e.com", "z@e.com"][..]),
    );
    let contact =
        (address, option::of(select(&["Ann", "Bob"][..]))).prop_map(|(email, name)| Contact {
            email: email.map(str::to_owned),
            name: name.map(str::to_owned),
            ..Contact::default()
        });
    let source = select(vec![
        ContactSource::Created,
        ContactSource::Updated,
        ContactSource::Updated,
        ContactSource::Secondary,
    ]);
    (
        select(accounts()),
        contact.clone(),
        option::weighted(0.4, contact),
        source,
    )
        .prop_map(move |(account, mut contact, mut before, source)| {
            if !shared {
                for contact in before.iter_mut().chain([&mut contact]) {
                    contact.email = contact
                        .email
                        .as_ref()
                        .map(|email| format!("{account}{email}"));
                }
            }
            Fact::Contact(ContactFact {
                account,
                contact,
                before,
                source,
                request: None,
            })
        })
}

fn money() -> impl Strategy<Value = Fact> {
    let pool: Vec<_> = ["ch_1", "ch_2", "pi_1", "in_1", "cus_1", "cus_2", "sub_3"]
        .iter()
        .map(|id| stripe(id))
        .collect();
    let stage = select(vec![
        DisputeStage::Warning,
        DisputeStage::Open,
        DisputeStage::Won,
        DisputeStage::Lost,
    ]);
    let tied = proptest::sample::subsequence(pool.clone(), 1..=2);
    let pairs = proptest::sample::subsequence(pool, 2..=3);
    prop_oneof![
        4 => pairs.prop_map(|pair| Fact::PaymentLink { ids: ids(&pair) }),
        2 => (stage, tied.clone(), select(&["dp_1", "dp_2"][..])).prop_map(
            |(stage, tied, id)| Fact::Disputed { dispute: stripe(id), stage, ids: ids(&tied) }
        ),
        1 => (any::<bool>(), tied).prop_map(
            |(full, tied)| Fact::Refunded {
                refund: stripe("ch_1"), part: stripe("ch_1"), full, amount: 0, ids: ids(&tied)
            }
        ),
        2 => (select(&["adj_1", "adj_2"][..]), select(&[0, 40, 60][..])).prop_map(
            |(part, amount)| Fact::Refunded {
                refund: paddle("txn_1"),
                part: paddle(part),
                full: false,
                amount,
                ids: ids(&[paddle("txn_1"), paddle("ctm_1")]),
            }
        ),
        1 => select(&[80, 100][..])
            .prop_map(|amount| Fact::Charged { payment: paddle("txn_1"), amount }),
    ]
}

pub(super) fn events(shared: bool) -> impl Strategy<Value = Occurrence> {
    let fact = prop_oneof![
        10 => subscription_facts(subscriptions()),
        4 => payments(subscriptions()),
        6 => contacts(shared),
        3 => money(),
        1 => select(accounts()).prop_map(|account| Fact::AccountRemoved { account }),
        1 => select(accounts()).prop_map(|account| Fact::AccountNamed { account }),
        1 => select(accounts()).prop_map(|object| Fact::Unfetched { object }),
    ];
    (seconds(), vec(fact, 1..=2)).prop_map(|(second, facts)| Occurrence {
        at: at(second),
        facts,
    })
}

/// One second in two is the same, so that it holds many facts.
fn seconds() -> impl Strategy<Value = i64> {
    prop_oneof![Just(3), 0..SECONDS]
}

fn alone(fact: impl Strategy<Value = Fact>) -> impl Strategy<Value = Occurrence> {
    (seconds(), fact).prop_map(|(second, fact)| Occurrence {
        at: at(second),
        facts: vec![fact],
    })
}

/// Events of one subscription alone, and of its account: every second is crowded.
pub(super) fn crowded() -> impl Strategy<Value = Vec<Occurrence>> {
    let one = || vec![(paddle("sub_1"), paddle("ctm_1"))];
    let ended = Just(Fact::AccountRemoved {
        account: paddle("ctm_1"),
    });
    let fact = prop_oneof![12 => subscription_facts(one()), 6 => payments(one()), 1 => ended];
    vec(alone(fact), 2..9)
}

/// Events of accounts that share addresses, and of a subscription of each.
pub(super) fn of_accounts() -> impl Strategy<Value = Vec<Occurrence>> {
    let named = select(accounts()).prop_map(|account| Fact::AccountNamed { account });
    let removed = select(accounts()).prop_map(|account| Fact::AccountRemoved { account });
    let fact = prop_oneof![
        8 => contacts(true),
        2 => subscription_facts(subscriptions()),
        1 => named,
        1 => removed,
    ];
    vec(alone(fact), 2..9)
}

/// A subscription's states one after the other, as a provider goes through them.
pub(super) fn walks() -> impl Strategy<Value = Vec<SubscriptionState>> {
    let statuses = select(&["active", "trialing", "past_due", "unpaid", "paused"][..]);
    let step = (
        statuses,
        select(&["A", "B"][..]),
        option::of(Just(900)),
        any::<bool>(),
    );
    let state = step.prop_map(
        |(status, price, cancel_at, collection_paused)| SubscriptionState {
            status: SubscriptionStatus::parse(status),
            items: vec![Item {
                price: price.to_owned(),
                product: None,
                quantity: Some(1),
            }],
            period_end: None,
            cancel_at: cancel_at.map(at),
            collection_paused,
            items_incomplete: false,
            account: Some(stripe("cus_1")),
        },
    );
    // Few states, so that walks come back to where they were.
    (vec(state, 2..=3), vec(any::<prop::sample::Index>(), 2..9))
        .prop_map(|(states, steps)| steps.iter().map(|step| step.get(&states).clone()).collect())
}

/// The events of a walk: the first state in a second of its own, all others in the next one,
/// each by a request of its own.
pub(super) fn walked(states: &[SubscriptionState]) -> Vec<Occurrence> {
    let event = |(n, state): (usize, &SubscriptionState)| {
        let fact = SubscriptionFact {
            subscription: stripe("sub_1"),
            state: state.clone(),
            before: n.checked_sub(1).map(|before| states[before].clone()),
            created: n == 0,
            request: Some(format!("req_{n}")),
            ended_at: None,
        };
        Occurrence {
            at: at(if n == 0 { 5 } else { 10 }),
            facts: vec![Fact::Subscription(fact)],
        }
    };
    states.iter().enumerate().map(event).collect()
}

pub(super) fn policies() -> impl Strategy<Value = Policy> {
    let spans = || select(&["0d", "1s", "3s", "14d"][..]).prop_map(|s| s.parse::<Span>().unwrap());
    (vec(any::<bool>(), 8), spans(), spans()).prop_map(|(on, suspend_after, end_after)| Policy {
        on_payment_failed: [OnPaymentFailed::Suspend, OnPaymentFailed::Keep][usize::from(on[0])],
        suspend_after,
        end_after,
        on_end: [OnEnd::Freeze, OnEnd::Expire][usize::from(on[1])],
        on_pause: [OnPause::Freeze, OnPause::Keep][usize::from(on[2])],
        on_collection_pause: if on[3] {
            OnCollectionPause::Suspend
        } else {
            OnCollectionPause::Keep
        },
        on_dispute_opened: [OnDisputeOpened::Flag, OnDisputeOpened::Suspend][usize::from(on[4])],
        on_full_refund: [OnFullRefund::Flag, OnFullRefund::Expire][usize::from(on[5])],
        match_by_email: on[6] || on[7],
        ..Policy::default()
    })
}

pub(super) fn profiles() -> impl Strategy<Value = Profile> {
    let email = option::of(select(&["x@e.com", "Y@e.com"][..]));
    let external_id = option::of(select(&["cus_1", "paddle_ctm_1"][..]));
    (email, external_id).prop_map(|(email, external_id)| Profile {
        email: email.map(str::to_owned),
        external_id: external_id.map(str::to_owned),
        ..Profile::default()
    })
}

/// Histories without an admin's act in between, where customers merge and part at will.
pub(super) fn shared_histories() -> impl Strategy<Value = History> {
    let policy = prop_oneof![Just(Policy::default()), policies()];
    (
        policy,
        vec(profiles(), 0..=2),
        vec(events(true), 1..14),
        0..14_i64,
    )
        .prop_map(|(policy, admin_made, after, now)| {
            let on = stripe("cus_1");
            History {
                policy,
                admin_made,
                before: Vec::new(),
                act: Act::Nothing,
                on,
                after,
                now,
            }
        })
}

/// Histories with an admin's act. Each account has its own addresses: what an admin gives a
/// customer stays with the row that was shown, and which of several that was is chance.
pub(super) fn acted_histories() -> impl Strategy<Value = History> {
    let policy = prop_oneof![Just(Policy::default()), policies()];
    let acts = select(vec![
        Act::Suspend,
        Act::Reactivate,
        Act::Reactivate,
        Act::Freeze,
        Act::Expire,
        Act::Delete,
    ]);
    let parts = (vec(events(false), 1..8), vec(events(false), 0..8));
    (policy, parts, acts, select(accounts()), 0..14_i64).prop_map(
        |(policy, (before, after), act, on, now)| History {
            policy,
            admin_made: Vec::new(),
            before,
            act,
            on,
            after,
            now,
        },
    )
}
