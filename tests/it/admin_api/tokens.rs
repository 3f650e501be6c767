//! Access tokens of customers.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{ROOT, Rig, basic, id_of, path_of};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

async fn tokens_are_made_listed_and_revoked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = format!(
        "{}/tokens",
        path_of(&rig.customer(json!({"name": "Acme"})).await)
    );
    // Ids sort by the time of making.
    rig.pass(1);
    let body =
        json!({"name": "ci", "packages": ["acme/*"], "expires_at": "2026-02-01T00:00:00.000Z"});
    let made = rig.post(&path, body).await.expect(201);
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("tok_") && text.len() == 47, "{text}");
    assert!(text.starts_with(made["prefix"].as_str().unwrap()));
    let listed = rig.get(&path).await.expect(200);
    // The same on both stores.
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(listed["data"][0], {
            ".id" => "[id]", ".customer_id" => "[id]", ".prefix" => "[prefix]"
        }, @r#"
        {
          "created_at": "2026-01-05T12:00:01.000Z",
          "customer_id": "[id]",
          "expires_at": "2026-02-01T00:00:00.000Z",
          "id": "[id]",
          "last_used_at": null,
          "name": "ci",
          "packages": [
            "acme/*"
          ],
          "prefix": "[prefix]",
          "previous_until": null,
          "scope": "read"
        }
        "#);
    }
    assert!(
        !listed.to_string().contains(text),
        "the token is shown once"
    );
    assert_eq!(
        listed["meta"]["total"], 2,
        "the customer's first token is there too"
    );

    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    rig.delete(&one).await.expect(204);
    rig.delete(&one).await.refused(404, "token_not_found");
    rig.delete(&format!("{path}/nonsense"))
        .await
        .refused(404, "token_not_found");
    let listed = rig.get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["name"], "default");
}

async fn a_rotated_or_regenerated_token_has_another_text(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Acme"})).await;
    let customer = path_of(&made);
    let packages = format!("{customer}/packages");
    rig.post(&packages, json!({"package": "a/lib"}))
        .await
        .expect(201);
    let opens = async |token: &serde_json::Value| {
        let credentials = basic(token.as_str().unwrap());
        let headers = [("authorization", credentials.as_str())];
        rig.send("GET", "/access?package=a/lib", &headers, None)
            .await
            .status
            == 200
    };
    let tokens = rig.get(&format!("{customer}/tokens")).await.expect(200);
    let id = tokens["data"][0]["id"].as_str().unwrap();
    let rotate = format!("{customer}/tokens/{id}/rotate");
    let rotated = rig.as_admin(ROOT, "POST", &rotate, None).await.expect(200);
    assert_eq!(rotated["id"], id);
    assert!(!opens(&made["token"]).await && opens(&rotated["token"]).await);

    let regenerate = format!("{customer}/token/regenerate");
    let regenerated = rig
        .as_admin(ROOT, "POST", &regenerate, None)
        .await
        .expect(200);
    assert!(!opens(&rotated["token"]).await && opens(&regenerated["token"]).await);
    rig.as_admin(ROOT, "POST", &rotate, None)
        .await
        .refused(404, "token_not_found");

    rig.delete(&format!("{customer}/token")).await.expect(204);
    assert!(!opens(&regenerated["token"]).await);
    rig.delete(&format!("{customer}/token"))
        .await
        .refused(404, "token_not_found");
}

/// A customer with a package and a token beside its first one, and both paths.
async fn customer_with_token(rig: &Rig, token: Value) -> (String, String, Value) {
    let customer = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let packages = format!("{customer}/packages");
    rig.post(&packages, json!({"package": "a/lib"}))
        .await
        .expect(201);
    let tokens = format!("{customer}/tokens");
    let made = rig.post(&tokens, token).await.expect(201);
    let one = format!("{tokens}/{}", id_of(&made));
    (customer, one, made["token"].clone())
}

impl Rig {
    /// The code of an access check with this token.
    async fn code_for(&self, token: &Value) -> String {
        let credentials = basic(token.as_str().unwrap());
        let headers = [("authorization", credentials.as_str())];
        let answer = self
            .send("GET", "/access?package=a/lib", &headers, None)
            .await;
        answer.body["code"].as_str().unwrap().to_owned()
    }

