//! Apps, admin tokens, roles, webhook secrets, and the walls between apps.

use serde_json::{Value, json};
use tollgate::http::description;

use super::rig::{ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};

async fn apps_are_made_named_and_removed(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .post("/apps", json!({"slug": "acme", "name": "Acme"}))
        .await
        .expect(201);
    let expected = json!({"slug": "acme", "name": "Acme", "connected_accounts": [],
        "identity": {"metadata_key": null, "client_reference_id": false},
        "refetch": "when_unsure", "reconcile_every": null, "repository": null, "held_message": null,
        "paused": null, "created_at": "2026-01-05T12:00:00.000Z"});
    assert_eq!(made, expected);
    rig.post("/apps", json!({"slug": "acme", "name": "B"}))
        .await
        .refused(409, "app_exists");
    let wrong = rig.post("/apps", json!({"slug": "A_B", "name": ""})).await;
    assert_eq!(
        wrong.refused(422, "body_invalid")["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let patched = rig
        .as_admin(ROOT, "PATCH", "/apps/acme", Some(json!({"name": "New"})))
        .await;
    assert_eq!(patched.expect(200)["name"], "New");
    assert_eq!(rig.get("/apps/acme").await.expect(200)["name"], "New");
    assert_eq!(rig.get("/apps").await.expect(200)["meta"]["total"], 2);
    let theirs = rig.admin("owner", Some("acme")).await;
    rig.delete("/apps/acme").await.expect(204);
    rig.delete("/apps/acme").await.refused(404, "app_not_found");
    rig.delete("/apps/default")
        .await
        .refused(409, "app_default");
    let gone = rig.as_admin(&theirs, "GET", "/customers", None).await;
    gone.refused(401, "token_unknown");
}

async fn an_app_uses_up_its_own_admin_tokens_alone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let app = json!({"slug": "acme", "name": "Acme"});
    rig.post("/apps", app).await.expect(201);
    let owner = rig.admin("owner", Some("acme")).await;
    let make = async |token: &str| {
        let body = json!({"name": "ci", "role": "viewer"});
        rig.as_admin(token, "POST", "/admin-tokens", Some(body))
            .await
    };
    for _ in 1..1_000 {
        make(&owner).await.expect(201);
    }
    let refused = make(&owner).await;
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("of `acme`")
    );
    refused.refused(409, "admin_tokens_too_many");
    make(ROOT).await.expect(201);
}

