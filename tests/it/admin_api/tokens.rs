//! Access tokens of customers.

use serde_json::json;

use super::rig::{ROOT, Rig, basic, path_of};
use crate::support::stores::{Engine, on_both_stores};

async fn tokens_are_made_listed_and_revoked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = format!(
        "{}/tokens",
        path_of(&rig.customer(json!({"name": "Acme"})).await)
    );
    // Ids sort by the time of making.
    rig.pass(1);
    let body = json!({"name": "ci", "packages": ["acme/*"], "expires_at": "2026-02-01T00:00:00Z"});
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
          "created_at": "2026-01-05T12:00:01Z",
          "customer_id": "[id]",
          "expires_at": "2026-02-01T00:00:00Z",
          "id": "[id]",
          "last_used_at": null,
          "name": "ci",
          "packages": [
            "acme/*"
          ],
          "prefix": "[prefix]",
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
            json!({"name": "a", "expires_at": "2026-01-05T12:00:00Z"}),
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
    another_customers_token_cannot_be_revoked,
    a_token_that_cannot_be_read_is_refused_by_field,
}
