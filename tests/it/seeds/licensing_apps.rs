//! The guide to licences of several apps: `/api/v1/apps/{slug}/customers`.

use serde_json::{Value, json};

use super::guide::Guide;
use crate::support::ADMIN_TOKEN;
use crate::support::stores::{Engine, on_both_stores};

const CREATE: &str = r#"curl -X POST http://localhost:4000/api/v1/apps/my-app/customers \
  -H "Authorization: Bearer sk_live_..." \
  -H "Content-Type: application/json" \
  -d '{
    "email": "jane@example.com",
    "name": "Jane Smith",
    "external_id": "cus_stripe_123",
    "metadata": {
      "company": "Acme Corp",
      "plan": "annual"
    }
  }'"#;

const CREATED: &str = r#"{
  "data": {
    "id": "cus_abc123",
    "email": "jane@example.com",
    "name": "Jane Smith",
    "external_id": "cus_stripe_123",
    "metadata": {"company": "Acme Corp", "plan": "annual"},
    "created_at": "2026-01-23T10:00:00Z"
  }
}"#;

const GET_OR_CREATE: &str = r#"curl -X POST http://localhost:4000/api/v1/apps/my-app/customers/get-or-create \
  -H "Authorization: Bearer sk_live_..." \
  -H "Content-Type: application/json" \
  -d '{
    "email": "jane@example.com",
    "name": "Jane Smith"
  }'"#;

const BY_PART_OF_EMAIL: &str = r#"# Filter by email (partial match)
curl "http://localhost:4000/api/v1/apps/my-app/customers?email=jane" \
  -H "Authorization: Bearer sk_live_...""#;

const BY_EXTERNAL_ID_FILTER: &str = r#"# Filter by external_id (exact match)
curl "http://localhost:4000/api/v1/apps/my-app/customers?external_id=cus_stripe_123" \
  -H "Authorization: Bearer sk_live_...""#;

const PAGE: &str = r#"# Paginate results
curl "http://localhost:4000/api/v1/apps/my-app/customers?page=1&per_page=20" \
  -H "Authorization: Bearer sk_live_...""#;

const BY_ID: &str = r#"# By ID
curl http://localhost:4000/api/v1/apps/my-app/customers/cus_abc123 \
  -H "Authorization: Bearer sk_live_...""#;

const BY_EMAIL: &str = r#"# By email
curl "http://localhost:4000/api/v1/apps/my-app/customers/by-email?email=jane@example.com" \
  -H "Authorization: Bearer sk_live_...""#;

const BY_EXTERNAL_ID: &str = r#"# By external_id
curl "http://localhost:4000/api/v1/apps/my-app/customers/by-external-id?external_id=cus_stripe_123" \
  -H "Authorization: Bearer sk_live_...""#;

const OWN: [&str; 2] = ["id", "created_at"];

const CUSTOMERS: &str = "/api/v1/apps/my-app/customers";

async fn begun(engine: Engine) -> Guide {
    let mut guide = Guide::start(engine, "http://localhost:4000").await;
    let token = guide.app("my-app").await;
    guide.means("sk_live_...", &token);
    guide.signed_in_as(&token);
    guide
}

/// The page's customer, made.
async fn with_jane(engine: Engine) -> (Guide, Value) {
    let mut guide = begun(engine).await;
    let made = guide.run(CREATE).await.shows(201, CREATED, &OWN);
    guide.means("cus_abc123", made["data"]["id"].as_str().unwrap());
    (guide, made["data"].clone())
}

async fn every_command_works_as_written(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    for command in [BY_ID, BY_EMAIL, BY_EXTERNAL_ID] {
        let found = guide.run(command).await.shows(200, CREATED, &OWN);
        assert_eq!(found["data"]["id"], jane["id"], "{command}");
    }
    let documented = json!({"data": [serde_json::from_str::<Value>(CREATED).unwrap()["data"]]});
    for command in [BY_PART_OF_EMAIL, BY_EXTERNAL_ID_FILTER, PAGE] {
        let listed = guide.run(command).await;
        let listed = listed.shows(200, &documented.to_string(), &OWN);
        let meta = json!({"total": 1, "page": 1, "per_page": 20});
        assert_eq!(listed["meta"], meta, "{command}");
    }
    let got = guide.run(GET_OR_CREATE).await.shows(200, CREATED, &OWN);
    assert_eq!(got["data"]["id"], jane["id"]);
}

