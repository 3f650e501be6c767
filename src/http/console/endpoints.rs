//! Webhook endpoints: secrets and their use, rotating one, and the events that should come.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::event_row::path_of;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::time::Timestamp;
use crate::http::{ApiError, AppState};
use crate::pipeline::secrets::{self, KeyedSecret};
use crate::pipeline::{events, silence};
use crate::provider::{self, Spec};
use crate::store::endpoint_receipt::LastWebhook;
use crate::store::{EventFilter, Window};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/endpoints", get(list))
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
    /// When the last webhook of the provider came.
    last: Option<When>,
    is_silent: bool,
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
    let known = silence::last_webhooks(store, app, now).await?;
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
        let last = known.iter().find(|it| it.provider == spec.name);
        endpoints.push(Endpoint {
            provider: spec.name.to_string(),
            path: format!("/webhooks/{app}/{}", spec.name),
            live: secrets.iter().filter(|it| it.expires_at.is_none()).count(),
            secrets,
            types,
            shows_types,
            last: last.map(|it| When(it.last_at)),
            is_silent: last.is_some_and(LastWebhook::is_silent),
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
