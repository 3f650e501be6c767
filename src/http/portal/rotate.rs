//! Rotating a token: the customer's own act.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::post;

use super::page::{Holder, auth_json};
use super::place::VERSION;
use super::refusal::Refusal;
use crate::http::input::{pairs_of, read_body};
use crate::http::{ApiError, AppState, form_once, idempotency};
use crate::pipeline::order::Order;
use crate::pipeline::tokens::{self, TokenError};
use crate::store::Actor;

/// How long the text before goes on working, unless it is to stop at once: time to put the new one in
/// place.
const OVERLAP: Duration = Duration::from_hours(24);

/// The largest form, in bytes: it has two fields.
const LARGEST: usize = 1024;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/{link}/tokens/{token}/rotate", post(rotate))
}

/// The layer around it: a form that is sent twice rotates once, as in the console. There is no script that
/// would send it once, and a second rotation ends the text that the customer's machines have.
pub(super) async fn once(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    let is_form = parts.method == Method::POST && is_ours(&parts.headers);
    if !is_form || Holder::is_refused(&mut parts, &state).await {
        // The handler says why.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let bytes = read(&parts, body, &state).await?;
    let fields = pairs_of(&String::from_utf8_lossy(&bytes));
    let key = fields
        .into_iter()
        .find(|(name, _)| name == form_once::FIELD);
    let request = Request::from_parts(parts, Body::from(bytes.clone()));
    let Some((_, key)) = key else {
        return Ok(next.run(request).await);
    };
    // The path has the link, which nobody else has.
    let path = request.uri().path().as_bytes();
    let id = idempotency::digest(&[b"portal", key.as_bytes(), path, &bytes]);
    Ok(form_once::answer_form(state, id, request, next).await?)
}

async fn read(parts: &Parts, body: Body, state: &AppState) -> Result<Bytes, ApiError> {
    let time = state.settings.limits.body_time;
    let mut share = state.api_bodies().share();
    read_body(&parts.headers, body, LARGEST, time, &mut share).await
}

#[derive(Template)]
#[template(path = "issued.html", config = "src/http/portal/askama.toml")]
struct Page {
    version: &'static str,
    path: String,
    name: String,
    text: String,
    auth_json: String,
    at_once: bool,
}

async fn rotate(
    State(state): State<AppState>,
    Holder { link, path }: Holder,
    Path((_, token)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    if !is_ours(&parts.headers) {
        return Err(Refusal::Foreign);
    }
    let bytes = read(&parts, body, &state).await?;
    let fields = pairs_of(&String::from_utf8_lossy(&bytes));
    let at_once = fields.iter().any(|(name, _)| name == "at_once");
    let overlap = if at_once { Duration::ZERO } else { OVERLAP };
    let token = token.parse().map_err(|_| TokenError::NotFound)?;
    let order = Order {
        app: link.app,
        actor: Actor::Customer,
        now: state.clock.now(),
        reason: None,
    };
    let issued = tokens::rotate(&state.store, &order, &link.customer, &token, overlap).await?;
    let text = issued.text.expose().to_owned();
    let page = Page {
        version: VERSION,
        path,
        name: issued.token.name,
        auth_json: auth_json(&parts.headers, &text),
        text,
        at_once,
    };
    let html = page.render().map_err(ApiError::internal)?;
    Ok(Html(html).into_response())
}

/// True unless the browser says that another site's page sent the form. `Origin` says nothing here:
/// with `no-referrer` it is `null` also for our own
/// (<https://fetch.spec.whatwg.org/#append-a-request-origin-header>).
fn is_ours(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_none_or(|site| site == "same-origin" || site == "none")
}
