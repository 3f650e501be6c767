//! Any order and any duplication of the same events ends in the same state: generated histories.
//!
//! Few instants, so that seconds are shared; few accounts and addresses, so that customers merge
//! and part; states that no provider would send in this order, because order is what must not
//! matter.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate::domain::act::FreezeOrder;
use tollgate::domain::customer::Profile;
use tollgate::domain::fact::{
    Contact, ContactFact, ContactSource, DisputeStanding, Fact, Item, Occurrence, SubscriptionFact,
    SubscriptionState, SubscriptionStatus,
};
use tollgate::domain::id::{ObjectKey, Provider, Scope};
use tollgate::domain::policy::{
    OnCollectionPause, OnDisputeOpened, OnEnd, OnFullRefund, OnPause, OnPaymentFailed, Policy, Span,
};
use tollgate::domain::world::World;

use crate::convergence_orders::Shuffle;
use crate::convergence_rig::{End, at, ids, paddle, stripe};
use crate::convergence_store::MemoryStore;

/// Histories in a run.
const HISTORIES: u32 = 2_000;

/// Orders in which each history comes, besides that in which it was generated.
const ORDERS: usize = 2;

/// Provider time runs over so many seconds.
const SECONDS: i64 = 6;

/// An admin's act.
#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    Suspend,
    Reactivate,
    Freeze,
    Expire,
    Delete,
}

/// What happens, in parts that keep their order: an admin decides on what he sees.
#[derive(Clone, Debug)]
struct History {
    policy: Policy,
    admin_made: Vec<Profile>,
    before: Vec<Occurrence>,
    act: Act,
    on: ObjectKey,
    after: Vec<Occurrence>,
    now: i64,
}

impl History {
    fn end(
        &self,
        documents: bool,
        batches: impl Fn(usize, &[Occurrence]) -> Vec<Vec<Occurrence>>,
    ) -> End {
        let mut store = MemoryStore::new(self.policy.clone(), documents);
        for profile in &self.admin_made {
            let id = store.new_id();
            store.act(|world| world.create_customer(id, profile.clone(), at(0)));
        }
        for batch in batches(0, &self.before) {
            store.batch(&batch, at(self.now));
        }
        self.act(&mut store);
        for batch in batches(1, &self.after) {
            store.batch(&batch, at(self.now));
        }
        store.end(at(self.now))
    }

    fn act(&self, store: &mut MemoryStore) {
        let now = at(self.now);
        let act = |world: &mut World| {
            let id = world.customer_of(&self.on)?.id.clone();
            let done = match self.act {
                Act::Nothing => Ok(Vec::new()),
                Act::Suspend => world.suspend(&id, Some("because".to_owned()), now),
                Act::Reactivate => world.reactivate(&id, now),
                Act::Freeze => world.freeze(&id, FreezeOrder::default(), now),
                Act::Expire => world.expire(&id, None, now),
                Act::Delete => world.delete(&id, now),
            };
            Some(done.unwrap())
        };
        store.act(act);
    }
}

fn accounts() -> Vec<ObjectKey> {
    let test = Scope {
        provider: Provider::Stripe,
        livemode: false,
        connected: None,
    };
    vec![
        stripe("cus_1"),
        stripe("cus_2"),
        paddle("ctm_1"),
        test.key("cus_1"),
    ]
}

fn subscriptions() -> Vec<(ObjectKey, ObjectKey)> {
    let of = |account: &ObjectKey, id: &str| (account.scope.key(id), account.clone());
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

fn subscription_facts() -> impl Strategy<Value = Fact> {
    let request = option::of(select(&["req_1", "req_2"][..]));
    let ended_at = option::weighted(0.2, (0..SECONDS).prop_map(at));
    let signs = (
        prop::bool::weighted(0.15),
        request,
        ended_at,
        prop::bool::weighted(0.9),
    );
    (
        select(subscriptions()),
        states(),
        option::of(states()),
        signs,
    )
        .prop_map(
            |((subscription, account), mut state, mut before, (born, request, ended_at, named))| {
                for state in before.iter_mut().chain([&mut state]) {
                    state.account = named.then(|| account.clone());
                }
                Fact::Subscription(SubscriptionFact {
                    subscription,
                    state,
                    before,
                    born,
                    request: request.map(str::to_owned),
                    ended_at,
                })
            },
        )
}

fn payments() -> impl Strategy<Value = Fact> {
    (select(subscriptions()), any::<bool>(), any::<bool>()).prop_map(
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
    let standing = select(vec![
        DisputeStanding::Warning,
        DisputeStanding::Open,
        DisputeStanding::Won,
        DisputeStanding::Lost,
    ]);
    let tied = proptest::sample::subsequence(pool.clone(), 1..=2);
    let pairs = proptest::sample::subsequence(pool, 2..=3);
    prop_oneof![
        4 => pairs.prop_map(|pair| Fact::References { ids: ids(&pair) }),
        2 => (standing, tied.clone(), select(&["dp_1", "dp_2"][..])).prop_map(
            |(standing, tied, id)| Fact::Disputed { dispute: stripe(id), standing, ids: ids(&tied) }
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

fn events(shared: bool) -> impl Strategy<Value = Occurrence> {
    let fact = prop_oneof![
        10 => subscription_facts(),
        4 => payments(),
        6 => contacts(shared),
        3 => money(),
        1 => select(accounts()).prop_map(|account| Fact::AccountRemoved { account }),
        1 => select(accounts()).prop_map(|account| Fact::AccountNamed { account }),
        1 => select(accounts()).prop_map(|object| Fact::Unfetched { object }),
    ];
    // One second in two is the same, so that it holds many facts.
    let second = prop_oneof![Just(3), 0..SECONDS];
    (second, vec(fact, 1..=2)).prop_map(|(second, facts)| Occurrence {
        at: at(second),
        facts,
    })
}

fn policies() -> impl Strategy<Value = Policy> {
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

fn profiles() -> impl Strategy<Value = Profile> {
    let email = option::of(select(&["x@e.com", "Y@e.com"][..]));
    let external_id = option::of(select(&["cus_1", "paddle_ctm_1"][..]));
    (email, external_id).prop_map(|(email, external_id)| Profile {
        email: email.map(str::to_owned),
        external_id: external_id.map(str::to_owned),
        ..Profile::default()
    })
}

/// Histories without an admin's act in between, where customers merge and part at will.
fn shared_histories() -> impl Strategy<Value = History> {
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
fn acted_histories() -> impl Strategy<Value = History> {
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

proptest! {
    #![proptest_config(ProptestConfig {
        cases: HISTORIES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_order_of_a_history_ends_the_same(
        history in prop_oneof![2 => shared_histories(), 1 => acted_histories()],
        seeds in vec(1..u64::MAX, ORDERS),
    ) {
        let end = history.end(true, |_, events| events.iter().map(|e| vec![e.clone()]).collect());
        for seed in seeds {
            let shuffled = history.end(false, |part, events| {
                Shuffle(seed.rotate_left(u32::from(part == 1))).batches(events)
            });
            prop_assert_eq!(&end, &shuffled);
        }
    }
}
