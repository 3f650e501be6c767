//! What admins and tokens may do.

use serde_json::json;

use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

async fn trap_21_suspending_twice_is_no_error(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = json!({ "name": "Ann" });
    let (_, customer) = server.call("POST", "/api/v1/customers", Some(ann)).await;
    let path = format!(
        "/api/v1/customers/{}/suspend",
        customer["id"].as_str().unwrap()
    );
    for changed in [true, false] {
        let (code, held) = server
            .call("POST", &path, Some(json!({ "reason": "fraud" })))
            .await;
        assert_eq!((code, &held["changed"]), (200, &json!(changed)), "{held}");
        assert_eq!(held["status"], "suspended");
    }
    server.stop().await;
}

async fn trap_22_a_token_is_bound_to_its_app(engine: Engine) {
    crate::admin_api::tenants::nothing_of_another_app_can_be_seen_or_changed(engine).await;
}

on_both_stores! {
    trap_21_suspending_twice_is_no_error,
    trap_22_a_token_is_bound_to_its_app,
}
