//! Features that subscriptions include: `docs` and `pro` have plans, `sso` has none.

use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::{EarlyEnd, OnPause, OnPaymentFailed, Policy};

use crate::convergence::kinds;
use crate::convergence::rig::{
    at, disputed, features, features_of, invoice, policy, stripe, sub, sub_of,
};
use tollgate::domain::billing::fact::{DisputeStage, Occurrence};

use super::{
    LATE, assert_active, assert_frozen, assert_gives, assert_nothing, day, end_at, end_in,
};

/// The subscription has a price without a plan, as sellers by features have.
fn running(second: i64) -> Occurrence {
    sub("active").created().price("X").at(second)
}

fn ended(second: i64) -> Occurrence {
    sub("canceled").price("X").at(second)
}

#[test]
fn features_give_through_a_subscription() {
    let events = [running(10), features(&["docs", "sso"]).at(12)];
    let end = end_at(20, &events);
    assert_active(&end, &["feat_docs"]);
    assert_eq!(
        kinds(&end, "cus_1"),
        [],
        "neither the price nor `sso` is a mistake"
    );
    let alone = end_at(20, &events[1..]);
    assert_active(&alone, &[]);
}

#[test]
fn features_without_plans_leave_a_price_without_a_plan_flagged() {
    let end = end_at(20, &[running(10), features(&["sso"]).at(12)]);
    assert_active(&end, &[]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::UnmappedPrice]);
}

#[test]
fn features_count_beside_prices() {
    let active = sub("active").created().at(10);
    let end = end_at(20, &[active, features(&["pro"]).at(12)]);
    assert_active(&end, &["A", "feat_pro"]);
}

#[test]
fn a_feature_that_leaves_the_list_takes_its_packages_along() {
    let events = [
        running(10),
        features(&["docs", "pro"]).at(12),
        features(&["pro"]).before(&["docs", "pro"]).at(30),
    ];
    assert_active(&end_at(40, &events), &["feat_pro"]);
    let mut ended_later = events.to_vec();
    ended_later.push(ended(60));
    ended_later.push(features(&[]).before(&["pro"]).at(61));
    // As a plan change: what it had before stays until then.
    assert_frozen(
        &end_at(LATE, &ended_later),
        &[("feat_docs", 30), ("feat_pro", 60)],
    );
}

