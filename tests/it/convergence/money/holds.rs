//! Disputes and refunds act on the source that they are about.

use std::collections::BTreeSet;

use tollgate::domain::access::hand_grant::GrantBilling;
use tollgate::domain::billing::fact::{DisputeStage, Fact, Occurrence, RefundStage};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::{Hold, Status};
use tollgate::domain::policy::{OnDisputeLost, OnFullRefund, Policy};

use crate::convergence::kinds;
use crate::convergence::rig::{
    at, contact, counted, disputed, event, ids, invoice, pair, pay, policy, refund, stripe, sub,
    sub_of,
};

use super::{LATE, assert_active, assert_nothing, day, end_at, end_in, end_with_grant, lifetime};

fn lost(second: i64) -> Occurrence {
    disputed(
        &stripe("dp_1"),
        DisputeStage::Lost,
        &[stripe("ch_1")],
        second,
    )
}

fn paid_and_disputed() -> Vec<Occurrence> {
    vec![
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        pair("ch_1", "in_1", 0),
        lost(day(20)),
    ]
}

#[test]
fn dispute_of_another_account() {
    let other = stripe("cus_2");
    let end = end_at(
        day(25),
        &[
            contact("cus_1", "x@example.com", 0),
            contact("cus_2", "x@example.com", 1),
            sub("active").at(2),
            sub_of(&stripe("sub_2"), &other, "active").at(3),
            pay(&stripe("in_2"), &other)
                .of(&stripe("sub_2"))
                .line("A", 100, 0, day(30))
                .paid(3),
            event(
                4,
                Fact::PaymentLink {
                    ids: ids(&[stripe("ch_1"), stripe("in_2")]),
                },
            ),
            lost(20),
        ],
    );
    assert_eq!(end.customers.len(), 1);
    assert_active(&end, &["A"]);
}

#[test]
fn pays_again_after_dispute() {
    let mut events = paid_and_disputed();
    events.push(sub_of(&stripe("sub_2"), &stripe("cus_1"), "active").at(day(21)));
    assert_active(&end_at(day(25), &events), &["A"]);
}

#[test]
fn lost_dispute_of_what_gives_nothing() {
    let mut events = vec![
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        pay(&stripe("in_2"), &stripe("cus_1"))
            .once("X", 900)
            .paid(5),
        pair("ch_1", "in_2", 5),
        lost(day(20)),
    ];
    let end = end_at(day(25), &events);
    assert_active(&end, &["A"]);
    let flags = kinds(&end, "cus_1");
    assert!(flags.contains(&FlagKind::LostDispute), "{flags:?}");
    events.push(disputed(
        &stripe("dp_1"),
        DisputeStage::Won,
        &[stripe("ch_1")],
        day(21),
    ));
    let flags = kinds(&end_at(day(25), &events), "cus_1");
    assert!(!flags.contains(&FlagKind::LostDispute), "{flags:?}");
}

#[test]
fn disputed_and_paying() {
    let mut events = paid_and_disputed();
    let held = end_at(day(25), &events);
    assert_nothing(&held, Status::Suspended);
    assert_eq!(held.of("cus_1").holds, BTreeSet::from([Hold::Dispute]));
    events.push(
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .paid(day(30)),
    );
    let end = end_at(day(35), &events);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::PaidThoughHeld]);
}

#[test]
fn won_after_lost() {
    let mut events = paid_and_disputed();
    events.push(disputed(
        &stripe("dp_1"),
        DisputeStage::Won,
        &[stripe("ch_1")],
        day(30),
    ));
    let end = end_at(day(35), &events);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn a_lost_dispute_expires_its_source_only() {
    let expires = Policy {
        on_dispute_lost: OnDisputeLost::Expire,
        ..policy()
    };
    let mut events = paid_and_disputed();
    assert_nothing(&end_in(expires.clone(), day(25), &events), Status::Expired);
    events.push(lifetime());
    assert_active(&end_in(expires, day(25), &events), &["P"]);
}

#[test]
fn goodwill_refund() {
    let expires = Policy {
        on_full_refund: OnFullRefund::Expire,
        ..policy()
    };
    let mut events = vec![
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        pair("ch_1", "in_1", 0),
        counted("ch_1", 100, day(70)),
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .paid(day(30)),
        invoice("in_3")
            .line("A", 100, day(60), day(90))
            .paid(day(60)),
    ];
    let end = end_in(expires.clone(), day(75), &events);
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::FullRefund]);
    events.truncate(4);
    let end = end_in(expires, day(75), &events);
    assert_nothing(&end, Status::Expired);
    assert_eq!(end.of("cus_1").holds, BTreeSet::from([Hold::Refund]));
}

