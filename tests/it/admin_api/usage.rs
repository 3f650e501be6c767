//! Last uses of tokens, and what webhook secrets have verified.

use secrecy::SecretString;
use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use super::rig::{Answer, ROOT, Rig, basic, id_of, path_of};
use crate::support::TestServer;
use crate::support::spec::{header_name, sign};
use crate::support::stores::{Engine, on_both_stores};

const SECRETS: &str = "/apps/default/endpoints/stripe/secrets";

impl Rig {
    async fn checks_access(&self, token: &str) -> u16 {
        let credentials = basic(token);
        let headers = [("authorization", credentials.as_str())];
        let path = "/access?package=acme/tool";
        self.send("GET", path, &headers, None).await.status
    }

    /// The first row of a list, after what was counted has been written.
    async fn first_of(&self, path: &str) -> Value {
        self.flush_usage().await;
        self.get(path).await.expect(200)["data"][0].clone()
    }

    /// Posts a webhook that is signed with this secret.
    pub(super) async fn webhook(&self, secret: &str) -> Answer {
        let event = json!({"id": "evt_1", "type": "coupon.created"});
        let key = SecretString::from(secret.to_owned());
        let signature = sign(STRIPE.name, &key, event.to_string().as_bytes(), self.now());
        let headers = [(header_name(STRIPE.name), signature.as_str())];
        self.send("POST", "/webhooks/stripe", &headers, Some(event))
            .await
    }

    /// Uses of the secrets, newest first.
    async fn uses(&self) -> Vec<(i64, Option<String>)> {
        self.flush_usage().await;
        let listed = self.get(SECRETS).await.expect(200);
        let row = |row: &Value| {
            let at = row["last_used_at"].as_str().map(str::to_owned);
            (row["uses"].as_i64().unwrap(), at)
        };
        listed["data"].as_array().unwrap().iter().map(row).collect()
    }
}

async fn the_last_use_of_an_access_token_is_shown(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Ada"})).await;
    let token = customer["token"].as_str().unwrap();
    let tokens = format!("{}/tokens", path_of(&customer));
    assert_eq!(rig.first_of(&tokens).await["last_used_at"], json!(null));
    // Refused for the package, but the token was used.
    assert_eq!(rig.checks_access(token).await, 403);
    assert_eq!(
        rig.get(&tokens).await.expect(200)["data"][0]["last_used_at"],
        json!(null)
    );
    assert_eq!(
        rig.first_of(&tokens).await["last_used_at"],
        "2026-01-05T12:00:00.000Z"
    );

    let cases = [
        (59, "2026-01-05T12:00:00.000Z", "too soon for another write"),
        (1, "2026-01-05T12:01:00.000Z", "a minute later"),
        (3600, "2026-01-05T13:01:00.000Z", "an hour later"),
    ];
    for (seconds, shown, description) in cases {
        rig.pass(seconds);
        rig.checks_access(token).await;
        assert_eq!(
            rig.first_of(&tokens).await["last_used_at"],
            shown,
            "{description}"
        );
    }
}

async fn a_token_that_has_run_out_is_not_used(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Ada"})).await;
    let tokens = format!("{}/tokens", path_of(&customer));
    rig.pass(1);
    let body = json!({"name": "short", "expires_at": "2026-01-05T12:00:02.000Z"});
    let made = rig.post(&tokens, body).await.expect(201);
    rig.pass(1);
    assert_eq!(
        rig.checks_access(made["token"].as_str().unwrap()).await,
        401
    );
    assert_eq!(rig.checks_access("tok_wrong").await, 401);
    assert_eq!(rig.first_of(&tokens).await["last_used_at"], json!(null));
}

async fn the_last_use_of_an_admin_token_is_shown(engine: Engine) {
    let rig = Rig::start(engine).await;
    let viewer = rig.admin("viewer", None).await;
    assert_eq!(
        rig.first_of("/admin-tokens").await["last_used_at"],
        json!(null)
    );
    rig.pass(5);
    rig.as_admin(&viewer, "GET", "/customers", None)
        .await
        .expect(200);
    // Its role was not enough, but it was used.
    rig.pass(60);
    rig.as_admin(&viewer, "POST", "/customers", Some(json!({"name": "x"})))
        .await
        .refused(403, "role_insufficient");
    assert_eq!(
        rig.first_of("/admin-tokens").await["last_used_at"],
        "2026-01-05T12:01:05.000Z"
    );
}

