//! What payments, ends, refunds, purchases and disputes mean: the named cases.
//!
//! Each runs in every permutation of its events, also with each event twice. Prices A and B buy a
//! package, P is bought once, U is bought once with a year of updates, F has a plan that buys
//! nothing, C one that only counts, X none.

use std::collections::BTreeSet;

use tollgate::domain::access::hand_grant::{GrantBilling, HandGrant};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::{DisputeStage, Fact, Occurrence, RefundStage};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::{Hold, Status};
use tollgate::domain::policy::{
    EarlyEnd, OnDisputeLost, OnEnd, OnEndUnpaid, OnFullRefund, OnPause, OnPaymentFailed, OnSilence,
    Policy,
};
use tollgate::domain::time::Timestamp;

use super::{History, kinds};
use crate::convergence::rig::{
    End, at, contact, counted, disputed, event, ids, invoice, paddle, pair, pay, policy, refund,
    stripe, sub, sub_of,
};

const DAY: i64 = 86_400;

/// Two years of days, long after everything.
const LATE: i64 = 700 * DAY;

fn day(n: i64) -> i64 {
    n * DAY
}

fn end_at(now: i64, events: &[Occurrence]) -> End {
    end_in(policy(), now, events)
}

fn end_in(policy: Policy, now: i64, events: &[Occurrence]) -> End {
    History {
        policy,
        now,
        before: Vec::new(),
        act: &|_| {},
        after: events.to_vec(),
    }
    .end()
}

fn by_hand(billing: GrantBilling, expires_at: Option<Timestamp>) -> HandGrant {
    HandGrant {
        grant: PackageGrant {
            package: "acme/hand".to_owned(),
            constraint: "*".to_owned(),
        },
        billing,
        expires_at,
    }
}

/// The end of events of a customer who has a grant by hand.
fn end_with_grant(billing: GrantBilling, now: i64, events: &[Occurrence]) -> End {
    History {
        policy: policy(),
        now,
        before: vec![contact("cus_1", "x@example.com", 1)],
        act: &|store| store.grant(&stripe("cus_1"), by_hand(billing, None), at(2)),
        after: events.to_vec(),
    }
    .end()
}

/// The prices that give something, each with its date.
fn gives<'e>(end: &'e End, account: &str) -> Vec<(&'e str, Option<Timestamp>)> {
    let entitlements = end.of(account).entitlements.iter();
    let mapped = entitlements.filter(|it| it.plan.is_some());
    mapped.map(|it| (it.price.as_str(), it.until)).collect()
}

fn assert_gives(end: &End, account: &str, status: Status, wanted: &[(&str, Option<i64>)]) {
    let shown = end.of(account);
    assert_eq!(shown.status, status, "{:?}", shown.reason);
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(price, until)| (*price, until.map(at)))
        .collect();
    assert_eq!(gives(end, account), wanted);
}

fn assert_active(end: &End, prices: &[&str]) {
    let wanted: Vec<_> = prices.iter().map(|price| (*price, None)).collect();
    assert_gives(end, "cus_1", Status::Active, &wanted);
}

fn assert_frozen(end: &End, wanted: &[(&str, i64)]) {
    let latest = wanted.iter().map(|(_, until)| *until).max().unwrap();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(price, until)| (*price, Some(*until)))
        .collect();
    assert_gives(end, "cus_1", Status::Frozen { at: at(latest) }, &wanted);
    assert_eq!(end.of("cus_1").frozen_at, Some(at(latest)));
}

fn assert_nothing(end: &End, status: Status) {
    assert_gives(end, "cus_1", status, &[]);
}

// Failures never enter; only what is owed heals.