    async fn rotated(&self, token: &str, overlap: Value) -> Value {
        let body = json!({"overlap": overlap});
        let path = format!("{token}/rotate");
        self.post(&path, body).await.expect(200)
    }

    async fn token_hashes(&self) -> i64 {
        let count = "SELECT COUNT(*) FROM token_hashes";
        self.place.count(count, count).await
    }
}

async fn a_rotated_token_keeps_its_old_text_for_the_overlap(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (customer, token, first) = customer_with_token(&rig, json!({"name": "ci"})).await;
    let rotated = rig.rotated(&token, json!(3600)).await;
    let second = rotated["token"].clone();
    let until = "2026-01-05T13:00:00.000Z";
    assert_eq!(rotated["previous_until"], until);
    let listed = rig.get(&format!("{customer}/tokens")).await.expect(200);
    assert_eq!(listed["data"][0]["previous_until"], until);
    let exported = rig.get(&format!("{customer}/export")).await.expect(200);
    assert_eq!(exported["tokens"][0]["previous_until"], until);
    assert_ne!(first, second);
    for text in [&first, &second] {
        assert_eq!(rig.code_for(text).await, "ok");
    }

    rig.post(&format!("{customer}/suspend"), json!({}))
        .await
        .expect(200);
    for text in [&first, &second] {
        assert_eq!(rig.code_for(text).await, "customer_suspended");
    }
    rig.post(&format!("{customer}/reactivate"), json!({}))
        .await
        .expect(200);

    rig.pass(3599);
    assert_eq!(rig.code_for(&first).await, "ok");
    rig.pass(1);
    assert_eq!(rig.code_for(&first).await, "token_expired");
    assert_eq!(rig.code_for(&second).await, "ok");
}

async fn only_the_last_text_overlaps(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (customer, token, first) = customer_with_token(&rig, json!({"name": "ci"})).await;
    let second = rig.rotated(&token, json!("1h")).await["token"].clone();
    let third = rig.rotated(&token, json!("2h")).await;
    assert_eq!(third["previous_until"], "2026-01-05T14:00:00.000Z");
    let third = third["token"].clone();
    assert_eq!(rig.code_for(&first).await, "token_unknown");
    assert_eq!(rig.code_for(&second).await, "ok");
    assert_eq!(rig.code_for(&third).await, "ok");

    // Without an overlap, at once: somebody may have stolen it.
    for overlap in [json!(null), json!(0), json!("0s")] {
        rig.rotated(&token, json!("1h")).await;
        let before = rig.rotated(&token, json!("1h")).await["token"].clone();
        let last = rig.rotated(&token, overlap).await;
        assert_eq!(last["previous_until"], json!(null));
        assert_eq!(rig.code_for(&before).await, "token_unknown");
        assert_eq!(rig.code_for(&last["token"]).await, "ok");
        assert_eq!(
            rig.token_hashes().await,
            2,
            "its own, and that of the first token"
        );
    }

    let overlapping = rig.rotated(&token, json!("1h")).await["token"].clone();
    let present = rig.rotated(&token, json!("1h")).await["token"].clone();
    rig.delete(&token).await.expect(204);
    for text in [&overlapping, &present] {
        assert_eq!(rig.code_for(text).await, "token_unknown");
    }
    rig.rotated(&token_named(&rig, &customer, "default").await, json!("1h"))
        .await;
    assert_eq!(rig.token_hashes().await, 2);
    rig.post(&format!("{customer}/token/regenerate"), json!({}))
        .await
        .expect(200);
    assert_eq!(rig.token_hashes().await, 1);
    rig.rotated(&token_named(&rig, &customer, "default").await, json!("1h"))
        .await;
    rig.delete(&customer).await.expect(204);
    assert_eq!(rig.token_hashes().await, 0, "of a customer who was deleted");
}

