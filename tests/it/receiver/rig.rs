//! A server with a queue that does as it is told, a log that can be read, and a client that
//! writes its own bytes.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tollgate::clock::Clock;
use tollgate::composer::upstream::Upstream;
use tollgate::domain::access::token::TokenHash;
use tollgate::domain::id::{Provider, SecretId};
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;
use tollgate::http::throttle::Throttle;
use tollgate::http::{self, AppState, Endpoints, HttpSettings, Limits, Parts, Roles, Usage};
use tollgate::metrics::Metrics;
use tollgate::pipeline::acknowledged::Acknowledged;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::figures::Figures;
use tollgate::pipeline::health::Health;
use tollgate::pipeline::registries::Repositories;
use tollgate::provider::{Mode, PADDLE, STRIPE, Secret};
use tollgate::queue::{Depths, Message, Publisher, QueueError};
use tollgate::store::secret::EndpointSecret;
use tollgate::store::{App, Store};
use tollgate::vault::{SealedFor, Vault};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::SetClock;
use crate::support::spec::sign;

/// The owner of everything.
pub(crate) const ROOT: &str = "owner-of-everything-in-tests";
pub(crate) const STRIPE_SECRET: &str = "whsec_test_receiver_one";
pub(crate) const STRIPE_NEXT_SECRET: &str = "whsec_test_receiver_two";
pub(crate) const PADDLE_SECRET: &str = "pdl_ntfset_01test_receiver";
pub(crate) const ACME_SECRET: &str = "whsec_test_receiver_acme";
/// Stands in every body, and must stand in no line of the log.
pub(crate) const PERSONAL: &str = "ada@customer.example";
/// 2026-01-05T12:00:00Z: where the receiver's clock stands.
pub(crate) const NOW: i64 = 1_767_614_400;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

/// What the queue does with a message.
#[derive(Clone, Copy)]
pub(crate) enum Queue {
    Keeps,
    Refuses,
    /// Never answers, as a broker that blocks its publishers.
    Hangs,
    /// Answers after this many milliseconds.
    Slow(u64),
}

pub(crate) struct Recorder {
    queue: Mutex<Queue>,
    pub(crate) begun: AtomicUsize,
    published: Mutex<Vec<Message>>,
}

#[async_trait]
impl Publisher for Recorder {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let queue = *self.queue.lock().unwrap();
        match queue {
            Queue::Keeps => {}
            Queue::Refuses => return Err(QueueError::Closed),
            Queue::Hangs => std::future::pending().await,
            Queue::Slow(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        self.published.lock().unwrap().push(message);
        Ok(())
    }

    async fn ready(&self) -> Result<(), QueueError> {
        match *self.queue.lock().unwrap() {
            Queue::Keeps | Queue::Slow(_) => Ok(()),
            Queue::Refuses | Queue::Hangs => Err(QueueError::Closed),
        }
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        Err(QueueError::Closed)
    }
}

/// Every line of the log, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> DefaultGuard {
        let lines = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(lines)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Takes the lines that an operator sees by default.
    pub(crate) fn take(&self) -> Vec<Value> {
        let text = self.text();
        self.0.lock().unwrap().clear();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| !matches!(line["level"].as_str(), Some("DEBUG" | "TRACE")))
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A server with the app `default` (Stripe with two secrets, Paddle) from its settings, and the
/// app `acme` (Stripe) from its store.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) endpoints: Endpoints,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
    _capture: DefaultGuard,
    _folder: TempDir,
}

