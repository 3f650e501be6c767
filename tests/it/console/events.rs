//! Events, replays and flags.

use serde_json::json;

use super::visit::{Visit, buys, buys_at};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event};
use tollgate::provider::STRIPE;

on_both_stores! {
    failures_are_grouped_by_cause_and_replayed_with_an_estimate,
    an_event_is_shown_with_its_exact_payload,
    an_unmapped_price_is_mapped_in_the_inbox,
}

/// A subscription without a customer: it cannot be understood.
fn broken(id: &str) -> serde_json::Value {
    let object = json!({"id": format!("sub_{id}"), "object": "subscription", "status": "active"});
    stripe_event(
        id,
        "customer.subscription.updated",
        seconds_from_now(0),
        object,
    )
}

async fn failures_are_grouped_by_cause_and_replayed_with_an_estimate(engine: Engine) {
    let server = TestServer::start(engine).await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        server.deliver(STRIPE.name, &broken(id)).await;
    }
    let (_, event) = server.get("/api/v1/events/evt_1").await;
    assert_eq!(event["outcome"], "failed", "{event}");
    let code = event["error"]["code"].as_str().unwrap();
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/events").await;
    assert!(
        page.contains("Failures by cause") && page.contains(code),
        "{page}"
    );
    assert!(page.contains("data-name=\"events\">3<"), "{page}");
    let narrow = owner
        .page("/console/events?outcome=failed&type=invoice.paid")
        .await;
    assert!(narrow.contains("No event is like this"), "{narrow}");
    assert!(narrow.contains("Replay all that match"), "{narrow}");
    let settled = owner.page("/console/events?outcome=applied").await;
    assert!(!settled.contains("Replay all that match"), "{settled}");
    let wrong = owner.get("/console/events?outcome=bogus").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);

    let estimate = owner
        .page(&format!("/console/replays/new?outcome=failed&error={code}"))
        .await;
    assert!(
        estimate.contains("<b>3</b>") && estimate.contains("evt_2"),
        "{estimate}"
    );
    let (_, replays) = server.get("/api/v1/replays").await;
    assert_eq!(
        replays["meta"]["total"], 0,
        "looking ordered nothing: {replays}"
    );
    let fields = [("outcome", "failed"), ("error", code), ("per_second", "1")];
    let ordered = owner.post("/console/replays", &fields).await;
    assert_eq!(ordered.status, 303, "{}", ordered.text);
    let path = ordered.location().to_owned();
    let shown = owner.page(&path).await;
    assert!(
        shown.contains("of 3 are in the queue") && shown.contains("1 a second"),
        "{shown}"
    );
    let canceled = owner.post(&format!("{path}/cancel"), &[]).await;
    assert_eq!(canceled.status, 303, "{}", canceled.text);
    let shown = owner.page(&path).await;
    assert!(
        shown.contains(">canceled<") && !shown.contains("data-poll"),
        "{shown}"
    );
    let fast = owner.post("/console/replays", &[("per_second", "0")]).await;
    assert_eq!(fast.status, 422, "{}", fast.text);

    let one = owner.post("/console/events/evt_1/dismiss", &[]).await;
    assert_eq!(
        one.location(),
        "/console/events/evt_1?done=dismiss",
        "{}",
        one.text
    );
    server.stop_and_give_back().await;
}

async fn an_event_is_shown_with_its_exact_payload(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let body = stripe_event(
        "evt_big",
        "customer.updated",
        seconds_from_now(1),
        json!({
            "id": "cus_1", "object": "customer", "email": "ann@example.com", "name": "A Customer",
            "balance": 0,
        }),
    );
    let body = body
        .to_string()
        .replace("\"balance\":0", "\"balance\":12345678901234567890123");
    let url = format!("{}/webhooks/stripe", server.base);
    let sent = crate::support::post_signed(&server.client, &url, STRIPE.name, body.into_bytes());
    assert_eq!(sent.await.0, 200);
    server.outcome("evt_big").await;
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/events/evt_big").await;
    assert!(page.contains("12345678901234567890123"), "{page}");
    // What else came about the same object, and whom it concerns.
    assert!(page.contains("/console/events/evt_known_cus_1"), "{page}");
    assert!(page.contains(&format!("/console/customers/{id}")), "{page}");
    let tried = owner.page("/console/events/evt_big?try=1").await;
    assert!(tried.contains("A replay now would end as"), "{tried}");
    assert_eq!(owner.get("/console/events/evt_nobody").await.status, 404);
    let again = owner.post("/console/events/evt_big/replay", &[]).await;
    assert_eq!(again.status, 409, "{}", again.text);
    let forced = owner
        .post("/console/events/evt_big/replay", &[("force", "1")])
        .await;
    assert_eq!(forced.location(), "/console/events/evt_big?done=replay");
    server.stop_and_give_back().await;
}

async fn an_unmapped_price_is_mapped_in_the_inbox(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys_at(&server, "cus_1", "ann@example.com", "price_new").await;
    buys_at(&server, "cus_2", "bob@example.com", "price_new").await;
    let owner = Visit::owner(&server).await;
    let inbox = owner.page("/console/flags").await;
    assert!(
        inbox.contains("unmapped_price") && inbox.contains("2 customers"),
        "{inbox}"
    );
    let plans = owner.page("/console/plans").await;
    assert!(
        plans.contains("price_new") && plans.contains("2 customers"),
        "{plans}"
    );
    let fields = [
        ("provider", "stripe"),
        ("price", "price_new"),
        ("packages", "acme/tool ^1.0"),
        ("back", "flags"),
    ];
    let mapped = owner.post("/console/plans", &fields).await;
    assert_eq!(
        mapped.location(),
        "/console/flags?done=map",
        "{}",
        mapped.text
    );
    let inbox = owner.page("/console/flags").await;
    assert!(!inbox.contains("unmapped_price"), "{inbox}");
    let page = owner.page(&format!("/console/customers/{id}")).await;
    assert!(page.contains("acme/tool ^1.0"), "{page}");
    let wrong = [
        ("provider", "stripe"),
        ("price", "price_x"),
        ("packages", "Not A Package"),
    ];
    let refused = owner.post("/console/plans", &wrong).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    server.stop_and_give_back().await;
}