async fn get_or_create_makes_a_customer_once(engine: Engine) {
    let guide = begun(engine).await;
    let made = guide.run(GET_OR_CREATE).await.is(201);
    assert_eq!(made["data"]["email"], "jane@example.com");
    assert_eq!(made["data"]["name"], "Jane Smith");
    let got = guide.run(GET_OR_CREATE).await.is(200);
    assert_eq!(got["data"]["id"], made["data"]["id"]);
    let shouted = GET_OR_CREATE.replace("jane@example.com", "JANE@Example.com");
    let got = guide.run(&shouted).await.is(200);
    assert_eq!(got["data"]["id"], made["data"]["id"]);
}

async fn an_address_is_unique_within_an_app_only(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    let problem = guide.run(CREATE).await.is(409);
    assert_eq!(problem["code"], "email_taken");
    let other = guide.app("other-app").await;
    let body = json!({"email": "jane@example.com", "external_id": "cus_stripe_123"});
    let path = "/api/v1/apps/other-app/customers";
    let twin = guide.call_as(&other, "POST", path, Some(body)).await;
    assert_ne!(twin.is(201)["data"]["id"], jane["id"]);
}

async fn an_address_is_required(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    let one = format!("{CUSTOMERS}/{}", jane["id"].as_str().unwrap());
    let of_all = &format!("{CUSTOMERS}/get-or-create");
    for (method, path, body) in [
        ("POST", CUSTOMERS, json!({})),
        ("POST", CUSTOMERS, json!({"name": "Joe"})),
        ("POST", CUSTOMERS, json!({"name": "Joe", "email": null})),
        ("POST", of_all, json!({"external_id": "cus_stripe_123"})),
        ("PUT", &one, json!({"email": null})),
        ("PATCH", &one, json!({"name": "Joe", "email": null})),
    ] {
        let problem = guide.call(method, path, Some(body)).await.is(422);
        assert_eq!(problem["code"], "body_invalid", "{method} {path}");
        assert_eq!(problem["errors"][0]["field"], "email", "{problem}");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
    }
    let shown = guide.call("GET", &one, None).await.is(200);
    assert_eq!(shown["data"]["email"], "jane@example.com");
}

async fn optional_fields_may_be_missing(engine: Engine) {
    let guide = begun(engine).await;
    let only = r#"{"email": "jane@example.com"}"#;
    let body = serde_json::from_str(only).unwrap();
    let made = guide.call("POST", CUSTOMERS, Some(body)).await;
    let documented = r#"{"data": {"id": "x", "email": "jane@example.com", "name": null,
        "external_id": null, "metadata": {}, "created_at": "2026-01-23T10:00:00Z"}}"#;
    made.shows(201, documented, &OWN);
}