async fn token_named(rig: &Rig, customer: &str, name: &str) -> String {
    let listed = rig.get(&format!("{customer}/tokens")).await.expect(200);
    let listed = listed["data"].as_array().unwrap().iter();
    let id = listed.filter(|it| it["name"] == name).map(id_of).next();
    format!("{customer}/tokens/{}", id.unwrap())
}

async fn an_old_text_lives_no_longer_than_its_token(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ends = json!({"name": "ci", "expires_at": "2026-01-05T12:30:00Z"});
    let (_, token, first) = customer_with_token(&rig, ends).await;
    let second = rig.rotated(&token, json!("1h")).await["token"].clone();
    rig.pass(1799);
    for text in [&first, &second] {
        assert_eq!(rig.code_for(text).await, "ok");
    }
    rig.pass(1);
    for text in [&first, &second] {
        assert_eq!(rig.code_for(text).await, "token_expired");
    }
}

async fn an_overlap_that_cannot_be_changes_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, token, text) = customer_with_token(&rig, json!({"name": "ci"})).await;
    let path = format!("{token}/rotate");
    for wrong in [
        json!(-1),
        json!(1.5),
        json!(2_592_001),
        json!("31d"),
        json!("1w"),
        json!("3600"),
        json!(""),
        json!(true),
        json!([1]),
    ] {
        let body = json!({"overlap": wrong});
        let problem = rig
            .post(&path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], "overlap", "{body}");
    }
    assert_eq!(rig.code_for(&text).await, "ok");
    rig.rotated(&token, json!("30d")).await;
    rig.pass(30 * 86_400 - 1);
    assert_eq!(rig.code_for(&text).await, "ok");
}

const TAKEN: &str = "0123456789abcdef0123456789abcdef";

async fn a_token_from_elsewhere_is_taken_over(engine: Engine) {
    use base64::Engine as _;
    let rig = Rig::start(engine).await;
    let body = json!({"name": "moved", "token": TAKEN, "packages": ["a/*"]});
    let (customer, token, text) = customer_with_token(&rig, body).await;
    assert_eq!(text, TAKEN);
    let listed = rig.get(&format!("{customer}/tokens")).await.expect(200);
    assert_eq!(listed["data"][0]["prefix"], "0123");
    let audit = rig.get("/audit?operation=token_create").await.expect(200);
    for shown in [listed, audit] {
        assert!(!shown.to_string().contains(TAKEN), "{shown}");
    }
    let encoded = |pair: String| base64::engine::general_purpose::STANDARD.encode(pair);
    for credentials in [
        format!("Bearer {TAKEN}"),
        format!("Basic {}", encoded(format!("token:{TAKEN}"))),
        format!("Basic {}", encoded(format!("{TAKEN}:"))),
    ] {
        let headers = [("authorization", credentials.as_str())];
        let answer = rig
            .send("GET", "/access?package=a/lib", &headers, None)
            .await;
        assert_eq!(
            answer.expect(200)["customer_id"],
            customer["/customers/".len()..]
        );
    }
    let rotated = rig.rotated(&token, json!("1h")).await;
    assert!(rotated["token"].as_str().unwrap().starts_with("tok_"));
    assert_eq!(rig.code_for(&text).await, "ok");
}

async fn a_known_token_is_not_taken_over(engine: Engine) {
    let rig = Rig::start(engine).await;
    let app = json!({"slug": "two", "name": "Two"});
    rig.post("/apps", app).await.expect(201);
    let two = rig.admin("admin", Some("two")).await;
    let made = rig.as_admin(&two, "POST", "/customers", Some(json!({"name": "Bob"})));
    let of_two = format!("{}/tokens", path_of(&made.await.expect(201)));
    let take = async |text: &Value| {
        let body = json!({"name": "x", "token": text});
        rig.as_admin(&two, "POST", &of_two, Some(body)).await
    };

    let (customer, token, text) = customer_with_token(&rig, json!({"name": "ci"})).await;
    let present = rig.rotated(&token, json!("1h")).await["token"].clone();
    let admin = json!(two);
    for known in [&text, &present, &admin] {
        take(known).await.refused(409, "token_taken");
        let body = json!({"name": "x", "token": known});
        rig.post(&format!("{customer}/tokens"), body)
            .await
            .refused(409, "token_taken");
    }
    let listed = rig.as_admin(&two, "GET", &of_two, None).await.expect(200);
    assert_eq!(listed["meta"]["total"], 1, "{listed}");

    rig.delete(&token).await.expect(204);
    take(&text).await.expect(201);
    for short in [
        "",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef 0123456789abcdef",
    ] {
        let problem = take(&json!(short)).await.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], "token", "{short}");
    }
}

