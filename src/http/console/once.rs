//! A form that makes something and is sent twice makes one thing.
//!
//! The script of the pages sends a form once, however often its button is pressed. Without it a browser
//! sends the form each time, and shows the last answer. So a form that makes something holds a key, drawn
//! with its page, and what is sent again with it gets the first answer, as a request of the API does with
//! its `Idempotency-Key` ([`idempotency`]). Unlike there the second one waits for the first: somebody
//! looks at the page, and has nothing else to send. A form that was filled in anew is another one,
//! whatever its key, and so is one that was refused: what it met may have changed. A form that takes something
//! away holds one too: the second one would be told that there is no such thing.
//!
//! Forms that only set a state have no key. Sent twice they change nothing the second time, and the same
//! form may be meant again after the state has changed.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::form;
use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::http::{AppState, form_once, idempotency};

/// The layer around all pages.
pub(super) async fn once(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    if parts.method != Method::POST || form::check_sender(&parts).is_err() {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let Ok(visitor) = Visitor::from_request_parts(&mut parts, &state).await else {
        // The handler refuses it with its own page.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let bytes = form::body_of(&parts, body, &state).await?;
    let fields = form::fields_of(&bytes)?;
    let key = fields.get(form_once::FIELD).map(str::to_owned);
    let is_known = fields.check_page(&visitor).is_ok() && visitor.may_act();
    let request = Request::from_parts(parts, Body::from(bytes.clone()));
    let Some(key) = key.filter(|_| is_known) else {
        return Ok(next.run(request).await);
    };
    let id = idempotency::digest(&[
        b"console",
        visitor.admin.actor.to_string().as_bytes(),
        key.as_bytes(),
        request.uri().path().as_bytes(),
        &bytes,
    ]);
    Ok(form_once::answer_form(state, id, request, next).await?)
}
