//! Refusals and failures of the subscription system's dialect: one form, whoever refuses.

use serde_json::{Value, json};

use super::merchant_rules::{ALL, with_john};
use super::merchants::begun;
use crate::support::stores::{Engine, on_both_stores};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// What is sent, its status, and what the sentence contains.
struct Refused {
    what: &'static str,
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    status: u16,
    says: &'static str,
}

#[expect(clippy::too_many_lines, reason = "most of it is a table")]
async fn every_refusal_has_the_form_of_this_dialect(engine: Engine) {
    let guide = begun(engine).await;
    let viewer = guide.token("viewer", Some("merchant-123")).await;
    let admin = guide.token("admin", Some("merchant-123")).await;
    let row = |what, method, path, headers, body: &str, status, says| Refused {
        what,
        method,
        path,
        headers,
        body: body.to_owned(),
        status,
        says,
    };
    let table = [
        (
            None,
            row("no credentials", "GET", ALL, &[], "", 401, "Bearer"),
        ),
        (
            None,
            row(
                "no credentials, no such path",
                "GET",
                "/api/customers/cust_1",
                &[],
                "",
                401,
                "Bearer",
            ),
        ),
        (
            Some("nonsense"),
            row(
                "a wrong token",
                "GET",
                ALL,
                &[],
                "",
                401,
                "no such admin token",
            ),
        ),
        (
            Some(&*viewer),
            row("a viewer", "POST", ALL, &[], "{}", 403, "role admin"),
        ),
        (
            None,
            row(
                "another site's page",
                "DELETE",
                "/api/customers/cust_1",
                &[
                    ("cookie", "access_token=x"),
                    ("origin", "https://elsewhere.example"),
                ],
                "",
                403,
                "must come from this site",
            ),
        ),
        (
            Some(&admin),
            row(
                "no such path",
                "GET",
                "/api/customers/a/b",
                &[],
                "",
                404,
                "nothing at this path",
            ),
        ),
        (
            Some(&admin),
            row(
                "a slash too many",
                "GET",
                "/api/customers/",
                &[],
                "",
                404,
                "",
            ),
        ),
        (
            Some(&admin),
            row(
                "no such method",
                "PUT",
                ALL,
                &[],
                "",
                405,
                "not with this method",
            ),
        ),
        (
            Some(&admin),
            row(
                "no such method",
                "PATCH",
                "/api/customers/cust_1",
                &[],
                "",
                405,
                "not with this method",
            ),
        ),
        (
            Some(&admin),
            row("no JSON", "POST", ALL, JSON, "{\"email\"", 400, "not JSON"),
        ),
        (
            Some(&admin),
            row("nothing", "POST", ALL, JSON, "", 400, "not JSON"),
        ),
        (
            Some(&admin),
            row(
                "a list",
                "POST",
                ALL,
                JSON,
                "[]",
                422,
                "must be a JSON object",
            ),
        ),
        (
            Some(&admin),
            row("no type", "POST", ALL, &[], "{}", 415, "application/json"),
        ),
        (
            Some(&admin),
            row(
                "too large",
                "POST",
                ALL,
                JSON,
                &"x".repeat(1024 * 1024 + 1),
                413,
                "larger than",
            ),
        ),
    ];
    for (token, row) in table {
        let url = format!("{}{}", guide.server.base, row.path);
        let mut request = guide
            .server
            .client
            .request(row.method.parse().unwrap(), url);
        for (name, value) in row.headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.body(row.body).send().await.unwrap();
        let what = row.what;
        assert_eq!(response.status(), row.status, "{what}");
        assert_eq!(
            response.headers()["content-type"],
            "application/json",
            "{what}"
        );
        if row.status == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
        }
        let body: Value = response.json().await.unwrap();
        let sentence = body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{what}: {body}"));
        assert!(sentence.contains(row.says), "{what}: {body}");
        let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert!(
            fields
                .iter()
                .all(|it| ["error", "details"].contains(&it.as_str())),
            "{what}: {body}"
        );
    }
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

async fn who_fails_too_often_is_told_in_this_dialect(engine: Engine) {
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

async fn a_store_that_is_away_is_said_in_this_dialect(engine: Engine) {
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
}

on_both_stores! {
    every_refusal_has_the_form_of_this_dialect,
    a_repeated_request_is_answered_again_in_this_dialect,
    who_fails_too_often_is_told_in_this_dialect,
    failures_have_the_documented_sentences,
    a_store_that_is_away_is_said_in_this_dialect,
}
