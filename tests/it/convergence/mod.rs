//! Any order and any duplication of the same events ends in the same state: the named cases.
//!
//! Each case runs in every permutation of its events with each event once, and in permutations
//! with each event twice, cut into batches in all ways in turn.

mod identity;
mod licenses;
mod money;
pub(crate) mod orders;
mod random;
pub(crate) mod rig;
pub(crate) mod store;
pub(crate) mod traces;

use std::collections::BTreeSet;

use tollgate::domain::apply::working_set::WorkingSet;
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::{DisputeStage, Fact, Occurrence, RefundStage};
use tollgate::domain::customer::flag::{Flag, FlagKind};
use tollgate::domain::customer::row::{Derived, Hold, Profile, Status};
use tollgate::domain::policy::{OnDisputeOpened, OnFullRefund, Policy};
use tollgate::domain::time::Timestamp;

use crate::convergence::orders::orders;
use crate::convergence::rig::{
    End, NOW, at, contact, counted, disputed, event, ids, invoice, named_contact, paddle, pair,
    pay, policy, refund, removed, stripe, sub, sub_of,
};
use crate::convergence::store::MemoryStore;

/// Events, then an admin's act, then more events.
struct History<'a> {
    policy: Policy,
    now: i64,
    before: Vec<Occurrence>,
    act: &'a dyn Fn(&mut MemoryStore),
    after: Vec<Occurrence>,
}

/// The one end of these events in every order.
pub(crate) fn end_of(events: &[Occurrence]) -> End {
    History {
        policy: policy(),
        now: NOW,
        before: Vec::new(),
        act: &|_| {},
        after: events.to_vec(),
    }
    .end()
}

impl History<'_> {
    fn end(&self) -> End {
        let mut end: Option<End> = None;
        for times in [1, 2] {
            let befores = some(in_orders(self.before.len(), times));
            let afters = some(in_orders(self.after.len(), times));
            for (i, before) in befores.iter().enumerate() {
                for (j, after) in afters.iter().enumerate() {
                    let this = self.run(before, after, i + j);
                    let same = end.get_or_insert_with(|| this.clone());
                    assert_eq!(
                        *same,
                        this,
                        "first {before:?}, then {after:?}, cut {}",
                        i + j
                    );
                }
            }
        }
        end.unwrap()
    }

    fn run(&self, before: &[usize], after: &[usize], cut: usize) -> End {
        let mut store = MemoryStore::new(self.policy.clone(), cut == 0);
        deliver(&mut store, &self.before, before, cut, at(self.now));
        (self.act)(&mut store);
        deliver(&mut store, &self.after, after, cut, at(self.now));
        store.end(at(self.now))
    }
}

/// Delivers events in an order; a set bit of `cut` ends a batch.
fn deliver(
    store: &mut MemoryStore,
    events: &[Occurrence],
    order: &[usize],
    cut: usize,
    now: Timestamp,
) {
    let mut batch = Vec::new();
    for (i, event) in order.iter().enumerate() {
        batch.push(events[*event].clone());
        if cut >> (i % 8) & 1 == 1 {
            store.batch(&std::mem::take(&mut batch), now);
        }
    }
    store.batch(&batch, now);
}

/// All orders of `n` events; of more than five that come twice, each order followed by another.
fn in_orders(n: usize, times: usize) -> Vec<Vec<usize>> {
    if n <= 5 || times == 1 {
        return orders(n, times);
    }
    let once = orders(n, 1);
    let again = once.iter().cycle().skip(once.len() / 3);
    once.iter()
        .zip(again)
        .map(|(first, second)| first.iter().chain(second).copied().collect())
        .collect()
}

/// All of them, or of the 2,520 orders of four events that come twice, an even sample.
fn some(orders: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let step = orders.len().div_ceil(630);
    orders.into_iter().step_by(step).collect()
}

fn kinds(end: &End, account: &str) -> Vec<FlagKind> {
    end.flags(account).iter().map(|flag| flag.kind).collect()
}

fn prices(shown: &Derived) -> Vec<&str> {
    shown
        .entitlements
        .iter()
        .map(|entitlement| entitlement.price.as_str())
        .collect()
}

/// An active customer with price A and nothing to look at.
fn assert_active(end: &End, account: &str) {
    assert_eq!(end.of(account).status, Status::Active);
    assert_eq!(prices(end.of(account)), ["A"]);
    assert_eq!(kinds(end, account), []);
}

