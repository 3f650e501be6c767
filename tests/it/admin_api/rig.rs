//! The router over a store in a temporary folder, with a clock that the test sets.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockWriteGuard};
use tollgate::clock::Clock;
use tollgate::composer::upstream::Upstream;
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::access::token::TokenHash;
use tollgate::domain::id::{AppSlug, Provider};
use tollgate::domain::mode::Mode;
use tollgate::domain::time::Timestamp;
use tollgate::http::throttle::Throttle;
use tollgate::http::{self, AppState, Endpoints, HttpSettings, Limits, Parts, Roles, Usage};
use tollgate::metrics::Metrics;
use tollgate::pipeline::acknowledged::{self, Acknowledged, Look};
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::bulk_replay::carry_on;
use tollgate::pipeline::figures::Figures;
use tollgate::pipeline::health::Health;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::owed_licenses;
use tollgate::pipeline::process::process;
use tollgate::pipeline::registries::Repositories;
use tollgate::pipeline::replay::ReplayError;
use tollgate::pipeline::setup::{Environment, prepare};
use tollgate::provider::STRIPE;
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::queue::{Depths, Message, Publisher, QueueError};
use tollgate::store::{Actor, PlanSource, Store, StoredPlan};
use tollgate::vault::Vault;
use tower::ServiceExt;

use crate::support::SetClock;
use crate::support::description::Exchange;
use crate::support::fake_api::nobodys_api;
use crate::support::stores::{Engine, Place, TestStore};

/// The owner of everything.
pub(super) const ROOT: &str = "owner-of-everything-in-tests";
/// 2026-01-05T12:00:00Z.
pub(super) const NOW: i64 = 1_767_614_400;

/// A queue that keeps what is published.
#[derive(Default)]
pub(super) struct Outbox {
    messages: Mutex<Vec<Message>>,
    /// Whether it refuses everything.
    away: AtomicBool,
    /// How many messages wait to be processed, as it says.
    waiting: AtomicU64,
    /// Whoever holds it alone makes publishers wait.
    gate: RwLock<()>,
}

#[async_trait]
impl Publisher for Outbox {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        let _open = self.gate.read().await;
        if self.away.load(Ordering::SeqCst) {
            return Err(QueueError::Closed);
        }
        self.messages.lock().unwrap().push(message);
        Ok(())
    }

    async fn ready(&self) -> Result<(), QueueError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(QueueError::Closed);
        }
        Ok(())
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        Ok(Depths {
            work: self.waiting.load(Ordering::SeqCst),
            ..Depths::default()
        })
    }
}

pub(super) struct Rig {
    router: Router,
    pub(super) store: Store,
    clock: Arc<SetClock>,
    outbox: Arc<Outbox>,
    receipts: AtomicUsize,
    usage: Usage,
    pub(super) place: Place,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// The body, if the status is what it should be.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Whether it is this refusal.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.body
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// The APIs of the app `default`. Nobody listens there, and no worker asks.
pub(super) fn apis() -> Apis {
    Apis::default().and(AppSlug::default_app(), nobodys_api())
}

impl Rig {
    pub(super) async fn start(engine: Engine) -> Self {
        let clock = Arc::new(SetClock::at(NOW));
        let TestStore { store, place } = TestStore::new(engine, clock.now()).await;

        let vault = Vault::new(&[7; 32]);
        let store = store.with_license_maker(owed_licenses::maker(&vault));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let endpoints = Endpoints::new(
            store.clone(),
            vault.clone(),
            Arc::clone(&shared),
            Vec::new(),
        );
        let outbox = Arc::new(Outbox::default());
        let usage = Usage::default();
        let figures = Figures::new(store.clone(), Arc::clone(&shared));
        let state = AppState::new(Parts {
            health: Health::new(store.clone(), Arc::clone(&shared)),
            store: store.clone(),
            publisher: Arc::clone(&outbox) as Arc<dyn Publisher>,
            clock: shared,
            endpoints,
            repositories: Repositories::new(Upstream::default(), vault.clone(), None),
            vault,
            settings: HttpSettings {
                roles: Roles::ALL,
                signature_tolerance: Duration::from_mins(5),
                trusted_proxies: Vec::new(),
                cors_origins: Vec::new(),
                root_token: Some(TokenHash::of(ROOT)),
                limits: Limits::default(),
                accel_prefix: None,
                console: true,
                payloads_for: tollgate::domain::role::Role::Admin,
            },
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
            sign_ins: http::SignIns::default(),
            usage: usage.clone(),
            apis: apis(),
            hooks: tollgate::pipeline::hooks::Destinations::new(true),
            metrics: Metrics::default(),
            figures,
            acknowledged: Acknowledged::default(),
        });
        let router = http::router(state);
        let receipts = AtomicUsize::new(0);
        Self {
            router,
            store,
            clock,
            outbox,
            receipts,
            usage,
            place,
        }
    }