async fn lists_are_filtered_and_cut(engine: Engine) {
    let (guide, _) = with_jane(engine).await;
    for n in 1..=24 {
        let body = json!({"email": format!("joe{n}@example.com"), "external_id": format!("e{n}")});
        guide.call("POST", CUSTOMERS, Some(body)).await.is(201);
    }
    let table = [
        ("", json!({"total": 25, "page": 1, "per_page": 20}), 20),
        (
            "?page=2",
            json!({"total": 25, "page": 2, "per_page": 20}),
            5,
        ),
        (
            "?per_page=7&page=4",
            json!({"total": 25, "page": 4, "per_page": 7}),
            4,
        ),
        (
            "?email=joe1",
            json!({"total": 11, "page": 1, "per_page": 20}),
            11,
        ),
        (
            "?email=JANE",
            json!({"total": 1, "page": 1, "per_page": 20}),
            1,
        ),
        (
            "?external_id=e2",
            json!({"total": 1, "page": 1, "per_page": 20}),
            1,
        ),
        (
            "?external_id=e",
            json!({"total": 0, "page": 1, "per_page": 20}),
            0,
        ),
    ];
    for (query, meta, rows) in table {
        let listed = guide
            .call("GET", &format!("{CUSTOMERS}{query}"), None)
            .await;
        let listed = listed.is(200);
        assert_eq!(listed["meta"], meta, "{query}");
        assert_eq!(listed["data"].as_array().unwrap().len(), rows, "{query}");
    }
    let walk = guide
        .call("GET", &format!("{CUSTOMERS}?cursor=&per_page=24"), None)
        .await
        .is(200);
    let next = walk["meta"]["next_cursor"].as_str().unwrap();
    let rest = format!("{CUSTOMERS}?cursor={next}&per_page=24");
    let rest = guide.call("GET", &rest, None).await.is(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(rest["meta"], json!({"per_page": 24, "next_cursor": null}));
}

async fn only_given_fields_change(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    let path = format!("{CUSTOMERS}/{}", jane["id"].as_str().unwrap());
    for (method, body, changed) in [
        ("PUT", json!({"name": "Jane Doe"}), true),
        ("PATCH", json!({"metadata": {"plan": "monthly"}}), true),
        ("PATCH", json!({"name": "Jane Doe"}), false),
    ] {
        let answer = guide.call(method, &path, Some(body.clone())).await.is(200);
        assert_eq!(answer["data"]["changed"], changed, "{method} {body}");
    }
    let shown = guide.call("GET", &path, None).await.is(200);
    assert_eq!(shown["data"]["name"], "Jane Doe");
    assert_eq!(shown["data"]["metadata"], json!({"plan": "monthly"}));
    assert_eq!(shown["data"]["external_id"], "cus_stripe_123");
}

async fn deletion_is_permanent_and_cascades(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    let path = format!("{CUSTOMERS}/{}", jane["id"].as_str().unwrap());
    let token = jane["token"].as_str().unwrap();
    let access = "/access/packages";
    assert_eq!(guide.call_as(token, "GET", access, None).await.status, 200);
    guide.call("DELETE", &path, None).await.is(204);
    guide.call("GET", &path, None).await.is(404);
    guide.call("DELETE", &path, None).await.is(404);
    assert_eq!(guide.call_as(token, "GET", access, None).await.status, 401);

    let made = guide.run(CREATE).await.is(201);
    let token = made["data"]["token"].as_str().unwrap();
    guide
        .call("DELETE", "/api/v1/apps/my-app", None)
        .await
        .is(204);
    assert_eq!(guide.call_as(token, "GET", access, None).await.status, 401);
    guide.call("GET", CUSTOMERS, None).await.is(404);
    let again = json!({"slug": "my-app", "name": "My App"});
    guide
        .call("POST", "/api/v1/apps", Some(again))
        .await
        .is(201);
    let listed = guide.call("GET", CUSTOMERS, None).await.is(200);
    assert_eq!(listed["meta"]["total"], 0);
}

async fn an_app_that_the_token_may_not_see_does_not_exist(engine: Engine) {
    let (guide, jane) = with_jane(engine).await;
    let stranger = guide.app("other-app").await;
    let id = jane["id"].as_str().unwrap();
    let body = || Some(json!({"email": "x@example.com"}));
    let calls = [
        ("GET", String::new(), None),
        ("POST", String::new(), body()),
        ("POST", "/get-or-create".to_owned(), body()),
        ("GET", "/by-email?email=jane@example.com".to_owned(), None),
        (
            "GET",
            "/by-external-id?external_id=cus_stripe_123".to_owned(),
            None,
        ),
        ("GET", format!("/{id}"), None),
        ("PUT", format!("/{id}"), body()),
        ("PATCH", format!("/{id}"), body()),
        ("DELETE", format!("/{id}"), None),
    ];
    for (method, rest, body) in calls {
        let said = |slug: &str| format!("/api/v1/apps/{slug}/customers{rest}");
        let hidden = guide
            .call_as(&stranger, method, &said("my-app"), body.clone())
            .await;
        let mut hidden = hidden.is(404);
        assert_eq!(hidden["code"], "app_not_found", "{method} {rest}");
        let missing = guide
            .call_as(&stranger, method, &said("no-app"), body.clone())
            .await;
        let mut missing = missing.is(404);
        for (problem, slug) in [(&mut hidden, "my-app"), (&mut missing, "no-app")] {
            let problem = problem.as_object_mut().unwrap();
            problem.remove("request_id");
            // The name that was asked for is repeated.
            let detail = problem["detail"].as_str().unwrap().replace(slug, "…");
            problem.insert("detail".to_owned(), detail.into());
        }
        assert_eq!(hidden, missing, "{method} {rest}");
        if rest.contains(id) {
            let own = guide
                .call_as(&stranger, method, &said("other-app"), body)
                .await;
            assert_eq!(own.is(404)["code"], "customer_not_found", "{method} {rest}");
        }
    }
    let viewer = guide.token("viewer", Some("my-app")).await;
    guide.call_as(&viewer, "GET", CUSTOMERS, None).await.is(200);
    let refused = guide
        .call_as(&viewer, "POST", CUSTOMERS, body())
        .await
        .is(403);
    assert_eq!(refused["code"], "role_insufficient");
    let listed = guide
        .call_as(ADMIN_TOKEN, "GET", CUSTOMERS, None)
        .await
        .is(200);
    assert_eq!(listed["meta"]["total"], 1, "nobody came or went");
}

on_both_stores! {
    every_command_works_as_written,
    get_or_create_makes_a_customer_once,
    an_address_is_unique_within_an_app_only,
    an_address_is_required,
    optional_fields_may_be_missing,
    lists_are_filtered_and_cut,
    only_given_fields_change,
    deletion_is_permanent_and_cascades,
    an_app_that_the_token_may_not_see_does_not_exist,
}
