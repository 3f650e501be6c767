//! The whole way, from a provider's webhook to a customer whose access has changed, through a
//! real server.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};
use tollgate::provider::{PADDLE, STRIPE};

fn sign_up(id: &str) -> Value {
    let customer = stripe_customer("cus_1", "one@example.com");
    stripe_event(id, "customer.created", seconds_from_now(-100), customer)
}

fn subscription(id: &str, seconds: i64, status: &str) -> Value {
    let event_type = match status {
        "canceled" => "customer.subscription.deleted",
        _ => "customer.subscription.updated",
    };
    let object = stripe_subscription("sub_1", "cus_1", status);
    stripe_event(id, event_type, seconds_from_now(seconds), object)
}

async fn status(server: &TestServer) -> Value {
    let (code, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    assert_eq!(code, 200, "{customer}");
    customer["status"].clone()
}

async fn one_event_posted_five_times_at_once_has_one_effect(engine: Engine) {
    let server = TestServer::start(engine).await;
    let event = sign_up("evt_1");
    let answers = join_all((0..5).map(|_| server.post(STRIPE.name, &event))).await;
    for (status, answer) in answers {
        assert_eq!(
            (status, &answer),
            (200, &json!({ "received": true, "event_id": "evt_1" }))
        );
    }
    let event = server
        .until("/api/v1/events/evt_1", |event| event["duplicates"] == 4)
        .await;
    assert_eq!(event["outcome"], "applied");
    let (_, list) = server.get("/api/v1/customers").await;
    assert_eq!(list["meta"]["total"], 1, "{list}");
    server.stop().await;
}

async fn a_failed_renewal_suspends_a_payment_reactivates_and_an_end_freezes(engine: Engine) {
    let server = TestServer::start(engine).await;
    let policy = json!({ "suspend_after": "0d" });
    let (code, answer) = server.call("PUT", "/api/v1/policy", Some(policy)).await;
    assert_eq!(code, 200, "{answer}");
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    server
        .deliver(STRIPE.name, &subscription("evt_2", -90, "active"))
        .await;
    assert_eq!(status(&server).await, "active");
    server
        .deliver(STRIPE.name, &subscription("evt_3", -80, "past_due"))
        .await;
    assert_eq!(status(&server).await, "suspended");
    server
        .deliver(STRIPE.name, &subscription("evt_4", -70, "active"))
        .await;
    assert_eq!(status(&server).await, "active");
    server
        .deliver(STRIPE.name, &subscription("evt_5", -60, "canceled"))
        .await;
    assert_eq!(status(&server).await, "frozen");
    let late = server
        .deliver(STRIPE.name, &subscription("evt_6", -85, "active"))
        .await;
    assert_eq!(late["outcome"], "superseded", "{late}");
    assert_eq!(status(&server).await, "frozen");
    server.stop().await;
}

async fn a_payment_does_not_lift_the_hold_of_an_admin(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    server
        .deliver(STRIPE.name, &subscription("evt_2", -90, "past_due"))
        .await;
    let (_, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().unwrap());
    let suspend = Some(json!({ "reason": "fraud" }));
    let (code, held) = server
        .call("POST", &format!("{path}/suspend"), suspend)
        .await;
    assert_eq!((code, &held["changed"]), (200, &json!(true)), "{held}");
    server
        .deliver(STRIPE.name, &subscription("evt_3", -80, "active"))
        .await;
    assert_eq!(status(&server).await, "suspended");
    let (_, freed) = server
        .call("POST", &format!("{path}/reactivate"), None)
        .await;
    assert_eq!(freed["status"], "active", "{freed}");
    server.stop().await;
}

pub(crate) async fn an_event_that_cannot_be_understood_is_failed_with_the_fields_path(
    engine: Engine,
) {
    let server = TestServer::start(engine).await;
    let object = json!({ "id": "sub_1", "status": "active" });
    let event = stripe_event(
        "evt_1",
        "customer.subscription.updated",
        seconds_from_now(0),
        object,
    );
    let failed = server.deliver(STRIPE.name, &event).await;
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["error"]["code"], "payload_field_missing");
    assert!(
        failed["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("data.object."),
        "{failed}"
    );
    assert_eq!(failed["attempts"], 1);
    let (code, answer) = server
        .call("POST", "/api/v1/events/evt_1/replay", Some(json!({})))
        .await;
    assert_eq!(code, 202, "a failed event may be replayed: {answer}");
    let again = server
        .until("/api/v1/events/evt_1", |event| {
            event["processed_at"] != failed["processed_at"]
        })
        .await;
    assert_eq!(again["outcome"], "failed");
    server.stop().await;
}

async fn an_applied_event_is_replayed_only_by_force(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    let path = "/api/v1/events/evt_1/replay";
    let (code, refused) = server.call("POST", path, Some(json!({}))).await;
    assert_eq!(
        (code, &refused["code"]),
        (409, &json!("already_applied")),
        "{refused}"
    );
    let (code, answer) = server
        .call("POST", path, Some(json!({ "force": true })))
        .await;
    assert_eq!(code, 202, "{answer}");
    server.stop().await;
}

/// A row that cannot be read breaks every batch that needs it. The event that needs it waits for
/// its next try; the others of the batch go on.
async fn an_event_that_breaks_a_batch_waits_and_the_others_go_on(engine: Engine) {
    let server = TestServer::start(engine).await;
    let policy = json!({ "suspend_after": "0d" });
    let (code, answer) = server.call("PUT", "/api/v1/policy", Some(policy)).await;
    assert_eq!(code, 200, "{answer}");
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    server
        .deliver(STRIPE.name, &subscription("evt_2", -90, "active"))
        .await;
    server
        .place
        .run(
            "UPDATE subscriptions SET kept = 'broken:' || kept",
            "UPDATE subscriptions SET kept = to_jsonb(kept::text)",
        )
        .await;

    let paddle = json!({
        "event_id": "evt_p", "event_type": "customer.created", "notification_id": "ntf_1",
        "occurred_at": "2026-03-09T09:00:00.1Z",
        "data": { "id": "ctm_1", "email": "two@example.com", "name": null, "status": "active" },
    });
    let broken = subscription("evt_3", -80, "past_due");
    let posts = join_all([
        server.post(STRIPE.name, &broken),
        server.post(PADDLE.name, &paddle),
    ])
    .await;
    assert!(posts.iter().all(|(status, _)| *status == 200), "{posts:?}");
    assert_eq!(server.outcome("evt_p").await["outcome"], "applied");
    let pending = server
        .until("/api/v1/events/evt_3", |it| it["outcome"] == "pending")
        .await;
    assert_eq!(pending["error"]["code"], "store_refused", "{pending}");

    server
        .place
        .run(
            "UPDATE subscriptions SET kept = substr(kept, 8)",
            "UPDATE subscriptions SET kept = (kept #>> '{}')::jsonb",
        )
        .await;
    let event = server.outcome("evt_3").await;
    assert_eq!(event["outcome"], "applied", "{event}");
    assert!(event["attempts"].as_i64().unwrap() >= 2, "{event}");
    assert_eq!(status(&server).await, "suspended");
    server.stop().await;
}

async fn a_cancellation_date_that_has_come_ends_access_without_any_event(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    let mut event = subscription("evt_2", -90, "active");
    // Far enough that a machine that stands still for a moment finds the customer active before.
    event["data"]["object"]["cancel_at"] = json!(seconds_from_now(5));
    server.deliver(STRIPE.name, &event).await;
    assert_eq!(status(&server).await, "active");
    let path = "/api/v1/customers/by-external/stripe_cus_1";
    server
        .until(path, |customer| customer["status"] == "frozen")
        .await;
    server.stop().await;
}

on_both_stores! {
    one_event_posted_five_times_at_once_has_one_effect,
    a_failed_renewal_suspends_a_payment_reactivates_and_an_end_freezes,
    a_payment_does_not_lift_the_hold_of_an_admin,
    an_event_that_cannot_be_understood_is_failed_with_the_fields_path,
    an_applied_event_is_replayed_only_by_force,
    an_event_that_breaks_a_batch_waits_and_the_others_go_on,
    a_cancellation_date_that_has_come_ends_access_without_any_event,
}
