//! The access check while PostgreSQL restarts: late or unavailable, never wrong.

use std::time::Instant;

use secrecy::ExposeSecret;
use serde_json::json;
use tollgate::store::Store;

use crate::support::postgres::Cluster;
use crate::support::stores::Place;
use crate::support::{PATIENCE, SECRET_KEY, TestServer, environment};

/// A customer who may have `a/lib`; its token.
async fn token(server: &TestServer) -> String {
    let body = json!({"name": "holder"});
    let (status, made) = server.call("POST", "/api/v1/customers", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let path = format!(
        "/api/v1/customers/{}/packages",
        made["id"].as_str().unwrap()
    );
    let grant = json!({"package": "a/lib", "constraint": "*"});
    let (status, _) = server.call("POST", &path, Some(grant)).await;
    assert_eq!(status, 201);
    made["token"].as_str().unwrap().to_owned()
}

async fn ask(server: &TestServer, token: &str) -> u16 {
    let url = format!("{}/access?package=a/lib&version=1.0.0", server.base);
    let asked = server.client.get(url).bearer_auth(token).send().await;
    asked.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_wrong_while_postgres_restarts() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("t", "template0").await;
    let store = Store::open_postgres(&url).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = environment(folder.path());
    settings.insert("DATABASE_URL".into(), url.expose_secret().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    let server = TestServer::start_over(settings, Place::Server(url), folder).await;
    let [first, second] = [token(&server).await, token(&server).await];
    assert_eq!(ask(&server, &first).await, 200);

    // Its connections are broken, which nobody has noticed yet.
    cluster.stop();
    cluster.start_again();
    assert_eq!(
        ask(&server, &second).await,
        200,
        "asked once more, on a new one"
    );

    cluster.stop();
    let started = Instant::now();
    loop {
        match ask(&server, &first).await {
            503 => break,
            // Known for less than a second.
            status => assert_eq!(status, 200),
        }
        assert!(started.elapsed() < PATIENCE, "it is away");
    }
    cluster.start_again();
    let started = Instant::now();
    loop {
        match ask(&server, &first).await {
            200 => break,
            status => assert_eq!(status, 503),
        }
        assert!(started.elapsed() < PATIENCE, "it is back");
    }
    assert_eq!(ask(&server, "tok_nobody").await, 401);
    server.stop().await;
}
