//! What is bought once.

use tollgate::domain::billing::assessment::Verdict;
use tollgate::domain::billing::fact::{Occurrence, RefundStage};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;

use crate::convergence::kinds;
use crate::convergence::rig::{adjustment, counted, invoice, pair, pay, stripe, sub};

use super::{
    LATE, assert_active, assert_frozen, assert_gives, assert_nothing, day, end_at, lifetime,
    of_paddle, transaction,
};

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
fn an_amount_without_any_price_is_flagged_under_its_document() {
    let amount = || pay(&stripe("in_9"), &stripe("cus_1")).unpriced();
    let end = end_at(LATE, &[amount().known(4), amount().paid_with(50, 50, 5)]);
    assert_active(&end, &[]);
    let flags = end.flags("cus_1").iter();
    let flags: Vec<_> = flags.map(|it| (it.kind, it.subject.as_str())).collect();
    assert_eq!(flags, [(FlagKind::UnmappedPrice, "in_9")]);
    let with_price = amount().once("P", 100).paid_with(150, 150, 5);
    assert_eq!(kinds(&end_at(LATE, &[with_price]), "cus_1"), []);
    let of_subscription = [
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, day(9_000)).paid(0),
        invoice("in_2").unpriced().paid_with(50, 50, 5),
    ];
    assert_eq!(kinds(&end_at(day(3), &of_subscription), "cus_1"), []);
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
fn one_of_a_cart_refunded() {
    use RefundStage::{Failed, Pending, Succeeded};
    let cart = || {
        transaction("txn_1")
            .once("P", 300)
            .with_id("txnitm_1")
            .once("U", 200)
            .with_id("txnitm_2")
            .paid(0)
    };
    let end = |refunds: &[Occurrence]| {
        let events: Vec<_> = [cart()].iter().chain(refunds).cloned().collect();
        end_at(day(20), &events)
    };
    let of_u = |id: &str, stage, amount, at| adjustment(id, stage, &[("txnitm_2", amount)], at);
    let both = [("P", None), ("U", None)];
    let gives = |refunds: &[Occurrence], gives| {
        assert_gives(&end(refunds), "ctm_1", Status::Active, gives);
    };
    gives(&[of_u("adj_1", Succeeded, 200, day(9))], &both[..1]);
    let parts = |second| {
        [
            of_u("adj_1", Succeeded, 150, day(9)),
            of_u("adj_2", second, 50, day(10)),
        ]
    };
    gives(&parts(Succeeded), &both[..1]);
    gives(&parts(Pending), &both);
    gives(&parts(Failed), &both);
    // As much as the other one cost, but for this one.
    gives(&[of_u("adj_1", Succeeded, 199, day(9))], &both);
    let rejected = [
        of_u("adj_1", Pending, 200, day(8)),
        of_u("adj_1", Failed, 200, day(9)),
    ];
    gives(&rejected, &both);
    let each = [
        of_u("adj_1", Succeeded, 200, day(9)),
        adjustment("adj_2", Succeeded, &[("txnitm_1", 300)], day(10)),
    ];
    assert_gives(&end(&each), "ctm_1", Status::Expired, &[]);
}

#[test]
fn one_of_two_lines_of_a_price_refunded() {
    let cart = transaction("txn_1")
        .once("P", 300)
        .with_id("txnitm_1")
        .once("P", 300)
        .with_id("txnitm_2")
        .paid(0);
    let refund = adjustment(
        "adj_1",
        RefundStage::Succeeded,
        &[("txnitm_2", 300)],
        day(9),
    );
    let end = end_at(day(20), &[cart, refund]);
    assert_gives(&end, "ctm_1", Status::Active, &[("P", None)]);
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

#[test]
fn a_purchase_charged_to_a_trial_pays_for_no_period() {
    let end = end_at(
        day(30),
        &[
            of_paddle("trialing").created().at(0),
            of_paddle("active").at(day(14)),
            transaction("txn_2")
                .reason("subscription_recurring")
                .line("A", 100, day(14), day(44))
                .failed(day(15)),
            of_paddle("past_due").at(day(15)),
            transaction("txn_1")
                .reason("subscription_charge")
                .once("P", 300)
                .paid(day(16)),
            of_paddle("canceled").at(day(17)),
        ],
    );
    assert_gives(&end, "ctm_1", Status::Active, &[("P", None)]);
    let ended = end.assessment("sub_1");
    assert_eq!(ended.verdict, Some(Verdict::Ended), "{:?}", ended.gives);
}
