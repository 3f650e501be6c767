//! What timers and policies do, and what becomes of events, on a working set in memory.

use std::time::Duration;

use tollgate::domain::apply::change::{Change, IgnoreCode, Operation, Outcome};
use tollgate::domain::billing::fact::{DisputeStage, Occurrence};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::{
    OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnFullRefund, OnPause,
    OnPaymentFailed, OnSameEmail, Policy,
};
use tollgate::domain::span::Span;

use crate::convergence::rig::{
    self, at, contact, counted, disputed, invoice, pair, stripe, sub, sub_of,
};
use crate::domain_acts::{Desk, names};

const X: &str = "x@example.com";

/// A day in seconds.
const DAY: i64 = 86_400;

// Timers.

#[test]
fn timers_are_exact_and_give_their_due_time() {
    let grace = Policy {
        suspend_after: Span::days(3),
        ..rig::policy()
    };
    let mut desk = Desk::new(grace);
    desk.post_at(&sub("active").at(10), at(11));
    desk.post_at(&sub("past_due").at(100), at(101));
    let instant = Duration::from_nanos(1);
    let end = at(100 + 14 * DAY);
    let steps = [
        (
            at(100 + 3 * DAY).minus(instant),
            Status::Active,
            Some(at(100 + 3 * DAY)),
        ),
        (at(100 + 3 * DAY), Status::Suspended, Some(end)),
        (end.minus(instant), Status::Suspended, Some(end)),
        // Nobody paid for anything since the failure, so what stays reaches to it.
        (at(100 + 30 * DAY), Status::Frozen { at: at(100) }, None),
    ];
    for (now, status, due_at) in steps {
        desk.working_set.tick(now);
        assert_eq!(desk.shown("cus_1").status, status, "at {now}");
        assert_eq!(desk.shown("cus_1").due_at, due_at, "at {now}");
        assert_eq!(desk.working_set.tick(now), [], "a second time at {now}");
    }
}

#[test]
fn a_scheduled_cancellation_ends_on_time() {
    let mut desk = Desk::with(&[sub("active").cancel_at(900).at(10)]);
    assert_eq!(desk.shown("cus_1").due_at, Some(at(900)));
    assert_eq!(names(&desk.working_set.tick(at(899))), [""; 0]);
    assert_eq!(
        names(&desk.working_set.tick(at(5_000))),
        ["revoke", "grant", "freeze"],
        "what is left reaches to the end"
    );
    assert_eq!(desk.shown("cus_1").frozen_at, Some(at(900)));
    assert_eq!(desk.row(&stripe("cus_1")).status_since, at(5_000));
}

#[test]
fn a_courtesy_ends_when_billing_says_something_else() {
    let mut desk = Desk::with(&[sub("past_due").at(10)]);
    let id = desk.id("cus_1");
    desk.working_set.reactivate(&id, at(700)).unwrap();
    desk.working_set.tick(at(9 + 14 * DAY));
    assert_eq!(desk.shown("cus_1").status, Status::Active);
    desk.working_set.tick(at(10 + 14 * DAY));
    assert_eq!(desk.shown("cus_1").status, Status::Frozen { at: at(10) });
}

// Policy.

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = rig::policy();
    change(&mut policy);
    policy
}

fn assert_statuses(cases: Vec<(&str, Policy, Vec<Occurrence>, Status)>) {
    for (name, policy, events, wanted) in cases {
        let mut desk = Desk::new(policy.clone());
        for event in &events {
            desk.post(event);
        }
        assert_eq!(desk.shown("cus_1").status, wanted, "{name}");
        let mut desk = Desk::with(&events);
        desk.working_set.set_policy(policy, at(800));
        assert_eq!(desk.shown("cus_1").status, wanted, "{name}, set later");
    }
}

