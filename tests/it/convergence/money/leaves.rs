//! What an ended subscription leaves.

use tollgate::domain::access::hand_grant::GrantBilling;
use tollgate::domain::billing::fact::RefundStage;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::{EarlyEnd, OnEnd, OnEndUnpaid, OnPaymentFailed, Policy};

use crate::convergence::kinds;
use crate::convergence::rig::{at, counted, invoice, pair, policy, refund, stripe, sub};

use super::{
    LATE, assert_active, assert_frozen, assert_nothing, day, end_at, end_in, end_with_grant,
};

#[test]
fn trial_unpaid() {
    let events = [
        sub("trialing").created().at(10),
        invoice("in_1")
            .line("A", 0, 10, day(14))
            .paid_with(0, 0, 10),
        sub("canceled").at(day(14)),
    ];
    assert_nothing(&end_at(LATE, &events), Status::Expired);
    let keeps = Policy {
        on_end_unpaid: OnEndUnpaid::Freeze,
        ..policy()
    };
    assert_frozen(&end_in(keeps, LATE, &events), &[("A", day(14))]);
}

#[test]
fn trial_unpaid_with_hand_grant() {
    let end = end_with_grant(
        GrantBilling::Follow,
        LATE,
        &[
            sub("trialing").created().at(10),
            invoice("in_1")
                .line("A", 0, 10, day(14))
                .paid_with(0, 0, 10),
            sub("canceled").at(day(14)),
        ],
    );
    assert_nothing(&end, Status::Active);
}

#[test]
fn first_debit_bounces() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().latest("in_1").at(10),
            invoice("in_1").line("A", 100, 10, day(30)).failed(day(3)),
            sub("canceled").at(day(4)),
        ],
    );
    assert_nothing(&end, Status::Expired);
}

#[test]
fn send_invoice_never_paid() {
    let end = end_at(
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
fn imported_then_fails() {
    let renewal = invoice("in_9").reason("subscription_cycle");
    let end = end_at(
        LATE,
        &[
            sub("active").at(10),
            renewal.clone().failed(day(30)),
            sub("canceled").at(day(45)),
        ],
    );
    assert_frozen(&end, &[("A", day(30))]);
    let end = end_at(
        LATE,
        &[
            sub("active").at(10),
            renewal.failed(day(30)),
            sub("past_due").latest("in_9").at(day(30)),
            sub("canceled").at(day(40)),
        ],
    );
    assert_frozen(&end, &[("A", day(30))]);
}

#[test]
fn unpaid_upgrade() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().latest("in_1").at(10),
            invoice("in_1").line("A", 100, 10, day(365)).paid(10),
            sub("active").price("B").latest("in_2").at(day(100)),
            invoice("in_2")
                .line("A", -70, day(100), day(365))
                .line("B", 200, day(100), day(365))
                .failed(day(100)),
            sub("canceled").price("B").at(day(120)),
        ],
    );
    assert_frozen(&end, &[("A", day(120))]);
}

#[test]
fn downgrade_by_credit() {
    let end = end_at(
        LATE,
        &[
            sub("active").price("B").created().at(0),
            invoice("in_1").line("B", 1000, 0, day(365)).paid(0),
            sub("active").price("A").at(day(100)),
            invoice("in_2")
                .line("B", -726, day(100), day(365))
                .line("A", 300, day(100), day(365))
                .paid_with(0, -426, day(100)),
            sub("canceled").price("A").at(day(365)),
        ],
    );
    assert_frozen(&end, &[("A", day(365)), ("B", day(100))]);
}

#[test]
fn balance_renewal() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 2900, 0, day(30)).paid(0),
            invoice("in_2")
                .line("A", 2900, day(30), day(60))
                .paid_with(0, 2900, day(30)),
            sub("canceled").at(day(60)),
        ],
    );
    assert_frozen(&end, &[("A", day(60))]);
}

#[test]
fn a_free_trials_lines_do_not_stand_for_payments_that_show_none() {
    let end = end_at(
        LATE,
        &[
            sub("trialing").created().at(0),
            invoice("in_1").line("A", 0, 0, day(14)).paid_with(0, 0, 0),
            sub("active").at(day(14)),
            invoice("in_2").paid_with(100, 100, day(14)),
            sub("canceled").at(day(40)),
        ],
    );
    assert_frozen(&end, &[("A", day(40))]);
}

#[test]
fn refunded_and_ended() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "in_1", 0),
            counted("ch_1", 100, day(2)),
            sub("canceled").at(day(2)),
        ],
    );
    assert_nothing(&end, Status::Expired);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::FullRefund]);
}