async fn what_cannot_be_written_now_is_written_later(engine: Engine) {
    let rig = Rig::start(engine).await;
    let viewer = rig.admin("viewer", None).await;
    rig.as_admin(&viewer, "GET", "/customers", None)
        .await
        .expect(200);
    let [away, back] = [("admin_tokens", "away"), ("away", "admin_tokens")]
        .map(|(from, to)| format!("ALTER TABLE {from} RENAME TO {to}"));
    rig.place.run(&away, &away).await;
    assert!(rig.usage_cannot_be_written().await);
    rig.place.run(&back, &back).await;
    assert_eq!(
        rig.first_of("/admin-tokens").await["last_used_at"],
        "2026-01-05T12:00:00.000Z"
    );
}

async fn a_rotation_of_a_webhook_secret_can_be_watched(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (old, new) = ("whsec_old", "whsec_new");
    let made = rig.post(SECRETS, json!({"secret": old})).await.expect(201);
    assert_eq!(
        (&made["uses"], &made["last_used_at"]),
        (&json!(0), &json!(null))
    );
    rig.webhook(old).await.expect(200);
    rig.webhook(old).await.expect(200);
    rig.webhook(new).await.refused(400, "signature_mismatch");
    let noon = Some("2026-01-05T12:00:00.000Z".to_owned());
    assert_eq!(rig.uses().await, [(2, noon.clone())]);

    // Both are accepted.
    rig.pass(10);
    rig.post(SECRETS, json!({"secret": new})).await.expect(201);
    rig.webhook(old).await.expect(200);
    rig.webhook(new).await.expect(200);
    let ten_later = Some("2026-01-05T12:00:10.000Z".to_owned());
    assert_eq!(
        rig.uses().await,
        [(1, ten_later.clone()), (3, ten_later.clone())]
    );

    // The old one gets an end, and is accepted until then.
    let path = format!("{SECRETS}/{}", id_of(&made));
    let end = json!({"expires_at": "2026-01-05T12:01:00.000Z"});
    let changed = rig
        .as_admin(ROOT, "PATCH", &path, Some(end))
        .await
        .expect(200);
    assert_eq!(changed["expires_at"], "2026-01-05T12:01:00.000Z");
    rig.pass(49);
    rig.webhook(old).await.expect(200);
    rig.pass(1);
    rig.webhook(old).await.refused(400, "signature_mismatch");
    rig.webhook(new).await.expect(200);
    let uses = rig.uses().await;
    assert_eq!(uses[0], (2, Some("2026-01-05T12:01:00.000Z".to_owned())));
    let last = (4, Some("2026-01-05T12:00:59.000Z".to_owned()));
    assert_eq!(uses[1], last, "its counter stands still");
    rig.delete(&path).await.expect(204);
    rig.webhook(new).await.expect(200);
}

async fn the_end_of_a_secret_is_checked_and_can_be_taken_back(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .post(SECRETS, json!({"secret": "whsec_1"}))
        .await
        .expect(201);
    let path = format!("{SECRETS}/{}", id_of(&made));
    for (body, field) in [
        (json!({}), "expires_at"),
        (
            json!({"expires_at": "2026-01-05T12:00:00.000Z"}),
            "expires_at",
        ),
        (json!({"secret": "other"}), "secret"),
    ] {
        let answer = rig.as_admin(ROOT, "PATCH", &path, Some(body.clone())).await;
        let problem = answer.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for end in [json!("2026-01-05T12:00:10.000Z"), json!(null)] {
        let body = json!({"expires_at": end});
        let changed = rig
            .as_admin(ROOT, "PATCH", &path, Some(body))
            .await
            .expect(200);
        assert_eq!(changed["expires_at"], end);
    }
    rig.pass(20);
    rig.webhook("whsec_1").await.expect(200);
    let other = format!("/apps/default/endpoints/paddle/secrets/{}", id_of(&made));
    let body = json!({"expires_at": null});
    rig.as_admin(ROOT, "PATCH", &other, Some(body))
        .await
        .refused(404, "secret_not_found");
}

async fn a_server_that_stops_writes_the_last_uses(engine: Engine) {
    let server = TestServer::start(engine).await;
    let (_, made) = server
        .call("POST", "/api/v1/customers", Some(json!({"name": "Ada"})))
        .await;
    let asked = server
        .client
        .get(format!("{}/access?package=a/b", server.base))
        .bearer_auth(made["token"].as_str().unwrap());
    assert_eq!(asked.send().await.unwrap().status(), 403);
    let used = "SELECT COUNT(*) FROM tokens WHERE last_used_at IS NOT NULL";
    let TestServer { server, place, .. } = server;
    server.stop().await;
    assert_eq!(place.count(used, used).await, 1);
}

on_both_stores! {
    the_last_use_of_an_access_token_is_shown,
    a_token_that_has_run_out_is_not_used,
    the_last_use_of_an_admin_token_is_shown,
    what_cannot_be_written_now_is_written_later,
    a_rotation_of_a_webhook_secret_can_be_watched,
    the_end_of_a_secret_is_checked_and_can_be_taken_back,
    a_server_that_stops_writes_the_last_uses,
}