#[test]
fn manual_invoice_fails() {
    let end = end_at(
        day(2),
        &[
            sub("active").created().latest("in_1").at(10),
            invoice("in_1").line("A", 100, 10, day(365)).paid(10),
            invoice("in_2").reason("manual").failed(day(1)),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(end.assessment("sub_1").standing, Standing::Good);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn declined_upgrade() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_1").at(10),
            invoice("in_2").reason("subscription_update").failed(20),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn older_invoice_fails_again() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_2").at(20),
            invoice("in_2")
                .reason("subscription_cycle")
                .line("A", 100, 20, day(30))
                .paid(20),
            invoice("in_1").reason("subscription_cycle").failed(30),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn owed_invoice_heals() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_1").at(10),
            sub("past_due").latest("in_2").at(20),
            invoice("in_2").line("A", 100, 20, day(30)).paid(30),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(end.assessment("sub_1").good_moment, Some(at(30)));
}

#[test]
fn other_invoice_heals_not() {
    for other in [
        invoice("in_1").line("A", 100, 10, day(30)),
        invoice("in_3").reason("manual").once("P", 100),
    ] {
        let mut events = vec![
            sub("active").latest("in_1").at(10),
            sub("past_due").latest("in_2").at(20),
        ];
        events.push(other.paid(30));
        let end = end_at(day(2), &events);
        assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
        assert_eq!(end.of("cus_1").failing_since, Some(at(20)));
    }
}

#[test]
fn old_cycle_heals_not() {
    let end = end_at(
        day(401),
        &[
            sub("past_due").at(day(400)),
            invoice("in_1")
                .reason("subscription_cycle")
                .line("A", 100, day(35), day(400))
                .paid(day(35)),
        ],
    );
    assert_nothing(&end, Status::Suspended);
    let end = end_at(
        day(402),
        &[
            sub("past_due").at(day(400)),
            invoice("in_2")
                .reason("subscription_cycle")
                .line("A", 100, day(400), day(800))
                .paid(day(401)),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn zero_latest_heals_not() {
    let end = end_at(
        day(2),
        &[
            sub("past_due").latest("in_2").at(20),
            sub("past_due").latest("in_3").at(30),
            invoice("in_3")
                .reason("subscription_update")
                .line("A", 0, 30, day(30))
                .paid(30),
        ],
    );
    assert_nothing(&end, Status::Suspended);
}

#[test]
fn debit_returned() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_2").at(10),
            invoice("in_2").line("A", 100, 10, day(30)).paid(10),
            sub("past_due").latest("in_2").at(20),
        ],
    );
    assert_nothing(&end, Status::Suspended);
    assert_eq!(end.of("cus_1").failing_since, Some(at(20)));
}

#[test]
fn an_older_invoice_that_is_paid_while_unpaid_counts() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().latest("in_1").at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(day(9)),
            sub("past_due").latest("in_1").at(day(1)),
            sub("unpaid").latest("in_1").at(day(5)),
            sub("unpaid").latest("in_2").at(day(8)),
            sub("canceled").latest("in_2").at(day(10)),
        ],
    );
    assert_frozen(&end, &[("A", day(10))]);
}

fn of_paddle(status: &str) -> crate::convergence::rig::Sub {
    sub_of(&paddle("sub_1"), &paddle("ctm_1"), status)
}

fn transaction(id: &str) -> crate::convergence::rig::Pay {
    pay(&paddle(id), &paddle("ctm_1")).of(&paddle("sub_1"))
}

#[test]
fn paddle_card_change_declined() {
    let declined = transaction("txn_2").reason("subscription_payment_method_change");
    let end = end_at(day(2), &[of_paddle("active").at(10), declined.failed(20)]);
    assert_gives(&end, "ctm_1", Status::Active, &[("A", None)]);
}

#[test]
fn paddle_zero_payment() {
    let free = transaction("txn_2").reason("subscription_payment_method_change");
    let events = [of_paddle("past_due").at(10), free.paid_with(0, 0, 20)];
    assert_gives(&end_at(day(2), &events), "ctm_1", Status::Suspended, &[]);
    let renewal = transaction("txn_3").reason("subscription_recurring");
    let events = [
        of_paddle("past_due").at(10),
        renewal.paid_with(100, 100, 20),
    ];
    assert_gives(
        &end_at(day(2), &events),
        "ctm_1",
        Status::Active,
        &[("A", None)],
    );
}