#[test]
fn partial_told_twice() {
    let tied = [stripe("ch_1")];
    let end = end_at(
        day(3),
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            pair("ch_1", "in_1", 0),
            counted("ch_1", 50, day(2)),
            refund(&stripe("re_1"), RefundStage::Succeeded, 50, &tied, day(2)),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn one_of_two_refunded() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            invoice("in_2")
                .line("A", 100, day(30), day(60))
                .paid(day(30)),
            pair("ch_2", "in_2", day(30)),
            counted("ch_2", 100, day(31)),
            sub("canceled").at(day(31)),
        ],
    );
    assert_frozen(&end, &[("A", day(30))]);
}

#[test]
fn long_dunning() {
    let mut events = vec![
        sub("active").created().latest("in_1").at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        sub("past_due").latest("in_2").at(day(30)),
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .failed(day(30)),
    ];
    let before = end_at(day(50), &events);
    assert_frozen(&before, &[("A", day(30))]);
    assert_eq!(before.assessment("sub_1").ended_at, Some(at(day(44))));
    events.push(sub("canceled").at(day(75)));
    let after = end_at(day(80), &events);
    assert_frozen(&after, &[("A", day(30))]);
    assert_eq!(after.assessment("sub_1").ended_at, Some(at(day(44))));
}

#[test]
fn no_payments_known() {
    let end = end_at(LATE, &[sub("active").at(10), sub("canceled").at(day(20))]);
    assert_frozen(&end, &[("A", day(20))]);
}

#[test]
fn an_end_leaves_nothing_under_expire() {
    let expires = Policy {
        on_end: OnEnd::Expire,
        on_end_unpaid: OnEndUnpaid::Freeze,
        ..policy()
    };
    let paid = [
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        sub("canceled").at(day(30)),
    ];
    assert_nothing(&end_in(expires.clone(), LATE, &paid), Status::Expired);
    let tried = [sub("trialing").created().at(0), sub("canceled").at(day(14))];
    assert_nothing(&end_in(expires, LATE, &tried), Status::Expired);
}

#[test]
fn freeze_after_needs_paid_time() {
    let month = |policy: &str| Policy {
        freeze_after: policy.parse().unwrap(),
        ..self::policy()
    };
    let events = [
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .paid(day(30)),
        sub("canceled").at(day(60)),
    ];
    assert_frozen(&end_in(month("60d"), LATE, &events), &[("A", day(60))]);
    assert_nothing(&end_in(month("61d"), LATE, &events), Status::Expired);
}

#[test]
fn paid_then_free() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(365)).paid(0),
            sub("active").price("F").at(day(365)),
            sub("canceled").price("F").at(day(500)),
        ],
    );
    assert_frozen(&end, &[("A", day(365))]);
}

#[test]
fn early_end_unpaid_upgrade() {
    let early = Policy {
        early_end: EarlyEnd::PaidUntil,
        ..policy()
    };
    let events = [
        sub("active").created().latest("in_1").at(0),
        invoice("in_1").line("A", 100, 0, day(365)).paid(0),
        sub("active").price("B").latest("in_2").at(day(100)),
        invoice("in_2")
            .line("B", 200, day(100), day(365))
            .failed(day(100)),
        sub("canceled").price("B").at(day(120)),
    ];
    let running = end_in(early.clone(), day(200), &events);
    assert_active(&running, &["A"]);
    assert_eq!(running.of("cus_1").due_at, Some(at(day(365))));
    assert_frozen(&end_in(early, day(366), &events), &[("A", day(365))]);
}

#[test]
fn early_end_goes_on_unless_a_part_was_given_back() {
    let early = Policy {
        early_end: EarlyEnd::PaidUntil,
        ..policy()
    };
    let mut events = vec![
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(365)).paid(0),
        pair("ch_1", "in_1", 0),
        sub("canceled").at(day(100)),
    ];
    assert_active(&end_in(early.clone(), day(200), &events), &["A"]);
    events.push(counted("ch_1", 70, day(100)));
    assert_frozen(&end_in(early, day(200), &events), &[("A", day(100))]);
}

#[test]
fn a_failing_customer_keeps_what_was_paid_for_under_freeze() {
    let freezes = Policy {
        on_payment_failed: OnPaymentFailed::Freeze,
        ..policy()
    };
    let mut events = vec![
        sub("active").created().latest("in_1").at(0),
        invoice("in_1").line("A", 100, 0, day(365)).paid(0),
        sub("past_due").price("B").latest("in_2").at(day(100)),
    ];
    assert_frozen(
        &end_in(freezes.clone(), day(101), &events),
        &[("A", day(100))],
    );
    events.remove(1);
    events.push(invoice("in_1").line("A", 100, 0, day(365)).failed(0));
    assert_nothing(&end_in(freezes, day(101), &events), Status::Suspended);
}