fn assert_failing_since(end: &End, second: i64) {
    assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
    assert_eq!(end.of("cus_1").failing_since, Some(at(second)));
    assert_eq!(end.of("cus_1").status, Status::Suspended);
    assert_eq!(kinds(end, "cus_1"), []);
}

fn assert_ended_at_20(end: &End) {
    assert_eq!(end.assessment("sub_1").standing, Standing::Ended);
    assert_eq!(end.of("cus_1").status, Status::Frozen { at: at(20) });
    assert_eq!(end.of("cus_1").frozen_at, Some(at(20)));
    assert_eq!(prices(end.of("cus_1")), ["A"]);
}

/// The subscription ended without having begun, and takes nothing away.
fn assert_never_counted(end: &End) {
    assert_eq!(end.assessment("sub_1").verdict, None);
    assert_eq!(end.of("cus_1").verdict, None);
    assert_eq!(end.of("cus_1").status, Status::Active);
    assert_eq!(prices(end.of("cus_1")), [""; 0]);
}

#[test]
fn orders_are_all_and_different() {
    for (n, times, wanted) in [(0, 1, 1), (3, 1, 6), (2, 2, 6), (3, 2, 90)] {
        let all = orders(n, times);
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(
            (all.len(), different.len()),
            (wanted, wanted),
            "{n} things {times} times"
        );
    }
}

// Subscriptions: facts of one second.

#[test]
fn cancel_uncancel_with_older() {
    let end = end_of(&[
        sub("active").created().at(5),
        sub("active")
            .cancel_at(900)
            .before(|s| s.cancel_at = None)
            .at(10),
        sub("active").before(|s| s.cancel_at = Some(at(900))).at(10),
    ]);
    assert_active(&end, "cus_1");
    assert_eq!(end.of("cus_1").due_at, None);
}

#[test]
fn cancel_uncancel_alone() {
    let end = end_of(&[
        sub("active")
            .cancel_at(900)
            .before(|s| s.cancel_at = None)
            .at(10),
        sub("active").before(|s| s.cancel_at = Some(at(900))).at(10),
    ]);
    assert_eq!(end.of("cus_1").due_at, Some(at(900)));
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::Ambiguous]);
}

#[test]
fn three_cycle_one_second() {
    let end = end_of(&[
        sub("active").at(5),
        sub("past_due").before_status("active").at(10),
        sub("unpaid").before_status("past_due").at(10),
        sub("active").before_status("unpaid").at(10),
    ]);
    assert_active(&end, "cus_1");
}

#[test]
fn third_resolves_ambiguity() {
    let end = end_of(&[
        sub("active").before_status("trialing").at(10),
        sub("unpaid").before_status("past_due").at(10),
        sub("past_due").before_status("active").at(10),
    ]);
    assert_failing_since(&end, 10);
    assert_eq!(end.assessment("sub_1").state, Some(sub("unpaid").0.state));
}

/// Of several ends that remain, that in which the subscription was created is the least likely.
#[test]
fn a_birth_is_no_end_while_others_remain() {
    let end = end_of(&[
        sub("past_due").created().at(10),
        sub("past_due").before_status("trialing").at(10),
        sub("active").before_status("trialing").at(10),
    ]);
    assert_active(&end, "cus_1");
    assert_eq!(kinds(&end, "cus_1"), [], "one is left");
}

#[test]
fn old_second_is_no_flag() {
    let of_paddle = |price| sub_of(&paddle("sub_1"), &paddle("ctm_1"), "active").price(price);
    let end = end_of(&[
        of_paddle("A").at(10),
        of_paddle("B").at(10),
        of_paddle("A").at(20),
    ]);
    assert_active(&end, "ctm_1");
}

#[test]
fn one_microsecond() {
    let of_paddle = |status: &str, nanos: i64| {
        let sub = sub_of(&paddle("sub_1"), &paddle("ctm_1"), status);
        let at = Timestamp::from_nanos(10_000_000_000 + nanos);
        Occurrence {
            at,
            facts: vec![Fact::Subscription(sub.0)],
        }
    };
    let end = end_of(&[of_paddle("past_due", 432_433), of_paddle("active", 432_000)]);
    assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
    assert_eq!(kinds(&end, "ctm_1"), []);
}

