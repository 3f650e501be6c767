//! Events that failed or were lost, and that somebody has dismissed.

use serde_json::{Value, json};
use tollgate::domain::span::Span;
use tollgate::pipeline::retention::remove_payloads;

use super::rig::{NOW, Rig};
use super::unaccounted::acknowledge;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

const DAY: u64 = 86_400;

fn broken(id: &str) -> Value {
    stripe_event(id, "customer.subscription.updated", NOW, json!({"id": "s"}))
}

async fn removed(rig: &Rig) -> u64 {
    remove_payloads(&rig.store, Span::days(90), rig.now())
        .await
        .unwrap()
}

async fn a_dismissed_event_is_ignored_and_its_payload_goes(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.has_failed(&broken("evt_1")).await;
    rig.pass(91 * DAY);
    assert_eq!(removed(&rig).await, 0, "it may be replayed");
    let failed = rig.get("/events/evt_1").await.expect(200);
    let path = "/events/evt_1/dismiss";
    let reason = json!({"reason": "a test of the old shop"});
    let answer = rig.post(path, reason.clone()).await.expect(200);
    let expected = json!({"id": "evt_1", "dismissed": true, "changed": true});
    assert_eq!(answer, expected);
    let again = rig.post(path, reason.clone()).await.expect(200);
    assert_eq!(again["changed"], false);

    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(event["outcome"], "ignored");
    assert_eq!(event["error"]["code"], "dismissed");
    let said = event["error"]["detail"].as_str().unwrap();
    assert!(
        said.contains(failed["error"]["code"].as_str().unwrap()),
        "{said}"
    );
    assert_eq!(rig.listed("/events?outcome=failed").await, [""; 0]);
    let groups = rig.get("/events/failures").await.expect(200);
    assert_eq!(groups["meta"]["total"], 0, "{groups}");
    let audit = rig.get("/audit?operation=event_dismiss").await.expect(200);
    assert_eq!(audit["meta"]["total"], 1);
    assert_eq!(audit["data"][0]["details"]["reason"], reason["reason"]);
    // Another delivery is a duplicate, and a replay is still possible.
    rig.happens(&broken("evt_1")).await;
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(
        (&event["duplicates"], &event["outcome"]),
        (&json!(1), &json!("ignored"))
    );
    rig.post("/events/evt_1/replay", json!({}))
        .await
        .expect(202);

    assert_eq!(removed(&rig).await, 0, "kept from now on");
    rig.pass(91 * DAY);
    assert_eq!(removed(&rig).await, 1);
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(event["payload"], json!(null));
}

async fn only_what_failed_or_was_lost_is_dismissed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let created = stripe_customer("cus_1", "one@example.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW, created))
        .await;
    let dismiss = async |id: &str| rig.post(&format!("/events/{id}/dismiss"), json!({})).await;
    dismiss("evt_1").await.refused(409, "not_failed");
    dismiss("evt_9").await.refused(404, "event_not_found");

    acknowledge(&rig, "default", &["evt_2", "evt_3"]).await;
    rig.queue_has(2);
    dismiss("evt_2").await.refused(409, "still_waiting");
    rig.pass(3 * 3_600);
    assert_eq!(rig.settle_accounts().await.overdue.len(), 1);
    dismiss("evt_2").await.expect(200);
    assert_eq!(rig.listed("/events/unaccounted").await, ["evt_3"]);
    dismiss("evt_2").await.refused(404, "event_not_found");
    dismiss("evt_3").await.expect(200);
    let stats = rig.get("/stats").await.expect(200);
    assert_eq!(stats["events"]["acknowledged_without_outcome"]["total"], 0);
}

