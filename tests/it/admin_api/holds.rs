//! What holds a customer: billing, an admin, a dispute, a refund, side by side.

use serde_json::{Value, json};

use super::policy::lives;
use super::rig::{NOW, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// A subscription event, some seconds ago.
fn says(id: &str, ago: i64, status: &str) -> Value {
    let object = stripe_subscription("sub_cus_1", "cus_1", status);
    stripe_event(id, "customer.subscription.updated", NOW - ago, object)
}

fn failed(id: &str, ago: i64) -> Value {
    let object = json!({
        "id": format!("in_{id}"), "object": "invoice", "customer": "cus_1",
        "subscription": "sub_cus_1", "billing_reason": "subscription_cycle",
    });
    stripe_event(id, "invoice.payment_failed", NOW - ago, object)
}

fn paid(id: &str, ago: i64) -> Value {
    let mut event = failed(id, ago);
    event["type"] = json!("invoice.paid");
    event["data"]["object"]["amount_paid"] = json!(900);
    event["data"]["object"]["total"] = json!(900);
    event
}

fn dispute(event: &str, id: &str, ago: i64, status: &str) -> Value {
    let object = json!({"id": id, "object": "dispute", "charge": "ch_cus_1", "status": status});
    stripe_event(event, "charge.dispute.updated", NOW - ago, object)
}

/// The subscription's payment by this charge.
fn charged(id: &str, ago: i64, charge: &str) -> Value {
    let mut event = paid(id, ago);
    event["data"]["object"]["charge"] = json!(charge);
    event
}

/// All of a charge is given back.
fn refund(id: &str, ago: i64, charge: &str) -> Value {
    let object = json!({
        "id": charge, "object": "charge", "customer": "cus_1", "amount": 900,
        "amount_refunded": 900, "refunded": true,
    });
    stripe_event(id, "charge.refunded", NOW - ago, object)
}

async fn holds_stand_side_by_side_and_fall_one_by_one(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let policy = json!({
        "suspend_after": "0d", "on_dispute_opened": "suspend", "on_full_refund": "expire",
    });
    rig.put("/policy", policy).await.expect(200);
    let path = lives(&rig, "cus_1", "good").await;
    rig.happens(&charged("evt_first", 5_000, "ch_2")).await;
    let shows = async |status: &str, reason: Value, holds: Value, when: &str| {
        let shown = rig.get(&path).await.expect(200);
        let found = (&shown["status"], &shown["status_reason"], &shown["holds"]);
        assert_eq!(found, (&json!(status), &reason, &holds), "{when}");
    };
    let null = Value::Null;
    shows("active", null.clone(), json!([]), "at first").await;
    rig.happens(&says("evt_due", 900, "past_due")).await;
    let reason = json!("payment_failed");
    shows("suspended", reason, json!(["billing"]), "a failed renewal").await;
    rig.happens(&dispute("evt_open", "dp_1", 800, "needs_response"))
        .await;
    let two = json!(["billing", "dispute"]);
    let reason = json!("dispute_open");
    shows("suspended", reason.clone(), two.clone(), "a dispute").await;
    rig.happens(&says("evt_good", 780, "active")).await;
    let left = json!(["dispute"]);
    shows(
        "suspended",
        reason.clone(),
        left,
        "good news of the subscription lifts billing's alone",
    )
    .await;
    rig.happens(&says("evt_due_again", 760, "past_due")).await;
    shows("suspended", reason.clone(), two, "another failure").await;
    rig.happens(&dispute("evt_won", "dp_1", 740, "won")).await;
    let left = json!(["billing"]);
    shows(
        "suspended",
        json!("payment_failed"),
        left,
        "a dispute that is won lifts its own",
    )
    .await;
    rig.happens(&dispute("evt_other_open", "dp_2", 720, "needs_response"))
        .await;
    rig.happens(&refund("evt_back", 700, "ch_2")).await;
    shows(
        "expired",
        json!("full_refund"),
        json!(["refund"]),
        "the strictest decides",
    )
    .await;
    let suspend = json!({"reason": "fraud"});
    rig.post(&format!("{path}/suspend"), suspend)
        .await
        .expect(200);
    shows(
        "suspended",
        json!("fraud"),
        json!(["manual", "refund"]),
        "the admin's word comes first",
    )
    .await;

    let reactivated = rig
        .post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    assert_eq!(reactivated["changed"], true);
    shows("active", null.clone(), json!([]), "an admin lifts all").await;
    let again = rig
        .post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    assert_eq!(again["changed"], false);

    rig.happens(&refund("evt_again", 400, "ch_2")).await;
    shows("active", null, json!([]), "what was waived stays waived").await;
    rig.happens(&charged("evt_renewal", 350, "ch_3")).await;
    rig.happens(&refund("evt_other", 300, "ch_3")).await;
    shows(
        "expired",
        json!("full_refund"),
        json!(["refund"]),
        "another refund",
    )
    .await;
    rig.happens(&paid("evt_again_paid", 200)).await;
    shows("active", Value::Null, json!([]), "a later payment").await;
}

async fn a_courtesy_lasts_until_billing_says_something_else(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.put("/policy", json!({"suspend_after": "0d"}))
        .await
        .expect(200);
    let path = lives(&rig, "cus_1", "failing").await;
    rig.happens(&paid("evt_first", 8_500)).await;
    let shows = async |status: &str, holds: Value, when: &str| {
        let shown = rig.get(&path).await.expect(200);
        assert_eq!(
            (&shown["status"], &shown["holds"]),
            (&json!(status), &holds),
            "{when}"
        );
    };
    shows("suspended", json!(["billing"]), "a failed renewal").await;
    let reactivated = rig
        .post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&reactivated["status"], &reactivated["changed"]),
        (&json!("active"), &json!(true))
    );
    rig.happens(&failed("evt_retry", 900)).await;
    rig.happens(&says("evt_still", 800, "past_due")).await;
    shows("active", json!([]), "more of the same").await;
    rig.happens(&says("evt_good", 700, "active")).await;
    rig.happens(&says("evt_due", 600, "past_due")).await;
    shows("suspended", json!(["billing"]), "good in between").await;

    rig.post(&format!("{path}/reactivate"), json!({}))
        .await
        .expect(200);
    shows("active", json!([]), "another courtesy").await;
    let mut ended = says("evt_end", 500, "canceled");
    ended["type"] = json!("customer.subscription.deleted");
    rig.happens(&ended).await;
    shows("frozen", json!(["billing"]), "another verdict").await;
}