// Subscriptions: failures and payments.

#[test]
fn late_good_between_failures() {
    let end = end_of(&[
        sub("active").at(10),
        sub("past_due").at(20),
        sub("active").at(30),
        sub("past_due").at(40),
    ]);
    assert_failing_since(&end, 40);
}

#[test]
fn unpaid_not_healed() {
    let end = end_of(&[
        sub("active").at(10),
        sub("unpaid").latest("in_1").at(20),
        invoice("in_1").line("A", 100, 10, 1000).paid(30),
    ]);
    assert_failing_since(&end, 20);
}

#[test]
fn fail_and_paid_one_second() {
    let owed = invoice("in_1").line("A", 100, 10, 1000);
    let end = end_of(&[
        sub("past_due").latest("in_1").at(10),
        owed.clone().failed(20),
        owed.paid(20),
    ]);
    assert_active(&end, "cus_1");
    assert_eq!(end.assessment("sub_1").standing, Standing::Good);
}

#[test]
fn unknown_then_known() {
    let events = [
        sub("active").at(10),
        sub("hologram").at(20),
        sub("past_due").at(30),
    ];
    assert_failing_since(&end_of(&events), 30);
    let end = end_of(&events[..2]);
    assert_eq!(end.of("cus_1").status, Status::Active);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::UnknownStatus]);
}

#[test]
fn unmapped_superseded() {
    let events = [sub("active").price("X").at(10), sub("active").at(20)];
    assert_active(&end_of(&events), "cus_1");
    assert_eq!(
        kinds(&end_of(&events[..1]), "cus_1"),
        [FlagKind::UnmappedPrice]
    );
}

// Subscriptions: ends.

#[test]
fn deleted_customer_before_subscription() {
    let end = end_of(&[sub("active").created().at(10), removed("cus_1", 20)]);
    assert_ended_at_20(&end);
}

#[test]
fn expired_then_late_created() {
    let end = end_of(&[sub("incomplete").at(10), sub("incomplete_expired").at(20)]);
    assert_never_counted(&end);
}

#[test]
fn incomplete_then_canceled() {
    let end = end_of(&[sub("incomplete").created().at(5), sub("canceled").at(20)]);
    assert_never_counted(&end);
}

#[test]
fn canceled_before_its_active() {
    let end = end_of(&[
        sub("incomplete").at(5),
        sub("active").at(10),
        sub("canceled").at(20),
    ]);
    assert_ended_at_20(&end);
}

// Courtesy.

fn reactivate(store: &mut MemoryStore) {
    let id = store.customer(&stripe("cus_1"));
    let changes = store
        .act(|working_set| working_set.reactivate(&id, at(700)))
        .unwrap();
    assert_eq!(changes.len(), 2, "reactivated and granted: {changes:?}");
}

#[test]
fn courtesy_and_late_good() {
    let end = History {
        policy: policy(),
        now: NOW,
        before: vec![sub("past_due").at(10)],
        act: &reactivate,
        after: vec![sub("active").at(20), sub("past_due").at(30)],
    }
    .end();
    assert_failing_since(&end, 30);
}

#[test]
fn courtesy_and_retry() {
    let end = History {
        policy: policy(),
        now: NOW,
        before: vec![
            sub("past_due").latest("in_1").at(10),
            invoice("in_1").failed(10),
        ],
        act: &reactivate,
        after: vec![invoice("in_1").failed(40)],
    }
    .end();
    assert_active(&end, "cus_1");
    assert!(end.of("cus_1").courtesy);
}

#[test]
fn a_dispute_is_waived_with_the_refund_of_its_payment() {
    let (account, subscription) = (paddle("ctm_1"), paddle("sub_1"));
    // The dispute has the key of its payment.
    let transaction = paddle("txn_1");
    let tied = [transaction.clone(), account.clone()];
    let reactivate = |store: &mut MemoryStore| {
        let id = store.customer(&account);
        let act = |working_set: &mut WorkingSet| working_set.reactivate(&id, at(700));
        store.act(act).unwrap();
    };
    let end = |act: &dyn Fn(&mut MemoryStore)| {
        let payment = pay(&transaction, &account).of(&subscription);
        History {
            policy: Policy {
                on_full_refund: OnFullRefund::Expire,
                on_dispute_opened: OnDisputeOpened::Suspend,
                ..policy()
            },
            now: NOW,
            before: vec![
                sub_of(&subscription, &account, "active").at(2),
                payment.line("A", 100, 2, 40).paid(2),
                part("adj_1", 100, 20),
                disputed(&transaction, DisputeStage::Open, &tied, 30),
            ],
            act,
            // Ends the courtesy that the reactivation is besides.
            after: vec![sub_of(&subscription, &account, "active").at(800)],
        }
        .end()
    };
    // What the refund ends, the dispute does not hold as well.
    let refunded = BTreeSet::from([Hold::Refund]);
    assert_eq!(end(&|_| {}).of("ctm_1").holds, refunded);
    assert_eq!(end(&reactivate).of("ctm_1").holds, BTreeSet::new());
}

