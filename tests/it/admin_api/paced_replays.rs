//! Replays of many events: at a pace, behind the webhooks, one of an app at a time, cancelled.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

/// A customer with this many failed events.
async fn with_failures(engine: Engine, count: usize) -> Rig {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    for number in 0..count {
        let subscription = stripe_subscription(&format!("sub_{number}"), "cus_1", "active");
        let id = format!("evt_f{number}");
        let event = stripe_event(&id, "customer.subscription.created", NOW - 9, subscription);
        rig.has_failed(&event).await;
    }
    let other = stripe_subscription("sub_of_other", "cus_2", "active");
    let event = stripe_event("evt_other", "customer.subscription.created", NOW, other);
    rig.has_failed(&event).await;
    rig
}

const FAILED: &str = "/events?external_id=cus_1&outcome=failed";

async fn still_failed(rig: &Rig) -> Value {
    rig.get(FAILED).await.expect(200)["meta"]["total"].clone()
}

async fn a_replay_at_a_pace_is_canceled_half_way_and_gone_on_with(engine: Engine) {
    let rig = with_failures(engine, 50).await;
    let filter = json!({"account": "stripe_cus_1", "outcome": "failed"});
    let body = json!({"filter": filter, "per_second": 40});
    let ordered = rig.post("/events/replay", body.clone()).await.expect(202);
    assert_eq!(
        (
            &ordered["matched"],
            &ordered["status"],
            &ordered["per_second"]
        ),
        (&json!(50), &json!("open"), &json!(40))
    );
    let shown = json!({"external_id": "stripe_cus_1", "outcome": "failed"});
    assert_eq!(ordered["filter"], shown);
    for _ in 0..2 {
        assert!(rig.carry_on_replays().await.unwrap());
        assert!(
            !rig.carry_on_replays().await.unwrap(),
            "not before its time"
        );
        rig.pass(1);
    }
    let published = rig.published();
    assert_eq!(published.len(), 20);
    rig.processed(&published).await;
    assert_eq!(still_failed(&rig).await, 30);

    let path = format!("/replays/{}", id_of(&ordered));
    let canceled = rig
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&canceled["status"], &canceled["changed"]),
        (&json!("canceled"), &json!(true))
    );
    let again = rig
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&again["status"], &again["changed"]),
        (&json!("canceled"), &json!(false))
    );
    assert_eq!(again["published"], 20);
    rig.pass(10);
    assert!(!rig.carry_on_replays().await.unwrap());
    assert!(rig.published().is_empty());

    let ordered = rig.post("/events/replay", body).await.expect(202);
    assert_eq!(ordered["matched"], 30, "what was done is done");
    while rig.carry_on_replays().await.unwrap() {
        rig.pass(1);
    }
    let published = rig.published();
    assert_eq!(published.len(), 30);
    rig.processed(&published).await;
    assert_eq!(still_failed(&rig).await, 0);
    let other = rig.get("/events/evt_other").await.expect(200);
    assert_eq!(other["outcome"], "failed");

    let listed = rig.get("/replays").await.expect(200);
    let statuses: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|replay| &replay["status"])
        .collect();
    assert_eq!(statuses, ["finished", "canceled"]);
    let audited = "SELECT COUNT(*) FROM audit WHERE operation = 'event_replay_cancel'";
    assert_eq!(rig.place.count(audited, audited).await, 1);
}

async fn an_app_has_one_open_replay_and_no_other_learns_of_it(engine: Engine) {
    let rig = with_failures(engine, 2).await;
    let there = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", there).await.expect(201);
    let theirs = rig.admin("admin", Some("other")).await;
    let body = json!({"filter": {}});
    let ordered = rig.post("/events/replay", body.clone()).await.expect(202);
    let refused = rig.post("/events/replay", body.clone()).await;
    let problem = refused.refused(409, "replay_open");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(ordered["id"].as_str().unwrap()), "{detail}");
    // A look at what a replay would do is free.
    let look = json!({"filter": {}, "dry_run": true});
    rig.post("/events/replay", look).await.expect(200);

    let own = rig
        .as_admin(&theirs, "POST", "/events/replay", Some(body.clone()))
        .await
        .expect(202);
    let listed = rig.as_admin(&theirs, "GET", "/replays", None).await;
    let listed = listed.expect(200);
    assert_eq!(listed["meta"]["total"], 1);
    assert_eq!(listed["data"][0]["id"], own["id"]);
    for verb in [("GET", ""), ("POST", "/cancel")] {
        let path = format!("/replays/{}{}", id_of(&ordered), verb.1);
        rig.as_admin(&theirs, verb.0, &path, None)
            .await
            .refused(404, "replay_not_found");
    }
    let viewer = rig.admin("viewer", None).await;
    let path = format!("/replays/{}/cancel", id_of(&ordered));
    rig.as_admin(&viewer, "POST", &path, None)
        .await
        .refused(403, "role_insufficient");
    // Both get their turn.
    for _ in 0..2 {
        assert!(rig.carry_on_replays().await.unwrap());
    }
    assert!(!rig.carry_on_replays().await.unwrap());
    rig.post("/events/replay", body).await.expect(202);
}

async fn a_replay_waits_behind_webhooks(engine: Engine) {
    let rig = with_failures(engine, 2).await;
    rig.post("/events/replay", json!({"filter": {}}))
        .await
        .expect(202);
    rig.queue_has(10_000);
    assert!(!rig.carry_on_replays().await.unwrap());
    assert!(rig.published().is_empty());
    rig.queue_has(3);
    assert!(rig.carry_on_replays().await.unwrap());
    assert_eq!(rig.published().len(), 3);
}

async fn a_replay_counts_its_attempt(engine: Engine) {
    let rig = with_failures(engine, 1).await;
    let before = rig.get("/events/evt_f0").await.expect(200);
    assert_eq!(before["attempts"], 3);
    rig.post("/events/evt_f0/replay", json!({}))
        .await
        .expect(202);
    let published = rig.published();
    // It gets all retries of a new event.
    assert_eq!(published[0].headers().attempt, 0);
    rig.processed(&published).await;
    let after = rig.get("/events/evt_f0").await.expect(200);
    assert_eq!(
        (&after["outcome"], &after["attempts"]),
        (&json!("applied"), &json!(4))
    );
}

on_both_stores! {
    a_replay_at_a_pace_is_canceled_half_way_and_gone_on_with,
    an_app_has_one_open_replay_and_no_other_learns_of_it,
    a_replay_waits_behind_webhooks,
    a_replay_counts_its_attempt,
}
