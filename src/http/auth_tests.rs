//! Signing in, against a real store and a router with one route for each kind of guard.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Request};
use axum::routing::{get, post};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use super::throttle::Throttle;
use super::{
    Address, Admin, ApiError, AppState, Endpoints, HttpSettings, Limits, Parts, Reading, Roles,
    Usage, framed,
};
use crate::clock::Clock;
use crate::composer::upstream::Upstream;
use crate::domain::access::token::{AdminToken, TokenHash};
use crate::domain::id::AdminTokenId;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;
use crate::pipeline::acknowledged::Acknowledged;
use crate::pipeline::figures::Figures;
use crate::pipeline::health::Health;
use crate::pipeline::registries::Repositories;
use crate::queue::{Depths, Message, Publisher, QueueError};
use crate::store::Store;
use crate::vault::Vault;

const ROOT: &str = "a-root-token-of-the-settings";
const NOW: Timestamp = Timestamp::from_nanos(1_000);

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Nowhere;

#[async_trait]
impl Publisher for Nowhere {
    async fn publish(&self, _: Message) -> Result<(), QueueError> {
        Err(QueueError::Closed)
    }

    async fn ready(&self) -> Result<(), QueueError> {
        Err(QueueError::Closed)
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        Err(QueueError::Closed)
    }
}

