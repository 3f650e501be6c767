//! What histories are made of.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Line, Occurrence, PaymentFact,
    PaymentStep, RefundFact, RefundStage, SubscriptionFact, SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::customer::row::Profile;
use tollgate::domain::id::{ObjectKey, Scope};
use tollgate::domain::policy::{
    EarlyEnd, OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnEndUnpaid, OnFullRefund,
    OnPause, OnPaymentFailed, OnSameEmail, OnSilence, Policy,
};
use tollgate::domain::span::Span;
use tollgate::provider::STRIPE;

use super::{Act, History};
use crate::convergence::rig::{at, features_of, ids, kind, paddle, stripe};

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
        paddle("ctm_2"),
    ]
}

/// Subscriptions and their accounts; Paddle's `sub_1` moves between two.
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

/// Invoices, of which subscriptions owe one or another.
const INVOICES: [&str; 3] = ["in_1", "in_2", "in_3"];

/// Why subscriptions are paused.
const PAUSES: [&str; 3] = [
    "final_payment_failure",
    "trial_end_without_payment_method",
    "requested",
];

/// States without an account.
fn states() -> impl Strategy<Value = SubscriptionState> {
    let prices = select(&["A", "A", "B", "C", "F", "X"][..]);
    let cancel_at = option::weighted(0.2, 4..12_i64);
    let period_end = option::weighted(0.3, 2..9_i64);
    let paused = prop::bool::weighted(0.1);
    let invoice = option::weighted(0.6, select(&INVOICES[..]));
    let reason = option::weighted(0.3, select(&PAUSES[..]));
    let quantity = select(&[Some(1), Some(1), None, Some(0)][..]);
    let money = (invoice, reason, prop::bool::weighted(0.05));
    let times = (cancel_at, period_end);
    (statuses(), (prices, quantity), times, paused, money).prop_map(
        |(status, (price, quantity), (cancel_at, period_end), collection_paused, money)| {
            let (invoice, reason, clocked) = money;
            SubscriptionState {
                status,
                items: vec![Item {
                    price: price.to_owned(),
                    product: None,
                    lookup_key: None,
                    quantity,
                }],
                period_end: period_end.map(at),
                cancel_at: cancel_at.map(at),
                collection_paused,
                items_incomplete: false,
                account: None,
                latest_invoice: invoice.map(str::to_owned),
                pause_reason: reason.map(str::to_owned),
                test_clock: clocked.then(|| "clock_1".to_owned()),
            }
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
                imported: created && request.is_none(),
                request: request.map(str::to_owned),
                ended_at,
            })
        },
    )
}

fn lines() -> impl Strategy<Value = Line> {
    let price = select(&["A", "B", "F", "P", "U", "X"][..]);
    let amount = select(&[100, 100, 50, 0, -50][..]);
    let period = (0..4_i64, 1..8_i64);
    (price, amount, period, prop::bool::weighted(0.3)).prop_map(
        |(price, amount, (start, length), once)| Line {
            price: price.to_owned(),
            product: None,
            lookup_key: None,
            amount,
            quantity: None,
            start: (!once).then(|| at(start)),
            end: (!once).then(|| at(start + length)),
            once,
            id: once.then(|| format!("line_{price}")),
        },
    )
}

fn payments(of: Vec<(ObjectKey, ObjectKey)>) -> impl Strategy<Value = Fact> {
    let amounts = select(&[(100, 100), (100, 100), (0, 100), (0, 0), (0, -50)][..]);
    let step = prop_oneof![
        1 => Just(PaymentStep::Known),
        4 => amounts.prop_map(|(money, cost)| PaymentStep::Paid { money, cost }),
        2 => option::of((4..9_i64).prop_map(at))
            .prop_map(|next_attempt| PaymentStep::Failed { next_attempt }),
        1 => Just(PaymentStep::Void),
    ];
    let documents = select(&["in_1", "in_2", "in_3", "pi_1", "cs_1"][..]);
    let reasons = option::of(select(&REASONS[..]));
    let named = (prop::bool::weighted(0.7), prop::bool::weighted(0.8));
    let lines = (vec(lines(), 0..3), prop::bool::weighted(0.05));
    (select(of), documents, step, reasons, named, lines).prop_map(
        |((subscription, account), document, step, reason, (named, bills), (lines, cut))| {
            let scope = &account.scope;
            let document = if scope.provider == STRIPE.name {
                scope.key(kind(document), document)
            } else {
                let id = document.replace(['i', 'p', 'c'], "").replace('n', "txn");
                let id = if id.starts_with("txn") {
                    id
                } else {
                    "txn_9".to_owned()
                };
                scope.key(kind(&id), &id)
            };
            Fact::Payment(PaymentFact {
                document,
                account: named.then_some(account),
                subscription: bills.then_some(subscription),
                reason: reason.map(str::to_owned),
                step,
                lines,
                lines_incomplete: cut,
                has_unpriced_items: false,
            })
        },
    )
}

