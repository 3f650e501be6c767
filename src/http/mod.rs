//! HTTP: the receiver of webhooks, the admin API and its two dialects, the access check, health and
//! figures.
//!
//! [`router`] assembles the routes, [`serve`] listens. State is assembled once, by
//! [`Server`](crate::server::Server), and passed in as an [`AppState`]; handlers get everything
//! from it and from extractors: [`Admin`] for the caller, [`ValidJson`], [`ValidQuery`] and
//! [`ValidPath`] for the request. Every refusal is an [`ApiError`], including those for unknown
//! paths and methods and for handlers that panic.

pub mod access;
mod access_answer;
mod admin;
mod api;
mod apps;
pub mod auth;
#[cfg(test)]
mod auth_tests;
mod body_budget;
pub mod client_addr;
mod composer;
mod connection_limit;
mod console;
mod cors;
mod customer_token;
pub mod description;
mod docs;
pub mod endpoints;
pub mod error;
mod error_causes;
mod fallback;
mod field_errors;
mod form_once;
mod head;
mod head_timer;
mod health;
mod idempotency;
pub mod input;
pub mod limits;
mod location;
mod merchant;
mod metrics;
mod named_app;
pub mod openapi;
mod portal;
mod precondition;
mod problem_body;
mod question;
mod readers;
mod reason;
mod request_id;
mod request_layer;
mod routes;
mod scraper;
mod scrapers;
mod server;
mod sign_ins;
mod state;
mod subscriber;
pub mod throttle;
mod unread;
pub mod usage;
mod webhook;
mod write_timeout;
mod wrong_tokens;

use axum::{Extension, Router, middleware};
use tokio::sync::watch;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::metrics::Metrics;
use crate::store::Trouble;

pub(crate) use admin::lines;
pub use auth::{Admin, Reading};
pub use client_addr::ClientAddr;
pub use endpoints::Endpoints;
pub use error::ApiError;
use fallback::Address;
pub use input::{ValidJson, ValidPath, ValidQuery};
pub use limits::Limits;
pub use server::serve;
pub use sign_ins::SignIns;
pub use state::{AppState, HttpSettings, Parts, Roles};
pub use usage::Usage;

/// Returns all routes of this process, for one address.
pub fn router(state: AppState) -> Router {
    let ops = health::router().merge(metrics::router());
    let cors = cors::layer(&state.settings);
    let routes: Router<AppState> = routes_of(&state).merge(ops).into();
    let routes = routes.merge(portal::router(&state));
    let routes = routes.merge(console::router(&state));
    framed(routes, state, cors, Address::Only)
}

/// Returns all routes except those of [`ops_router`], for a process with two addresses.
pub fn service_router(state: AppState) -> Router {
    let cors = cors::layer(&state.settings);
    let routes: Router<AppState> = routes_of(&state).into();
    let routes = routes.merge(portal::router(&state));
    framed(routes, state, cors, Address::Service)
}

/// Returns the routes for operators: the health checks and the figures, for which whoever reaches
/// their address needs no token, and the console.
pub fn ops_router(state: AppState) -> Router {
    let routes = health::router().merge(metrics::open_router());
    let routes: Router<AppState> = routes.into();
    let routes = routes.merge(console::router(&state));
    framed(routes, state, None, Address::Operators)
}

/// Returns the routes of a process that waits for its database, for all its addresses: 503, but for
/// `/healthz`.
pub fn waiting_router(trouble: watch::Receiver<Trouble>) -> Router {
    let routes = health::waiting_router(trouble);
    // Nobody reads figures of a process that has not started.
    request_layer::wrap(routes, Metrics::default().requests)
}

fn routes_of(state: &AppState) -> OpenApiRouter<AppState> {
    let roles = state.settings.roles;
    if !roles.api {
        // The rest is not even made: its description alone is megabytes.
        return routes::described(roles, OpenApiRouter::default(), description::document);
    }
    let once = middleware::from_fn_with_state(state.clone(), idempotency::once);
    let admin = routes::admin();
    let reads = unread::Reads::of(admin.get_openapi());
    let admin = admin
        .route_layer(Extension(reads))
        .route_layer(middleware::from_fn(named_app::located))
        .route_layer(middleware::from_fn_with_state(
            state.readers().clone(),
            readers::of_api,
        ))
        .route_layer(once)
        .route_layer(middleware::from_fn(input::uncompressed));
    let routes = routes::described(roles, admin, description::document);
    routes.merge(merchant::router(state).into())
}

fn framed(
    routes: Router<AppState>,
    state: AppState,
    cors: Option<CorsLayer>,
    address: Address,
) -> Router {
    let metrics = state.metrics.requests.clone();
    let served = routes
        .fallback(fallback::no_such_path)
        .method_not_allowed_fallback(fallback::no_such_method)
        .with_state(state)
        // Asked for by the answers to unknown paths, of which the routes of merchants have their own.
        .layer(Extension(address));
    // Around the answers to unknown methods too: what a browser asks first is one.
    let served = match cors {
        Some(cors) => served.layer(cors),
        None => served,
    };
    request_layer::wrap(served, metrics)
}