#[test]
fn what_buys_nothing_ends_no_courtesy() {
    let foreign = stripe("sub_2");
    let account = stripe("cus_1");
    let end = History {
        policy: policy(),
        now: NOW,
        before: vec![sub("past_due").at(10)],
        act: &reactivate,
        after: vec![
            sub_of(&foreign, &account, "active").price("F").at(40),
            pay(&stripe("in_9"), &account).once("X", 100).paid(50),
        ],
    }
    .end();
    assert!(end.of("cus_1").courtesy);
    assert_eq!(end.of("cus_1").status, Status::Active);
}

// Disputes and refunds.

fn assert_lost_dispute(end: &End) {
    assert_eq!(end.of("cus_1").holds, BTreeSet::from([Hold::Dispute]));
    assert_eq!(end.of("cus_1").status, Status::Suspended);
    assert_eq!(kinds(end, "cus_1"), []);
}

#[test]
fn dispute_before_charge() {
    let charge_and_intent = [stripe("ch_1"), stripe("pi_1")];
    let end = end_of(&[
        contact("cus_1", "x@example.com", 1),
        sub("active").at(2),
        disputed(&stripe("dp_1"), DisputeStage::Lost, &charge_and_intent, 20),
        pair("ch_1", "pi_1", 2),
        pair("pi_1", "cus_1", 3),
    ]);
    assert_lost_dispute(&end);
}

#[test]
fn dispute_one_second() {
    let dispute = |standing| disputed(&stripe("dp_1"), standing, &[stripe("ch_1")], 20);
    let end = end_of(&[
        contact("cus_1", "x@example.com", 1),
        sub("active").at(2),
        pair("ch_1", "cus_1", 2),
        dispute(DisputeStage::Open),
        dispute(DisputeStage::Lost),
    ]);
    assert_lost_dispute(&end);
}

#[test]
fn paddle_reversal() {
    let transaction = paddle("txn_1");
    let tied = [transaction.clone(), paddle("ctm_1")];
    let events = [
        disputed(&transaction, DisputeStage::Open, &tied, 20),
        disputed(&transaction, DisputeStage::Won, &tied, 30),
    ];
    assert_eq!(kinds(&end_of(&events), "ctm_1"), []);
    assert_eq!(
        kinds(&end_of(&events[..1]), "ctm_1"),
        [FlagKind::OpenDispute]
    );
}

#[test]
fn refunds_one_second() {
    let events = [
        invoice("in_1").paid(2),
        pair("ch_1", "in_1", 2),
        counted("ch_1", 50, 20),
        counted("ch_1", 100, 20),
    ];
    let end = end_of(&events);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::FullRefund]);
    assert_eq!(end.of("cus_1").status, Status::Active);
    assert_eq!(kinds(&end_of(&events[..3]), "cus_1"), []);
}

/// An approved adjustment that gives back a part of the transaction `txn_1`.
fn part(adjustment: &str, amount: i64, second: i64) -> Occurrence {
    let tied = [paddle("txn_1"), paddle("ctm_1")];
    refund(
        &paddle(adjustment),
        RefundStage::Succeeded,
        amount,
        &tied,
        second,
    )
}