/// Why payments are billed, in both providers' words.
const REASONS: [&str; 4] = [
    "subscription_cycle",
    "subscription_recurring",
    "subscription_update",
    "manual",
];

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
    let pool: Vec<_> = [
        "ch_1", "ch_2", "pi_1", "cs_1", "in_1", "in_2", "cus_1", "cus_2", "sub_3",
    ]
    .iter()
    .map(|id| stripe(id))
    .collect();
    let stage = select(vec![
        DisputeStage::FraudWarning,
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
        1 => (select(&[0, 50, 100][..]), tied.clone()).prop_map(
            |(amount, tied)| Fact::ChargeRefunded {
                charge: stripe("ch_1"), amount, ids: ids(&tied)
            }
        ),
        2 => (select(&["re_1", "re_2"][..]), stages(), select(&[50, 100][..]), tied).prop_map(
            |(refund, stage, amount, tied)| Fact::Refunded(RefundFact {
                refund: stripe(refund), stage, amount, lines: BTreeMap::new(), ids: ids(&tied)
            })
        ),
        2 => (
            select(&["adj_1", "adj_2"][..]),
            stages(),
            select(&[0, 40, 60][..]),
            option::of(select(&["line_P", "line_U"][..])),
        ).prop_map(
            |(adjustment, stage, amount, line)| Fact::Refunded(RefundFact {
                refund: paddle(adjustment),
                stage,
                amount,
                lines: line.map(|line| (line.to_owned(), amount)).into_iter().collect(),
                ids: ids(&[paddle("txn_1"), paddle("ctm_1")]),
            })
        ),
    ]
}

fn stages() -> impl Strategy<Value = RefundStage> {
    select(vec![
        RefundStage::Pending,
        RefundStage::Succeeded,
        RefundStage::Succeeded,
        RefundStage::Failed,
    ])
}

/// Lists of features, some with what they were before, some cut.
fn feature_lists() -> impl Strategy<Value = Fact> {
    let names = || subsequence(vec!["docs", "pro", "sso"], 0..=3);
    let account = select(vec!["cus_1", "cus_2"]);
    let before = option::of(names());
    (account, names(), before, any::<bool>()).prop_map(|(account, names, before, cut)| {
        let mut list = features_of(account, &names);
        if let Some(before) = before {
            list = list.before(&before);
        }
        if cut { list.cut() } else { list }.fact()
    })
}

pub(super) fn events(shared: bool) -> impl Strategy<Value = Occurrence> {
    let fact = prop_oneof![
        10 => subscription_facts(subscriptions()),
        8 => payments(subscriptions()),
        6 => contacts(shared),
        3 => money(),
        3 => feature_lists(),
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
                lookup_key: None,
                quantity: Some(1),
            }],
            period_end: None,
            cancel_at: cancel_at.map(at),
            collection_paused,
            items_incomplete: false,
            account: Some(stripe("cus_1")),
            latest_invoice: None,
            pause_reason: None,
            test_clock: None,
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
            imported: false,
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
    let spans = (spans(), spans(), spans(), spans());
    (vec(0..12_usize, 11), spans).prop_map(|(on, spans)| {
        let (suspend_after, end_after, freeze_after, silence_after) = spans;
        Policy {
            on_payment_failed: one(&OnPaymentFailed::ALL, on[0]),
            suspend_after,
            end_after,
            on_end: one(&OnEnd::ALL, on[1]),
            on_end_unpaid: one(&OnEndUnpaid::ALL, on[2]),
            early_end: one(&EarlyEnd::ALL, on[3]),
            freeze_after,
            on_pause: one(&OnPause::ALL, on[4]),
            on_collection_pause: one(&OnCollectionPause::ALL, on[5]),
            on_dispute_opened: one(&OnDisputeOpened::ALL, on[6]),
            on_dispute_lost: one(&OnDisputeLost::ALL, on[7]),
            on_full_refund: one(&OnFullRefund::ALL, on[8]),
            on_silence: one(&OnSilence::ALL, on[9]),
            silence_after,
            on_same_email: one(&OnSameEmail::ALL, on[10]),
        }
    })
}

fn one<T: Copy>(all: &[T], index: usize) -> T {
    all[index % all.len()]
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
