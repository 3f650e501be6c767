//! The receiver of webhooks, over real connections: what it accepts, what it refuses and why,
//! what it writes into the log, and what slow and greedy senders can take.

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
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tollgate::clock::Clock;
use tollgate::domain::id::{AppSlug, Provider, SecretId};
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;
use tollgate::http::throttle::Throttle;
use tollgate::http::{self, AppState, Endpoints, HttpSettings, Limits, Parts, Roles};
use tollgate::provider::{Mode, Secret, sign};
use tollgate::queue::{Message, Publisher, QueueError};
use tollgate::store::secret::EndpointSecret;
use tollgate::store::vault::{SealedFor, Vault};
use tollgate::store::{App, Store};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

const STRIPE_SECRET: &str = "whsec_test_receiver_one";
const STRIPE_NEXT_SECRET: &str = "whsec_test_receiver_two";
const PADDLE_SECRET: &str = "pdl_ntfset_01test_receiver";
const ACME_SECRET: &str = "whsec_test_receiver_acme";
/// Stands in every body, and must stand in no line of the log.
const PERSONAL: &str = "ada@customer.example";
/// 2026-01-05T12:00:00Z, always: the receiver's clock stands still.
const NOW: i64 = 1_767_614_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        at(NOW)
    }
}

/// What the queue does with a message.
#[derive(Clone, Copy)]
enum Queue {
    Keeps,
    Refuses,
    /// Never answers, as a broker that blocks its publishers.
    Hangs,
    /// Answers after this many milliseconds.
    Slow(u64),
}

struct Recorder {
    queue: Mutex<Queue>,
    begun: AtomicUsize,
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
}

