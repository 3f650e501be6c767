//! Who may read the figures, and where.

use serde_json::json;
use tollgate::config::Config;
use tollgate::http::Roles;
use tollgate::server::Server;

use super::rig::{Figures, scrape};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{ADMIN_TOKEN, NO_ROLE, TestServer, shared_config};

async fn token(server: &TestServer, body: serde_json::Value) -> String {
    let (code, made) = server
        .call("POST", "/api/v1/admin-tokens", Some(body))
        .await;
    assert_eq!(code, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

async fn on_the_public_address_a_token_for_all_apps_is_needed(engine: Engine) {
    let server = TestServer::start(engine).await;
    let viewer = token(&server, json!({ "name": "prometheus", "role": "viewer" })).await;
    let bound = json!({ "name": "of one", "role": "owner", "app": "default" });
    let bound = token(&server, bound).await;
    for (description, token, expected, says) in [
        ("none", None, 401, "token_missing"),
        ("an unknown one", Some("tga_unknown"), 401, "token_unknown"),
        ("of one app", Some(bound.as_str()), 403, "token_bound"),
        (
            "a viewer's",
            Some(viewer.as_str()),
            200,
            "tollgate_build_info",
        ),
        (
            "the operator's",
            Some(ADMIN_TOKEN),
            200,
            "tollgate_build_info",
        ),
    ] {
        let (status, text) = scrape(&server.base, token).await;
        assert_eq!(status, expected, "{description}: {text}");
        assert!(text.contains(says), "{description}: {text}");
    }
    server.stop().await;
}

async fn with_an_address_for_operators_figures_are_only_there(engine: Engine) {
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("TOLLGATE_OPS_LISTEN".into(), "127.0.0.1:0".into());
    })
    .await;
    let ops = format!("http://{}", server.server.ops_address().unwrap());
    let (status, text) = scrape(&ops, None).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(Figures::parse(text).get("tollgate_store_up"), 1);
    for (base, path, expected) in [
        (&server.base, "/metrics", 404),
        (&server.base, "/readyz", 404),
        (&server.base, "/healthz", 404),
        (&server.base, "/api/v1/stats", 200),
        (&ops, "/readyz", 200),
        (&ops, "/healthz", 200),
        (&ops, "/api/v1/stats", 404),
        (&ops, "/webhooks/stripe", 404),
    ] {
        let asked = server.client.get(format!("{base}{path}"));
        let answer = asked.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{base}{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_serves_figures() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let config: Config = shared_config(dir.path(), &place);
    let only = |set: fn(&mut Roles)| {
        let mut roles = NO_ROLE;
        set(&mut roles);
        roles
    };
    for (name, roles) in [
        ("receiver", only(|it| it.receiver = true)),
        ("worker", only(|it| it.worker = true)),
        ("api", only(|it| it.api = true)),
    ] {
        let server = Server::start(&config, roles).await.unwrap();
        let base = format!("http://{}", server.address());
        let (status, text) = scrape(&base, None).await;
        assert_eq!(status, 401, "{name}: {text}");
        let (status, text) = scrape(&base, Some(ADMIN_TOKEN)).await;
        assert_eq!(status, 200, "{name}: {text}");
        let figures = Figures::parse(text);
        assert_eq!(figures.get("tollgate_store_up"), 1, "{name}");
        let publishing = "tollgate_broker_up{side=\"publishing\"}";
        assert_eq!(figures.get(publishing), 1, "{name}");
        let consuming = figures.find("tollgate_broker_up{side=\"consuming\"}");
        assert_eq!(consuming.is_some(), roles.worker, "{name}");
        let depth = figures.find("tollgate_queue_messages{lane=\"work\"}");
        assert_eq!(depth, Some(0), "{name}");
        server.stop().await;
    }
}

on_both_stores! {
    on_the_public_address_a_token_for_all_apps_is_needed,
    with_an_address_for_operators_figures_are_only_there,
}