    /// Starts a rig with a plan for `price_basic` that buys no package and counts.
    pub(super) async fn selling(engine: Engine) -> Self {
        let rig = Self::start(engine).await;
        let app = AppSlug::default_app();
        let plan = StoredPlan {
            name: None,
            provider: STRIPE.name,
            price_id: "price_basic".to_owned(),
            packages: Vec::new(),
            licenses: Vec::new(),
            counts: true,
            updates: None,
            source: PlanSource::Api,
            updated_at: rig.now(),
        };
        let mut tx = rig.store.begin_in(&app).await.unwrap();
        tx.plan_put(&app, &[plan]).await.unwrap();
        tx.commit().await.unwrap();
        rig
    }

    /// Has accounts of one address join.
    pub(super) async fn joins(self) -> Self {
        self.put("/policy", json!({"on_same_email": "join"}))
            .await
            .expect(200);
        self
    }

    /// Starts a server anew whose settings name no price.
    pub(super) async fn restarts_without_plans(&self) {
        self.restarts(Vec::new()).await;
    }

    /// Starts a server anew whose settings say what `price_basic` buys.
    pub(super) async fn restarts_with_plan(&self, packages: &[&str]) {
        let grant = |package: &&str| PackageGrant {
            package: (*package).to_owned(),
            constraint: "*".to_owned(),
        };
        let packages = packages.iter().map(grant).collect();
        let plan = (STRIPE.name, "price_basic".to_owned(), packages);
        self.restarts(vec![plan]).await;
    }

    async fn restarts(&self, plans: Vec<(Provider, String, Vec<PackageGrant>)>) {
        let order = Order {
            app: AppSlug::default_app(),
            actor: Actor::Operator,
            now: self.now(),
            reason: None,
        };
        let environment = Environment {
            plans,
            ..Environment::default()
        };
        prepare(&self.store, &order, Some(&environment))
            .await
            .unwrap();
    }

    pub(super) fn pass_nanos(&self, nanos: u64) {
        self.clock.pass(Duration::from_nanos(nanos));
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
    }

    pub(super) fn clock(&self) -> &SetClock {
        &self.clock
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn published(&self) -> Vec<Message> {
        std::mem::take(&mut *self.outbox.messages.lock().unwrap())
    }

    /// Writes who used what, as the server does every few seconds.
    pub(super) async fn flush_usage(&self) {
        self.usage.flush(&self.store).await.unwrap();
    }

    /// Whether writing the same fails.
    pub(super) async fn usage_cannot_be_written(&self) -> bool {
        self.usage.flush(&self.store).await.is_err()
    }

    /// Publishes the next batch of a replay, as the worker does; whether there was one.
    pub(super) async fn carry_on_replays(&self) -> Result<bool, ReplayError> {
        let turn = carry_on(&self.store, &*self.outbox, self.now()).await;
        turn.map(|turn| turn.worked)
    }

    /// Compares what was acknowledged with the ledger, as the worker does.
    pub(super) async fn settle_accounts(&self) -> Look {
        acknowledged::settle(&self.store, Some(&*self.outbox), self.now())
            .await
            .unwrap()
    }

    /// Has the queue say that so many messages wait to be processed.
    pub(super) fn queue_has(&self, messages: u64) {
        self.outbox.waiting.store(messages, Ordering::SeqCst);
    }

    /// Lets the queue refuse everything, or take it again.
    pub(super) fn queue_is_away(&self, away: bool) {
        self.outbox.away.store(away, Ordering::SeqCst);
    }

    /// Lets publishers wait as long as the answer lives.
    pub(super) async fn queue_waits(&self) -> RwLockWriteGuard<'_, ()> {
        self.outbox.gate.write().await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.as_admin(ROOT, "GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.as_admin(ROOT, "POST", path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.as_admin(ROOT, "PUT", path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.as_admin(ROOT, "DELETE", path, None).await
    }

    /// A call of the admin API, below `/api/v1`.
    pub(super) async fn as_admin(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send(
            method,
            &format!("/api/v1{path}"),
            &[("authorization", &bearer)],
            body,
        )
        .await
    }

    /// Any call. What comes must be as the description of the API says.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let Some(body) = body else {
            return self.exchange((method, path), headers, "", None).await;
        };
        let headers = [&[("content-type", "application/json")], headers].concat();
        let text = body.to_string();
        self.exchange((method, path), &headers, &text, Some(&body))
            .await
    }