#[test]
fn the_policy_decides_what_subscriptions_do() {
    let none = rig::policy;
    let keep_failing = policy(|p| p.on_payment_failed = OnPaymentFailed::Keep);
    let grace = policy(|p| p.suspend_after = Span::days(9));
    let expire = policy(|p| p.on_end = OnEnd::Expire);
    let freeze_paused = policy(|p| p.on_pause = OnPause::Freeze);
    let keep_paused = policy(|p| p.on_pause = OnPause::Keep);
    let collect = policy(|p| p.on_collection_pause = OnCollectionPause::Suspend);
    let (failing, unpaid) = (
        || vec![sub("past_due").at(10)],
        || vec![sub("unpaid").at(10)],
    );
    let (paused, ended) = (|| sub("paused").at(20), || sub("canceled").at(20));
    let uncollected = || {
        let mut uncollected = sub("active");
        uncollected.0.state.collection_paused = true;
        vec![uncollected.at(10)]
    };
    let other_good = sub_of(&stripe("sub_2"), &stripe("cus_1"), "active").at(10);
    let frozen = Status::Frozen { at: at(20) };
    let (active, suspended) = (Status::Active, Status::Suspended);
    assert_statuses(vec![
        ("failing", none(), failing(), suspended),
        ("failing, keep", keep_failing.clone(), failing(), active),
        ("unpaid, keep", keep_failing, unpaid(), active),
        ("failing, grace", grace.clone(), failing(), active),
        ("unpaid has no grace", grace, unpaid(), suspended),
        ("ended", none(), vec![ended()], frozen),
        ("ended, expire", expire, vec![ended()], Status::Expired),
        ("paused", none(), vec![paused()], suspended),
        (
            "paused, freeze",
            freeze_paused.clone(),
            vec![paused()],
            frozen,
        ),
        (
            "paused, seen again",
            freeze_paused,
            vec![paused(), sub("paused").at(30)],
            frozen,
        ),
        ("paused, keep", keep_paused, vec![paused()], active),
        ("collection paused", none(), uncollected(), active),
        (
            "collection paused, suspend",
            collect,
            uncollected(),
            suspended,
        ),
        (
            "one good is enough",
            none(),
            vec![ended(), other_good],
            active,
        ),
    ]);
}

#[test]
fn the_policy_decides_what_disputes_and_refunds_do() {
    let none = rig::policy;
    let with = |standing| {
        let dispute = disputed(&stripe("dp_1"), standing, &[stripe("cus_1")], 20);
        vec![sub("active").at(10), dispute]
    };
    let (open, lost) = (|| with(DisputeStage::Open), || with(DisputeStage::Lost));
    let refund = || {
        vec![
            sub("active").at(10),
            invoice("in_1").paid(10),
            pair("ch_1", "in_1", 10),
            counted("ch_1", 100, 20),
        ]
    };
    let suspend_open = policy(|p| p.on_dispute_opened = OnDisputeOpened::Suspend);
    let expire_open = policy(|p| p.on_dispute_opened = OnDisputeOpened::Expire);
    let keep_open = policy(|p| p.on_dispute_opened = OnDisputeOpened::Keep);
    let flag_lost = policy(|p| p.on_dispute_lost = OnDisputeLost::Flag);
    let expire_lost = policy(|p| p.on_dispute_lost = OnDisputeLost::Expire);
    let keep_lost = policy(|p| p.on_dispute_lost = OnDisputeLost::Keep);
    let expire_refund = policy(|p| p.on_full_refund = OnFullRefund::Expire);
    let warned = with(DisputeStage::Warning);
    let (active, suspended) = (Status::Active, Status::Suspended);
    assert_statuses(vec![
        ("open", none(), open(), active),
        ("open, suspend", suspend_open.clone(), open(), suspended),
        ("only an inquiry, suspend", suspend_open, warned, active),
        ("open, expire", expire_open, open(), Status::Expired),
        ("open, keep", keep_open, open(), active),
        ("lost", none(), lost(), suspended),
        ("lost, expire", expire_lost, lost(), Status::Expired),
        ("lost, keep", keep_lost, lost(), active),
        ("lost, flag", flag_lost, lost(), active),
        ("refund", none(), refund(), active),
        ("refund, expire", expire_refund, refund(), Status::Expired),
    ]);
}

#[test]
fn accounts_stay_where_they_are_when_a_shared_address_no_longer_joins() {
    let mut desk = Desk::with(&[contact("cus_1", X, 10), contact("cus_2", X, 20)]);
    let off = Policy {
        on_same_email: OnSameEmail::Ignore,
        ..rig::policy()
    };
    desk.working_set.set_policy(off, at(800));
    desk.post(&contact("cus_3", X, 30));
    assert_eq!(desk.id("cus_1"), desk.id("cus_2"));
    assert_ne!(desk.id("cus_1"), desk.id("cus_3"));
}

