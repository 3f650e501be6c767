//! A subscription that moves to another customer, as Paddle allows, takes along what was paid for it.

use tollgate::domain::billing::fact::{Occurrence, RefundStage};
use tollgate::domain::customer::row::Status;

use crate::convergence::rig::{End, at, paddle, refund, sub_of};

use super::{LATE, Sub, assert_gives, day, end_at, gives, of_paddle, transaction};

/// The subscription as it is with its second customer.
fn moved(status: &str) -> Sub {
    sub_of(&paddle("sub_1"), &paddle("ctm_2"), status)
}

/// A year that the first customer paid for, and the move in it.
fn paid_and_moved() -> Vec<Occurrence> {
    vec![
        of_paddle("active").created().at(10),
        transaction("txn_1").line("A", 100, 10, day(365)).paid(10),
        moved("active").at(day(100)),
    ]
}

fn assert_has_nothing(end: &End, account: &str) {
    assert_eq!(gives(end, account), []);
}

#[test]
fn what_was_paid_goes_along() {
    let mut events = paid_and_moved();
    events.push(moved("canceled").at(day(200)));
    let end = end_at(LATE, &events);
    let frozen = Status::Frozen { at: at(day(200)) };
    assert_gives(&end, "ctm_2", frozen, &[("A", Some(day(200)))]);
    assert_has_nothing(&end, "ctm_1");
}

#[test]
fn what_a_first_transaction_bought_once_stays() {
    // As a first transaction is told: the subscription names it, and it names nobody.
    let events = [
        of_paddle("active").created().at(10),
        transaction("txn_1").known(10),
        moved("active").at(day(100)),
        transaction("txn_1").of_nobody().once("P", 300).paid(10),
    ];
    let end = end_at(day(200), &events);
    assert_eq!(gives(&end, "ctm_1"), [("P", None)]);
    assert_eq!(gives(&end, "ctm_2"), [("A", None)]);
}

#[test]
fn a_refund_goes_along() {
    let mut events = paid_and_moved();
    let of = [paddle("txn_1")];
    events.push(refund(
        &paddle("adj_1"),
        RefundStage::Succeeded,
        100,
        &of,
        day(150),
    ));
    events.push(moved("canceled").at(day(200)));
    let end = end_at(LATE, &events);
    assert_gives(&end, "ctm_2", Status::Expired, &[]);
    assert_has_nothing(&end, "ctm_1");
}

#[test]
fn a_debt_is_healed_by_whoever_pays_it() {
    let mut events = paid_and_moved();
    let renewal = transaction("txn_2").reason("subscription_recurring");
    events.push(moved("past_due").latest("txn_2").at(day(365)));
    events.push(renewal.line("A", 100, day(365), day(730)).paid(day(366)));
    let end = end_at(day(370), &events);
    assert_gives(&end, "ctm_2", Status::Active, &[("A", None)]);
    assert_has_nothing(&end, "ctm_1");
}

#[test]
fn what_was_bought_once_stays() {
    let mut events = paid_and_moved();
    events.push(transaction("txn_2").once("P", 100).paid(20));
    // An amount without a price is nothing of the subscription's either.
    events.push(transaction("txn_3").unpriced().paid_with(5, 5, 30));
    events.push(moved("canceled").at(day(200)));
    let end = end_at(LATE, &events);
    let frozen = Status::Frozen { at: at(day(200)) };
    assert_gives(&end, "ctm_2", frozen, &[("A", Some(day(200)))]);
    assert_gives(&end, "ctm_1", Status::Active, &[("P", None)]);
}