#[test]
fn a_refunded_extra_expires_nobody_while_another_payment_covers() {
    let expires = Policy {
        on_full_refund: OnFullRefund::Expire,
        ..policy()
    };
    let events = |paid_for: i64| {
        [
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(paid_for)).paid(0),
            invoice("in_2")
                .line("A", 20, day(30), day(60))
                .paid(day(30)),
            pair("ch_2", "in_2", day(30)),
            counted("ch_2", 20, day(40)),
        ]
    };
    let covered = end_in(expires.clone(), day(50), &events(365));
    assert_active(&covered, &["A"]);
    assert_eq!(kinds(&covered, "cus_1"), [FlagKind::FullRefund]);
    // The renewal may still come, and then does not.
    let covered = end_in(expires.clone(), day(367), &events(365));
    assert_active(&covered, &["A"]);
    assert_eq!(covered.of("cus_1").due_at, Some(at(day(368))));
    let over = end_in(expires.clone(), day(368), &events(365));
    assert_nothing(&over, Status::Expired);
    assert_eq!(over.of("cus_1").holds, BTreeSet::from([Hold::Refund]));
    let uncovered = end_in(expires, day(50), &events(30));
    assert_nothing(&uncovered, Status::Expired);
    assert_eq!(uncovered.of("cus_1").holds, BTreeSet::from([Hold::Refund]));
}

#[test]
fn hand_grant_and_lost_dispute() {
    let mut events = paid_and_disputed();
    let running = end_with_grant(GrantBilling::Follow, day(25), &events);
    assert_nothing(&running, Status::Suspended);
    events.push(sub("canceled").at(day(30)));
    let ended = end_with_grant(GrantBilling::Follow, LATE, &events);
    assert_nothing(&ended, Status::Suspended);
}

#[test]
fn dispute_old_renewals() {
    let dispute = |stage, second| disputed(&stripe("dp_1"), stage, &[stripe("ch_1")], second);
    let end = end_at(
        day(85),
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "in_1", 0),
            dispute(DisputeStage::Open, day(20)),
            invoice("in_2")
                .line("A", 100, day(30), day(60))
                .paid(day(30)),
            dispute(DisputeStage::Lost, day(80)),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::PaidThoughHeld]);
}

#[test]
fn refund_failed_after() {
    let tied = [stripe("ch_1")];
    let end = end_at(
        day(3),
        &[
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "in_1", 0),
            counted("ch_1", 100, 10),
            refund(&stripe("re_1"), RefundStage::Succeeded, 100, &tied, 10),
            refund(&stripe("re_1"), RefundStage::Failed, 100, &tied, 20),
        ],
    );
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn refunds_of_two_charges_told_in_two_ways() {
    let end = |counts: i64| {
        end_at(
            day(3),
            &[
                invoice("in_1").line("A", 100, 0, day(30)).paid(0),
                pair("ch_1", "in_1", 0),
                pair("ch_2", "in_1", 0),
                counted("ch_1", counts, 10),
                refund(
                    &stripe("re_2"),
                    RefundStage::Succeeded,
                    50,
                    &[stripe("ch_2")],
                    11,
                ),
            ],
        )
    };
    assert_eq!(kinds(&end(50), "cus_1"), [FlagKind::FullRefund]);
    assert_eq!(kinds(&end(49), "cus_1"), []);
}

#[test]
fn refund_note_late() {
    let tied = [stripe("ch_1")];
    let end = end_at(
        day(3),
        &[
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "in_1", 0),
            refund(&stripe("re_1"), RefundStage::Failed, 100, &tied, 12),
            counted("ch_1", 100, 20),
            refund(&stripe("re_2"), RefundStage::Succeeded, 100, &tied, 20),
            refund(&stripe("re_1"), RefundStage::Failed, 100, &tied, 30),
        ],
    );
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::FullRefund]);
}

#[test]
fn a_refund_reaches_its_invoice_by_whatever_ties_them_last() {
    let tied = [stripe("ch_1"), stripe("pi_1")];
    let end = end_at(
        day(3),
        &[
            sub("active").at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "cus_1", 0),
            pair("pi_1", "in_1", 0),
            refund(&stripe("re_1"), RefundStage::Succeeded, 100, &tied, 10),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::FullRefund]);
}

#[test]
fn a_refund_that_reaches_no_payment_is_flagged() {
    let end = end_at(
        day(3),
        &[
            sub("active").at(0),
            pair("ch_1", "cus_1", 0),
            counted("ch_1", 100, 10),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::RefundUnlinked]);
}
