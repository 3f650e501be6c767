//! What the tests share: a real server over a real store in a temporary folder, and a hand that
//! posts what providers would.

pub(crate) mod answers;
mod clock;
pub(crate) mod description;
pub(crate) mod fake_api;
pub(crate) mod fixtures;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod rabbitmq;
pub(crate) mod serving;
pub(crate) mod spec;
pub(crate) mod stores;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::clock::{Clock, SystemClock};
use tollgate::config::{Config, Source};
use tollgate::domain::id::Provider;
use tollgate::http::Roles;
use tollgate::server::Server;

pub(crate) use clock::SetClock;
use stores::{Engine, Place};

use spec::{header_name, sign};

pub(crate) const STRIPE_SECRET: &str = "whsec_TESTONLY0123456789abcdef0123456789";
pub(crate) const PADDLE_SECRET: &str = "pdl_ntfset_01testonly0000000000000000_TESTONLY+/key";
/// 32 bytes in base64.
pub(crate) const SECRET_KEY: &str = "VEVTVE9OTFktdGVzdC1vbmx5LTMyLWJ5dGVzLWtleSE=";
pub(crate) const ADMIN_TOKEN: &str = "owner-of-everything-in-tests";

/// When the period of each subscription began: the same for all, so that one that is described twice
/// has one body.
static BILLED_FROM: LazyLock<i64> = LazyLock::new(|| seconds_from_now(0));

/// How long a test waits for what happens in the background. Far longer than it takes: a test
/// that needs it is about to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The settings of a test server, by variable.
pub(crate) fn environment(data_dir: &std::path::Path) -> BTreeMap<OsString, OsString> {
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        environment.insert(OsString::from(name), OsString::from(value));
    };
    set("TOLLGATE_LISTEN", "127.0.0.1:0");
    set("TOLLGATE_DATA_DIR", &data_dir.display().to_string());
    set("ADMIN_TOKEN", ADMIN_TOKEN);
    set("STRIPE_WEBHOOK_SECRET", STRIPE_SECRET);
    set("PADDLE_WEBHOOK_SECRET", PADDLE_SECRET);
    set(
        "STRIPE_PRICE_MAPPING",
        r#"{"price_basic": [{"package": "acme/tool", "constraint": "^1.0"}]}"#,
    );
    set("PADDLE_PRICE_MAPPING", r#"{"pri_01basic": ["acme/tool"]}"#);
    environment
}

/// No role; for `Roles { api: true, ..NO_ROLE }`.
pub(crate) const NO_ROLE: Roles = Roles {
    receiver: false,
    worker: false,
    api: false,
};

/// The settings of servers that share a database and a broker.
pub(crate) fn shared_config(data_dir: &std::path::Path, place: &Place) -> Config {
    let mut environment = environment(data_dir);
    environment.insert("DATABASE_URL".into(), place.url().into());
    environment.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    environment.insert("AMQP_URL".into(), rabbitmq::shared().url().into());
    environment.insert("TOLLGATE_AMQP_PREFIX".into(), rabbitmq::prefix().into());
    let source = Source {
        environment,
        file: None,
    };
    Config::load(&source).unwrap().config
}

/// A server of this process.
pub(crate) struct TestServer {
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    pub(crate) server: Server,
    pub(crate) place: Place,
    /// What it was started with.
    pub(crate) environment: BTreeMap<OsString, OsString>,
    _dir: TempDir,
}

impl TestServer {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// A server with some settings changed.
    pub(crate) async fn start_with(
        engine: Engine,
        change: impl FnOnce(&mut BTreeMap<OsString, OsString>),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(engine).await;
        let mut environment = environment(dir.path());
        environment.insert("DATABASE_URL".into(), place.url().into());
        environment.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
        change(&mut environment);
        Self::start_over(environment, place, dir).await
    }

    /// A server over what is there already.
    pub(crate) async fn start_over(
        environment: BTreeMap<OsString, OsString>,
        place: Place,
        dir: TempDir,
    ) -> Self {
        let source = Source {
            environment: environment.clone(),
            file: None,
        };
        let config = Config::load(&source).unwrap().config;
        let server = Server::start(&config, Roles::ALL).await.unwrap();
        let base = format!("http://{}", server.address());
        Self {
            client: client(),
            base,
            server,
            place,
            environment,
            _dir: dir,
        }
    }

