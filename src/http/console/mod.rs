//! The console, `/console`: pages for admins, made on the server.
//!
//! Handlers call the same use cases as the API and dress what these return in a template, so an act
//! is checked, audited and limited wherever it comes from. Forms and links do all the work: htmx
//! and a small script of our own only spare a reload. Both, and the one style sheet, are part of
//! this program.
//!
//! Nothing on a page is trusted to be ours: templates escape every value, and the policy below makes
//! browsers refuse inline scripts and styles, other hosts, and being framed. A change needs a
//! session ([`session`]), a role that allows it, the session's own token in the form, and a request
//! that the browser says comes from a page of ours ([`form`]). What makes something makes it once
//! ([`once`]).

mod accounts;
mod activation_act;
mod acts;
mod admins;
mod assets;
mod audit;
mod composer;
mod confirm;
mod customer;
mod customer_view;
mod customers;
mod days;
mod effect;
mod endpoints;
mod event;
mod event_acts;
mod event_row;
mod events;
mod flags;
mod form;
mod grants;
mod hook_acts;
mod hooks;
mod issued;
mod latency;
mod license_act;
mod licenses;
mod once;
mod overview;
mod package_acts;
mod packages;
mod page;
mod pauses;
mod place;
mod plans;
mod policy;
mod query;
mod reconciles;
mod refusal;
mod replays;
mod search;
mod secret_acts;
mod session;
mod sign_in;
mod test_event;
mod timeline;
mod tokens;
mod undo;
mod visitor;
mod when;
mod words;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{Redirect, Response};
use axum::routing::{any, get};

use super::AppState;
pub(super) use assets::STYLE;
use place::PLACE;
use refusal::Refusal;
use visitor::Visitor;

/// Only our own files, and nothing inline. Pages may be framed by nobody.
const ONLY_OURS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Other sites learn nothing of what is looked at. With `no-referrer` browsers would send `Origin:
/// null` with our own forms too (<https://fetch.spec.whatwg.org/#append-a-request-origin-header>).
const TO_OURSELVES: HeaderValue = HeaderValue::from_static("same-origin");

/// Everything below `/console`; nothing where the settings turn it off, or this process does not
/// serve the API.
pub(super) fn router(state: &AppState) -> Router<AppState> {
    if !state.settings.console || !state.settings.roles.api {
        return Router::new();
    }
    let routes = Router::new()
        .route("/", get(home))
        .merge(sign_in::router())
        .merge(search::router())
        .merge(customers::router())
        .merge(customer::router())
        .merge(acts::router())
        .merge(grants::router())
        .merge(accounts::router())
        .merge(tokens::router())
        .merge(licenses::router())
        .merge(license_act::router())
        .merge(activation_act::router())
        .merge(events::router())
        .merge(event::router())
        .merge(event_acts::router())
        .merge(replays::router())
        .merge(flags::router())
        .merge(overview::router())
        .merge(latency::router())
        .merge(pauses::router())
        .merge(policy::router())
        .merge(plans::router())
        .merge(packages::router())
        .merge(package_acts::router())
        .merge(endpoints::router())
        .merge(secret_acts::router())
        .merge(test_event::router())
        .merge(hooks::router())
        .merge(hook_acts::router())
        .merge(reconciles::router())
        .merge(audit::router())
        .merge(admins::router())
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_page)
        .layer(middleware::from_fn_with_state(state.clone(), as_reader))
        // Files need no connection to the store.
        .merge(assets::router())
        .layer(middleware::from_fn_with_state(state.clone(), once::once))
        .layer(middleware::map_response(dressed));
    Router::new()
        .nest(PLACE, routes)
        // A nested router is not asked about its place with a slash at the end.
        .route(&format!("{PLACE}/"), any(Redirect::permanent(PLACE)))
        // Whoever types the server's name into a browser looks for this.
        .route("/", get(Redirect::to(PLACE)))
}

/// Limits who reads the console, together with the API.
async fn as_reader(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let answered = state.readers().run(request, next).await;
    answered.map_err(Refusal::Error)
}

async fn home(_visitor: Visitor) -> Redirect {
    Redirect::to("/console/overview")
}

async fn no_such_page() -> Refusal {
    Refusal::no_such_page()
}

/// Adds what holds for all pages. What an htmx request gets is a part of a page, at the same address.
async fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, ONLY_OURS);
    headers.insert(REFERRER_POLICY, TO_OURSELVES);
    headers.append(VARY, HeaderValue::from_static("hx-request"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}