#[test]
fn paddle_parts_sum_to_a_full_refund() {
    let events = |amount| {
        [
            pay(&paddle("txn_1"), &paddle("ctm_1")).paid_with(amount, amount, 2),
            part("adj_1", 40, 20),
            part("adj_2", 60, 30),
        ]
    };
    let full = end_of(&events(100));
    assert_eq!(kinds(&full, "ctm_1"), [FlagKind::FullRefund]);
    assert_eq!(kinds(&end_of(&events(101)), "ctm_1"), [], "one is missing");
    assert_eq!(kinds(&end_of(&events(100)[..2]), "ctm_1"), []);
    assert_eq!(
        kinds(&end_of(&events(100)[1..]), "ctm_1"),
        [FlagKind::RefundUnlinked; 2],
        "nobody said what was paid"
    );
}

#[test]
fn a_refund_that_failed_is_none() {
    let tied = [stripe("ch_1")];
    let events = [
        invoice("in_1").paid(2),
        pair("ch_1", "in_1", 2),
        refund(&stripe("re_1"), RefundStage::Succeeded, 100, &tied, 20),
        counted("ch_1", 100, 20),
        refund(&stripe("re_1"), RefundStage::Failed, 100, &tied, 30),
    ];
    assert_eq!(kinds(&end_of(&events), "cus_1"), []);
}

#[test]
fn items_that_were_cut_are_flagged_until_all_are_listed() {
    let mut cut = sub("active");
    cut.0.state.items_incomplete = true;
    let events = [cut.at(10), sub("active").at(20)];
    assert_active(&end_of(&events), "cus_1");
    assert_eq!(
        kinds(&end_of(&events[..1]), "cus_1"),
        [FlagKind::ItemsIncomplete]
    );
}

// Flags of what no customer was found for.

fn nobodys(end: &End) -> Vec<(FlagKind, &str, Option<Timestamp>)> {
    let flags = end.nobodys.iter().map(|held| &held.flag);
    flags
        .map(|flag| (flag.kind, flag.subject.as_str(), flag.at))
        .collect()
}

#[test]
fn dispute_and_refund_of_nobody() {
    let dispute = |standing, second| disputed(&stripe("dp_1"), standing, &[stripe("ch_1")], second);
    let (open, lost, won) = (
        dispute(DisputeStage::Open, 20),
        dispute(DisputeStage::Lost, 30),
        dispute(DisputeStage::Won, 40),
    );
    let (refund, known) = (counted("ch_1", 100, 25), contact("cus_1", "x@e.com", 1));
    let linked = pair("ch_1", "cus_1", 50);
    let of_dispute = |second| (FlagKind::Unlinked, "dp_1", Some(at(second)));
    let of_refund = (FlagKind::RefundUnlinked, "ch_1", Some(at(25)));
    let cases = [
        ("a dispute", vec![open.clone()], vec![of_dispute(20)]),
        (
            "the newest instant",
            vec![open.clone(), lost.clone()],
            vec![of_dispute(30)],
        ),
        (
            "a dispute that was won",
            vec![open.clone(), lost.clone(), won],
            vec![],
        ),
        (
            "a charge that an account is named with, which nobody else names",
            vec![open.clone(), refund.clone(), linked.clone()],
            vec![of_refund, of_dispute(20)],
        ),
        (
            "a refund beside it",
            vec![open.clone(), refund.clone(), known.clone()],
            vec![of_refund, of_dispute(20)],
        ),
        ("a count of nothing", vec![counted("ch_1", 0, 25)], vec![]),
        ("a customer", vec![open, refund, linked, known], vec![]),
    ];
    for (description, events, mut expected) in cases {
        expected.sort();
        let end = end_of(&events);
        let mut found = nobodys(&end);
        found.sort();
        assert_eq!(found, expected, "{description}");
    }
}

#[test]
fn objects_that_were_only_named() {
    let named = |second| {
        event(
            second,
            Fact::Unfetched {
                object: stripe("sub_1"),
            },
        )
    };
    let end = end_of(&[named(20), named(10), sub("active").at(30)]);
    let expected = (FlagKind::ApiKeyNeeded, "sub_1", Some(at(20)));
    assert_eq!(nobodys(&end), [expected]);
    assert_active(&end, "cus_1");
}

