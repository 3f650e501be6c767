//! What was acknowledged and has no outcome.

use serde_json::{Value, json};
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::acknowledged::Acknowledged;
use tollgate::provider::STRIPE;
use tollgate::store::AcknowledgedEvent;

use super::rig::{NOW, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::stripe_event;

fn payout(id: &str) -> Value {
    stripe_event(id, "payout.paid", NOW, json!({"id": "po_1"}))
}

/// A receiver acknowledges events, and its notes reach the store.
pub(crate) async fn acknowledge(rig: &Rig, app: &str, ids: &[&str]) {
    let receiver = Acknowledged::default();
    let app: AppSlug = app.parse().unwrap();
    for id in ids {
        let event = AcknowledgedEvent {
            provider: STRIPE.name,
            id: (*id).to_owned(),
            event_type: "payout.paid".to_owned(),
            received_at: rig.now(),
        };
        receiver.note(&app, &event);
    }
    receiver.flush(&rig.store, rig.now()).await.unwrap();
}

async fn figures(rig: &Rig) -> Value {
    let stats = rig.get("/stats").await.expect(200);
    stats["events"]["acknowledged_without_outcome"].clone()
}

const ROWS: &str = "SELECT COUNT(*) FROM acknowledged";

async fn what_has_an_outcome_is_forgotten_and_what_has_none_is_listed(engine: Engine) {
    let rig = Rig::start(engine).await;
    assert_eq!(figures(&rig).await["total"], 0);
    acknowledge(&rig, "default", &["evt_1", "evt_2", "evt_2", "evt_3"]).await;
    // Another receiver, and the same event once more.
    acknowledge(&rig, "default", &["evt_1", "evt_4"]).await;
    rig.happens(&payout("evt_1")).await;
    rig.has_failed(&payout("evt_3")).await;
    let lost = ["evt_2", "evt_4"];
    assert_eq!(rig.listed("/events/unaccounted").await, lost, "at once");
    rig.queue_has(2);
    rig.pass(30);
    assert!(rig.settle_accounts().await.overdue.is_empty());
    assert_eq!(
        figures(&rig).await,
        json!({
            "total": 3, "under_1_minute": 3, "under_10_minutes": 0, "under_2_hours": 0,
            "older": 0, "oldest_seconds": 30,
        })
    );
    // They may still be in the queue.
    rig.pass(600);
    assert!(rig.settle_accounts().await.overdue.is_empty());
    let listed = rig.get("/events/unaccounted").await.expect(200);
    assert_eq!(
        listed["data"][0],
        json!({
            "id": "evt_2", "provider": "stripe", "type": "payout.paid",
            "received_at": "2026-01-05T12:00:00.000Z", "age_seconds": 630, "overdue": false,
        })
    );
    // They are in none: but one look may miss what a worker has in hand.
    rig.queue_has(0);
    rig.pass(600);
    assert!(rig.settle_accounts().await.overdue.is_empty());
    rig.queue_has(1);
    rig.pass(600);
    assert!(rig.settle_accounts().await.overdue.is_empty());
    rig.queue_has(0);
    rig.pass(600);
    assert!(
        rig.settle_accounts().await.overdue.is_empty(),
        "a look alone"
    );
    rig.pass(600);
    let look = rig.settle_accounts().await;
    let app = AppSlug::default_app();
    assert_eq!(look.overdue.get(&app), Some(&(3, "evt_2".to_owned())));
    rig.pass(600);
    assert!(rig.settle_accounts().await.overdue.is_empty(), "said once");
    let listed = rig.get("/events/unaccounted?cursor=").await.expect(200);
    assert_eq!(listed["data"][1]["overdue"], true, "{listed}");
    assert_eq!(figures(&rig).await["under_2_hours"], 3);

    for id in lost {
        rig.happens(&payout(id)).await;
    }
    assert_eq!(rig.listed("/events/unaccounted").await, [""; 0]);
    rig.pass(60);
    rig.settle_accounts().await;
    assert_eq!(figures(&rig).await["total"], 0);
    assert_eq!(rig.place.count(ROWS, ROWS).await, 0);
}

async fn one_that_is_older_than_any_retry_is_overdue_whatever_the_queue_has(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.queue_has(9);
    acknowledge(&rig, "default", &["evt_1"]).await;
    rig.pass(3 * 3_600);
    assert_eq!(rig.settle_accounts().await.overdue.len(), 1);
    assert_eq!(figures(&rig).await["older"], 1);
    rig.pass(91 * 24 * 3_600);
    rig.settle_accounts().await;
    assert_eq!(
        rig.place.count(ROWS, ROWS).await,
        0,
        "no provider has it any more"
    );
}

async fn each_app_sees_its_own_and_takes_it_along(engine: Engine) {
    let rig = Rig::start(engine).await;
    let there = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", there).await.expect(201);
    let viewer = rig.admin("viewer", Some("other")).await;
    acknowledge(&rig, "default", &["evt_1"]).await;
    acknowledge(&rig, "other", &["evt_2"]).await;
    let path = "/events/unaccounted";
    let theirs = rig.as_admin(&viewer, "GET", path, None).await.expect(200);
    assert_eq!(
        (&theirs["meta"]["total"], &theirs["data"][0]["id"]),
        (&json!(1), &json!("evt_2"))
    );
    assert_eq!(rig.listed(path).await, ["evt_1"]);
    // The ledger of another app says nothing.
    rig.happens_in("other", &payout("evt_1")).await;
    assert_eq!(rig.listed(path).await, ["evt_1"]);

    rig.delete("/apps/other").await.expect(204);
    assert_eq!(rig.place.count(ROWS, ROWS).await, 1);
    // A receiver may not know yet that the app is gone.
    acknowledge(&rig, "other", &["evt_3"]).await;
    acknowledge(&rig, "default", &["evt_4"]).await;
    assert_eq!(rig.place.count(ROWS, ROWS).await, 2);
}

on_both_stores! {
    what_has_an_outcome_is_forgotten_and_what_has_none_is_listed,
    one_that_is_older_than_any_retry_is_overdue_whatever_the_queue_has,
    each_app_sees_its_own_and_takes_it_along,
}
