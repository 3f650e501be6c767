//! Receiver, worker and API as three servers, over a database and a broker that fail.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::server::Server;
use tollgate::store::Store;

use super::{code_of, create_customer, post, until_not_ready, until_ready};
use crate::fault_rig::proxy::{Proxy, Traffic};
use crate::support::postgres::Cluster;
use crate::support::rabbitmq::{Broker, prefix, rough};
use crate::support::stores::{Engine, Place};
use crate::support::{NO_ROLE, PATIENCE, SECRET_KEY, call, client, environment};

/// Receiver, worker and API as three servers, over a database and a broker of the test's own.
struct Apart {
    receiver: Server,
    worker: Server,
    api: Server,
    _folder: TempDir,
}

fn base(server: &Server) -> String {
    format!("http://{}", server.address())
}

impl Apart {
    async fn start(database: &str, broker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings: BTreeMap<OsString, OsString> = environment(folder.path());
        settings.insert("DATABASE_URL".into(), database.into());
        settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
        settings.insert("AMQP_URL".into(), broker.into());
        settings.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());
        let source = Source {
            environment: settings,
            file: None,
        };
        let config = Config::load(&source).unwrap().config;
        let (mut receiver, mut worker, mut api) = (NO_ROLE, NO_ROLE, NO_ROLE);
        (receiver.receiver, worker.worker, api.api) = (true, true, true);
        let start = async |roles: Roles| Server::start(&config, roles).await.unwrap();
        let apart = Self {
            receiver: start(receiver).await,
            worker: start(worker).await,
            api: start(api).await,
            _folder: folder,
        };
        apart.until_all_work(0).await;
        apart
    }

    /// Waits until all are ready, and a webhook is applied.
    async fn until_all_work(&self, n: usize) {
        for server in [&self.receiver, &self.worker, &self.api] {
            let ready = until_ready(&base(server)).await;
            assert_eq!(ready.get("degraded"), None, "{ready}");
        }
        assert_eq!(post(&base(&self.receiver), n).await, 200);
        self.until_applied(n).await;
    }

    async fn until_applied(&self, n: usize) {
        let (started, path) = (Instant::now(), format!("/api/v1/events/evt_{n}"));
        loop {
            let (status, event) = call(&client(), &base(&self.api), "GET", &path, None).await;
            if status == 200 && event["outcome"] == "applied" {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{status} {event}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        for server in [self.receiver, self.worker, self.api] {
            server.stop().await;
        }
    }
}

/// Without the broker, or with one that takes nothing.
async fn without_the_broker(broker: &mut Broker, alarm: bool) {
    let place = Place::new(Engine::Postgres).await;
    let apart = Apart::start(&place.url(), &broker.url()).await;
    if alarm {
        broker.ctl(&["set_vm_memory_high_watermark", "0"]);
    } else {
        broker.kill();
    }
    assert_eq!(post(&base(&apart.receiver), 1).await, 200, "it is spooled");
    until_not_ready(&base(&apart.worker), "queue", &["broker_away"]).await;
    let receiver = until_ready(&base(&apart.receiver)).await;
    assert_eq!(receiver["degraded"], "spooling", "{receiver}");
    assert!(receiver["oldest_message_seconds"].is_u64(), "{receiver}");
    until_ready(&base(&apart.api)).await;
    assert_eq!(create_customer(&base(&apart.api), 1).await, 201);
    if alarm {
        broker.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    } else {
        let worker = until_not_ready(&base(&apart.worker), "worker", &["broker_away"]).await;
        assert_eq!(code_of(&worker, "store"), None, "{worker}");
        tokio::task::block_in_place(|| broker.restart());
    }
    apart.until_applied(1).await;
    apart.until_all_work(2).await;
    apart.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_broker_a_worker_is_not_ready_and_a_receiver_spools() {
    without_the_broker(&mut *rough().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_memory_alarm_a_worker_is_not_ready_and_a_receiver_spools() {
    without_the_broker(&mut *rough().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_broker_that_swallows_everything_is_seen_by_the_worker() {
    let broker = rough().await;
    let proxy = Proxy::to(broker.port());
    let place = Place::new(Engine::Postgres).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port);
    let apart = Apart::start(&place.url(), &url).await;
    proxy.set(Traffic::Stalled);
    until_not_ready(&base(&apart.worker), "worker", &["broker_away"]).await;
    proxy.set(Traffic::Flows);
    apart.until_all_work(1).await;
    apart.stop().await;
}

async fn cluster() -> (Cluster, String) {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("t", "template0").await;
    let store = Store::open_postgres(&url).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    (cluster, url.expose_secret().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_role_is_not_ready_and_refuses_at_once() {
    let broker = rough().await;
    let (mut cluster, url) = cluster().await;
    let apart = Apart::start(&url, &broker.url()).await;
    tokio::task::block_in_place(|| cluster.stop());
    for server in [&apart.worker, &apart.api] {
        until_not_ready(&base(server), "store", &["store_away"]).await;
    }
    assert_eq!(create_customer(&base(&apart.api), 1).await, 503);
    assert_eq!(
        post(&base(&apart.receiver), 1).await,
        200,
        "the broker takes it"
    );
    until_ready(&base(&apart.receiver)).await;
    tokio::task::block_in_place(|| cluster.start_again());
    apart.until_applied(1).await;
    apart.until_all_work(2).await;
    apart.stop().await;
}

/// The links to the database die in silence, under a transaction of each and at rest.
#[tokio::test(flavor = "multi_thread")]
async fn links_to_the_database_that_die_in_silence_are_replaced() {
    let broker = rough().await;
    let (cluster, url) = cluster().await;
    let proxy = Proxy::to(cluster.port());
    let proxied = url.replace(&cluster.port().to_string(), &proxy.port.to_string());
    let apart = Apart::start(&proxied, &broker.url()).await;
    let posting = async {
        for n in 1..40 {
            post(&base(&apart.receiver), n).await;
        }
    };
    let dying = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(Traffic::HalfOpen);
    };
    tokio::join!(posting, dying);
    let (died, path) = (Instant::now(), "/api/v1/customers");
    while call(&client(), &base(&apart.api), "GET", path, None)
        .await
        .0
        != 200
    {
        assert!(died.elapsed() < PATIENCE, "the API has not come back");
    }
    for n in 1..40 {
        apart.until_applied(n).await;
    }
    apart.until_all_work(40).await;
    apart.stop().await;
}