    /// A call whose body need not be JSON.
    pub(super) async fn send_text(
        &self,
        asked: (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.exchange(asked, headers, body, None).await
    }

    async fn exchange(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
        sent: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "t");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::from(body.to_owned());
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let answer = Answer {
            status,
            headers,
            body,
        };
        Exchange {
            method,
            path,
            sent,
            status,
            content_type: answer.header("content-type"),
            is_tagged: !answer.header("etag").is_empty(),
            answer: &answer.body,
        }
        .check();
        let is_placed = answer.header("location").starts_with("/api/");
        assert!(status != 201 || is_placed, "{method} {path}: where is it?");
        answer
    }

    /// Makes a customer; the answer of its making.
    pub(super) async fn customer(&self, body: Value) -> Value {
        self.post("/customers", body).await.expect(201)
    }

    /// Makes an admin token.
    pub(super) async fn admin(&self, role: &str, app: Option<&str>) -> String {
        let body = json!({"name": role, "role": role, "app": app});
        let made = self.post("/admin-tokens", body).await.expect(201);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Lets the worker process a Stripe event of the app `default`.
    pub(super) async fn happens(&self, event: &Value) {
        self.happen(std::slice::from_ref(event)).await;
    }

    /// The same in any app.
    pub(super) async fn happens_in(&self, app: &str, event: &Value) {
        let message = self.message(app, event);
        process(&self.store, &[&message], self.now()).await.unwrap();
    }

    /// Lets the worker process Stripe events of the app `default`, many in a batch.
    pub(super) async fn happen(&self, events: &[Value]) {
        for events in events.chunks(100) {
            let messages = events.iter().map(|it| self.message("default", it));
            let messages: Vec<Message> = messages.collect();
            let messages: Vec<&Message> = messages.iter().collect();
            process(&self.store, &messages, self.now()).await.unwrap();
        }
    }

    fn message(&self, app: &str, event: &Value) -> Message {
        let receipt = self.receipts.fetch_add(1, Ordering::SeqCst);
        let headers = HeadersV1 {
            app: app.parse().unwrap(),
            provider: STRIPE.name,
            event_id: event["id"].as_str().unwrap().to_owned(),
            event_type: event["type"].as_str().unwrap().to_owned(),
            received_at: self.now(),
            mode: Mode::Any,
            receipt: format!("receipt {receipt}"),
            attempt: 0,
            origin: tollgate::queue::Origin::default(),
            replay: None,
            error: None,
        };
        Message {
            headers: Headers::V1(headers),
            body: event.to_string().into(),
        }
    }
}

/// The last part of a path of this customer.
pub(super) fn id_of(customer: &Value) -> String {
    customer["id"].as_str().unwrap().to_owned()
}

/// The path of this customer.
pub(super) fn path_of(customer: &Value) -> String {
    format!("/customers/{}", id_of(customer))
}

/// Basic credentials of a customer's token.
pub(super) fn basic(token: &str) -> String {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("token:{token}"));
    format!("Basic {pair}")
}
