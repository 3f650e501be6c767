//! What the figures say while the store or the broker is away.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::provider::STRIPE;
use tollgate::server::Server;
use tollgate::store::Store;

use super::rig::{Figures, figures, scrape, until};
use super::sign_up;
use crate::fault_rig::proxy::{Proxy, Traffic};
use crate::support::postgres::Cluster;
use crate::support::rabbitmq::{prefix, rough};
use crate::support::stores::{Engine, Place};
use crate::support::{SECRET_KEY, call, client, environment, post_signed};

async fn start(folder: &TempDir, database: &str, broker: Option<&str>) -> (Server, String) {
    let mut settings = environment(folder.path());
    settings.insert("DATABASE_URL".into(), database.into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    if let Some(broker) = broker {
        settings.insert("AMQP_URL".into(), broker.into());
        settings.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());
    }
    let source = Source {
        environment: settings,
        file: None,
    };
    let config = Config::load(&source).unwrap().config;
    let server = Server::start(&config, Roles::ALL).await.unwrap();
    let base = format!("http://{}", server.address());
    (server, base)
}

async fn post(base: &str, n: usize) -> u16 {
    let url = format!("{base}/webhooks/stripe");
    let body = sign_up(n).to_string().into_bytes();
    post_signed(&client(), &url, STRIPE.name, body).await.0
}