// What an ended subscription leaves.

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

// Purchases.

fn lifetime() -> Occurrence {
    pay(&stripe("in_9"), &stripe("cus_1"))
        .once("P", 300)
        .paid(day(1))
}

#[test]
fn lifetime_is_for_ever() {
    assert_active(&end_at(LATE, &[lifetime()]), &["P"]);
}

#[test]
fn purchase_with_code() {
    let session = pay(&stripe("cs_1"), &stripe("cus_1")).session("plink_1", "cs_1", 0);
    assert_active(&end_at(LATE, &[session.paid_with(0, 0, 5)]), &["plink_1"]);
    let unmapped = pay(&stripe("cs_1"), &stripe("cus_1")).session("plink_9", "cs_1", 0);
    let end = end_at(LATE, &[unmapped.paid_with(0, 0, 5)]);
    assert_active(&end, &[]);
    let flags: Vec<_> = end
        .flags("cus_1")
        .iter()
        .map(|it| (it.kind, it.subject.as_str()))
        .collect();
    assert_eq!(flags, [(FlagKind::UnmappedPrice, "cs_1")]);
}

#[test]
fn a_session_is_its_invoices_payment() {
    let end = end_at(
        LATE,
        &[
            pay(&stripe("pi_1"), &stripe("cus_1"))
                .session("plink_9", "cs_1", 300)
                .paid(5),
            pair("pi_1", "in_9", 5),
            lifetime(),
        ],
    );
    assert_active(&end, &["P"]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn lifetime_and_lapsed_month() {
    let end = end_at(
        LATE,
        &[
            lifetime(),
            sub("active").created().at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(0),
            sub("canceled").at(day(30)),
        ],
    );
    assert_gives(
        &end,
        "cus_1",
        Status::Active,
        &[("A", Some(day(30))), ("P", None)],
    );
}

#[test]
fn year_of_updates() {
    let bought = pay(&stripe("in_9"), &stripe("cus_1"))
        .once("U", 300)
        .paid(0);
    assert_active(&end_at(day(364), std::slice::from_ref(&bought)), &["U"]);
    assert_frozen(&end_at(day(400), &[bought]), &[("U", day(365))]);
}

#[test]
fn old_updates_and_failing() {
    let end = end_at(
        day(400),
        &[
            pay(&stripe("in_9"), &stripe("cus_1"))
                .once("U", 300)
                .paid(0),
            sub("past_due").latest("in_2").at(day(399)),
        ],
    );
    assert_frozen(&end, &[("U", day(365))]);
}

#[test]
fn lifetime_refunded() {
    let mut events = vec![
        lifetime(),
        pair("ch_9", "in_9", day(1)),
        counted("ch_9", 300, day(9)),
    ];
    assert_nothing(&end_at(LATE, &events), Status::Expired);
    events.push(sub("active").at(0));
    assert_active(&end_at(LATE, &events), &["A"]);
    let half = [
        lifetime(),
        pair("ch_9", "in_9", day(1)),
        counted("ch_9", 299, day(9)),
    ];
    assert_active(&end_at(LATE, &half), &["P"]);
}

#[test]
fn mixed_cart() {
    let mut events = vec![
        of_paddle("active").created().at(0),
        transaction("txn_1")
            .line("A", 100, 0, day(30))
            .once("P", 300)
            .paid(0),
    ];
    let both: &[_] = &[("A", None), ("P", None)];
    assert_gives(&end_at(day(2), &events), "ctm_1", Status::Active, both);
    events.push(of_paddle("canceled").at(day(30)));
    let after: &[_] = &[("A", Some(day(30))), ("P", None)];
    assert_gives(&end_at(LATE, &events), "ctm_1", Status::Active, after);
}

// Holds stick to their source.

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

// Grants by hand, foreign subscriptions, pauses, silence.

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
    let end = end_in(suspends, day(34), &events);
    assert_nothing(&end, Status::Suspended);
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