struct Rig {
    router: Router,
    store: Store,
    _folder: TempDir,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        for (name, role, expires_at) in [
            ("viewer", Role::Viewer, None),
            ("admin", Role::Admin, None),
            ("owner", Role::Owner, Some(Timestamp::from_nanos(1_001))),
            ("late", Role::Owner, Some(NOW)),
        ] {
            add_token(&store, name, role, expires_at).await;
        }
        let vault = Vault::new(&[7; 32]);
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        let figures = Figures::new(store.clone(), Arc::clone(&clock));
        let state = AppState::new(Parts {
            health: Health::new(store.clone(), Arc::clone(&clock)),
            endpoints: Endpoints::new(store.clone(), vault.clone(), Arc::clone(&clock), Vec::new()),
            store: store.clone(),
            publisher: Arc::new(Nowhere),
            clock,
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
                payloads_for: Role::Admin,
            },
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
            sign_ins: super::SignIns::default(),
            usage: Usage::default(),
            apis: crate::pipeline::apis::Apis::default(),
            hooks: crate::pipeline::hooks::Destinations::new(true),
            metrics: Metrics::default(),
            figures,
            acknowledged: Acknowledged::default(),
        });
        let routes = Router::new()
            .route("/thing", get(who).post(who).delete(who))
            .route("/question", post(who_reads))
            .route("/owned", get(who_owns));
        Self {
            router: framed(routes, state, None, Address::Only),
            store,
            _folder: folder,
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn with_token(&self, method: &str, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send(method, path, &[("authorization", &bearer)]).await
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn code(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        Some(problem["code"].as_str()?.to_owned())
    }
}

async fn add_token(store: &Store, name: &str, role: Role, expires_at: Option<Timestamp>) {
    let token = AdminToken {
        id: AdminTokenId::from_uuid(Uuid::now_v7()),
        app: None,
        name: name.to_owned(),
        role,
        prefix: String::new(),
        created_at: Timestamp::from_nanos(1),
        expires_at,
        last_used_at: None,
    };
    let mut tx = store.begin().await.unwrap();
    tx.admin_token_add(&token, &TokenHash::of(name))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn who(admin: Admin) -> String {
    admin.role.to_string()
}

async fn who_reads(Reading(admin): Reading) -> String {
    admin.role.to_string()
}

async fn who_owns(admin: Admin) -> Result<String, ApiError> {
    admin.require(Role::Owner)?;
    Ok(admin.actor.to_string())
}

#[tokio::test]
async fn each_role_has_exactly_its_rights() {
    let rig = Rig::start().await;
    let cases = [
        ("viewer", "GET", "/thing", 200),
        ("viewer", "HEAD", "/thing", 200),
        ("viewer", "POST", "/thing", 403),
        ("viewer", "DELETE", "/thing", 403),
        ("viewer", "POST", "/question", 200),
        ("viewer", "GET", "/owned", 403),
        ("admin", "POST", "/thing", 200),
        ("admin", "DELETE", "/thing", 200),
        ("admin", "GET", "/owned", 403),
        ("owner", "POST", "/thing", 200),
        ("owner", "GET", "/owned", 200),
        (ROOT, "GET", "/owned", 200),
    ];
    for (token, method, path, status) in cases {
        let answer = rig.with_token(method, path, token).await;
        assert_eq!(
            answer.status, status,
            "{token} {method} {path}: {}",
            answer.body
        );
        if status == 403 {
            assert_eq!(
                answer.code().as_deref(),
                Some("role_insufficient"),
                "{token}"
            );
        }
    }
    assert_eq!(
        rig.with_token("GET", "/owned", ROOT).await.body,
        "admin:root"
    );
}

#[tokio::test]
async fn without_a_valid_token_nothing_opens() {
    let rig = Rig::start().await;
    let cases = [
        ("no token", vec![], "token_missing"),
        (
            "another scheme",
            vec![("authorization", "Basic b3duZXI=")],
            "token_missing",
        ),
        (
            "an unknown one",
            vec![("authorization", "Bearer nobody")],
            "token_unknown",
        ),
        (
            "one that ran out now",
            vec![("authorization", "Bearer late")],
            "token_expired",
        ),
        (
            "an unknown cookie",
            vec![("cookie", "access_token=nobody")],
            "token_unknown",
        ),
    ];
    for (description, headers, code) in cases {
        for (method, path) in [("GET", "/thing"), ("POST", "/question"), ("GET", "/owned")] {
            let answer = rig.send(method, path, &headers).await;
            assert_eq!(answer.status, 401, "{description} {method} {path}");
            assert_eq!(
                answer.code().as_deref(),
                Some(code),
                "{description} {method} {path}"
            );
            assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer", "{description}");
        }
    }
}

#[tokio::test]
async fn a_cookie_changes_things_only_from_our_own_pages() {
    let rig = Rig::start().await;
    let cookie = ("cookie", "access_token=admin");
    let cross = ("sec-fetch-site", "cross-site");
    let cases = [
        (
            "reading from anywhere",
            "GET",
            vec![cookie, cross],
            200,
            None,
        ),
        (
            "changing from anywhere",
            "DELETE",
            vec![cookie, cross],
            403,
            Some("cross_origin"),
        ),
        (
            "changing from here",
            "DELETE",
            vec![cookie, ("sec-fetch-site", "same-origin")],
            200,
            None,
        ),
        ("no browser", "POST", vec![cookie], 200, None),
        (
            "a form",
            "POST",
            vec![cookie, ("content-type", "text/plain")],
            415,
            Some("unsupported_media_type"),
        ),
        (
            "a bearer token beside it",
            "POST",
            vec![cookie, cross, ("authorization", "Bearer admin")],
            200,
            None,
        ),
    ];
    for (description, method, headers, status, code) in cases {
        let answer = rig.send(method, "/thing", &headers).await;
        assert_eq!(answer.status, status, "{description}: {}", answer.body);
        assert_eq!(answer.code().as_deref(), code, "{description}");
    }
}

#[tokio::test]
async fn failed_sign_ins_are_limited_and_missing_or_valid_tokens_are_not() {
    let rig = Rig::start().await;
    for count in 0..150 {
        assert_eq!(
            rig.send("GET", "/thing", &[]).await.status,
            401,
            "missing {count}"
        );
    }
    let mut limited = None;
    for count in 0..200 {
        let answer = rig.with_token("GET", "/thing", "nobody").await;
        if answer.status == 429 {
            assert!(count >= 100, "limited after {count}");
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401, "failure {count}");
    }
    let limited = limited.expect("a limit");
    assert_eq!(limited.code().as_deref(), Some("too_many_failures"));
    assert_eq!(limited.headers[RETRY_AFTER], "1");
    assert_eq!(rig.with_token("GET", "/thing", "viewer").await.status, 200);
    assert_eq!(rig.send("GET", "/thing", &[]).await.status, 401);
}

#[tokio::test]
async fn while_the_store_is_away_only_the_root_token_is_known() {
    let rig = Rig::start().await;
    rig.store.close().await;
    let answer = rig.with_token("GET", "/thing", "viewer").await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (503, Some("unavailable"))
    );
    assert_eq!(rig.with_token("GET", "/thing", ROOT).await.status, 200);
}
