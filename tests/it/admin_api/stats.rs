//! Figures for those who watch.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

const DAY: u64 = 24 * 60 * 60;

async fn sign_up(rig: &Rig, number: i64) {
    let account = stripe_customer(&format!("cus_{number}"), &format!("{number}@x.com"));
    let id = format!("evt_{number}");
    let event = stripe_event(&id, "customer.created", NOW + number, account);
    rig.happens(&event).await;
}

async fn customers_are_counted_by_status(engine: Engine) {
    let rig = Rig::start(engine).await;
    for act in ["suspend", "freeze", "expire", "expire", "reactivate"] {
        let customer = rig.customer(json!({"name": act})).await;
        let path = format!("{}/{act}", path_of(&customer));
        rig.post(&path, json!({})).await.expect(200);
    }
    let gone = rig.customer(json!({"name": "Gone"})).await;
    let path = format!("{}?soft=true", path_of(&gone));
    rig.delete(&path).await.expect(204);
    let expected = json!({"total": 5, "active": 1, "suspended": 1, "frozen": 1, "expired": 2});
    let stats = rig.get("/stats").await.expect(200);
    assert_eq!(stats["customers"], expected);
    assert_eq!(stats["app"], Value::Null);
}

async fn events_are_counted_by_outcome_and_lately(engine: Engine) {
    let rig = Rig::start(engine).await;
    let nothing = rig.get("/stats").await.expect(200);
    assert_eq!(nothing["events"]["all"]["total"], 0);
    for number in 1..=5 {
        sign_up(&rig, number).await;
    }
    rig.pass(DAY - 1);
    sign_up(&rig, 6).await;
    let ignored = stripe_event("evt_7", "price.created", NOW, json!({"id": "price_1"}));
    rig.happens(&ignored).await;
    let stats = rig.get("/stats").await.expect(200)["events"].clone();
    assert_eq!(stats["all"]["total"], 7);
    assert_eq!(stats["all"]["applied"], 6);
    assert_eq!(stats["all"]["ignored"], 1);
    assert_eq!(stats["all"]["failed"], 0, "named though there is none");
    assert_eq!(stats["last_24_hours"], stats["all"]);
    assert_eq!(stats["oldest_pending_seconds"], Value::Null);

    rig.pass(2);
    let stats = rig.get("/stats").await.expect(200)["events"].clone();
    assert_eq!(stats["all"]["total"], 7);
    let lately = &stats["last_24_hours"];
    assert_eq!(
        (&lately["applied"], &lately["ignored"]),
        (&json!(1), &json!(1)),
        "{stats}"
    );

    let place = "WHERE id IN ('evt_6', 'evt_7')";
    let sql = format!("UPDATE events SET outcome = 'pending' {place}");
    rig.place.try_run(&sql).await.unwrap();
    rig.pass(30);
    let stats = rig.get("/stats").await.expect(200)["events"].clone();
    assert_eq!(stats["last_24_hours"]["pending"], 2);
    assert_eq!(stats["oldest_pending_seconds"], 32);
}

async fn an_app_sees_its_own_figures_and_no_queue(engine: Engine) {
    let rig = Rig::start(engine).await;
    sign_up(&rig, 1).await;
    for slug in ["other", "third"] {
        let body = json!({"slug": slug, "name": slug});
        rig.post("/apps", body).await.expect(201);
    }
    let admin = rig.admin("admin", Some("other")).await;
    let body = json!({"name": "There"});
    rig.as_admin(&admin, "POST", "/customers", Some(body))
        .await
        .expect(201);

    let viewer = rig.admin("viewer", Some("other")).await;
    let own = rig.as_admin(&viewer, "GET", "/stats", None).await;
    let own = own.expect(200);
    assert_eq!(
        (&own["app"], &own["customers"]["total"]),
        (&json!("other"), &json!(1))
    );
    assert_eq!(own["events"]["all"]["total"], 0);
    assert!(own.get("queue").is_none(), "{own}");
    rig.as_admin(&viewer, "GET", "/stats?app=default", None)
        .await
        .refused(404, "app_not_found");

    let all = rig.get("/stats").await.expect(200);
    assert_eq!(all["customers"]["total"], 2);
    assert_eq!(all["queue"]["spool"], 0);
    let one = rig.get("/stats?app=default").await.expect(200);
    assert_eq!(
        (&one["app"], &one["customers"]["total"]),
        (&json!("default"), &json!(1))
    );
    assert_eq!(one["events"]["all"]["total"], 1);
}

on_both_stores! {
    customers_are_counted_by_status,
    events_are_counted_by_outcome_and_lately,
    an_app_sees_its_own_figures_and_no_queue,
}
