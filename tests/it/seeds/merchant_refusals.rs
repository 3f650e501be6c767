//! Refusals and failures of the subscription system's dialect: one form, whoever refuses.

use serde_json::{Value, json};

use super::guide::Guide;
use super::merchant_rules::{ALL, with_john};
use super::merchants::begun;
use crate::support::stores::{Engine, on_both_stores};

/// What is sent, the status of its refusal, and what the sentence says. `<admin>` and `<viewer>`
/// stand for their credentials.
const REFUSED: [(&str, &str, u16, &str); 15] = [
    ("no credentials", "curl /api/customers", 401, "Bearer"),
    (
        "neither who nor whom",
        "curl /api/customers/cust_1",
        401,
        "Bearer",
    ),
    (
        "a wrong token",
        "curl /api/customers -H 'Authorization: Bearer nonsense'",
        401,
        "no such admin token",
    ),
    (
        "a viewer",
        "curl -X POST /api/customers -H <viewer> -H <json> -d '{}'",
        403,
        "role admin",
    ),
    (
        "another site's page",
        "curl -X DELETE /api/customers/cust_1 -H 'Cookie: access_token=x' \
         -H 'Origin: https://elsewhere.example'",
        403,
        "must come from this site",
    ),
    (
        "no such path",
        "curl /api/customers/a/b -H <admin>",
        404,
        "nothing at this path",
    ),
    (
        "a slash too many",
        "curl /api/customers/ -H <admin>",
        404,
        "nothing at this path",
    ),
    (
        "no such method",
        "curl -X PUT /api/customers -H <admin>",
        405,
        "not with this method",
    ),
    (
        "no such method on one",
        "curl -X PATCH /api/customers/cust_1 -H <admin>",
        405,
        "not with this method",
    ),
    (
        "no JSON",
        "curl -X POST /api/customers -H <admin> -H <json> -d '{\"email\"'",
        400,
        "not JSON",
    ),
    (
        "nothing",
        "curl -X POST /api/customers -H <admin> -H <json>",
        400,
        "not JSON",
    ),
    (
        "a list",
        "curl -X POST /api/customers -H <admin> -H <json> -d '[]'",
        400,
        "must be a JSON object",
    ),
    (
        "a filter that the list does not have",
        "curl '/api/customers?emial=a' -H <admin>",
        400,
        "emial",
    ),
    (
        "no type",
        "curl -X POST /api/customers -H <admin> -d '{}'",
        415,
        "application/json",
    ),
    (
        "too large",
        "curl -X POST /api/customers -H <admin> -H <json> -d '<large>'",
        413,
        "larger than",
    ),
];

async fn every_refusal_has_the_form_of_this_dialect(engine: Engine) {
    let mut guide = Guide::start(engine, "").await;
    let admin = guide.app("merchant-123").await;
    let viewer = guide.token("viewer", Some("merchant-123")).await;
    guide.means("<admin>", &format!("'Authorization: Bearer {admin}'"));
    guide.means("<viewer>", &format!("'Authorization: Bearer {viewer}'"));
    guide.means("<json>", "'Content-Type: application/json'");
    guide.means("<large>", &"x".repeat(1024 * 1024 + 1));
    for (what, command, status, says) in REFUSED {
        let refused = guide.run(command).await;
        assert_eq!(refused.content_type, "application/json", "{what}");
        let body = refused.is(status);
        let sentence = body["error"].as_str();
        assert!(
            sentence.is_some_and(|it| it.contains(says)),
            "{what}: {body}"
        );
        let mut fields = body.as_object().unwrap().keys();
        let is_known = |field: &String| ["error", "details"].contains(&field.as_str());
        assert!(fields.all(is_known), "{what}: {body}");
    }
    let url = format!("{}{ALL}", guide.server.base);
    let response = guide.server.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

async fn a_repeated_request_is_answered_again_in_this_dialect(engine: Engine) {
    let guide = begun(engine).await;
    let (token, _) = with_john(&guide).await;
    let post = async |key: &str, email: &str| {
        let url = format!("{}{ALL}", guide.server.base);
        let request = guide.server.client.post(url).bearer_auth(&token);
        let request = request.header("idempotency-key", key);
        let response = request.json(&json!({"email": email})).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    let made = post("k-1", "jane@example.com").await;
    assert_eq!(made.0, 201, "{made:?}");
    assert_eq!(post("k-1", "jane@example.com").await, made);
    let refusal = json!({"error": "A customer with this email already exists"});
    for _ in 0..2 {
        assert_eq!(
            post("k-2", "john@example.com").await,
            (409, refusal.clone())
        );
    }
    let reused = json!({"error": "this Idempotency-Key was used for another request"});
    assert_eq!(post("k-1", "joe@example.com").await, (422, reused));
}

async fn too_many_failures_are_reported_in_this_dialect(engine: Engine) {
    let guide = begun(engine).await;
    for _ in 0..200 {
        let refused = guide.call_as("nonsense", "GET", ALL, None).await;
        if refused.status == 429 {
            refused.refuses(429, "too many failures from this address");
            return;
        }
        refused.is(401);
    }
    panic!("two hundred failures, and no limit");
}

async fn failures_have_the_documented_sentences(engine: Engine) {
    let guide = begun(engine).await;
    let (token, john) = with_john(&guide).await;
    // What cannot be read fails for good: the server is at fault, not the database away.
    let broken = "UPDATE customers SET kept = '{}'";
    guide.server.place.run(broken, broken).await;
    let body = || Some(json!({"email": "john@example.com"}));
    for (method, path, body, sentence) in [
        ("POST", ALL, body(), "Failed to create customer"),
        ("POST", &*john, body(), "Failed to update customer"),
        ("DELETE", &*john, None, "Failed to delete customer"),
        ("GET", &*john, None, "Failed to get customer"),
    ] {
        guide
            .call_as(&token, method, path, body)
            .await
            .refuses(500, sentence);
    }
}

async fn an_outage_of_the_store_is_reported_in_this_dialect(engine: Engine) {
    let guide = begun(engine).await;
    let (_, john) = with_john(&guide).await;
    // A missing table is the operator's to mend; nothing of ours has to change for it.
    let away = "ALTER TABLE customers RENAME TO customers_away";
    guide.server.place.run(away, away).await;
    let refused = guide.call("GET", &john, None).await;
    // SQLite tells a missing table from a wrong statement by its words alone.
    let (status, sentence) = match engine {
        Engine::Sqlite => (500, "Failed to get customer"),
        Engine::Postgres => (503, "something that is needed is away; try again later"),
    };
    refused.refuses(status, sentence);
    let status = match engine {
        Engine::Sqlite => 500,
        Engine::Postgres => 503,
    };
    let body = || Some(json!({"email": "jane@example.com"}));
    for (method, path, body, sentence) in [
        ("POST", ALL, body(), "Failed to create customer"),
        ("POST", &*john, body(), "Failed to update customer"),
        ("DELETE", &*john, None, "Failed to delete customer"),
    ] {
        let refused = guide.call(method, path, body).await;
        refused.refuses(status, sentence);
    }
}

on_both_stores! {
    every_refusal_has_the_form_of_this_dialect,
    a_repeated_request_is_answered_again_in_this_dialect,
    too_many_failures_are_reported_in_this_dialect,
    failures_have_the_documented_sentences,
    an_outage_of_the_store_is_reported_in_this_dialect,
}
