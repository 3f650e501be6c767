//! What comparisons with a provider say, on their page and by the API.

use std::sync::Arc;

use serde_json::json;
use tollgate::provider::STRIPE;

use super::visit::Visit;
use crate::support::fake_api::{FakeApi, Fault, KEY, List, Memory};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, stripe_customer, stripe_subscription};

on_both_stores! { what_the_key_may_not_read_is_named }

async fn what_the_key_may_not_read_is_named(engine: Engine) {
    let there = Arc::new(Memory::default());
    let api = FakeApi::serve(STRIPE.name, Arc::clone(&there) as _).await;
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
        environment.insert("TOLLGATE_STRIPE_API_BASE".into(), api.base().into());
    })
    .await;
    there.put(List::Customers, stripe_customer("cus_1", "a@example.com"));
    let mut bought = stripe_subscription("sub_1", "cus_1", "active");
    bought["items"]["data"][0]["price"]["id"] = json!("price_without_plan");
    there.put(List::Subscriptions, bought);
    let plan = json!({"packages": [{"package": "acme/ui", "constraint": "*"}]});
    let put = "/api/v1/plans/stripe/module-1";
    assert_eq!(server.call("PUT", put, Some(plan)).await.0, 201);
    let compare = async || {
        let order = json!({"provider": "stripe"});
        let (_, ordered) = server.call("POST", "/api/v1/reconciles", Some(order)).await;
        let path = format!("/api/v1/reconciles/{}", ordered["id"].as_str().unwrap());
        server.until(&path, |it| it["status"] != "open").await
    };
    let owner = Visit::owner(&server).await;
    let words = "features not compared: the key may not read them</span> <code>fault</code>";
    // Six lists are read before.
    api.fail(6, Fault::Status(403, None));
    let ended = compare().await;
    assert_eq!(ended["status"], "finished", "{ended}");
    assert_eq!(ended["not_read"], json!({"features": "fault"}));
    let page = owner.page("/console/reconciles").await;
    assert_eq!(page.matches(words).count(), 1, "{page}");

    let read = compare().await;
    assert_eq!(read["not_read"], json!({}), "{read}");
    let page = owner.page("/console/reconciles").await;
    assert_eq!(page.matches(words).count(), 1, "only of the first: {page}");
    server.stop_and_give_back().await;
}
