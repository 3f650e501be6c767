//! Why a customer's status is what it is, in one call.

use serde_json::{Value, json};

use super::policy::{events, lives};
use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

async fn explained(rig: &Rig, path: &str) -> Value {
    rig.get(&format!("{path}/explain")).await.expect(200)
}

/// The ids of the events of a part.
fn ids(part: &Value) -> Vec<&str> {
    let events = part["events"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap()).collect()
}

async fn a_status_is_explained_with_holds_events_accounts_and_what_comes(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let policy = json!({"suspend_after": "3d", "on_dispute_lost": "expire"});
    rig.put("/policy", policy).await.expect(200);
    let path = lives(&rig, "cus_1", "failing").await;
    let told = explained(&rig, &path).await;
    let shown = rig.get(&path).await.expect(200);
    for field in [
        "status",
        "status_reason",
        "status_since",
        "frozen_at",
        "flags",
    ] {
        assert_eq!(told[field], shown[field], "{field}");
    }
    assert_eq!(told["customer_id"], shown["id"]);
    assert_eq!(told["holds"], json!([]));
    let subscription = &told["billing"]["subscriptions"][0];
    assert_eq!(told["billing"]["verdict"], "good");
    assert_eq!(subscription["id"], "sub_cus_1");
    assert_eq!(subscription["class"], "failing");
    assert_eq!(subscription["failing_since"], "2026-01-05T11:00:00.000Z");
    assert_eq!(ids(subscription), ["evt_cus_1_2", "evt_cus_1_0"]);
    let source = &told["billing"]["sources"][0];
    assert_eq!(
        json!([
            source["kind"],
            source["id"],
            source["account"],
            source["verdict"]
        ]),
        json!(["subscription", "sub_cus_1", "cus_1", "good"])
    );
    assert_eq!(source["because"], subscription["because"]);
    assert_eq!(told["due_at"], "2026-01-08T11:00:00.000Z");
    let suspended = json!({
        "at": "2026-01-08T11:00:00.000Z", "status": "suspended", "reason": "payment_failed",
        "subscriptions": ["sub_cus_1"], "sources": ["sub_cus_1"], "overdue": [],
    });
    assert_eq!(told["next"][0], suspended);
    assert_eq!(told["next"][1]["status"], "frozen");
    let own = json!({"provider": "stripe", "id": "cus_1", "livemode": true, "linked_by": "own",
        "seller_id": null, "email": null, "follows": null,
        "removed_at": null, "features": []});
    assert_eq!(told["accounts"], json!([own]));
    let foretold = "On 2026-01-08T11:00:00.000Z the customer becomes suspended (payment_failed), \
                    unless billing says something else before.";
    let summary = told["summary"].as_array().unwrap();
    assert!(summary.contains(&json!(foretold)), "{summary:#?}");
}

async fn holds_are_explained_with_source_subject_and_time(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let policy = json!({"on_dispute_lost": "expire", "suspend_after": "0d"});
    rig.put("/policy", policy).await.expect(200);
    rig.happen(&events("cus_1", "failing")).await;
    let lost = json!({"id": "dp_1", "object": "dispute", "charge": "ch_cus_1", "status": "lost"});
    rig.happens(&stripe_event(
        "evt_lost",
        "charge.dispute.closed",
        NOW - 60,
        lost,
    ))
    .await;
    let path = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
    let token = json!({"name": "Ada", "role": "admin"});
    let admin = rig.post("/admin-tokens", token).await.expect(201);
    let bearer = admin["token"].as_str().unwrap();
    rig.pass(30);
    let reason = Some(json!({"reason": "fraud"}));
    let suspend = format!("{path}/suspend");
    rig.as_admin(bearer, "POST", &suspend, reason)
        .await
        .expect(200);

    let told = explained(&rig, &path).await;
    let holds = told["holds"].as_array().unwrap();
    let brief: Vec<Value> = holds
        .iter()
        .map(|it| {
            json!([
                it["hold"],
                it["status"],
                it["decides"],
                it["since"],
                it["by"]
            ])
        })
        .collect();
    let by = format!("admin:{}", admin["id"].as_str().unwrap());
    let wanted = json!([
        ["manual", "suspended", true, "2026-01-05T12:00:30.000Z", by],
        [
            "dispute",
            "expired",
            false,
            "2026-01-05T11:59:00.000Z",
            null
        ],
    ]);
    assert_eq!(json!(brief), wanted);
    assert_eq!(holds[0]["reason"], "fraud");
    let held = json!(["sub_cus_1"]);
    assert_eq!(
        (&holds[1]["subscriptions"], &holds[1]["sources"]),
        (&held, &held)
    );
    let source = &told["billing"]["sources"][0];
    assert_eq!(
        json!([
            source["verdict"],
            source["reason"],
            source["held_by"],
            source["gives"]
        ]),
        json!(["ended", "dispute_lost", ["dp_1"], []])
    );
    assert_eq!(
        (&holds[1]["subject"], ids(&holds[1])),
        (&json!("dp_1"), vec!["evt_lost"])
    );

    rig.pass(30);
    let reactivate = format!("{path}/reactivate");
    rig.post(&reactivate, json!({})).await.expect(200);
    let told = explained(&rig, &path).await;
    assert_eq!(
        (&told["status"], &told["holds"]),
        (&json!("active"), &json!([]))
    );
    let courtesy = json!({"since": "2026-01-05T12:01:00.000Z", "verdict": "failing",
        "until_good_after": "2026-01-05T11:00:00.000Z"});
    assert_eq!(told["courtesy"], courtesy);
    assert_eq!(told["waived"], json!(["dp_1"]));
}

async fn merged_and_deleted_customers_are_explained_too(engine: Engine) {
    let rig = Rig::selling(engine).await.joins().await;
    let signs_up = async |account: &str, at: i64| {
        let contact = stripe_customer(account, "One@X.com");
        let id = format!("evt_{account}");
        rig.happens(&stripe_event(&id, "customer.created", NOW - at, contact))
            .await;
    };
    let made = rig
        .customer(json!({"name": "Acme", "external_id": "cus_1"}))
        .await;
    for (account, at) in [("cus_1", 90), ("cus_2", 80)] {
        signs_up(account, at).await;
    }
    let path = path_of(&made);
    let told = explained(&rig, &path).await;
    let ties: Vec<Value> = told["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["id"], it["linked_by"], it["email"], it["follows"]]))
        .collect();
    let wanted = json!([
        ["cus_1", "external_id", null, null],
        ["cus_2", "email", "one@x.com", "cus_1"],
    ]);
    assert_eq!(json!(ties), wanted);

    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    let told = explained(&rig, &path).await;
    assert_eq!(told["deleted_at"], "2026-01-05T12:00:00.000Z");
    assert_eq!(told["summary"].as_array().unwrap().len(), 1, "{told}");
    let nobody = "/customers/cust_00000000000000000000000000000000/explain";
    rig.get(nobody).await.refused(404, "customer_not_found");
    rig.post("/apps", json!({"slug": "other", "name": "Other"}))
        .await
        .expect(201);
    let other = rig.admin("viewer", Some("other")).await;
    let refused = rig
        .as_admin(&other, "GET", &format!("{path}/explain"), None)
        .await;
    refused.refused(404, "customer_not_found");
}

on_both_stores! {
    a_status_is_explained_with_holds_events_accounts_and_what_comes,
    holds_are_explained_with_source_subject_and_time,
    merged_and_deleted_customers_are_explained_too,
}
