//! Webhook endpoints: secrets and their use, rotating one, and the events that should come.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use std::time::Duration;

use super::event_row::path_of;
use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::mode::Mode;
use crate::domain::pasted_secret::{self, SecretUse};
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::{ApiError, AppState};
use crate::pipeline::events;
use crate::pipeline::secrets::{self, KeyedSecret, NewSecret};
use crate::provider::{self, Spec};
use crate::store::{EventFilter, Window};

/// How long a secret that is retired still counts: the providers sign with both for as long at most
/// (<https://docs.stripe.com/webhooks#roll-endpoint-secrets>).
const OVERLAP: Duration = Duration::from_hours(24);

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/endpoints", get(list))
        .route("/endpoints/secrets", post(add))
        .route("/endpoints/retire", post(retire))
        .route("/endpoints/remove", post(remove))
}

#[derive(Template)]
#[template(path = "endpoints.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    endpoints: Vec<Endpoint>,
    tested: Option<Tested>,
}

/// A test event that was sent.
struct Tested {
    id: String,
    link: String,
    provider: String,
    /// `None` while it is under way.
    outcome: Option<Badge>,
}

struct Endpoint {
    provider: String,
    path: String,
    secrets: Vec<SecretRow>,
    live: usize,
    types: Vec<TypeRow>,
    shows_types: bool,
}

struct SecretRow {
    id: String,
    mode: &'static str,
    state: Badge,
    created_at: When,
    uses: i64,
    last_used_at: Option<When>,
    expires_at: Option<When>,
}

struct TypeRow {
    name: &'static str,
    says: &'static str,
    last: Option<When>,
}

impl SecretRow {
    fn of(keyed: KeyedSecret, now: Timestamp) -> Self {
        let secret = keyed.secret;
        let state = match secret.expires_at {
            Some(end) if end <= now => Badge::new("retired", ""),
            Some(_) => Badge::new("retiring", "warn"),
            None => Badge::new("current", "good"),
        };
        Self {
            id: secret.id.into(),
            mode: secret.mode.as_str(),
            state,
            created_at: When(secret.created_at),
            uses: secret.uses,
            last_used_at: secret.last_used_at.map(When),
            expires_at: secret.expires_at.map(When),
        }
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app, now) = (&state.store, &visitor.app, state.clock.now());
    let mut endpoints = Vec::new();
    for spec in provider::ALL {
        let all = secrets::list(store, app, spec.name).await?;
        let secrets: Vec<_> = all.into_iter().map(|it| SecretRow::of(it, now)).collect();
        let shows_types = asked.get("types") == Some(spec.name.as_str());
        let types = if shows_types {
            types(&state, &visitor, spec).await?
        } else {
            Vec::new()
        };
        endpoints.push(Endpoint {
            provider: spec.name.to_string(),
            path: format!("/webhooks/{app}/{}", spec.name),
            live: secrets.iter().filter(|it| it.expires_at.is_none()).count(),
            secrets,
            types,
            shows_types,
        });
    }
    let mut frame = Frame::new(&visitor, "endpoints", "Endpoints");
    frame.notice = match asked.get("done") {
        Some("add") => {
            Some("Added. Both secrets verify now; retire the old one when the new one is in use.")
        }
        Some("retire") => Some("Retiring: it verifies for another 24 hours."),
        Some("remove") => Some("Removed. What is signed with it is refused now."),
        _ => None,
    };
    let tested = tested(&state, &visitor, asked.get("test")).await?;
    Ok(render(&Page {
        frame,
        endpoints,
        tested,
    })?)
}

/// What became of a test event.
async fn tested(
    state: &AppState,
    visitor: &Visitor,
    id: Option<&str>,
) -> Result<Option<Tested>, ApiError> {
    let Some(id) = id.filter(|id| id.starts_with("evt_test_")) else {
        return Ok(None);
    };
    let found = events::find(&state.store, &visitor.app, id).await?;
    let found = found.filter(|event| event.event_type == provider::TEST_TYPE);
    Ok(Some(Tested {
        id: id.to_owned(),
        link: path_of(id),
        provider: found
            .as_ref()
            .map_or_else(String::new, |event| event.key.provider.to_string()),
        outcome: found.map(|event| Badge::outcome(event.outcome)),
    }))
}

/// The types worth sending, and when each last came.
async fn types(
    state: &AppState,
    visitor: &Visitor,
    spec: &'static Spec,
) -> Result<Vec<TypeRow>, ApiError> {
    let newest = Window::Walk {
        after: None,
        size: 1,
    };
    let mut rows = Vec::new();
    for known in spec.types {
        let filter = EventFilter {
            provider: Some(spec.name),
            event_type: Some(known.name.to_owned()),
            ..EventFilter::default()
        };
        let last = events::list(&state.store, &visitor.app, &filter, &newest).await?;
        rows.push(TypeRow {
            name: known.name,
            says: known.says,
            last: last.rows.first().map(|event| When(event.received_at)),
        });
    }
    Ok(rows)
}

async fn add(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let Form { visitor, fields } = form.of_owner()?;
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
    let order = visitor.order(&state);
    secrets::add(&state.store, &state.vault, &order, spec.name, new).await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Ok(Redirect::to("/console/endpoints?done=add").into_response())
}

async fn retire(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let Form { visitor, fields } = form.of_owner()?;
    let spec = fields.parse::<&Spec>("provider")?;
    let order = visitor.order(&state);
    let end = Some(order.now.plus(OVERLAP));
    secrets::set_end(&state.store, &order, spec.name, fields.need("id")?, end).await?;
    let _ = state.endpoints.refresh().await;
    Ok(Redirect::to("/console/endpoints?done=retire").into_response())
}

async fn remove(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let Form { visitor, fields } = form.of_owner()?;
    let spec = fields.parse::<&Spec>("provider")?;
    let order = visitor.order(&state);
    secrets::remove(&state.store, &order, spec.name, fields.need("id")?).await?;
    let _ = state.endpoints.refresh().await;
    Ok(Redirect::to("/console/endpoints?done=remove").into_response())
}
