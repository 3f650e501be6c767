//! The field that finds anything.
//!
//! It is sent in the body: what is looked for may be a token or a licence key, and browsers and proxies keep
//! addresses. Only what cannot be one goes on to the list, whose address people send each other.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;

use super::event_row::path_of;
use super::form::AnyForm;
use super::refusal::Refusal;
use crate::http::input::written;
use crate::http::{ApiError, AppState};
use crate::pipeline::search::{self, Exactly};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/search", post(find))
}

async fn find(State(state): State<AppState>, form: AnyForm) -> Result<Response, Refusal> {
    let Some(text) = form.fields.get("q") else {
        return Ok(Redirect::to("/console/customers").into_response());
    };
    let (app, now) = (&form.visitor.app, state.clock.now());
    let path = match search::one(&state.store, app, text, now).await? {
        Some(found) => path_to(&found),
        None if search::may_be_secret(text) => {
            let detail = "nobody has this token or licence key: it was revoked, rotated or erased, is of another \
                          app, or was copied in part";
            return Err(ApiError::not_found("customer_not_found", detail).into());
        }
        None => {
            let query = written(&[("q".to_owned(), text.to_owned())]);
            format!("/console/customers?{}", query.query().unwrap_or_default())
        }
    };
    Ok(Redirect::to(&path).into_response())
}

/// The page of the one thing that was found.
pub(super) fn path_to(found: &Exactly) -> String {
    match found {
        Exactly::Customer(id) => format!("/console/customers/{id}"),
        Exactly::Event(id) => path_of(id),
    }
}