async fn the_token_of_the_settings_is_not_taken_over(engine: Engine) {
    let root = "an-owner-of-everything-that-is-long";
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("ADMIN_TOKEN".into(), root.into());
    })
    .await;
    let post = async |path: &str, body: Value| {
        let url = format!("{}/api/v1{path}", server.base);
        let asked = server.client.post(url).bearer_auth(root).json(&body);
        let answer = asked.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (_, customer) = post("/customers", json!({"name": "Acme"})).await;
    let tokens = format!("{}/tokens", path_of(&customer));
    let (status, problem) = post(&tokens, json!({"name": "x", "token": root})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("token_taken")));
    server.stop_and_give_back().await;
}

async fn of_many_who_take_over_a_token_one_gets_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut paths = Vec::new();
    for slug in ["one", "two"] {
        let app = json!({"slug": slug, "name": slug});
        rig.post("/apps", app).await.expect(201);
        let owner = rig.admin("admin", Some(slug)).await;
        for _ in 0..5 {
            let body = Some(json!({"name": "x"}));
            let made = rig.as_admin(&owner, "POST", "/customers", body).await;
            paths.push((
                owner.clone(),
                format!("{}/tokens", path_of(&made.expect(201))),
            ));
        }
    }
    let take = async |(owner, path): &(String, String)| {
        let body = json!({"name": "x", "token": TAKEN});
        rig.as_admin(owner, "POST", path, Some(body)).await.status
    };
    let all = futures::future::join_all(paths.iter().map(take));
    let all = tokio::time::timeout(Duration::from_mins(1), all).await;
    let mut statuses = all.unwrap();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert!(statuses[1..].iter().all(|it| *it == 409), "{statuses:?}");
    assert_eq!(rig.token_hashes().await, 11);
}

async fn another_customers_token_cannot_be_revoked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let one = path_of(&rig.customer(json!({"name": "one"})).await);
    let two = path_of(&rig.customer(json!({"name": "two"})).await);
    let tokens = rig.get(&format!("{one}/tokens")).await.expect(200);
    let id = tokens["data"][0]["id"].as_str().unwrap();
    rig.delete(&format!("{two}/tokens/{id}"))
        .await
        .refused(404, "token_not_found");
}

async fn a_token_that_cannot_be_read_is_refused_by_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = format!(
        "{}/tokens",
        path_of(&rig.customer(json!({"name": "Acme"})).await)
    );
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "a", "scope": "Two Words"}), "scope"),
        (
            json!({"name": "a", "packages": ["acme/*", "A/B"]}),
            "packages[1]",
        ),
        (
            json!({"name": "a", "expires_at": "2026-01-05T12:00:00.000Z"}),
            "expires_at",
        ),
        (json!({"name": "a", "expires_at": "tomorrow"}), "expires_at"),
    ] {
        let problem = rig
            .post(&path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
}

on_both_stores! {
    tokens_are_made_listed_and_revoked,
    a_rotated_or_regenerated_token_has_another_text,
    a_rotated_token_keeps_its_old_text_for_the_overlap,
    only_the_last_text_overlaps,
    an_old_text_lives_no_longer_than_its_token,
    an_overlap_that_cannot_be_changes_nothing,
    a_token_from_elsewhere_is_taken_over,
    a_known_token_is_not_taken_over,
    the_token_of_the_settings_is_not_taken_over,
    of_many_who_take_over_a_token_one_gets_it,
    another_customers_token_cannot_be_revoked,
    a_token_that_cannot_be_read_is_refused_by_field,
}
