//! A test event: signed with a secret of the endpoint, and on the way that webhooks go, from the check
//! of the signature to the ledger. It is of a type that no provider has, so nothing of it is applied.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::Form;
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::http::client_addr::ClientAddr;
use crate::http::webhook::{self, Sender, Target};
use crate::http::{ApiError, AppState};
use crate::pipeline::events;
use crate::pipeline::secrets;
use crate::provider::Spec;
use crate::random;

/// How long the answer waits for the outcome: workers usually need a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time between looks.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/endpoints/test", get(ask).post(send))
}

async fn ask(visitor: Visitor, asked: Asked) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let name = asked.parse::<&Spec>("provider")?.name;
    let act = Confirm {
        title: format!("Send a test event of {name}?"),
        meaning: "It is signed with the newest secret and goes the way of webhooks, to the ledger. Nothing of \
                  it is applied, and it does not count as a webhook of the provider.",
        facts: vec![("Goes to", format!("/webhooks/{}/{name}", visitor.app))],
        path: "/console/endpoints/test".to_owned(),
        hidden: vec![("provider", name.to_string())],
        button: "Send it",
        back: format!("/console/endpoints#{name}"),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "endpoints", act)
}

async fn send(
    State(state): State<AppState>,
    client: ClientAddr,
    form: Form,
) -> Result<Response, Refusal> {
    let spec = form.fields.parse::<&Spec>("provider")?;
    let (app, order) = (&form.visitor.app, form.order(&state)?);
    let now = order.now;
    let known = state.endpoints.secrets(app, spec.name, now);
    let secret = known.ok().and_then(|known| known.into_iter().next_back());
    let Some(secret) = secret else {
        let detail = "there is no secret to sign with; add one first";
        return Err(ApiError::conflict("endpoint_unknown", detail).into());
    };
    let id = random::uuid(now).map_err(ApiError::internal)?;
    let id = format!("evt_test_{}", id.simple());
    let body = spec.test_event(&id, now, secret.mode);
    let signature = spec.sign(&secret.key, body.as_bytes(), now);
    let signature = HeaderValue::from_str(&signature).map_err(ApiError::internal)?;
    let name = HeaderName::from_bytes(spec.header.as_bytes()).map_err(ApiError::internal)?;
    let headers = HeaderMap::from_iter([(name, signature)]);
    secrets::note_test(&state.store, &order, spec.name, &id).await?;
    let target = Target::new(app.as_str(), spec.name.as_str());
    let sender = (client.0, Sender::Admin);
    webhook::accept(&state, &target, sender, headers, Body::from(body)).await?;
    wait(&state, app, &id).await?;
    let name = spec.name;
    Ok(Redirect::to(&format!("/console/endpoints?test={id}#{name}")).into_response())
}

/// Waits for the event's row in the ledger, for a while.
async fn wait(state: &AppState, app: &AppSlug, id: &str) -> Result<(), ApiError> {
    let waiting = async {
        while events::find(&state.store, app, id).await?.is_none() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(found) => found,
        // The page says that it is under way.
        Err(_elapsed) => Ok(()),
    }
}
