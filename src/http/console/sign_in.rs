//! Signing in and out, and looking at another app.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::form::{self, AnyForm};
use super::place::{PLACE, VERSION, is_ours};
use super::refusal::Refusal;
use super::session::{self, Session};
use super::visitor::is_secure;
use crate::domain::access::token::TokenHash;
use crate::domain::id::AppSlug;
use crate::http::api::visible_app;
use crate::http::input::pairs;
use crate::http::{ApiError, AppState, auth};
use crate::pipeline::sessions;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/sign-in", get(show).post(enter))
        .route("/sign-in/{once}", get(enter_once))
        .route("/sign-out", post(leave))
        .route("/app", post(switch))
}

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/console/askama.toml")]
struct Page {
    version: &'static str,
    next: String,
    refused: Option<String>,
}

/// What is said to whoever sent a form after the session had ended.
const LOST: &str =
    "Your session had ended, so nothing of what you sent was done. Sign in, and send it again.";

async fn show(uri: Uri) -> Result<Response, Refusal> {
    let asked = pairs(&uri);
    let next = asked.iter().find(|(name, _)| name == "next");
    let lost = asked.iter().any(|(name, _)| name == "lost");
    let lost = lost.then(|| LOST.to_owned());
    page(StatusCode::OK, next.map(|(_, path)| path.as_str()), lost)
}

fn page(
    status: StatusCode,
    next: Option<&str>,
    refused: Option<String>,
) -> Result<Response, Refusal> {
    let page = Page {
        version: VERSION,
        next: next
            .filter(|path| is_ours(path))
            .unwrap_or(PLACE)
            .to_owned(),
        refused,
    };
    let html = page.render().map_err(ApiError::internal)?;
    Ok((status, Html(html)).into_response())
}

async fn enter(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let fields = form::read(&parts, body, &state).await?;
    let next = fields.get("next");
    let Some(token) = fields.get("token") else {
        let refused = Some("Enter an admin token.".to_owned());
        return page(StatusCode::UNPROCESSABLE_ENTITY, next, refused);
    };
    let hash = TokenHash::of(token);
    let admin = match auth::admit(&hash, &parts, &state).await {
        Ok(admin) => admin,
        Err(refusal @ (ApiError::Unauthorized { .. } | ApiError::TooManyFailures { .. })) => {
            let refused = match &refusal {
                ApiError::TooManyFailures { .. } => {
                    "Too many wrong tokens came from your address. Try again in a minute."
                }
                _ if refusal.code() == "token_expired" => "This token has run out.",
                _ => "There is no such admin token.",
            };
            return page(refusal.status(), next, Some(refused.to_owned()));
        }
        Err(other) => return Err(other.into()),
    };
    let target = next.filter(|path| is_ours(path)).unwrap_or(PLACE);
    begin(&state, &parts, hash, admin.app, target)
}

/// Begins a session, and leads to a page.
fn begin(
    state: &AppState,
    parts: &Parts,
    hash: TokenHash,
    app: Option<AppSlug>,
    target: &str,
) -> Result<Response, Refusal> {
    let now = state.clock.now();
    let session = Session::begin(hash, app.unwrap_or_else(AppSlug::default_app), now)?;
    let cookie = session.cookie(&state.vault, now, is_secure(parts, state))?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(target)).into_response())
}

/// Signs in whoever opens a link first that this process has offered.
async fn enter_once(
    State(state): State<AppState>,
    Path(once): Path<String>,
    parts: Parts,
) -> Result<Response, Refusal> {
    let taken = state.sign_ins.take(&once, state.clock.now());
    let Some(hash) = taken else {
        let unknown = ApiError::Unauthorized {
            code: "sign_in_link_unknown",
            detail: "this link was used before, or has run out".into(),
        };
        let refusal = auth::count_failure(unknown, &parts, &state);
        let refused = "This link was used before, or has run out.".to_owned();
        return page(refusal.status(), None, Some(refused));
    };
    let admin = auth::admit(&hash, &parts, &state).await?;
    begin(&state, &parts, hash, admin.app, PLACE)
}

async fn leave(State(state): State<AppState>, form: AnyForm) -> Result<Response, Refusal> {
    let session = &form.visitor.session;
    sessions::end(&state.store, &session.digest(), session.ends_at()).await?;
    let forgotten = [(SET_COOKIE, session::forgotten(form.visitor.is_secure)?)];
    Ok((forgotten, Redirect::to("/console/sign-in")).into_response())
}

/// Looks at another app. The choice is part of the session, so addresses of pages stay short; forms
/// name the app that they are of.
async fn switch(
    State(state): State<AppState>,
    AnyForm { visitor, fields }: AnyForm,
) -> Result<Response, Refusal> {
    let wanted = fields.need("to")?;
    let mut admin = visitor.admin.clone();
    if visitor.sees_all_apps {
        admin.app = None;
    }
    let app = visible_app(&state, &admin, wanted).await?;
    let session = visitor.session.looking_at(app.slug);
    let now = state.clock.now();
    let cookie = session.cookie(&state.vault, now, visitor.is_secure)?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to(PLACE)).into_response())
}
