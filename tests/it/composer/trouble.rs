//! Repositories that are away, or say something else than they were asked; and whose archives nginx
//! must not look for among its own.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Rig;
use super::repository::{Repository, Served, Shape, VERSIONS};
use crate::support::TestServer;
use crate::support::stores::{Engine, on_both_stores};

/// A repository that lists no names, behind a server.
async fn unlisted(engine: Engine) -> (Rig, Served) {
    let mut rig = Rig::start(engine, Shape::Plain, true).await;
    let root = json!({"packages": [], "metadata-url": "/packages/p2/%package%.json"});
    std::fs::write(
        rig.repository.path().join("packages.json"),
        root.to_string(),
    )
    .unwrap();
    let upstream = rig.upstream.take().unwrap();
    (rig, upstream)
}

async fn a_broken_repository_is_not_asked_for_each(engine: Engine) {
    let (rig, upstream) = unlisted(engine).await;
    upstream.break_down(true);
    upstream.asked();
    // The server has not read this one, because no plan names it.
    let (_, token) = rig.customer(&[("acme/other", "*")]).await;
    for _ in 0..20 {
        let answer = rig.ask(&token, "/composer/p2/acme/other.json", &[]).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (503, Some("repository_unavailable"))
        );
    }
    let asked = upstream.asked().len();
    assert!(asked < 10, "asked {asked} times");
    rig.server.stop().await;
}

/// A server that takes connections and never answers.
async fn nobody_waits_long_behind_somebody_who_waits(engine: Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("TOLLGATE_REPOSITORY".into(), place.into());
    })
    .await;
    let rig = Rig {
        server,
        repository: Repository::new(Shape::Plain, VERSIONS),
        upstream: None,
    };
    let (_, token) = rig.customer(&[("acme/tool", "*")]).await;
    let ask = || rig.ask(&token, "/composer/p2/acme/tool.json", &[]);
    let mut asking: FuturesUnordered<_> = (0..6).map(|_| ask()).collect();
    // One has the whole wait, which is longer than this.
    let others = async {
        for _ in 0..5 {
            assert_eq!(asking.next().await.unwrap().status, 503);
        }
    };
    let bound = Duration::from_secs(12);
    tokio::time::timeout(bound, others).await.unwrap();
    drop(asking);
    silent.abort();
    rig.server.stop().await;
}

async fn a_refresh_gives_up_a_repository_that_does_not_answer(engine: Engine) {
    let (rig, upstream) = unlisted(engine).await;
    let names: Vec<String> = (0..40).map(|n| format!("acme/p{n:02}")).collect();
    let grants: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "*")).collect();
    rig.customer(&grants).await;
    upstream.break_below("/packages/p2/");
    upstream.asked();
    let refreshed = rig.post("/api/v1/packages/refresh", json!({})).await;
    let failed = refreshed["failed"].as_array().unwrap().iter();
    let failed: BTreeSet<&str> = failed.map(|it| it.as_str().unwrap()).collect();
    // A plan of the settings names this one.
    let all = names.iter().map(String::as_str).chain(["acme/tool"]);
    assert_eq!(failed, all.collect());
    let asked = upstream.asked().len();
    assert!(asked < 30, "asked {asked} times");
    rig.server.stop().await;
}

async fn a_file_that_is_about_something_else_says_nothing(engine: Engine) {
    let (rig, _upstream) = unlisted(engine).await;
    let files = rig.repository.path().join("p2/acme");
    for name in ["absent.json", "absent~dev.json"] {
        std::fs::copy(files.join("other.json"), files.join(name)).unwrap();
    }
    let (_, token) = rig.customer(&[("acme/absent", "*")]).await;
    for path in [
        "/composer/p2/acme/absent.json",
        "/composer/p2/acme/absent~dev.json",
    ] {
        let answer = rig.ask(&token, path, &[]).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.json());
    }
    rig.server.stop().await;
}

/// A path below another app's repository means nothing in nginx's folder.
async fn nginx_gets_archives_of_the_environments_repository_alone(engine: Engine) {
    let mut others = Repository::new(Shape::Plain, &[]);
    let upstream = Served::start(&others, None).await;
    others.base = format!("{}/", upstream.base);
    others.write(VERSIONS);
    let rig = Rig::behind_nginx(engine).await;
    let app = json!({"slug": "other", "name": "Other"});
    rig.post("/api/v1/apps", app).await;
    let named = json!({"repository": {"url": upstream.base}});
    let (status, named) = rig
        .server
        .call("PATCH", "/api/v1/apps/other", Some(named))
        .await;
    assert_eq!(status, 200, "{named}");
    let made = rig
        .post(
            "/api/v1/apps/other/customers",
            json!({"email": "ada@x.com"}),
        )
        .await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (token, id) = (text(&made["data"]["token"]), text(&made["data"]["id"]));
    let owner = json!({"name": "o", "role": "owner", "app": "other"});
    let owner = text(&rig.post("/api/v1/admin-tokens", owner).await["token"]);
    let grants = format!("{}/api/v1/customers/{id}/packages", rig.server.base);
    let grant = json!({"package": "acme/tool", "constraint": "*"});
    let grant = rig.server.client.post(grants).json(&grant);
    let granted = grant.bearer_auth(owner).send().await.unwrap();
    assert_eq!(granted.status(), 201);
    let seen = rig.seen(&token, "acme/tool").await;
    let archive = rig.archive(&token, &seen["1.0.0"]).await;
    assert_eq!(
        (archive.status, archive.header("x-accel-redirect")),
        (200, "")
    );
    assert!(!archive.bytes.is_empty());
    rig.server.stop().await;
}

on_both_stores! {
    a_broken_repository_is_not_asked_for_each,
    nobody_waits_long_behind_somebody_who_waits,
    a_refresh_gives_up_a_repository_that_does_not_answer,
    a_file_that_is_about_something_else_says_nothing,
    nginx_gets_archives_of_the_environments_repository_alone,
}