const PUBLISHING: &str = "tollgate_broker_up{side=\"publishing\"}";
const CONSUMING: &str = "tollgate_broker_up{side=\"consuming\"}";
const WEBHOOKS: &str = "tollgate_queue_published_total{kind=\"webhook\"}";

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_the_spool_is_seen_to_grow_and_to_empty() {
    let mut broker = rough().await;
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let (server, base) = start(&folder, &place.url(), Some(&broker.url())).await;
    assert_eq!(post(&base, 1).await, 200);
    let before = until(&base, |it| {
        it.get(WEBHOOKS) == 1 && it.get(PUBLISHING) == 1 && it.get(CONSUMING) == 1
    })
    .await;
    assert_eq!(
        before.find("tollgate_queue_messages{lane=\"work\"}"),
        Some(0)
    );
    assert_eq!(before.get("tollgate_spooled_total"), 0);
    tokio::task::block_in_place(|| broker.kill());
    for n in 2..5 {
        assert_eq!(post(&base, n).await, 200, "it is spooled");
    }
    let during = until(&base, |it| {
        it.get(PUBLISHING) == 0
            && it.get(CONSUMING) == 0
            && it.get("tollgate_spool_messages") == 3
            && it.get("tollgate_spool_oldest_message_age_seconds") >= 1
    })
    .await;
    assert_eq!(during.get("tollgate_spooled_total"), 3);
    assert_eq!(during.get("tollgate_store_up"), 1);
    assert!(during.get("tollgate_queue_publish_failures_total") >= 3);
    tokio::task::block_in_place(|| broker.restart());
    let after = until(&base, |it| {
        it.get(PUBLISHING) == 1
            && it.get(CONSUMING) == 1
            && it.find("tollgate_spool_messages") == Some(0)
            && it.get(WEBHOOKS) >= 4
            && it.find("tollgate_queue_messages{lane=\"work\"}") == Some(0)
    })
    .await;
    for link in ["publisher", "worker", "dead letters"] {
        let remade = format!("tollgate_broker_connections_remade_total{{link=\"{link}\"}}");
        assert_eq!(before.find(&remade), Some(0), "{link}");
        assert!(after.get(&remade) >= 1, "{link}: {}", after.text);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_figures_are_answered_and_say_so() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("t", "template0").await;
    let store = Store::open_postgres(&url).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let (server, base) = start(&folder, url.expose_secret(), None).await;
    let body = json!({ "name": "prometheus", "role": "viewer" });
    let path = "/api/v1/admin-tokens";
    let (code, made) = call(&client(), &base, "POST", path, Some(body)).await;
    assert_eq!(code, 201, "{made}");
    let viewer = made["token"].as_str().unwrap();
    let (status, text) = scrape(&base, Some(viewer)).await;
    assert_eq!(status, 200, "{text}");
    let before = Figures::parse(text);
    assert_eq!(before.get("tollgate_store_up"), 1);
    assert_eq!(before.find("tollgate_spool_messages"), Some(0));

    tokio::task::block_in_place(|| cluster.stop());
    // Nobody can see how much waits. A scrape that was under way may have seen it just before.
    let unseen = [
        "tollgate_spool_messages",
        "tollgate_queue_messages{lane=\"work\"}",
        "tollgate_queue_oldest_message_age_seconds",
        "tollgate_timers_due",
    ];
    until(&base, |it| {
        let is_unseen = |name: &&str| it.find(name).is_none();
        it.get("tollgate_store_up") == 0 && unseen.iter().all(is_unseen)
    })
    .await;
    // What was counted is still there, for a viewer too whose token is in that database.
    let (status, text) = scrape(&base, Some(viewer)).await;
    assert_eq!(status, 200, "{text}");
    let figures_then = Figures::parse(text);
    let route = "tollgate_http_requests_total{method=\"POST\",route=\"/api/v1/admin-tokens\",status=\"201\"}";
    assert_eq!(figures_then.get(route), 1, "{}", figures_then.text);
    assert_eq!(scrape(&base, Some("tga_unknown")).await.0, 503);
    assert_eq!(scrape(&base, None).await.0, 401);

    tokio::task::block_in_place(|| cluster.start_again());
    until(&base, |it| {
        it.get("tollgate_store_up") == 1 && it.find("tollgate_spool_messages") == Some(0)
    })
    .await;
    server.stop().await;
}

/// A database that takes connections and answers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_keeps_no_scrape_waiting() {
    let place = Place::new(Engine::Postgres).await;
    let url = place.url();
    let (_, rest) = url.split_once("127.0.0.1:").unwrap();
    let port: u16 = rest.split('/').next().unwrap().parse().unwrap();
    let proxy = Proxy::to(port);
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let folder = tempfile::tempdir().unwrap();
    let (server, base) = start(&folder, &url, None).await;
    assert_eq!(figures(&base).await.get("tollgate_store_up"), 1);
    proxy.set(Traffic::Stalled);
    tokio::time::sleep(Duration::from_secs(3)).await;
    // `figures` has a bound.
    until(&base, |it| it.get("tollgate_store_up") == 0).await;
    proxy.set(Traffic::Flows);
    until(&base, |it| it.get("tollgate_store_up") == 1).await;
    server.stop().await;
}

/// Somebody holds a lock that the worker needs; webhooks are still taken.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_worker_is_held_up_the_age_of_the_oldest_message_grows() {
    let place = Place::new(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let (server, base) = start(&folder, &place.url(), None).await;
    let mut other = PgConnection::connect(&place.url()).await.unwrap();
    let lock = "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE";
    other.execute(lock).await.unwrap();
    assert_eq!(post(&base, 1).await, 200);
    let age = "tollgate_queue_oldest_message_age_seconds";
    let held = until(&base, |it| it.get(age) >= 1).await;
    assert!(held.get(age) < 60, "{}", held.text);
    assert_eq!(held.get("tollgate_queue_messages{lane=\"work\"}"), 1);
    let (_, ready) = call(&client(), &base, "GET", "/readyz", None).await;
    let oldest = ready["oldest_message_seconds"].as_u64().unwrap();
    assert!((1..60).contains(&oldest), "{ready}");
    other.execute("ROLLBACK").await.unwrap();
    let done =
        "tollgate_events_total{provider=\"stripe\",type=\"customer.created\",outcome=\"applied\"}";
    until(&base, |it| it.get(done) == 1 && it.find(age) == Some(0)).await;
    server.stop().await;
}
