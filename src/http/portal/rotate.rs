//! Rotating a token: the customer's own act.

use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::post;

use super::page::{Holder, auth_json};
use super::place::VERSION;
use super::refusal::Refusal;
use crate::http::input::{pairs_of, read_body};
use crate::http::{ApiError, AppState};
use crate::pipeline::order::Order;
use crate::pipeline::tokens::{self, TokenError};
use crate::store::Actor;

/// How long the text before goes on working, unless it is to stop at once: time to put the new one in
/// place.
const OVERLAP: Duration = Duration::from_hours(24);

/// The largest form, in bytes: it has one field.
const LARGEST: usize = 1024;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/{link}/tokens/{token}/rotate", post(rotate))
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
    let time = state.settings.limits.body_time;
    let mut share = state.api_bodies().share();
    let bytes = read_body(&parts.headers, body, LARGEST, time, &mut share).await?;
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