#[test]
fn features_of_one_second_end_where_their_changes_lead() {
    let events = [
        running(10),
        features(&["docs"]).at(11),
        features(&["docs", "pro"]).before(&["docs"]).at(30),
        features(&["pro"]).before(&["docs", "pro"]).at(30),
        features(&["docs"]).before(&["pro"]).at(30),
    ];
    let end = end_at(40, &events);
    assert_active(&end, &["feat_docs"]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn lists_of_one_second_that_say_no_change_are_ambiguous() {
    let events = [
        running(10),
        features(&["docs", "pro"]).at(30),
        features(&["pro"]).at(30),
    ];
    let end = end_at(40, &events);
    assert_active(&end, &["feat_pro"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::Ambiguous]);
    let later = [events.to_vec(), vec![features(&["docs"]).at(31)]].concat();
    let end = end_at(40, &later);
    assert_active(&end, &["feat_docs"]);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn a_cut_list_gives_what_it_lists_and_is_flagged() {
    let events = [running(10), features(&["docs"]).cut().at(12)];
    let end = end_at(20, &events);
    assert_active(&end, &["feat_docs"]);
    assert_eq!(kinds(&end, "cus_1"), [FlagKind::ItemsIncomplete]);
    let cut = features(&["sso"]).cut().at(12);
    let end = end_at(20, &[sub("active").created().at(10), cut]);
    assert_eq!(kinds(&end, "cus_1"), [], "no plan has to do with it");
}

#[test]
fn an_end_leaves_the_features_that_were_paid_for() {
    let paid = invoice("in_1").line("X", 100, 10, day(30)).paid(10);
    let events = [
        running(10),
        paid.clone(),
        features(&["docs"]).at(12),
        features(&["docs", "pro"]).at(day(40)),
        ended(day(50)),
        features(&[]).before(&["docs", "pro"]).at(day(50) + 1),
    ];
    // Nobody paid for the time in which `pro` was added.
    assert_frozen(&end_at(LATE, &events), &[("feat_docs", day(30))]);
    let early = [
        running(10),
        paid,
        features(&["docs"]).at(12),
        ended(day(20)),
        features(&[]).before(&["docs"]).at(day(20)),
    ];
    assert_frozen(&end_at(LATE, &early), &[("feat_docs", day(20))]);
    let goes_on = Policy {
        early_end: EarlyEnd::PaidUntil,
        ..policy()
    };
    assert_active(&end_in(goes_on.clone(), day(25), &early), &["feat_docs"]);
    assert_frozen(&end_in(goes_on, LATE, &early), &[("feat_docs", day(30))]);
}

#[test]
fn features_of_a_trial_that_nobody_paid_leave_nothing() {
    let events = [
        sub("trialing").created().price("X").at(10),
        features(&["docs"]).at(11),
        ended(day(14)),
        features(&[]).before(&["docs"]).at(day(14)),
    ];
    assert_active(&end_at(day(2), &events[..2]), &["feat_docs"]);
    assert_nothing(&end_at(LATE, &events), Status::Expired);
}

#[test]
fn features_are_held_and_come_back_with_the_subscription() {
    let failing = [
        running(10),
        features(&["docs"]).at(12),
        sub("past_due").price("X").at(30),
        // Stripe takes them from the list while it is not paid.
        features(&[]).before(&["docs"]).at(31),
    ];
    assert_nothing(&end_at(40, &failing), Status::Suspended);
    let grace = Policy {
        suspend_after: "7d".parse().unwrap(),
        ..policy()
    };
    assert_active(&end_in(grace, 40, &failing), &["feat_docs"]);
    let keeps = Policy {
        on_payment_failed: OnPaymentFailed::Freeze,
        ..policy()
    };
    assert_frozen(&end_in(keeps, 40, &failing), &[("feat_docs", 30)]);
    let back = [
        failing.to_vec(),
        vec![sub("active").price("X").at(50), features(&["docs"]).at(51)],
    ];
    assert_active(&end_at(60, &back.concat()), &["feat_docs"]);
}

#[test]
fn features_of_a_paused_subscription_follow_the_policy() {
    let events = [
        running(10),
        features(&["docs"]).at(12),
        sub("paused").price("X").at(30),
        features(&[]).before(&["docs"]).at(30),
    ];
    assert_nothing(&end_at(40, &events), Status::Suspended);
    let frozen = Policy {
        on_pause: OnPause::Freeze,
        ..policy()
    };
    assert_frozen(&end_in(frozen, 40, &events), &[("feat_docs", 30)]);
    let kept = Policy {
        on_pause: OnPause::Keep,
        ..policy()
    };
    assert_active(&end_in(kept, 40, &events), &["feat_docs"]);
}

#[test]
fn a_lost_dispute_holds_the_features_too() {
    let dispute = disputed(
        &stripe("dp_1"),
        DisputeStage::Lost,
        &[stripe("ch_1"), stripe("sub_1")],
        40,
    );
    let events = [running(10), features(&["docs"]).at(12), dispute];
    assert_nothing(&end_at(50, &events), Status::Suspended);
}

#[test]
fn features_of_one_account_are_not_those_of_another() {
    let other = sub_of(&stripe("sub_2"), &stripe("cus_2"), "active").price("F");
    let events = [
        running(10),
        other.at(11),
        features_of("cus_2", &["docs"]).at(12),
    ];
    let end = end_at(20, &events);
    assert_gives(&end, "cus_1", Status::Active, &[]);
    assert_gives(
        &end,
        "cus_2",
        Status::Active,
        &[("F", None), ("feat_docs", None)],
    );
}

#[test]
fn a_second_subscription_keeps_what_the_first_one_ending_leaves() {
    let second = sub_of(&stripe("sub_2"), &stripe("cus_1"), "active").price("X");
    let events = [
        running(10),
        features(&["docs", "pro"]).at(12),
        ended(30),
        features(&["pro"]).before(&["docs", "pro"]).at(30),
        second.created().at(20),
    ];
    let end = end_at(40, &events);
    let given = end.of("cus_1").entitlements.iter();
    let given: Vec<_> = given
        .map(|it| (it.price.as_str(), it.source.id.as_str(), it.until))
        .collect();
    assert_eq!(
        given,
        [
            ("feat_docs", "sub_1", Some(at(30))),
            ("feat_pro", "sub_1", Some(at(30))),
            ("feat_pro", "sub_2", None),
        ]
    );
}
