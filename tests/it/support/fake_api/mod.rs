//! The providers' APIs, played by a server of our own: paths, pages, keys, versions and clocks as
//! `spec/providers.md` has them, and what goes wrong on the way.

mod faults;
mod history;
mod objects;
mod paddle;
mod stripe;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::{AppSlug, Provider};
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::apis::Apis;
use tollgate::provider::STRIPE;
use tollgate::provider::api::{Api, ApiSettings};

pub(crate) use faults::Fault;
pub(crate) use history::{fold, is_own};
pub(crate) use objects::{Generated, List, Memory, Objects};

/// The key that opens it.
pub(crate) const KEY: &str = "sk_live_TESTONLY0123456789";

/// A client of Stripe's API, of which nobody listens.
pub(crate) fn nobodys_api() -> Api {
    crate::support::client();
    let settings = ApiSettings {
        key: KEY.into(),
        base: Some("http://127.0.0.1:9".parse().unwrap()),
    };
    Api::new(STRIPE.name, settings).unwrap()
}

/// A provider.
pub(crate) struct FakeApi {
    pub(crate) address: SocketAddr,
    provider: Provider,
    shared: Arc<Shared>,
}

struct Shared {
    provider: Provider,
    objects: Arc<dyn Objects>,
    /// How far its clock is from ours, in seconds.
    ahead: AtomicI64,
    faults: Mutex<BTreeMap<usize, Fault>>,
    between: Mutex<BTreeMap<usize, Box<dyn FnOnce() + Send>>>,
    count: AtomicUsize,
    asked: Mutex<Vec<String>>,
    most: AtomicUsize,
}

impl FakeApi {
    /// Serves these objects.
    pub(crate) async fn serve(provider: Provider, objects: Arc<dyn Objects>) -> Self {
        let shared = Arc::new(Shared {
            provider,
            objects,
            ahead: AtomicI64::default(),
            faults: Mutex::default(),
            between: Mutex::default(),
            count: AtomicUsize::default(),
            asked: Mutex::default(),
            most: AtomicUsize::new(200),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            provider,
            shared,
        }
    }

    /// Its address, for settings.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client that asks as fast as it can.
    pub(crate) fn api(&self) -> Api {
        self.api_with(KEY)
    }

    /// The same with another key.
    pub(crate) fn api_with(&self, key: &str) -> Api {
        crate::support::client();
        let settings = ApiSettings {
            key: key.into(),
            base: Some(self.base().parse().unwrap()),
        };
        let api = Api::new(self.provider, settings).unwrap();
        api.every(Duration::ZERO)
    }

    /// What a process has that can ask it for the app `default`.
    pub(crate) fn apis(&self) -> Apis {
        Apis::default().and(AppSlug::default_app(), self.api())
    }

    /// Sets its clock so far ahead of ours, in seconds.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.shared.ahead.store(seconds, Ordering::SeqCst);
    }

    /// What its clock shows.
    pub(crate) fn now(&self) -> i64 {
        SystemClock.now().seconds() + self.shared.ahead.load(Ordering::SeqCst)
    }

    /// Gives no more than so many objects a page.
    pub(crate) fn set_page(&self, most: usize) {
        self.shared.most.store(most, Ordering::SeqCst);
    }

    /// Has something happen to a request, by its number from now on: 0 is the next.
    pub(crate) fn fail(&self, number: usize, fault: Fault) {
        let number = self.shared.count.load(Ordering::SeqCst) + number;
        self.shared.faults.lock().unwrap().insert(number, fault);
    }

    /// Does something before a request is answered, by its number from now on.
    pub(crate) fn before(&self, number: usize, act: impl FnOnce() + Send + 'static) {
        let number = self.shared.count.load(Ordering::SeqCst) + number;
        let mut between = self.shared.between.lock().unwrap();
        between.insert(number, Box::new(act));
    }

    /// The paths that were asked for, with their queries.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

/// A question about a list or an object.
pub(super) struct Question {
    pub(super) list: List,
    pub(super) id: Option<String>,
    pub(super) query: BTreeMap<String, String>,
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let number = shared.count.fetch_add(1, Ordering::SeqCst);
    let uri = request.uri().clone();
    shared.asked.lock().unwrap().push(uri.to_string());
    let act = shared.between.lock().unwrap().remove(&number);
    if let Some(act) = act {
        act();
    }
    let fault = shared.faults.lock().unwrap().remove(&number);
    let (status, body) = reply(&shared, &uri, request.headers());
    faults::respond(fault, status, body, || date(&shared)).await
}

fn reply(shared: &Shared, uri: &axum::http::Uri, headers: &HeaderMap) -> (StatusCode, Value) {
    let is_stripe = shared.provider == STRIPE.name;
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|it| it.to_str().ok());
    if authorization != Some(&format!("Bearer {KEY}")) {
        let error = if is_stripe {
            json!({"error": {"type": "invalid_request_error", "code": "api_key_invalid"}})
        } else {
            json!({"error": {"type": "request_error", "code": "authentication_malformed"}})
        };
        return (StatusCode::UNAUTHORIZED, error);
    }
    let version = if is_stripe {
        "stripe-version"
    } else {
        "paddle-version"
    };
    assert!(headers.contains_key(version), "{version} is missing");
    let query = uri.query().unwrap_or_default();
    let query = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    let query = query.query_pairs().into_owned().collect();
    let most = shared.most.load(Ordering::SeqCst);
    let objects = &*shared.objects;
    if is_stripe {
        match stripe::question(uri.path(), query) {
            Some(question) => stripe::reply(objects, &question, most),
            None => stripe::no_path(),
        }
    } else {
        match paddle::question(uri.path(), query) {
            Some(question) => paddle::reply(objects, &question, most),
            None => paddle::no_path(),
        }
    }
}

/// `Date` in whole seconds, as HTTP has it.
fn date(shared: &Shared) -> String {
    let now = SystemClock.now().seconds() + shared.ahead.load(Ordering::SeqCst);
    let at = chrono::DateTime::<chrono::Utc>::from_timestamp(now, 0).unwrap();
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A response with the provider's clock.
pub(super) fn response(status: StatusCode, date: &str, body: Body) -> Response {
    Response::builder()
        .status(status)
        .header(header::DATE, date)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap()
}

/// The instant of a text or of seconds.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    let text = value.as_str().and_then(Timestamp::parse);
    value.as_i64().or(text.map(Timestamp::seconds))
}
