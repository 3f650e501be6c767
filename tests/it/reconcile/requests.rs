//! `/reconciles` of a server whose worker carries them out.

use std::sync::Arc;

use serde_json::json;
use tollgate::provider::STRIPE;

use crate::support::fake_api::{FakeApi, KEY, List, Memory};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, stripe_customer, stripe_subscription};

async fn start(engine: Engine) -> (TestServer, Arc<Memory>, FakeApi) {
    let there = Arc::new(Memory::default());
    let objects = Arc::clone(&there);
    let api = FakeApi::serve(STRIPE.name, objects).await;
    let base = api.base();
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
        environment.insert("TOLLGATE_STRIPE_API_BASE".into(), base.into());
    })
    .await;
    (server, there, api)
}

async fn an_order_is_carried_out_by_the_worker(engine: Engine) {
    let (server, there, _api) = start(engine).await;
    there.put(List::Customers, stripe_customer("cus_1", "a@example.com"));
    let mut subscription = stripe_subscription("sub_1", "cus_1", "active");
    subscription["items"]["data"][0]["price"]["id"] = json!("price_new");
    there.put(List::Subscriptions, subscription);
    let order = json!({"provider": "stripe"});
    let (status, ordered) = server.call("POST", "/api/v1/reconciles", Some(order)).await;
    assert_eq!(status, 202, "{ordered}");
    assert_eq!(ordered["status"], "open");
    let path = format!("/api/v1/reconciles/{}", ordered["id"].as_str().unwrap());
    let ended = server.until(&path, |it| it["status"] != "open").await;
    assert_eq!(ended["status"], "finished", "{ended}");
    assert_eq!(ended["read"], 2);
    assert_eq!(
        ended["drift"],
        json!({"missing": 2, "different": 0, "gone": 0})
    );
    assert_eq!(ended["repaired"], 2);
    assert_eq!(ended["kinds"]["subscriptions"]["missing"], 1);
    assert_eq!(
        ended["unmapped_prices"],
        json!([{"price_id": "price_new", "subscriptions": 1, "customers": 1}])
    );
    assert_eq!(ended["error"], json!(null));
    for time in ["created_at", "started_at", "finished_at"] {
        assert!(ended[time].as_str().unwrap().ends_with('Z'), "{ended}");
    }
    let customer = "/api/v1/customers/by-external/stripe_cus_1";
    assert_eq!(server.get(customer).await.0, 200);
    let (_, listed) = server.get("/api/v1/reconciles").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let (_, shown) = server.get("/api/v1/stats?app=default").await;
    let last = &shown["reconciles"][0];
    assert_eq!(last["provider"], "stripe", "{shown}");
    assert_eq!(last["last"]["drift"]["missing"], 2, "{shown}");
    assert!(last["last_finished_seconds_ago"].as_i64().unwrap() >= 0);
    let (status, figures) = server.get("/metrics").await;
    assert_eq!(status, 200);
    let figures = figures.as_str().unwrap_or_default();
    for figure in ["tollgate_reconcile_drift", "tollgate_reconcile_age_seconds"] {
        let line = format!("{figure}{{provider=\"stripe\"}}");
        assert!(figures.contains(&line), "{figure}:\n{figures}");
    }
    let first_import = "tollgate_reconcile_drift{provider=\"stripe\"} 0.0\n";
    assert!(figures.contains(first_import), "{figures}");
    server.stop().await;
}

async fn bad_orders_are_refused_by_reason(engine: Engine) {
    let (server, _there, _api) = start(engine).await;
    for (body, status, code) in [
        (json!({"provider": "nobody"}), 422, "body_invalid"),
        (
            json!({"provider": "stripe", "since": "x"}),
            422,
            "body_invalid",
        ),
        (
            json!({"provider": "stripe", "more": 1}),
            422,
            "body_invalid",
        ),
        (json!({"provider": "paddle"}), 409, "api_key_needed"),
    ] {
        let (found, answer) = server.call("POST", "/api/v1/reconciles", Some(body)).await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{answer}");
    }
    let (status, answer) = server.get("/api/v1/reconciles/rcn_1").await;
    assert_eq!(
        (status, &answer["code"]),
        (404, &json!("reconcile_not_found"))
    );
    for (every, status) in [("1d", 200), ("1m", 422), ("often", 422)] {
        let body = json!({"reconcile_every": every});
        let (found, answer) = server
            .call("PATCH", "/api/v1/apps/default", Some(body))
            .await;
        assert_eq!(found, status, "{every}: {answer}");
    }
    let body = json!({"reconcile_every": null});
    let (_, app) = server
        .call("PATCH", "/api/v1/apps/default", Some(body))
        .await;
    assert_eq!(app["reconcile_every"], json!(null), "{app}");
    server.stop().await;
}

on_both_stores! { an_order_is_carried_out_by_the_worker, bad_orders_are_refused_by_reason }