async fn a_hold_by_hand_outlasts_everything_that_billing_says(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let path = lives(&rig, "cus_1", "good").await;
    let cases = [
        ("suspend", json!({"reason": "fraud"}), "suspended"),
        ("expire", json!({}), "expired"),
        ("freeze", json!({"at": "2026-01-01T00:00:00Z"}), "frozen"),
    ];
    for (n, (act, body, status)) in cases.into_iter().enumerate() {
        rig.post(&format!("{path}/{act}"), body).await.expect(200);
        let ago = 900 - 100 * i64::try_from(n).unwrap();
        for (step, word) in [(0, "past_due"), (1, "active"), (2, "paused"), (3, "active")] {
            let id = format!("evt_{act}_{step}");
            rig.happens(&says(&id, ago - step, word)).await;
            let shown = rig.get(&path).await.expect(200);
            assert_eq!(shown["status"], status, "{act}, then {word}");
        }
        let free = rig
            .post(&format!("{path}/reactivate"), json!({}))
            .await
            .expect(200);
        assert_eq!(free["status"], "active", "{act}");
    }
}

on_both_stores! {
    holds_stand_side_by_side_and_fall_one_by_one,
    a_courtesy_lasts_until_billing_says_something_else,
    a_hold_by_hand_outlasts_everything_that_billing_says,
}