/// Every line of the log, as JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> DefaultGuard {
        let lines = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(lines)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Takes the lines that an operator sees by default.
    fn take(&self) -> Vec<Value> {
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
        self.0.lock().unwrap().write(bytes)
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
struct Rig {
    addr: SocketAddr,
    recorder: Arc<Recorder>,
    endpoints: Endpoints,
    store: Store,
    log: Log,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    _capture: DefaultGuard,
    _folder: TempDir,
}

fn small_limits() -> Limits {
    Limits {
        head_time: Duration::from_millis(300),
        body_time: Duration::from_millis(500),
        hand_over_time: Duration::from_millis(200),
        connections: 100,
        drain_time: Duration::from_millis(400),
    }
}

impl Rig {
    async fn start() -> Self {
        Self::with(Limits::default(), &[]).await
    }

    async fn with(limits: Limits, trusted_proxies: &[&str]) -> Self {
        let log = Log::default();
        let capture = log.capture();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db")).await.unwrap();
        store.migrate().await.unwrap();
        let vault = Vault::new(&[7; 32]);
        fill(&store, &vault).await;

        let clock: Arc<dyn Clock> = Arc::new(StoppedClock);
        let fixed = vec![
            (Provider::Stripe, secret(STRIPE_SECRET)),
            (Provider::Stripe, secret(STRIPE_NEXT_SECRET)),
            (Provider::Paddle, secret(PADDLE_SECRET)),
        ];
        let endpoints = Endpoints::new(store.clone(), vault.clone(), Arc::clone(&clock), fixed);
        endpoints.refresh().await.unwrap();
        let recorder = Arc::new(Recorder {
            queue: Mutex::new(Queue::Keeps),
            begun: AtomicUsize::new(0),
            published: Mutex::new(Vec::new()),
        });
        let state = AppState::new(Parts {
            store: store.clone(),
            publisher: Arc::clone(&recorder) as Arc<dyn Publisher>,
            clock,
            endpoints: endpoints.clone(),
            vault,
            settings: HttpSettings {
                roles: Roles::ALL,
                signature_tolerance: Duration::from_secs(300),
                trusted_proxies: trusted_proxies.iter().map(|net| net.parse().unwrap()).collect(),
                root_token: None,
                limits,
            },
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = http::serve(listener, http::router(state), limits, shutdown.clone());
        let server = tokio::spawn(serving);
        Self {
            addr,
            recorder,
            endpoints,
            store,
            log,
            shutdown,
            server,
            _capture: capture,
            _folder: folder,
        }
    }

    fn set_queue(&self, queue: Queue) {
        *self.recorder.queue.lock().unwrap() = queue;
    }

    fn published(&self) -> Vec<Message> {
        std::mem::take(&mut *self.recorder.published.lock().unwrap())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(&request(path, headers, body)).await.unwrap();
        Answer::read(&mut stream).await
    }

    async fn get(&self, path: &str) -> Answer {
        let mut stream = self.connect().await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Answer::read(&mut stream).await
    }

    /// Posts a Stripe event, signed as it should be.
    async fn post_good(&self, body: &[u8]) -> Answer {
        let header = signature(Provider::Stripe, STRIPE_SECRET, body, NOW);
        self.post("/webhooks/stripe", &[("Stripe-Signature", &header)], body).await
    }
}

fn secret(key: &str) -> Secret {
    Secret {
        id: None,
        mode: Mode::Any,
        key: SecretString::from(key.to_owned()),
    }
}

async fn fill(store: &Store, vault: &Vault) {
    let app = App {
        slug: "acme".parse().unwrap(),
        name: "Acme".to_owned(),
        policy: Policy::default(),
        created_at: at(NOW - 1000),
    };
    let mut tx = store.begin().await.unwrap();
    assert!(tx.app_add(&app).await.unwrap());
    tx.commit().await.unwrap();
    add_secret(store, vault, 1, Provider::Stripe, None).await;
    // An endpoint whose only secret has run out.
    add_secret(store, vault, 2, Provider::Paddle, Some(at(NOW))).await;
}

/// Adds `ACME_SECRET` to an endpoint of the app `acme`.
async fn add_secret(
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
    };
    let what = SealedFor {
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

fn signature(provider: Provider, key: &str, body: &[u8], seconds: i64) -> String {
    sign(provider, &SecretString::from(key.to_owned()), body, at(seconds))
}

fn stripe_event(id: &str) -> Vec<u8> {
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

fn paddle_event(id: &str) -> Vec<u8> {
    let event = json!({
        "event_id": id,
        "event_type": "customer.created",
        "occurred_at": "2026-01-05T12:00:00.123456Z",
        "data": {"id": "ctm_1", "email": PERSONAL},
    });
    event.to_string().into_bytes()
}

fn request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
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
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Status and code, if it is a problem document as RFC 9457 has it.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        for member in ["title", "detail", "code"] {
            assert!(problem[member].is_string(), "{member}: {self:?}");
        }
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_signed_webhook_is_handed_over_byte_by_byte_and_answered_with_exactly_200() {
    let rig = Rig::start().await;
    let (stripe, paddle) = (Provider::Stripe, Provider::Paddle);
    let cases = [
        ("default, first secret", "/webhooks/stripe", stripe, STRIPE_SECRET, "default", Mode::Any),
        ("second secret", "/webhooks/stripe", stripe, STRIPE_NEXT_SECRET, "default", Mode::Any),
        ("named app", "/webhooks/default/stripe", stripe, STRIPE_SECRET, "default", Mode::Any),
        ("Paddle", "/webhooks/paddle", paddle, PADDLE_SECRET, "default", Mode::Any),
        ("another app", "/webhooks/acme/stripe", stripe, ACME_SECRET, "acme", Mode::Live),
    ];
    let mut receipts = Vec::new();
    for (description, path, provider, key, app, mode) in cases {
        let body = match provider {
            Provider::Stripe => stripe_event("evt_1"),
            Provider::Paddle => paddle_event("evt_1"),
        };
        let header = signature(provider, key, &body, NOW);
        let name = tollgate::provider::header_name(provider);
        let answer = rig.post(path, &[(name, &header)], &body).await;
        assert_eq!(answer.status, 200, "{description}: {answer:?}");
        let expected = json!({"received": true, "event_id": "evt_1"});
        assert_eq!(answer.json(), expected, "{description}");

        let published = rig.published();
        let [message] = published.as_slice() else {
            panic!("{description}: {published:?}");
        };
        assert_eq!(message.body.as_bytes(), body, "{description}");
        let headers = message.headers();
        assert_eq!(headers.app.as_str(), app, "{description}");
        assert_eq!(headers.provider, provider, "{description}");
        assert_eq!(headers.event_type, "customer.created", "{description}");
        assert_eq!(headers.received_at, at(NOW), "{description}");
        assert_eq!((headers.mode, headers.attempt), (mode, 0), "{description}");
        receipts.push(headers.receipt.clone());
    }
    receipts.sort();
    receipts.dedup();
    assert_eq!(receipts.len(), cases.len(), "each receipt is made anew");
    assert!(rig.log.take().is_empty(), "a webhook that is received is no news");
}

#[tokio::test]
async fn the_type_of_an_event_and_the_blanks_in_its_body_are_no_reason_to_refuse_it() {
    let rig = Rig::start().await;
    let body = b"\n {\"type\" : \"some.future.type\",\"id\":\"evt_2\"} \n";
    assert_eq!(rig.post_good(body).await.status, 200);
    assert_eq!(rig.published()[0].body.as_bytes(), body);
}

/// A webhook that is refused: what was sent, and what it is answered.
struct Refused {
    description: &'static str,
    path: &'static str,
    header: Option<String>,
    body: Vec<u8>,
    expected: (u16, &'static str),
}

fn refused() -> Vec<Refused> {
    let good = stripe_event("evt_1");
    let right = |body: &[u8]| Some(signature(Provider::Stripe, STRIPE_SECRET, body, NOW));
    let signed_at =
        |seconds| Some(signature(Provider::Stripe, STRIPE_SECRET, &stripe_event("evt_1"), seconds));
    let case = |description, path, header, body: &[u8], status, code| Refused {
        description,
        path,
        header,
        body: body.to_vec(),
        expected: (status, code),
    };
    let on_stripe = |description, header, body: &[u8], code| {
        case(description, "/webhooks/stripe", header, body, 400, code)
    };
    let signed = |description, body: &[u8], code| on_stripe(description, right(body), body, code);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() = b' ';
    let wrong_key = Some(signature(Provider::Stripe, PADDLE_SECRET, &good, NOW));
    let long_id = format!(r#"{{"id":"evt_{}","type":"a.b"}}"#, "x".repeat(100));
    let unknown = |description, path| {
        case(description, path, right(&good), &good, 404, "endpoint_unknown")
    };
    vec![
        on_stripe("no header", None, &good, "signature_missing"),
        on_stripe("nothing in the header", Some(String::new()), &good, "signature_malformed"),
        on_stripe("no live digest", Some(format!("t={NOW},v0=00")), &good, "signature_malformed"),
        on_stripe("one byte changed", right(&good), &changed, "signature_mismatch"),
        on_stripe("another secret", wrong_key, &good, "signature_mismatch"),
        on_stripe("signed long ago", signed_at(NOW - 301), &good, "signature_too_old"),
        on_stripe("signed in the future", signed_at(NOW + 301), &good, "signature_in_future"),
        signed("an empty body", b"", "payload_empty"),
        signed("not JSON", b"ada@customer.example", "payload_not_json"),
        signed("not UTF-8", b"{\"id\":\"evt_1\",\"type\":\"a.b\",\"n\":\"\xff\"}", "payload_not_json"),
        signed("no id", br#"{"type":"a.b"}"#, "payload_no_id"),
        signed("no type", br#"{"id":"evt_1"}"#, "payload_no_type"),
        signed("a long id", long_id.as_bytes(), "payload_bad_id"),
        signed("a type with a line feed", br#"{"id":"e","type":"a\nb"}"#, "payload_bad_type"),
        unknown("an unknown provider", "/webhooks/chargebee"),
        unknown("an unknown app", "/webhooks/nobody/stripe"),
        unknown("no app slug at all", "/webhooks/No%20Body/stripe"),
        unknown("a path that is no text", "/webhooks/%FF/stripe"),
        unknown("an app without this provider", "/webhooks/acme/paddle"),
        case(
            "another app's secret",
            "/webhooks/acme/stripe",
            right(&good),
            &good,
            400,
            "signature_mismatch",
        ),
    ]
}

#[tokio::test]
async fn each_refusal_has_its_code_and_one_log_line_that_gives_nothing_away() {
    let rig = Rig::start().await;
    for Refused { description, path, header, body, expected } in refused() {
        let mut headers = vec![("X-Request-Id", "request-of-test")];
        if let Some(header) = &header {
            headers.push(("Stripe-Signature", header));
        }
        let answer = rig.post(path, &headers, &body).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), expected, "{description}");
        assert_eq!(answer.header("x-request-id"), Some("request-of-test"), "{description}");
        assert!(!answer.body.contains("customer.example"), "{description}: {answer:?}");

        let everything = rig.log.text();
        let digest = header.iter().flat_map(|header| header.split('=')).next_back();
        let digest = digest.filter(|digest| digest.len() > 8).unwrap_or("whsec_");
        for private in ["whsec_", "pdl_ntfset", "customer.example", "evt_x", digest] {
            assert!(!everything.contains(private), "{description}: {private} in {everything}");
        }
        let lines = rig.log.take();
        let [line] = lines.as_slice() else {
            panic!("{description}: {lines:?}");
        };
        let fields = &line["fields"];
        assert_eq!(fields["message"], "webhook refused", "{description}");
        assert_eq!(fields["error.code"], code, "{description}");
        assert_eq!(fields["request.id"], "request-of-test", "{description}");
        assert_eq!(fields["client.address"], "127.0.0.1", "{description}");
        let level = if status == 400 { "WARN" } else { "INFO" };
        assert_eq!(line["level"], level, "{description}");
        if status == 400 {
            assert_eq!(fields["provider"], "stripe", "{description}");
            assert_eq!(fields["app"], path.split('/').rev().nth(1).map(app_named), "{description}");
        }
    }
    assert!(rig.published().is_empty());
}

fn app_named(segment: &str) -> &str {
    if segment == "webhooks" { "default" } else { segment }
}

#[tokio::test]
async fn a_signature_of_exactly_the_greatest_age_is_accepted() {
    let rig = Rig::start().await;
    let body = stripe_event("evt_1");
    for seconds in [NOW - 300, NOW + 300] {
        let header = signature(Provider::Stripe, STRIPE_SECRET, &body, seconds);
        let headers = [("Stripe-Signature", header.as_str())];
        assert_eq!(rig.post("/webhooks/stripe", &headers, &body).await.status, 200, "{seconds}");
    }
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_however_it_is_announced() {
    let rig = Rig::start().await;
    let body = vec![b' '; 2 * 1024 * 1024];
    let too_large = (413, "payload_too_large".to_owned());
    assert_eq!(rig.post_good(&body).await.problem(), too_large, "with its length");

    let mut chunked =
        b"POST /webhooks/stripe HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\
          Connection: close\r\n\r\n"
            .to_vec();
    for chunk in body.chunks(64 * 1024) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut stream = rig.connect().await;
    stream.write_all(&chunked).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.problem(), too_large, "in chunks");

    // The size is judged before anything else, so nobody waits for what is not wanted.
    let claims = [
        ("more than is thrown away", "Content-Length: 10000000000\r\n"),
        ("asks first", "Content-Length: 2000000\r\nExpect: 100-continue\r\n"),
    ];
    for (description, lines) in claims {
        let head = format!("POST /webhooks/nobody/stripe HTTP/1.1\r\nHost: t\r\n{lines}\r\n");
        let mut stream = rig.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = Answer::read(&mut stream).await;
        assert_eq!(answer.problem(), too_large, "{description}");
    }

    let mut largest = stripe_event("evt_1");
    largest.resize(1024 * 1024, b' ');
    assert_eq!(rig.post_good(&largest).await.status, 200, "exactly one mebibyte");
    largest.push(b' ');
    assert_eq!(rig.post_good(&largest).await.problem(), too_large, "one byte more");
}

#[tokio::test]
async fn what_cannot_be_made_durable_is_not_acknowledged() {
    let rig = Rig::with(small_limits(), &[]).await;
    let body = stripe_event("evt_1");
    for (description, queue) in [("refused", Queue::Refuses), ("hanging", Queue::Hangs)] {
        rig.set_queue(queue);
        let answer = rig.post_good(&body).await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{description}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{description}");
        let lines = rig.log.take();
        assert_eq!(lines.len(), 1, "{description}: {lines:?}");
        assert_eq!(lines[0]["level"], "WARN", "{description}");
        assert!(lines[0]["fields"]["error"].is_string(), "{description}: {lines:?}");
    }
    rig.set_queue(Queue::Keeps);
    assert_eq!(rig.post_good(&body).await.status, 200, "the same again, once the queue is back");
}

#[tokio::test]
async fn while_the_store_is_away_known_endpoints_work_and_unknown_ones_are_not_denied() {
    let rig = Rig::start().await;
    rig.store.close().await;
    rig.endpoints.refresh().await.unwrap_err();
    rig.endpoints.refresh().await.unwrap_err();
    let warnings = rig.log.take();
    assert_eq!(warnings.len(), 1, "said once, not at every try: {warnings:?}");

    let body = stripe_event("evt_1");
    assert_eq!(rig.post_good(&body).await.status, 200, "from the settings");
    let header = signature(Provider::Stripe, ACME_SECRET, &body, NOW);
    let headers = [("Stripe-Signature", header.as_str())];
    let known = rig.post("/webhooks/acme/stripe", &headers, &body).await;
    assert_eq!(known.status, 200, "from the store, while it was there");
    let unknown = rig.post("/webhooks/new-app/stripe", &headers, &body).await;
    assert_eq!(unknown.problem(), (503, "unavailable".to_owned()));
    let impossible = rig.post("/webhooks/No-App/stripe", &headers, &body).await;
    assert_eq!(impossible.problem().0, 404, "no app can have this name");
}

#[tokio::test]
async fn secrets_are_added_and_removed_at_the_next_refresh() {
    let rig = Rig::start().await;
    let body = paddle_event("evt_1");
    let header = signature(Provider::Paddle, ACME_SECRET, &body, NOW);
    let headers = [("Paddle-Signature", header.as_str())];
    let post = || rig.post("/webhooks/acme/paddle", &headers, &body);
    assert_eq!(post().await.status, 404);

    let vault = Vault::new(&[7; 32]);
    let id = add_secret(&rig.store, &vault, 3, Provider::Paddle, None).await;
    rig.endpoints.refresh().await.unwrap();
    assert_eq!(post().await.status, 200);

    let app: AppSlug = "acme".parse().unwrap();
    let mut tx = rig.store.begin().await.unwrap();
    assert!(tx.secret_delete(&app, Provider::Paddle, &id).await.unwrap());
    tx.commit().await.unwrap();
    rig.endpoints.refresh().await.unwrap();
    assert_eq!(post().await.status, 404);
}

#[tokio::test]
async fn a_secret_that_does_not_open_silences_no_other_endpoint() {
    let rig = Rig::start().await;
    let other_vault = Vault::new(&[8; 32]);
    add_secret(&rig.store, &other_vault, 3, Provider::Paddle, None).await;
    rig.endpoints.refresh().await.unwrap();
    let lines = rig.log.take();
    assert_eq!(lines[0]["level"], "ERROR", "{lines:?}");
    assert_eq!(rig.post_good(&stripe_event("evt_1")).await.status, 200);
}

#[tokio::test]
async fn senders_of_slow_heads_and_slow_bodies_are_cut_off() {
    let limits = small_limits();
    let rig = Rig::with(limits, &[]).await;
    let body = stripe_event("evt_1");
    let header = signature(Provider::Stripe, STRIPE_SECRET, &body, NOW);
    let whole = request("/webhooks/stripe", &[("Stripe-Signature", &header)], &body);
    let head = whole.len() - body.len();

    for (description, sent) in [("nothing", 0), ("half a head", head / 2)] {
        let mut stream = rig.connect().await;
        stream.write_all(&whole[..sent]).await.unwrap();
        let started = Instant::now();
        let mut rest = Vec::new();
        let reading = stream.read_to_end(&mut rest);
        // Closed or reset: either way the connection is free again.
        let _ = timeout(Duration::from_secs(5), reading).await.expect(description);
        assert!(started.elapsed() >= limits.head_time / 2, "{description}");
    }

    let mut stream = rig.connect().await;
    stream.write_all(&whole[..head + 1]).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    // One byte at a time: no pause is ever long.
    let dripping = tokio::spawn(async move {
        for byte in &whole[head + 1..] {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let reading = reader.read_to_end(&mut answer);
    let _ = timeout(Duration::from_secs(5), reading).await.expect("an end");
    dripping.abort();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");
    assert!(rig.published().is_empty());
}

#[tokio::test]
async fn failing_signatures_are_limited_by_address_and_valid_ones_never() {
    let rig = Rig::with(Limits::default(), &["127.0.0.0/8"]).await;
    let body = stripe_event("evt_1");
    let from = |client, header: &str| {
        let headers = [("X-Forwarded-For", client), ("Stripe-Signature", header)];
        request("/webhooks/stripe", &headers, &body)
    };
    let send = async |request: Vec<u8>| {
        let mut stream = rig.connect().await;
        stream.write_all(&request).await.unwrap();
        Answer::read(&mut stream).await
    };
    let wrong = signature(Provider::Stripe, "whsec_wrong", &body, NOW);
    let right = signature(Provider::Stripe, STRIPE_SECRET, &body, NOW);
    for count in 0..100 {
        let (status, code) = send(from("192.0.2.1", &wrong)).await.problem();
        assert_eq!((status, code.as_str()), (400, "signature_mismatch"), "failure {count}");
    }
    // The allowance grows back at one failure in 0.6 s, so a slow machine has some left.
    let mut limited = send(from("192.0.2.1", &wrong)).await;
    for _ in 0..100 {
        if limited.status == 429 {
            break;
        }
        limited = send(from("192.0.2.1", &wrong)).await;
    }
    assert_eq!(limited.problem(), (429, "too_many_failures".to_owned()));
    assert_eq!(limited.header("retry-after"), Some("1"));
    assert_eq!(send(from("192.0.2.1", &right)).await.status, 200, "a valid one, all the same");
    assert_eq!(send(from("192.0.2.2", &wrong)).await.status, 400, "another address");
    let line = rig.log.take().pop().unwrap();
    assert_eq!(line["fields"]["client.address"], "192.0.2.2", "behind the trusted proxy");
}

#[tokio::test]
async fn a_forwarded_address_of_a_stranger_is_not_believed() {
    let rig = Rig::start().await;
    rig.post("/webhooks/stripe", &[("X-Forwarded-For", "192.0.2.1")], b"{}").await;
    let line = rig.log.take().pop().unwrap();
    assert_eq!(line["fields"]["client.address"], "127.0.0.1");
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let rig = Rig::start().await;
    assert_eq!(rig.get("/nothing").await.problem(), (404, "path_unknown".to_owned()));
    let answer = rig.get("/webhooks/stripe").await;
    assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), Some("post"));
}

#[tokio::test]
async fn a_request_id_is_taken_over_only_if_it_can_harm_no_log() {
    let rig = Rig::start().await;
    for (sent, taken) in [("abc-123", true), ("a b", false), ("a\tb", false)] {
        let answer = rig.post("/nothing", &[("X-Request-Id", sent)], b"").await;
        assert_eq!(answer.header("x-request-id") == Some(sent), taken, "{sent:?}");
        answer.problem();
    }
}

#[tokio::test]
async fn one_connection_carries_many_webhooks() {
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    for number in 0..3 {
        let body = stripe_event(&format!("evt_{number}"));
        let header = signature(Provider::Stripe, STRIPE_SECRET, &body, NOW);
        let request = request("/webhooks/stripe", &[("Stripe-Signature", &header)], &body);
        let request = String::from_utf8(request).unwrap();
        let request = request.replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer[..read].to_vec()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(rig.published().len(), 3);
}

#[tokio::test]
async fn when_the_server_stops_it_finishes_what_it_has_and_accepts_nothing_more() {
    let rig = Rig::with(small_limits(), &[]).await;
    rig.set_queue(Queue::Slow(100));
    let body = stripe_event("evt_1");
    let header = signature(Provider::Stripe, STRIPE_SECRET, &body, NOW);
    let headers = [("Stripe-Signature", header.as_str())];
    let idle = rig.connect().await;
    let mut busy = rig.connect().await;
    busy.write_all(&request("/webhooks/stripe", &headers, &body)).await.unwrap();
    // Only a request that has arrived is under way.
    while rig.recorder.begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.shutdown.cancel();
    assert_eq!(Answer::read(&mut busy).await.status, 200);
    timeout(Duration::from_secs(5), rig.server).await.expect("an end").unwrap();
    assert!(TcpStream::connect(rig.addr).await.is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_up_the_stop() {
    let limits = Limits { body_time: Duration::from_secs(60), ..small_limits() };
    let rig = Rig::with(limits, &[]).await;
    let mut stream = rig.connect().await;
    let head = "POST /webhooks/stripe HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    rig.shutdown.cancel();
    timeout(Duration::from_secs(5), rig.server).await.expect("an end").unwrap();
    assert!(started.elapsed() >= limits.drain_time / 2, "it had its time: {started:?}");
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_their_turn() {
    let limits = Limits { connections: 1, head_time: Duration::from_secs(60), ..small_limits() };
    let rig = Rig::with(limits, &[]).await;
    let first = rig.connect().await;
    let mut second = rig.connect().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "answered although the only seat is taken");
    drop(first);
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), second.read_to_end(&mut rest)).await.expect("a turn").unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn readiness_says_which_part_is_away() {
    let rig = Rig::start().await;
    assert_eq!(rig.get("/healthz").await.status, 200);
    let ready = rig.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")));

    let away = |answer: &Answer| -> Vec<String> {
        let parts = answer.json()["parts"].as_array().unwrap().clone();
        parts
            .iter()
            .filter(|part| part["ready"] == false)
            .map(|part| part["name"].as_str().unwrap().to_owned())
            .collect()
    };
    rig.set_queue(Queue::Refuses);
    let answer = rig.get("/readyz").await;
    assert_eq!(answer.problem(), (503, "not_ready".to_owned()));
    assert_eq!(away(&answer), ["queue"]);
    rig.store.close().await;
    assert_eq!(away(&rig.get("/readyz").await), ["queue", "store"]);
    assert_eq!(rig.get("/healthz").await.status, 200, "alive all the same");
}