// Outcomes.

#[test]
fn every_event_has_the_outcome_that_it_deserves() {
    let renewed = {
        let mut renewed = sub("active");
        renewed.0.state.period_end = Some(at(1_000));
        renewed.at(20)
    };
    let open = disputed(&stripe("dp_1"), DisputeStage::Open, &[stripe("ch_1")], 40);
    let references = Outcome::Ignored(IgnoreCode::ReferencesOnly);
    let nothing = Occurrence {
        at: at(1),
        facts: Vec::new(),
    };
    let steps = [
        ("the first", contact("cus_1", X, 10), Outcome::Applied),
        (
            "the same again",
            contact("cus_1", X, 10),
            Outcome::Unchanged,
        ),
        ("a subscription", sub("active").at(10), Outcome::Applied),
        ("only the period moves", renewed, Outcome::Applied),
        (
            "a payment while all is well",
            invoice("in_1").paid(30),
            Outcome::Unchanged,
        ),
        (
            "older than what is known",
            sub("active").at(5),
            Outcome::Superseded,
        ),
        (
            "ids that nobody waits for",
            pair("ch_9", "cus_1", 30),
            references,
        ),
        ("a dispute of nobody known", open, Outcome::Applied),
        (
            "ids that a dispute waits for",
            pair("ch_1", "cus_1", 30),
            Outcome::Applied,
        ),
        ("nothing", nothing, Outcome::Ignored(IgnoreCode::NoFacts)),
    ];
    let mut desk = Desk::new(rig::policy());
    for (name, event, outcome) in steps {
        assert_eq!(desk.post(&event).outcome, outcome, "{name}");
    }
    assert_eq!(desk.flags("cus_1"), [FlagKind::OpenDispute]);
}

#[test]
fn changes_tell_what_happened_in_order() {
    let mut desk = Desk::new(rig::policy());
    let steps: [(Occurrence, &[&str]); 6] = [
        (
            sub("active").at(10),
            &["create", "grant", "update_subscription"],
        ),
        (
            sub("past_due").latest("in_1").at(20),
            &["suspend", "update_subscription"],
        ),
        (
            invoice("in_1").paid(30),
            &["grant", "reactivate", "update_subscription"],
        ),
        (
            sub("active").price("B").at(40),
            &["revoke", "grant", "update_subscription"],
        ),
        (contact("cus_1", X, 50), &["update_contact"]),
        (
            sub("canceled").price("B").at(60),
            &["revoke", "grant", "freeze", "update_subscription"],
        ),
    ];
    for (event, wanted) in steps {
        assert_eq!(names(&desk.post(&event).changes), wanted, "{event:?}");
    }
    let document = serde_json::to_value(Change {
        customer: desk.id("cus_1"),
        operation: Operation::Reactivate {
            from: Status::Suspended,
        },
    });
    let wanted = serde_json::json!({
        "customer": desk.id("cus_1"), "operation": "reactivate", "from": {"name": "suspended"},
    });
    assert_eq!(document.unwrap(), wanted);
}

#[test]
fn a_dispute_is_traced_over_three_pairs_and_no_further() {
    let chain = [
        ("ch_1", "pi_1"),
        ("pi_1", "in_1"),
        ("in_1", "ch_2"),
        ("ch_2", "cus_1"),
    ];
    let traced = |pairs: &[(&str, &str)]| {
        let mut desk = Desk::with(&[contact("cus_1", X, 1)]);
        for (a, b) in pairs {
            desk.post(&pair(a, b, 2));
        }
        let dispute = stripe("dp_1");
        desk.post(&disputed(
            &dispute,
            DisputeStage::Open,
            &[stripe("ch_1")],
            3,
        ));
        desk.working_set.disputes[&dispute].account.clone()
    };
    let three = [chain[0], chain[1], ("in_1", "cus_1")];
    assert_eq!(traced(&three), Some(stripe("cus_1")));
    assert_eq!(traced(&chain), None);
}
