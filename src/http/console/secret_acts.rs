//! Acts on the webhook secrets of an endpoint: adding one, and retiring or removing one after a question.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::confirm::{self, Confirm};
use super::form::Form;
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use crate::domain::mode::Mode;
use crate::domain::pasted_secret::{self, SecretUse};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::{ApiError, AppState};
use crate::pipeline::secrets::{self, NewSecret, SecretError};
use crate::provider::Spec;

/// How long a secret that is retired still counts: the providers sign with both for as long at most
/// (<https://docs.stripe.com/webhooks#roll-endpoint-secrets>).
const OVERLAP: Duration = Duration::from_hours(24);

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/endpoints/secrets", post(add))
        .route("/endpoints/act/{act}", get(ask).post(act))
}

/// Words of an act: its name, its title and button, and what it means.
struct Words {
    act: &'static str,
    title: &'static str,
    button: &'static str,
    meaning: &'static str,
    is_final: bool,
}

const ACTS: [Words; 2] = [
    Words {
        act: "retire",
        title: "Retire the secret in 24 hours?",
        button: "Retire it",
        meaning: "It verifies for another 24 hours, beside the others, and nothing after that.",
        is_final: false,
    },
    Words {
        act: "remove",
        title: "Remove the secret?",
        button: "Remove it",
        meaning: "What is signed with it is refused at once, and it cannot be read again.",
        is_final: true,
    },
];

fn words_of(act: &str) -> Result<&'static Words, Refusal> {
    let found = ACTS.iter().find(|words| words.act == act);
    found.ok_or_else(Refusal::no_such_page)
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(act): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Owner)?;
    let words = words_of(&act)?;
    let spec = asked.parse::<&Spec>("provider")?;
    let all = secrets::list(&state.store, &visitor.app, spec.name).await?;
    let id = asked.get("id").unwrap_or_default();
    let found = all.into_iter().find(|it| it.secret.id.as_str() == id);
    let secret = found.ok_or(SecretError::NotFound)?.secret;
    let used = secret.last_used_at.map(|at| at.to_string());
    let act = Confirm {
        title: words.title.to_owned(),
        meaning: words.meaning,
        facts: vec![
            ("Endpoint", spec.name.to_string()),
            ("Secret", secret.id.to_string()),
            ("Uses", secret.uses.to_string()),
            ("Last used", used.unwrap_or_else(|| "never".to_owned())),
        ],
        path: format!("/console/endpoints/act/{}", words.act),
        hidden: vec![
            ("provider", spec.name.to_string()),
            ("id", secret.id.to_string()),
        ],
        button: words.button,
        is_final: words.is_final,
        back: "/console/endpoints".to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "endpoints", act)
}

async fn act(
    State(state): State<AppState>,
    Path(act): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let form = form.of_owner()?;
    let words = words_of(&act)?;
    let (order, spec) = (form.order(&state)?, form.fields.parse::<&Spec>("provider")?);
    let (store, id) = (&state.store, form.fields.need("id")?);
    if words.act == "retire" {
        let end = Some(order.now.plus(OVERLAP));
        secrets::set_end(store, &order, spec.name, id, end).await?;
    } else {
        secrets::remove(store, &order, spec.name, id).await?;
    }
    Ok(done(&state, words.act).await)
}

async fn add(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let form = form.of_owner()?;
    let (order, fields) = (form.order(&state)?, &form.fields);
    let spec = fields.parse::<&Spec>("provider")?;
    let text = fields.need("secret")?;
    let wrong = |error: String| ApiError::invalid_field("secret", error);
    let text = validate::line(text).map_err(wrong)?;
    pasted_secret::check(spec.name, SecretUse::Webhooks, &text).map_err(wrong)?;
    let mode = match fields.get("mode") {
        Some(_) => fields.parse::<Mode>("mode")?,
        None => Mode::Any,
    };
    let new = NewSecret {
        text: text.into(),
        mode,
        expires_at: None,
    };
    secrets::add(&state.store, &state.vault, &order, spec.name, new).await?;
    Ok(done(&state, "add").await)
}

async fn done(state: &AppState, act: &str) -> Response {
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Redirect::to(&format!("/console/endpoints?done={act}")).into_response()
}