pub(crate) fn small_limits() -> Limits {
    Limits {
        head_time: Duration::from_millis(300),
        body_time: Duration::from_millis(500),
        write_time: Duration::from_millis(500),
        hand_over_time: Duration::from_millis(200),
        connections: 100,
        connections_of_one: 100,
        drain_time: Duration::from_millis(400),
        ..Limits::default()
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), &[]).await
    }

    pub(crate) async fn with(limits: Limits, trusted_proxies: &[&str]) -> Self {
        let log = Log::default();
        let capture = log.capture();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let vault = Vault::new(&[7; 32]);
        fill(&store, &vault).await;

        let set_clock = Arc::new(SetClock::at(NOW));
        let clock: Arc<dyn Clock> = Arc::clone(&set_clock) as _;
        let fixed = vec![
            (STRIPE.name, secret(STRIPE_SECRET)),
            (STRIPE.name, secret(STRIPE_NEXT_SECRET)),
            (PADDLE.name, secret(PADDLE_SECRET)),
        ];
        let endpoints = Endpoints::new(store.clone(), vault.clone(), Arc::clone(&clock), fixed);
        endpoints.refresh().await.unwrap();
        let recorder = Arc::new(Recorder {
            queue: Mutex::new(Queue::Keeps),
            begun: AtomicUsize::new(0),
            published: Mutex::new(Vec::new()),
        });
        let trusted: Vec<_> = trusted_proxies
            .iter()
            .map(|net| net.parse().unwrap())
            .collect();
        let publisher = Arc::clone(&recorder) as Arc<dyn Publisher>;
        let figures = Figures::new(store.clone(), Arc::clone(&clock));
        let state = AppState::new(Parts {
            health: Health::new(store.clone(), Arc::clone(&clock)).publishing(publisher, false),
            store: store.clone(),
            publisher: Arc::clone(&recorder) as Arc<dyn Publisher>,
            clock,
            endpoints: endpoints.clone(),
            repositories: Repositories::new(Upstream::default(), vault.clone(), None),
            vault,
            settings: HttpSettings {
                roles: Roles::ALL,
                signature_tolerance: Duration::from_mins(5),
                trusted_proxies: trusted.clone(),
                cors_origins: Vec::new(),
                root_token: Some(TokenHash::of(ROOT)),
                limits,
                accel_prefix: None,
                console: true,
                payloads_for: tollgate::domain::role::Role::Admin,
            },
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
            sign_ins: http::SignIns::default(),
            acknowledged: Acknowledged::default(),
            usage: Usage::default(),
            apis: Apis::default(),
            hooks: tollgate::pipeline::hooks::Destinations::new(true),
            metrics: Metrics::default(),
            figures,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = http::serve(
            listener,
            http::router(state),
            limits,
            trusted,
            shutdown.clone(),
        );
        let server = tokio::spawn(serving);
        Self {
            addr,
            recorder,
            clock: set_clock,
            endpoints,
            store,
            log,
            shutdown,
            server,
            _capture: capture,
            _folder: folder,
        }
    }

    pub(crate) fn set_queue(&self, queue: Queue) {
        *self.recorder.queue.lock().unwrap() = queue;
    }

    pub(crate) fn published(&self) -> Vec<Message> {
        std::mem::take(&mut *self.recorder.published.lock().unwrap())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream
            .write_all(&request(path, headers, body))
            .await
            .unwrap();
        Answer::read(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let mut stream = self.connect().await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }

    /// Posts a Stripe event, signed as it should be.
    pub(crate) async fn post_good(&self, body: &[u8]) -> Answer {
        let header = signature(STRIPE.name, STRIPE_SECRET, body, NOW);
        self.post("/webhooks/stripe", &[("Stripe-Signature", &header)], body)
            .await
    }
}

pub(crate) fn secret(key: &str) -> Secret {
    Secret {
        id: None,
        mode: Mode::Any,
        key: SecretString::from(key.to_owned()),
    }
}

pub(crate) async fn fill(store: &Store, vault: &Vault) {
    let app = App {
        slug: "acme".parse().unwrap(),
        name: "Acme".to_owned(),
        policy: Policy::default(),
        settings: tollgate::domain::app_settings::KeptSettings::default(),
        created_at: at(NOW - 1000),
    };
    let mut tx = store.begin().await.unwrap();
    tx.app_ensure_default(at(NOW - 1000)).await.unwrap();
    assert!(tx.app_add(&app).await.unwrap());
    tx.commit().await.unwrap();
    add_secret(store, vault, 1, STRIPE.name, None).await;
    // An endpoint whose only secret has run out.
    add_secret(store, vault, 2, PADDLE.name, Some(at(NOW))).await;
}

/// Adds `ACME_SECRET` to an endpoint of the app `acme`.
pub(crate) async fn add_secret(
    store: &Store,
    vault: &Vault,
    number: u128,
    provider: Provider,
    expires_at: Option<Timestamp>,
) -> SecretId {
    let secret = EndpointSecret {
        id: SecretId::from_uuid(uuid::Uuid::from_u128(number)),
        app: "acme".parse().unwrap(),
        provider,
        mode: Mode::Live,
        created_at: at(NOW - 1000),
        expires_at,
        uses: 0,
        last_used_at: None,
        live_since: None,
    };
    let what = SealedFor::Secret {
        app: &secret.app,
        provider,
        id: &secret.id,
    };
    let sealed = vault.seal(what, ACME_SECRET).unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.secret_add(&secret, sealed).await.unwrap();
    tx.commit().await.unwrap();
    secret.id
}

pub(crate) fn signature(provider: Provider, key: &str, body: &[u8], seconds: i64) -> String {
    sign(
        provider,
        &SecretString::from(key.to_owned()),
        body,
        at(seconds),
    )
}

pub(crate) fn stripe_event(id: &str) -> Vec<u8> {
    let event = json!({
        "id": id,
        "object": "event",
        "type": "customer.created",
        "created": NOW,
        "livemode": true,
        "data": {"object": {"id": "cus_1", "object": "customer", "email": PERSONAL}},
    });
    event.to_string().into_bytes()
}

pub(crate) fn paddle_event(id: &str) -> Vec<u8> {
    let event = json!({
        "event_id": id,
        "event_type": "customer.created",
        "occurred_at": "2026-01-05T12:00:00.123456Z",
        "data": {"id": "ctm_1", "email": PERSONAL},
    });
    event.to_string().into_bytes()
}

/// A header in the form of Stripe's, with which nothing was signed.
pub(crate) fn forged() -> String {
    format!("t={NOW},v1={}", "ab".repeat(32))
}

pub(crate) fn request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), length.as_bytes(), body].concat()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let reading = stream.read_to_end(&mut bytes);
        timeout(Duration::from_secs(10), reading)
            .await
            .expect("an answer")
            .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = headers.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }

    /// Status and code, if it is a problem document as RFC 9457 has it.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(
            problem["request_id"].as_str(),
            self.header("x-request-id"),
            "{self:?}"
        );
        for member in ["title", "detail", "code"] {
            assert!(problem[member].is_string(), "{member}: {self:?}");
        }
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }
}