    /// Signs and posts a payload; status and answer.
    pub(crate) async fn post(&self, provider: Provider, payload: &Value) -> (u16, Value) {
        let path = format!("/webhooks/{provider}");
        let body = payload.to_string().into_bytes();
        post_signed(
            &self.client,
            &format!("{}{path}", self.base),
            provider,
            body,
        )
        .await
    }

    /// Posts a payload, expects it to be taken, and waits for its outcome.
    pub(crate) async fn deliver(&self, provider: Provider, payload: &Value) -> Value {
        let (status, answer) = self.post(provider, payload).await;
        assert_eq!(status, 200, "{answer}");
        let id = answer["event_id"]
            .as_str()
            .expect("the answer names the event")
            .to_owned();
        self.outcome(&id).await
    }

    /// Waits until an event has a final outcome.
    pub(crate) async fn outcome(&self, id: &str) -> Value {
        let path = format!("/api/v1/events/{id}");
        let started = Instant::now();
        loop {
            let (status, event) = self.get(&path).await;
            if status == 200 && event["outcome"] != "pending" {
                return event;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no outcome of {id}: {status} {event}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until what a path shows is as it should be.
    pub(crate) async fn until(&self, path: &str, right: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let (status, shown) = self.get(path).await;
            if status == 200 && right(&shown) {
                return shown;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{path} stayed {status} {shown}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        call(&self.client, &self.base, method, path, body).await
    }

    /// Stops the server as SIGTERM would.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Stops the server; its rows and what it was started with are for another one.
    pub(crate) async fn stop_and_keep(self) -> (Place, BTreeMap<OsString, OsString>) {
        self.server.stop().await;
        (self.place, self.environment)
    }

    /// Stops the server and leaves its rows to the next test that wants an empty store.
    pub(crate) async fn stop_and_give_back(self) {
        self.server.stop().await;
        self.place.give_back();
    }
}

/// A client for tests.
pub(crate) fn client() -> reqwest::Client {
    // The first installation counts; later ones are refused and change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// Signs and posts bytes.
pub(crate) async fn post_signed(
    client: &reqwest::Client,
    url: &str,
    provider: Provider,
    body: Vec<u8>,
) -> (u16, Value) {
    let signature = sign(provider, &secret(provider), &body, SystemClock.now());
    let request = client
        .post(url)
        .header(header_name(provider), signature)
        .body(body);
    answer(request.send().await.unwrap()).await
}

/// Calls the admin API with the owner's token.
pub(crate) async fn call(
    client: &reqwest::Client,
    base: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let method = method.parse().unwrap();
    let request = client
        .request(method, format!("{base}{path}"))
        .bearer_auth(ADMIN_TOKEN);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    answer(request.send().await.unwrap()).await
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub(crate) fn secret(provider: Provider) -> SecretString {
    match provider.as_str() {
        "stripe" => STRIPE_SECRET.into(),
        "paddle" => PADDLE_SECRET.into(),
        other => panic!("{other} has no secret"),
    }
}

/// An instant some seconds from now, in whole seconds since 1970.
pub(crate) fn seconds_from_now(seconds: i64) -> i64 {
    SystemClock.now().seconds() + seconds
}

/// A Stripe event.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the object in place"
)]
pub(crate) fn stripe_event(id: &str, event_type: &str, created: i64, object: Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2025-11-17.clover", "created": created,
        "type": event_type, "livemode": true, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "data": { "object": object },
    })
}

/// A Stripe subscription to `price_basic`.
pub(crate) fn stripe_subscription(id: &str, customer: &str, status: &str) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": customer, "status": status,
        "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null, "ended_at": null,
        "pause_collection": null,
        "items": { "object": "list", "has_more": false, "data": [{
            "id": "si_1", "object": "subscription_item", "quantity": 1,
            "current_period_start": *BILLED_FROM,
            "current_period_end": *BILLED_FROM + 30 * 86_400,
            "price": { "id": "price_basic", "object": "price", "product": "prod_basic" },
        }] },
    })
}

/// A Stripe customer.
pub(crate) fn stripe_customer(id: &str, email: &str) -> Value {
    json!({ "id": id, "object": "customer", "email": email, "name": "A Customer" })
}