async fn admin_tokens_are_shown_once_and_end(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "ops", "role": "admin", "expires_in_days": 1});
    let made = rig.post("/admin-tokens", body).await.expect(201);
    let text = made["token"].as_str().unwrap().to_owned();
    assert!(text.starts_with("tga_"), "{text}");
    assert_eq!(made["expires_at"], "2026-01-06T12:00:00.000Z");
    let listed = rig.get("/admin-tokens").await.expect(200);
    assert_eq!(listed["data"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains(&text));
    rig.as_admin(&text, "GET", "/customers", None)
        .await
        .expect(200);
    rig.pass(86_400);
    rig.as_admin(&text, "GET", "/customers", None)
        .await
        .refused(401, "token_expired");
    let one = format!("/admin-tokens/{}", made["id"].as_str().unwrap());
    rig.delete(&one).await.expect(204);
    rig.delete(&one).await.refused(404, "token_not_found");
    rig.as_admin(&text, "GET", "/customers", None)
        .await
        .refused(401, "token_unknown");
    for (body, field) in [
        (json!({"name": "a", "role": "king"}), "role"),
        (json!({"name": "", "role": "admin"}), "name"),
        (json!({"name": "a", "role": "admin", "app": "none"}), "app"),
        (
            json!({"name": "a", "role": "admin", "expires_in_days": 0}),
            "expires_in_days",
        ),
    ] {
        let problem = rig
            .post("/admin-tokens", body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
}

async fn each_role_may_do_what_it_should(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut roles = Vec::new();
    for role in ["viewer", "admin", "owner"] {
        roles.push((role, rig.admin(role, None).await));
    }
    // `ROLE` keeps what each of them makes apart.
    let secrets = "/apps/default/endpoints/stripe/secrets";
    let cases = [
        ("GET", "/customers", None, [200, 200, 200]),
        (
            "POST",
            "/customers",
            Some(r#"{"name": "ROLE"}"#),
            [403, 201, 201],
        ),
        (
            "PUT",
            "/plans/stripe/p",
            Some(r#"{"packages": []}"#),
            [403, 201, 200],
        ),
        (
            "POST",
            "/apps",
            Some(r#"{"slug": "ROLE", "name": "n"}"#),
            [403, 403, 201],
        ),
        (
            "POST",
            secrets,
            Some(r#"{"secret": "whsec_1"}"#),
            [403, 403, 201],
        ),
        (
            "POST",
            "/admin-tokens",
            Some(r#"{"name": "n", "role": "viewer"}"#),
            [403, 403, 201],
        ),
        ("DELETE", "/apps/ROLE", None, [403, 403, 204]),
    ];
    for (method, path, body, expected) in cases {
        for ((role, token), status) in roles.iter().zip(expected) {
            let path = path.replace("ROLE", role);
            let body: Option<String> = body.map(|body: &str| body.replace("ROLE", role));
            let body = body.map(|body| serde_json::from_str(&body).unwrap());
            let answer = rig.as_admin(token, method, &path, body).await;
            assert_eq!(
                answer.status, status,
                "{role}: {method} {path}: {}",
                answer.body
            );
            if status == 403 {
                answer.refused(403, "role_insufficient");
            }
        }
    }
}

async fn secrets_come_in_and_never_out(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.post("/apps", json!({"slug": "acme", "name": "Acme"}))
        .await
        .expect(201);
    let path = "/apps/acme/endpoints/paddle/secrets";
    let body = json!({"secret": "pdl_ntfset_hidden", "mode": "live", "expires_at": "2026-02-01T00:00:00.000Z"});
    let made = rig.post(path, body).await.expect(201);
    // The same on both stores.
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(made, {".id" => "[id]"}, @r#"
        {
          "app": "acme",
          "created_at": "2026-01-05T12:00:00.000Z",
          "expires_at": "2026-02-01T00:00:00.000Z",
          "id": "[id]",
          "key_id": "4bb06f8e4e3a7715",
          "key_state": "current",
          "last_used_at": null,
          "live_since": null,
          "mode": "live",
          "provider": "paddle",
          "uses": 0
        }
        "#);
    }
    let listed = rig.get(path).await.expect(200);
    assert_eq!(listed["data"], json!([made]));
    assert_eq!(
        rig.get("/apps/default/endpoints/paddle/secrets")
            .await
            .expect(200)["data"],
        json!([])
    );

    // The endpoint exists at once: an unsigned delivery is refused, not unknown.
    let webhook = "/webhooks/acme/paddle";
    let unsigned = rig.send("POST", webhook, &[], Some(json!({}))).await;
    unsigned.refused(400, "signature_missing");
    rig.delete(&format!("{path}/{}", id_of(&made)))
        .await
        .expect(204);
    rig.send("POST", webhook, &[], Some(json!({})))
        .await
        .refused(404, "endpoint_unknown");

    rig.delete(&format!("{path}/{}", id_of(&made)))
        .await
        .refused(404, "secret_not_found");
    rig.get("/apps/acme/endpoints/ebay/secrets")
        .await
        .refused(404, "endpoint_not_found");
    rig.get("/apps/none/endpoints/paddle/secrets")
        .await
        .refused(404, "app_not_found");
    for (body, field) in [
        (json!({"secret": " "}), "secret"),
        (json!({"secret": "s", "mode": "sandbox"}), "mode"),
        (
            json!({"secret": "s", "expires_at": "2020-01-01T00:00:00.000Z"}),
            "expires_at",
        ),
    ] {
        let problem = rig
            .post(path, body.clone())
            .await
            .refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
        assert!(!problem.to_string().contains("pdl_ntfset_hidden"));
    }
}

async fn an_endpoint_has_a_bounded_number_of_current_secrets(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = "/apps/default/endpoints/stripe/secrets";
    let short = json!({"secret": "whsec_short", "expires_at": "2026-01-05T12:00:10.000Z"});
    let first = rig.post(path, short).await.expect(201);
    for number in 1..16 {
        let body = json!({"secret": format!("whsec_{number}")});
        rig.post(path, body).await.expect(201);
    }
    let one_more = json!({"secret": "whsec_more"});
    rig.post(path, one_more)
        .await
        .refused(409, "secrets_too_many");
    // Twice there, it would go on verifying after one of the two was removed.
    let again = rig.post(path, json!({"secret": "whsec_short"})).await;
    let said = again.refused(409, "secret_exists");
    let id = first["id"].as_str().unwrap();
    assert!(said["detail"].as_str().unwrap().ends_with(id), "{said}");
    let other = json!({"secret": "pdl_ntfset_other"});
    rig.post("/apps/default/endpoints/paddle/secrets", other)
        .await
        .expect(201);
    // What has run out does not count.
    rig.pass(10);
    rig.post(path, json!({"secret": "whsec_short"}))
        .await
        .expect(201);
    assert!(first["expires_at"].is_string());
}

/// Two apps, each with an owner; the first has something of everything.
struct Neighbours {
    rig: Rig,
    one: String,
    two: String,
    /// The path of the first one's customer.
    ada: String,
}

fn ada() -> Value {
    json!({"name": "Ada", "email": "ada@x.com", "external_id": "e-1"})
}

async fn neighbours(engine: Engine) -> Neighbours {
    let rig = Rig::start(engine).await;
    for slug in ["one", "two"] {
        let app = json!({"slug": slug, "name": slug});
        rig.post("/apps", app).await.expect(201);
    }
    let one = rig.admin("owner", Some("one")).await;
    let two = rig.admin("owner", Some("two")).await;
    let made = rig
        .as_admin(&one, "POST", "/customers", Some(ada()))
        .await
        .expect(201);
    assert_eq!(made["app"], "one");
    let plan = Some(json!({"packages": []}));
    rig.as_admin(&one, "PUT", "/plans/stripe/p", plan)
        .await
        .expect(201);
    let release = Some(json!({"version": "1.0"}));
    rig.as_admin(&one, "POST", "/packages/a/b/releases", release)
        .await
        .expect(201);
    let ada = path_of(&made);
    Neighbours { rig, one, two, ada }
}

pub(crate) async fn nothing_of_another_app_can_be_seen_or_changed(engine: Engine) {
    let Neighbours { rig, one, two, ada } = neighbours(engine).await;
    let tokens = rig
        .as_admin(&one, "GET", "/admin-tokens", None)
        .await
        .expect(200);
    assert_eq!(tokens["meta"]["total"], 1);
    let token = format!("/admin-tokens/{}", id_of(&tokens["data"][0]));
    let secrets = "/apps/one/endpoints/stripe/secrets";
    let calls = [
        ("GET", "ADA", None),
        ("PUT", "ADA", Some(json!({"name": "x"}))),
        ("DELETE", "ADA", None),
        ("POST", "ADA/suspend", Some(json!({}))),
        ("GET", "ADA/packages", None),
        ("POST", "ADA/packages", Some(json!({"package": "a/b"}))),
        ("PUT", "ADA/packages", Some(json!({"packages": []}))),
        ("DELETE", "ADA/packages/a/b", None),
        ("GET", "ADA/tokens", None),
        ("POST", "ADA/tokens", Some(json!({"name": "t"}))),
        ("POST", "ADA/token/regenerate", None),
        ("DELETE", "ADA/token", None),
        ("GET", "ADA/events", None),
        ("GET", "ADA/access?package=a/b", None),
        ("GET", "/customers/by-email?email=ada@x.com", None),
        ("GET", "/customers/by-external/e-1", None),
        ("GET", "/plans/stripe/p", None),
        ("DELETE", "/plans/stripe/p", None),
        ("GET", "/apps/one", None),
        ("PATCH", "/apps/one", Some(json!({"name": "x"}))),
        ("DELETE", "/apps/one", None),
        ("GET", secrets, None),
        ("POST", secrets, Some(json!({"secret": "s"}))),
        ("DELETE", &token, None),
    ];
    for (method, path, body) in calls {
        let path = path.replace("ADA", &ada);
        let answer = rig.as_admin(&two, method, &path, body).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    for path in ["/customers", "/plans", "/packages/a/b/releases", "/events"] {
        let listed = rig.as_admin(&two, "GET", path, None).await.expect(200);
        assert_eq!(listed["data"], json!([]), "{path}");
    }
    let apps = rig.as_admin(&two, "GET", "/apps", None).await.expect(200);
    assert_eq!(apps["meta"]["total"], 1);
    let shown = rig.as_admin(&one, "GET", &ada, None).await.expect(200);
    assert_eq!(shown["status"], "active");
}

async fn what_is_taken_in_one_app_is_free_in_another(engine: Engine) {
    let Neighbours { rig, two, .. } = neighbours(engine).await;
    rig.as_admin(&two, "POST", "/customers", Some(ada()))
        .await
        .expect(201);
}

async fn a_bound_token_makes_tokens_of_its_app_alone(engine: Engine) {
    let Neighbours { rig, two, .. } = neighbours(engine).await;
    let path = "/admin-tokens";
    let theirs = json!({"name": "n", "role": "viewer", "app": "one"});
    rig.as_admin(&two, "POST", path, Some(theirs))
        .await
        .refused(422, "body_invalid");
    let own = json!({"name": "n", "role": "viewer"});
    let own = rig
        .as_admin(&two, "POST", path, Some(own))
        .await
        .expect(201);
    assert_eq!(own["app"], "two");
    let app = json!({"slug": "three", "name": "x"});
    rig.as_admin(&two, "POST", "/apps", Some(app))
        .await
        .refused(403, "token_bound");
}

/// Method and path of every route of the admin API, as it describes itself: no route can be made
/// without a description, and a list here would not know of the next one.
pub(super) fn routes() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(description::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let below = |(path, item): (&String, &Value)| {
        let path = path.strip_prefix("/api/v1")?.to_owned();
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        Some(
            methods
                .into_iter()
                .map(move |it| (it.to_uppercase(), path.clone())),
        )
    };
    paths.iter().filter_map(below).flatten().collect()
}

/// The path with something in place of each of its variable parts.
fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn no_admin_route_is_open(engine: Engine) {
    let rig = Rig::start(engine).await;
    let routes = routes();
    for known in [("PATCH", "/customers/{id}"), ("POST", "/apps")] {
        let known = (known.0.to_owned(), known.1.to_owned());
        assert!(routes.contains(&known), "{known:?} was not found");
    }
    for (method, route) in routes {
        let path = format!("/api/v1{}", filled(&route));
        let body = matches!(method.as_str(), "POST" | "PUT" | "PATCH").then(|| json!({}));
        let answer = rig.send(&method, &path, &[], body).await;
        let code = answer.body["code"].as_str();
        assert_eq!(
            (answer.status, code),
            (401, Some("token_missing")),
            "{method} {route}"
        );
    }
}

on_both_stores! {
    apps_are_made_named_and_removed,
    an_app_uses_up_its_own_admin_tokens_alone,
    admin_tokens_are_shown_once_and_end,
    each_role_may_do_what_it_should,
    secrets_come_in_and_never_out,
    an_endpoint_has_a_bounded_number_of_current_secrets,
    nothing_of_another_app_can_be_seen_or_changed,
    what_is_taken_in_one_app_is_free_in_another,
    a_bound_token_makes_tokens_of_its_app_alone,
    no_admin_route_is_open,
}