#[test]
fn what_was_cleared_comes_back_by_a_newer_event_only() {
    let clear = |store: &mut MemoryStore| {
        for (id, kind) in [
            ("dp_1", FlagKind::Unlinked),
            ("sub_1", FlagKind::ApiKeyNeeded),
        ] {
            let flag = Flag::new(kind, id, at(20));
            assert!(
                store.act(|working_set| working_set.clear_object_flag(&stripe(id), &flag)),
                "{id}"
            );
            assert!(
                !store.act(|working_set| working_set.clear_object_flag(&stripe(id), &flag)),
                "{id}"
            );
        }
    };
    let happens = |second| {
        let ids = [stripe("ch_1")];
        let dispute = disputed(&stripe("dp_1"), DisputeStage::Open, &ids, second);
        let object = stripe("sub_1");
        [dispute, event(second, Fact::Unfetched { object })]
    };
    let end = |after: &[i64]| {
        History {
            policy: policy(),
            now: NOW,
            before: happens(20).to_vec(),
            act: &clear,
            after: after.iter().copied().flat_map(happens).collect(),
        }
        .end()
    };
    assert_eq!(nobodys(&end(&[20, 10])), []);
    let found: Vec<_> = nobodys(&end(&[20, 30]))
        .into_iter()
        .map(|it| it.2)
        .collect();
    assert_eq!(found, [Some(at(30)); 2]);
}

// Who is this?

const X: &str = "x@example.com";
const Y: &str = "y@example.com";
const Z: &str = "Z@example.com";

#[test]
fn changed_before_first_contact() {
    let admin_customer = |store: &mut MemoryStore| {
        let profile = Profile {
            email: Some(Z.to_owned()),
            ..Profile::default()
        };
        let id = store.new_id();
        store.act(|working_set| working_set.create_customer(id, profile, at(1)));
    };
    let end = |first: &str| {
        let after = vec![contact("cus_1", first, 10), contact("cus_1", Z, 20)];
        History {
            policy: policy(),
            now: NOW,
            before: Vec::new(),
            act: &admin_customer,
            after,
        }
        .end()
    };
    assert_eq!(end(X).customers.len(), 2);
    assert_eq!(end(&Z.to_lowercase()).customers.len(), 1);
}

#[test]
fn address_handed_over() {
    let end = end_of(&[
        contact("cus_1", X, 10),
        contact("cus_1", Y, 20),
        contact("cus_2", X, 30),
    ]);
    assert_eq!(end.customers.len(), 2);
}

#[test]
fn shared_then_changed() {
    let end = end_of(&[
        contact("cus_1", X, 10),
        contact("cus_2", X, 20),
        contact("cus_1", Y, 30),
    ]);
    assert_eq!(end.customers.len(), 1);
    assert_eq!(end.of("cus_2").contact.email.as_deref(), Some(Y));
}

#[test]
fn swapped() {
    let end = end_of(&[
        contact("cus_1", X, 10),
        contact("cus_1", Y, 20),
        contact("cus_2", Y, 11),
        contact("cus_2", X, 20),
    ]);
    assert_eq!(end.customers.len(), 2);
}

#[test]
fn portal_takeover() {
    let end = end_of(&[
        contact("cus_1", Y, 10),
        contact("cus_1", X, 30),
        contact("cus_2", X, 20),
        sub_of(&stripe("sub_1"), &stripe("cus_2"), "active").at(20),
    ]);
    assert_eq!(end.customers.len(), 2);
    assert_active(&end, "cus_2");
    assert_eq!(prices(end.of("cus_1")), [""; 0]);
}

#[test]
fn older_arrives_second() {
    let end = end_of(&[
        named_contact("cus_1", X, Some("old"), 10),
        named_contact("cus_2", X, Some("new"), 20),
    ]);
    assert_eq!(end.customers.len(), 1);
    assert_eq!(end.of("cus_2").external_id.as_deref(), Some("stripe_cus_1"));
    assert_eq!(end.of("cus_2").contact.name.as_deref(), Some("old"));
}

#[test]
fn account_before_contact() {
    let end = end_of(&[
        sub("active").at(12),
        contact("cus_1", X, 10),
        contact("cus_2", X, 20),
    ]);
    assert_eq!(end.customers.len(), 1);
    assert_eq!(end.of("cus_2").external_id.as_deref(), Some("stripe_cus_1"));
    assert_active(&end, "cus_2");
}

#[test]
fn an_account_that_only_references_name_does_not_exist() {
    let tied = ids(&[stripe("ch_1"), stripe("cus_9")]);
    let end = end_of(&[
        event(1, Fact::PaymentLink { ids: tied }),
        sub("active").at(10),
    ]);
    assert_eq!(end.customers.len(), 1);
    assert_active(&end, "cus_1");
}
