//! What lines pay for: so many of a price, which may be known by its lookup key alone.

use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::{EarlyEnd, OnPause, Policy};

use crate::convergence::kinds;
use crate::convergence::rig::{Sub, invoice, policy, sub};

use super::{
    LATE, assert_active, assert_frozen, assert_gives, assert_nothing, day, end_at, end_in,
    of_paddle, transaction,
};

#[test]
fn a_credit_for_some_seats_leaves_the_rest_paid() {
    let events = [
        of_paddle("active").created().price("B").at(0),
        transaction("txn_1")
            .line("B", 100_000, 0, day(58))
            .many(10)
            .paid(0),
        transaction("txn_2")
            .line("B", -17_000, day(10), day(58))
            .many(2)
            .paid_with(0, -17_000, day(10)),
        of_paddle("canceled").price("B").at(day(58)),
    ];
    let wanted = [("B", Some(day(58)))];
    let frozen = Status::Frozen {
        at: crate::convergence::rig::at(day(58)),
    };
    assert_gives(&end_at(LATE, &events), "ctm_1", frozen, &wanted);
}

#[test]
fn early_end_goes_on_with_the_seats_that_stay_paid() {
    let early = Policy {
        early_end: EarlyEnd::PaidUntil,
        ..policy()
    };
    let events = [
        sub("active").created().price("B").at(0),
        invoice("in_1").line("B", 100, 0, day(58)).many(10).paid(0),
        invoice("in_2")
            .line("B", -17, day(10), day(58))
            .many(2)
            .paid_with(0, -17, day(10)),
        sub("canceled").price("B").at(day(20)),
    ];
    assert_active(&end_in(early, day(30), &events), &["B"]);
}

#[test]
fn seats_added_and_then_all_credited_leave_nothing_more() {
    let events = [
        sub("active").created().price("B").at(0),
        invoice("in_1").line("B", 100, 0, day(30)).many(1).paid(0),
        invoice("in_2")
            .line("B", 190, day(2), day(30))
            .many(2)
            .paid(day(2)),
        invoice("in_3")
            .line("B", -250, day(5), day(30))
            .many(3)
            .line("A", 300, day(5), day(30))
            .many(3)
            .paid(day(5)),
        sub("canceled").at(day(30)),
    ];
    assert_frozen(&end_at(LATE, &events), &[("A", day(30)), ("B", day(5))]);
}

/// The subscription `sub_1` with a price known by its lookup key, which is A's plan's.
fn keyed(status: &str) -> Sub {
    let mut sub = sub(status).price("price_K");
    sub.0.state.items[0].lookup_key = Some("A".to_owned());
    sub
}

#[test]
fn a_price_known_by_its_lookup_key_is_left_though_its_lines_lack_the_key() {
    let events = [
        keyed("active").created().at(0),
        invoice("in_1").line("price_K", 100, 0, day(30)).paid(0),
        keyed("canceled").at(day(30)),
    ];
    let end = end_at(LATE, &events);
    assert_frozen(&end, &[("price_K", day(30))]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn an_unpaid_trial_leaves_nothing_though_an_amount_was_paid() {
    let events = [
        sub("trialing").created().at(0),
        invoice("in_1").line("A", 0, 0, day(14)).paid_with(0, 0, 0),
        invoice("in_2")
            .reason("manual")
            .unpriced()
            .paid_with(50, 50, day(3)),
        sub("canceled").at(day(14)),
    ];
    assert_nothing(&end_at(LATE, &events), Status::Expired);
}

#[test]
fn a_free_month_of_one_that_began_before_is_no_proof_that_nobody_paid() {
    let events = [
        sub("active").at(day(30)),
        invoice("in_1")
            .reason("subscription_cycle")
            .line("A", 0, day(30), day(60))
            .paid_with(0, 0, day(30)),
        sub("canceled").at(day(60)),
    ];
    assert_frozen(&end_at(LATE, &events), &[("A", day(60))]);
}

#[test]
fn dunning_that_ends_in_a_pause_is_unpaid_whatever_a_pause_means() {
    let keeps = Policy {
        on_pause: OnPause::Keep,
        ..policy()
    };
    let mut events = vec![
        of_paddle("active").created().at(0),
        transaction("txn_1").line("A", 100, 0, day(30)).paid(0),
        of_paddle("past_due").at(day(30)),
        transaction("txn_2")
            .reason("subscription_recurring")
            .failed(day(30)),
        of_paddle("paused").at(day(35)),
    ];
    let end = end_in(keeps.clone(), day(36), &events);
    assert_gives(&end, "ctm_1", Status::Suspended, &[]);
    let _ = events.remove(2);
    let end = end_in(keeps, day(36), &events);
    assert_gives(&end, "ctm_1", Status::Active, &[("A", None)]);
}
