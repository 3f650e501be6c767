//! Grants by hand, foreign subscriptions, pauses and silence.

use tollgate::domain::access::hand_grant::GrantBilling;
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::Fact;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::{OnPause, OnSilence, Policy};

use crate::convergence::rig::{at, contact, invoice, pay, policy, stripe, sub, sub_of};
use crate::convergence::{History, kinds};

use super::{
    LATE, assert_active, assert_frozen, assert_gives, assert_nothing, by_hand, day, end_at, end_in,
    end_with_grant, of_paddle, transaction,
};

#[test]
fn invoice_never_paid_and_hand_grant() {
    let end = end_with_grant(
        GrantBilling::Follow,
        LATE,
        &[
            sub("active").created().latest("in_1").at(10),
            invoice("in_1").line("A", 100, 10, day(30)).known(10),
            sub("past_due").latest("in_1").at(day(30)),
            sub("canceled").at(day(60)),
        ],
    );
    assert_nothing(&end, Status::Expired);
}

#[test]
fn paused_beside_ended() {
    let end = end_at(
        day(50),
        &[
            sub_of(&stripe("sub_2"), &stripe("cus_1"), "active")
                .price("B")
                .created()
                .at(0),
            pay(&stripe("in_2"), &stripe("cus_1"))
                .of(&stripe("sub_2"))
                .line("B", 100, 0, day(30))
                .paid(0),
            sub_of(&stripe("sub_2"), &stripe("cus_1"), "canceled")
                .price("B")
                .at(day(30)),
            sub("paused").at(day(40)),
        ],
    );
    assert_frozen(&end, &[("B", day(30))]);
}

#[test]
fn a_pause_freezes_to_what_was_paid_for() {
    let freezes = Policy {
        on_pause: OnPause::Freeze,
        ..policy()
    };
    let events = [
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        sub("paused").at(day(20)),
    ];
    assert_frozen(
        &end_in(freezes.clone(), day(40), &events),
        &[("A", day(20))],
    );
    let unpaid = [
        sub("active").created().at(0),
        sub("paused")
            .pause_reason("final_payment_failure")
            .at(day(20)),
    ];
    let end = end_in(freezes.clone(), day(21), &unpaid);
    assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
    assert_nothing(&end, Status::Suspended);
    let reason = "trial_end_without_payment_method";
    let trial = [
        sub("trialing").created().at(0),
        sub("paused").pause_reason(reason).at(day(20)),
    ];
    assert_nothing(&end_in(freezes, day(40), &trial), Status::Suspended);
    assert_nothing(
        &end_with_grant(GrantBilling::Follow, day(40), &trial),
        Status::Active,
    );
}

#[test]
fn foreign_subscription() {
    let end = end_with_grant(
        GrantBilling::Follow,
        day(50),
        &[
            sub("past_due").price("F").at(day(10)),
            sub("canceled").price("F").at(day(20)),
        ],
    );
    assert_nothing(&end, Status::Active);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn unmapped_subscription() {
    let events = [sub("past_due").price("X").at(day(10))];
    let end = end_with_grant(GrantBilling::Follow, day(11), &events);
    assert_nothing(&end, Status::Active);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::UnmappedPrice]);
}

#[test]
fn counts_without_packages() {
    let events = [sub("past_due").price("C").at(day(10))];
    let end = end_with_grant(GrantBilling::Follow, day(11), &events);
    assert_nothing(&end, Status::Suspended);
}

#[test]
fn hand_grant_follows_or_ignores() {
    let failing = [sub("past_due").at(day(10))];
    let follows = end_with_grant(GrantBilling::Follow, day(11), &failing);
    assert_nothing(&follows, Status::Suspended);
    let ended = [
        sub("active").created().at(0),
        invoice("in_1").failed(0),
        sub("canceled").at(day(2)),
    ];
    let ignores = end_with_grant(GrantBilling::Ignore, day(11), &ended);
    assert_nothing(&ignores, Status::Active);
}

#[test]
fn a_grant_that_has_run_out_no_longer_counts() {
    let end = |now| {
        History {
            policy: policy(),
            now,
            before: vec![contact("cus_1", "x@example.com", 1)],
            act: &|store| {
                let grant = by_hand(GrantBilling::Ignore, Some(at(day(20))));
                store.grant(&stripe("cus_1"), grant, at(2));
            },
            after: vec![sub("past_due").at(day(10))],
        }
        .end()
    };
    assert_nothing(&end(day(19)), Status::Active);
    assert_eq!(end(day(19)).of("cus_1").due_at, Some(at(day(20))));
    assert_nothing(&end(day(21)), Status::Suspended);
}

#[test]
fn items_of_quantity_zero_grant_nothing() {
    let mut none = sub("active");
    none.0.state.items[0].quantity = Some(0);
    let end = end_at(day(2), &[none.at(10)]);
    assert_active(&end, &[]);
    assert_eq!(end.of("cus_1").verdict, None);
}

#[test]
fn silence() {
    let events = [sub("active").period_end(day(30)).at(0)];
    let end = end_at(day(32), &events);
    assert_eq!(kinds(&end, "cus_1"), []);
    assert_eq!(end.of("cus_1").due_at, Some(at(day(33))));
    let end = end_at(day(34), &events);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::Overdue]);
    let suspends = Policy {
        on_silence: OnSilence::Suspend,
        ..policy()
    };
    let end = end_in(suspends.clone(), day(34), &events);
    assert_nothing(&end, Status::Suspended);
    // The event of the renewal was lost, but not that of its payment.
    let renewed = [
        events[0].clone(),
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .paid(day(30)),
    ];
    let end = end_in(suspends.clone(), day(62), &renewed);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), []);
    assert_eq!(end.of("cus_1").due_at, Some(at(day(63))));
    assert_nothing(&end_in(suspends, day(63), &renewed), Status::Suspended);
}

#[test]
fn an_object_on_a_test_clock_has_the_clocks_time() {
    let mut clocked = sub("active").period_end(day(30)).cancel_at(day(40));
    clocked.0.state.test_clock = Some("clock_1".to_owned());
    let end = end_at(LATE, &[clocked.at(0)]);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), []);
    assert_eq!(end.of("cus_1").due_at, None);
}

#[test]
fn a_test_clock_goes_on_with_the_tries_to_collect() {
    let clocked = |status: &str| {
        let mut clocked = sub(status).latest("in_2");
        clocked.0.state.test_clock = Some("clock_1".to_owned());
        clocked
    };
    let waits = Policy {
        suspend_after: "7d".parse().unwrap(),
        ..policy()
    };
    let mut events = vec![
        clocked("active").at(0),
        clocked("past_due").at(day(30)),
        invoice("in_2").failed(day(35)),
    ];
    assert_active(&end_in(waits.clone(), LATE, &events), &["A"]);
    events.push(invoice("in_2").failed(day(38)));
    assert_nothing(&end_in(waits, LATE, &events), Status::Suspended);
}

#[test]
fn a_payment_that_names_nobody_is_its_subscriptions() {
    let mut unnamed = transaction("txn_1")
        .line("A", 100, 0, day(30))
        .once("P", 100)
        .paid(0);
    let Fact::Payment(payment) = &mut unnamed.facts[0] else {
        unreachable!("a payment");
    };
    payment.account = None;
    let end = end_at(
        LATE,
        &[
            unnamed,
            of_paddle("active").created().at(0),
            of_paddle("canceled").at(day(30)),
        ],
    );
    let both: &[_] = &[("A", Some(day(30))), ("P", None)];
    assert_gives(&end, "ctm_1", Status::Active, both);
}
