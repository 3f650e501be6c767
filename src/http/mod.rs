//! HTTP: the receiver of webhooks, the admin API and its two dialects, the access check, and health.
//!
//! [`router`] assembles the routes, [`serve`] listens. State is assembled once, by
//! [`Server`](crate::server::Server), and passed in as an [`AppState`]; handlers get everything
//! from it and from extractors: [`Admin`] for the caller, [`ValidJson`], [`ValidQuery`] and
//! [`ValidPath`] for the request. Every refusal is an [`ApiError`], including those for unknown
//! paths and methods and for handlers that panic.

pub mod access;
mod admin;
mod api;
mod apps;
pub mod auth;
#[cfg(test)]
mod auth_tests;
pub mod client_addr;
mod connection_limit;
mod docs;
pub mod endpoints;
pub mod error;
mod field_errors;
mod frame;
mod health;
mod idempotency;
pub mod input;
pub mod limits;
mod merchant;
pub mod openapi;
mod server;
pub mod throttle;
pub mod usage;
mod webhook;
mod write_timeout;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use ipnet::IpNet;
use utoipa_axum::router::OpenApiRouter;

pub use auth::{Admin, Reading};
pub use client_addr::ClientAddr;
pub use endpoints::Endpoints;
pub use error::ApiError;
pub use input::{ValidJson, ValidPath, ValidQuery};
pub use limits::Limits;
pub use server::serve;
use throttle::Throttle;
pub use usage::Usage;

use crate::clock::Clock;
use crate::domain::access::token::TokenHash;
use crate::queue::Publisher;
use crate::store::Store;
use crate::store::vault::Vault;

/// The roles of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Receives webhooks.
    pub receiver: bool,
    /// Processes events. Over HTTP it serves only health checks.
    pub worker: bool,
    /// Serves the admin API and the access check.
    pub api: bool,
}

impl Roles {
    /// All roles.
    pub const ALL: Self = Self {
        receiver: true,
        worker: true,
        api: true,
    };
}

/// The settings of HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The roles, which decide the routes and the checks of `/readyz`.
    pub roles: Roles,
    /// Maximum age of a signature, in either direction. Whole seconds.
    pub signature_tolerance: Duration,
    /// Networks whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The hash of `ADMIN_TOKEN`, if it is set.
    pub root_token: Option<TokenHash>,
    /// Limits of sizes and times.
    pub limits: Limits,
}

/// Everything that handlers need.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The queue for webhooks and replays.
    pub publisher: Arc<dyn Publisher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The known webhook endpoints.
    pub endpoints: Endpoints,
    /// Encrypts webhook secrets.
    pub vault: Vault,
    /// The settings.
    pub settings: HttpSettings,
    /// Counts webhooks with bad signatures.
    pub bad_signatures: Throttle,
    /// Counts failed sign-ins.
    pub bad_tokens: Throttle,
    /// Counts the uses of tokens and secrets.
    pub usage: Usage,
}

/// [`Parts`], shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

impl AppState {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Returns all routes of this process, for one address.
pub fn router(state: AppState) -> Router {
    framed(routes_of(&state).merge(health::router()).into(), state)
}

/// Returns all routes except those of [`ops_router`], for a process with two addresses.
pub fn service_router(state: AppState) -> Router {
    framed(routes_of(&state).into(), state)
}

/// Returns the routes for operators' tools: the health checks.
pub fn ops_router(state: AppState) -> Router {
    framed(health::router().into(), state)
}

fn routes_of(state: &AppState) -> OpenApiRouter<AppState> {
    let once = middleware::from_fn_with_state(state.clone(), idempotency::once);
    let routes = described_routes(state.settings.roles, admin_routes().route_layer(once));
    if state.settings.roles.api {
        routes.merge(merchant::router(state).into())
    } else {
        routes
    }
}

/// Returns the routes of the admin API and of its dialect for apps.
fn admin_routes() -> OpenApiRouter<AppState> {
    admin::router().merge(apps::router())
}

/// Returns the routes of processes with these roles, except the health checks, which all have.
fn described_routes(roles: Roles, admin: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    let mut routes = OpenApiRouter::default();
    if roles.receiver {
        routes = routes.merge(webhook::router());
    }
    if roles.api {
        routes = routes
            .merge(admin)
            .merge(access::router())
            .merge(docs::router());
    }
    routes
}

fn framed(routes: Router<AppState>, state: AppState) -> Router {
    let served = routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(state);
    frame::around(served)
}

async fn no_such_path() -> ApiError {
    ApiError::not_found("path_unknown", "there is nothing at this path")
}

async fn no_such_method() -> ApiError {
    ApiError::MethodNotAllowed
}
