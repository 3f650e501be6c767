//! What payloads mean for access.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::DisputeStage;
use tollgate::domain::customer::row::{Hold, Status};
use tollgate::domain::policy::{OnEnd, OnEndUnpaid, OnFullRefund, OnPause};
use tollgate::provider::STRIPE;

use crate::convergence::end_of;
use crate::convergence::rig::{disputed, invoice, pair, stripe, sub};
use crate::life_cycles::rig::Life;
use crate::support::fixtures::{NEW, load};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event, stripe_subscription};

const PATH: &str = "/api/v1/customers/by-external/stripe_cus_1";

fn subscription(id: &str, seconds: i64, has_more: bool) -> Value {
    let mut object = stripe_subscription("sub_1", "cus_1", "active");
    object["items"]["has_more"] = json!(has_more);
    stripe_event(
        id,
        "customer.subscription.updated",
        seconds_from_now(seconds),
        object,
    )
}

async fn trap_17_a_list_of_items_that_was_cut_is_flagged(engine: Engine) {
    let server = TestServer::start(engine).await;
    server
        .deliver(STRIPE.name, &subscription("evt_1", -90, true))
        .await;
    let (_, customer) = server.get(PATH).await;
    assert_eq!(
        customer["flags"][0]["kind"], "items_incomplete",
        "{customer}"
    );
    server
        .deliver(STRIPE.name, &subscription("evt_2", -80, false))
        .await;
    let (_, customer) = server.get(PATH).await;
    assert_eq!(customer["flags"], json!([]), "all items are listed now");
    server.stop().await;
}

#[test]
fn trap_25_a_payment_lifts_only_what_a_failed_payment_caused() {
    let lost = disputed(&stripe("dp_1"), DisputeStage::Lost, &[stripe("ch_1")], 40);
    let owed = invoice("in_1").paid(30);
    let end = end_of(&[
        sub("past_due").latest("in_1").at(20),
        owed.clone(),
        pair("ch_1", "in_1", 30),
        lost.clone(),
    ]);
    // The failure is healed, and the dispute holds what it is about.
    assert_eq!(end.assessment("sub_1").standing, Standing::Good);
    assert_eq!(end.of("cus_1").holds, BTreeSet::from([Hold::Dispute]));
    assert_eq!(end.of("cus_1").status, Status::Suspended);
    let other = invoice("in_2").paid(35);
    let end = end_of(&[sub("past_due").latest("in_1").at(20), other]);
    assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
    crate::domain_acts::what_an_admin_suspended_no_payment_lifts();
}

async fn trap_27_an_object_without_an_id_breaks_nothing(engine: Engine) {
    let server = TestServer::start(engine).await;
    let upcoming = load(&format!("stripe/invoice.upcoming--renewal{NEW}"));
    assert!(upcoming["data"]["object"]["id"].is_null());
    let event = server.deliver(STRIPE.name, &upcoming).await;
    assert_eq!(
        (&event["outcome"], &event["error"]),
        (&json!("ignored"), &Value::Null)
    );
    server.stop().await;
}

async fn trap_28_a_one_off_sale_that_fails_suspends_no_subscriber(engine: Engine) {
    let server = TestServer::start(engine).await;
    server
        .deliver(STRIPE.name, &subscription("evt_1", -90, false))
        .await;
    let mut failed = load(&format!("stripe/invoice.payment_failed--one-off{NEW}"));
    failed["data"]["object"]["customer"] = json!("cus_1");
    failed["livemode"] = json!(true);
    let event = server.deliver(STRIPE.name, &failed).await;
    assert_eq!(event["error"], Value::Null, "{event}");
    let (_, customer) = server.get(PATH).await;
    assert_eq!(
        (&customer["status"], &customer["holds"]),
        (&json!("active"), &json!([]))
    );
    let path = format!(
        "/api/v1/customers/{}/explain",
        customer["id"].as_str().unwrap()
    );
    let (_, told) = server.get(&path).await;
    let subscription = &told["billing"]["subscriptions"][0];
    assert_eq!(
        (&subscription["class"], &subscription["verdict"]),
        (&json!("good"), &json!("good"))
    );
    server.stop().await;
}

#[test]
fn trap_29_a_refund_of_a_part_is_not_one_of_all() {
    Life::of("refund")
        .under(|policy| policy.on_full_refund = OnFullRefund::Expire)
        .then("stripe/customer.created--yearly stripe/customer.subscription.created--yearly")
        .then("stripe/charge.succeeded--yearly stripe/invoice.paid--yearly")
        .then_linked("in_1TgDee000000000000000001", "pi_3TgDee000000000000000001")
        .then("stripe/charge.refunded--part")
        .shows("active: team")
        .then("stripe/charge.refunded--full")
        .shows("expired by refund: nothing")
        .check();
}

/// What makes a yearly subscription that was paid for be paused or ended two days later.
fn stands(status: &'static str, kind: &'static str) -> impl Fn(&mut Value) {
    move |payload| {
        payload["type"] = json!(kind);
        let object = &mut payload["data"]["object"];
        object["status"] = json!(status);
        object["pause_collection"] = Value::Null;
        object["cancellation_details"] = json!({ "reason": "payment_failed" });
        payload["data"]["previous_attributes"] = json!({ "status": "active" });
    }
}

#[test]
fn trap_30_a_pause_and_an_end_do_what_the_policy_says() {
    const LATER: &str = "stripe/customer.subscription.updated--collection-paused";
    let yearly = || {
        Life::of("pause or end")
            .then("stripe/customer.created--yearly stripe/customer.subscription.created--yearly")
            .then("stripe/invoice.paid--yearly")
    };
    let kept = "frozen at 2026-03-27T09:00:00.000Z by billing: team";
    let rows = [
        (OnPause::Suspend, "suspended by billing: nothing"),
        (OnPause::Freeze, kept),
        (OnPause::Keep, "active: team"),
    ];
    for (on_pause, expected) in rows {
        yearly()
            .under(|policy| policy.on_pause = on_pause)
            .then_edited(LATER, stands("paused", "customer.subscription.paused"))
            .shows(expected)
            .check();
    }
    let rows = [
        (OnEnd::Freeze, kept),
        (OnEnd::Expire, "expired by billing: nothing"),
    ];
    for (on_end, expected) in rows {
        yearly()
            .under(|policy| policy.on_end = on_end)
            .then_edited(LATER, stands("canceled", "customer.subscription.deleted"))
            .shows(expected)
            .check();
    }
    let trial = "stripe/customer.created--trial stripe/customer.subscription.created--trialing";
    for (on_end_unpaid, expected) in [
        (OnEndUnpaid::Expire, "expired by billing: nothing"),
        (
            OnEndUnpaid::Freeze,
            "frozen at 2026-03-17T09:00:02.000Z by billing: team",
        ),
    ] {
        Life::of("a trial that nobody paid for")
            .under(|policy| policy.on_end_unpaid = on_end_unpaid)
            .then(trial)
            .then_edited(
                "stripe/customer.subscription.paused--trial-end",
                stands("canceled", "customer.subscription.deleted"),
            )
            .shows(expected)
            .check();
    }
}

on_both_stores! {
    trap_17_a_list_of_items_that_was_cut_is_flagged,
    trap_27_an_object_without_an_id_breaks_nothing,
    trap_28_a_one_off_sale_that_fails_suspends_no_subscriber,
}