async fn many_are_dismissed_by_a_filter_and_nothing_else_is(engine: Engine) {
    let rig = Rig::start(engine).await;
    let created = stripe_customer("cus_1", "one@example.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW, created))
        .await;
    // More than one transaction's worth.
    for number in 0..130 {
        rig.has_failed(&broken(&format!("evt_failed_{number}")))
            .await;
    }
    let other = stripe_event("evt_other", "invoice.paid", NOW, json!({"id": "s"}));
    rig.has_failed(&other).await;
    let asked = |filter: Value| json!({"filter": filter, "reason": "old"});
    let filter = asked(json!({"type": "customer.subscription.updated"}));
    let answer = rig.post("/events/dismiss", filter).await.expect(200);
    assert_eq!(answer, json!({"dismissed": 130, "remaining": 0}));
    assert_eq!(rig.listed("/events?outcome=failed").await, ["evt_other"]);
    assert_eq!(rig.listed("/events?outcome=applied").await, ["evt_1"]);
    rig.post("/events/dismiss", asked(json!({"outcome": "applied"})))
        .await
        .refused(409, "not_failed");
    rig.post("/events/dismiss", asked(json!(null)))
        .await
        .refused(422, "body_invalid");
    let answer = rig
        .post("/events/dismiss", asked(json!({})))
        .await
        .expect(200);
    assert_eq!(answer, json!({"dismissed": 1, "remaining": 0}));
}

async fn one_call_dismisses_a_bounded_number_and_says_how_many_are_left(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.has_failed(&broken("evt_failed_0")).await;
    // As many rows as two calls take, made of the first: nothing has to be processed for them.
    let columns = "app, provider, receipt, type, account, livemode, mode, occurred_at, received_at, \
                   processed_at, outcome, duplicates, attempts, error_code, error_detail, \
                   customer_id, billing_account, changes, payload_removed_at, digest";
    let copies = |numbers: &str| {
        format!(
            "{numbers} INSERT INTO events (id, {columns}) \
             SELECT 'evt_failed_' || i, {columns} FROM events, n WHERE id = 'evt_failed_0'"
        )
    };
    let sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)";
    let postgres = "WITH n(i) AS (SELECT generate_series(1, 2000))";
    rig.place.run(&copies(sqlite), &copies(postgres)).await;
    let asked = json!({"filter": {"outcome": "failed"}});
    for (dismissed, remaining) in [(1_000, 1_001), (1_000, 1), (1, 0), (0, 0)] {
        let answer = rig.post("/events/dismiss", asked.clone()).await.expect(200);
        assert_eq!(
            answer,
            json!({"dismissed": dismissed, "remaining": remaining})
        );
    }
}

async fn what_was_said_at_a_dismissal_goes_with_the_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    for name in ["one", "two"] {
        let account = format!("cus_{name}");
        let created = stripe_customer(&account, &format!("{name}@example.com"));
        rig.happens(&stripe_event(
            &format!("evt_{name}"),
            "customer.created",
            NOW,
            created,
        ))
        .await;
        for number in 1..=2 {
            let object = json!({"id": "s", "object": "subscription", "customer": account});
            let id = format!("evt_{name}_{number}");
            let broken = stripe_event(&id, "customer.subscription.updated", NOW, object);
            rig.has_failed(&broken).await;
        }
    }
    let reason = json!({"reason": "One of the old shop asked for it"});
    rig.post("/events/evt_one_1/dismiss", reason)
        .await
        .expect(200);
    let many = json!({"filter": {"type": "customer.subscription.updated"},
        "reason": "the old shop's people"});
    let done = rig.post("/events/dismiss", many).await.expect(200);
    assert_eq!(done["dismissed"], 3, "{done}");
    let reasons = async || {
        let audit = rig.get("/audit?page_size=100").await.expect(200);
        let rows = audit["data"].as_array().unwrap().iter();
        let dismissals = rows.filter(|it| {
            it["operation"]
                .as_str()
                .unwrap()
                .starts_with("event_dismiss")
        });
        let reason = |it: &Value| it["details"]["reason"].as_str().map(str::to_owned);
        dismissals.map(reason).collect::<Vec<_>>()
    };
    let before = reasons().await;
    assert_eq!(before.iter().flatten().count(), 3, "{before:?}");
    let one = rig.get("/customers/by-external/cus_one").await.expect(200);
    rig.delete(&format!("/customers/{}", one["id"].as_str().unwrap()))
        .await
        .expect(204);
    rig.erases().await;
    let after = reasons().await;
    assert_eq!(
        after.iter().flatten().collect::<Vec<_>>(),
        ["the old shop's people"]
    );
}

on_both_stores! {
    what_was_said_at_a_dismissal_goes_with_the_customer,
    a_dismissed_event_is_ignored_and_its_payload_goes,
    only_what_failed_or_was_lost_is_dismissed,
    many_are_dismissed_by_a_filter_and_nothing_else_is,
    one_call_dismisses_a_bounded_number_and_says_how_many_are_left,
}
