//! Webhooks of the app's own: where its changes are delivered, and how that goes.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use secrecy::ExposeSecret;

use super::form::{Fields, Form};
use super::issued::issued;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::announcement;
use crate::domain::hook::{DeliveryState, DisabledBecause, HookBody, HookStatus, MAX_KINDS};
use crate::domain::validate;
use crate::http::{ApiError, AppState};
use crate::pipeline::hooks::{self, NewHook};
use crate::store::hook::Hook;
use crate::store::hook_delivery::{DeliveryFilter, HookDelivery};

const NEW_SECRET: &str = "Deliveries are signed with it, after Standard Webhooks.";

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/hooks", get(list).post(create))
        .route("/hooks/{id}", get(show))
}

/// A hook as a line.
struct Row {
    id: String,
    url: String,
    description: String,
    kinds: String,
    state: Badge,
}

impl From<Hook> for Row {
    fn from(hook: Hook) -> Self {
        Self {
            state: badge(&hook),
            id: hook.id.into(),
            url: hook.url,
            description: hook.description.unwrap_or_default(),
            kinds: hook.kinds.join(", "),
        }
    }
}

fn badge(hook: &Hook) -> Badge {
    match (hook.status, hook.failing_since) {
        (HookStatus::Disabled, _) => Badge::new("disabled", "bad"),
        (HookStatus::Enabled, Some(_)) => Badge::new("failing", "warn"),
        (HookStatus::Enabled, None) => Badge::new("enabled", "good"),
    }
}

#[derive(Template)]
#[template(path = "hooks.html", config = "src/http/console/askama.toml")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let role = visitor.admin.role;
    let all = hooks::list(&state.store, &visitor.app).await?.into_iter();
    let rows = all.map(|it| hooks::shown_to(role, it).into()).collect();
    let mut frame = Frame::new(&visitor, "hooks", "Hooks");
    if asked.get("done") == Some("delete") {
        frame.notice = Some("Removed, with what waited for it.");
    }
    let page = ListPage { frame, rows };
    Ok(render(&page)?)
}

/// A delivery as a line.
struct DeliveryRow {
    id: String,
    change: String,
    kind: String,
    customer: Option<String>,
    state: Badge,
    attempts: i64,
    tried_at: Option<When>,
    next_at: Option<When>,
    /// What came back at last: a status, an error, or both.
    answer: String,
}

impl From<HookDelivery> for DeliveryRow {
    fn from(it: HookDelivery) -> Self {
        let (state, waits) = match it.state {
            DeliveryState::Waiting => (Badge::new("waiting", "warn"), true),
            DeliveryState::Delivered => (Badge::new("delivered", "good"), false),
            DeliveryState::Failed => (Badge::new("failed", "bad"), false),
        };
        let status = it.status.map(|status| status.to_string());
        // The words of the API, such as `timed_out`.
        let error = it.error.map(|error| error.replace('_', " "));
        let answer: Vec<String> = status.into_iter().chain(error).collect();
        Self {
            id: it.id.into(),
            change: it.change.into(),
            kind: it.kind,
            customer: it.customer.map(Into::into),
            state,
            attempts: it.attempts,
            tried_at: it.tried_at.map(When),
            next_at: waits.then_some(When(it.next_at)),
            answer: answer.join(" "),
        }
    }
}

#[derive(Template)]
#[template(path = "hook.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    hook: Row,
    is_enabled: bool,
    reason: &'static str,
    body: &'static str,
    failing_since: Option<When>,
    created_at: When,
    states: Vec<(String, &'static str, bool)>,
    /// The state that the list is narrowed to, if it is.
    state: &'static str,
    deliveries: Vec<DeliveryRow>,
    pager: Pager,
}

const fn because(reason: Option<DisabledBecause>) -> &'static str {
    match reason {
        Some(DisabledBecause::Admin) => "by an admin",
        Some(DisabledBecause::Failing) => "because nothing could be delivered for too long",
        Some(DisabledBecause::Gone) => "because the receiver answered 410 Gone",
        None => "",
    }
}

fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "test" => "A test is on its way. Load this page again to see how it went.",
        "resend" => "It is delivered again, under the same id.",
        "enable" => "Enabled. What waited goes out now.",
        "disable" => "Disabled. Nothing is delivered, and nothing new waits.",
        _ => return None,
    })
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let hook = hooks::find(store, app, &id).await?;
    // One that is unknown shows all: an address may be older than this version.
    let wanted = asked.get("state");
    let wanted = wanted.and_then(|word| {
        DeliveryState::ALL
            .into_iter()
            .find(|it| it.as_str() == word)
    });
    let filter = DeliveryFilter {
        state: wanted,
        kind: None,
    };
    let found = hooks::deliveries(store, app, &id, &filter, &asked.window()).await?;
    let mut frame = Frame::new(&visitor, "hooks", "Hook");
    frame.notice = asked.get("done").and_then(notice);
    let mut states = vec![(asked.with("state", None), "all", wanted.is_none())];
    states.extend(DeliveryState::ALL.into_iter().map(|state| {
        let link = asked.with("state", Some(state.as_str()));
        (link, state.as_str(), wanted == Some(state))
    }));
    let page = Page {
        frame,
        is_enabled: hook.status == HookStatus::Enabled,
        reason: because(hook.reason),
        body: hook.body.as_str(),
        failing_since: hook.failing_since.map(When),
        created_at: When(hook.created_at),
        states,
        state: wanted.map_or("", DeliveryState::as_str),
        pager: asked.pager(found.total.unwrap_or_default())?,
        deliveries: found.rows.into_iter().map(DeliveryRow::from).collect(),
        hook: hooks::shown_to(visitor.admin.role, hook).into(),
    };
    Ok(render(&page)?)
}

/// Reads the kinds of a form: all of them, if it names none.
fn kinds(fields: &Fields) -> Result<Vec<String>, ApiError> {
    let text = fields.get("kinds").unwrap_or("*");
    let words = text.split([',', ' ', '\n', '\r', '\t']);
    let words = words.filter(|word| !word.is_empty());
    let kinds: Result<Vec<String>, String> = words.map(announcement::filter).collect();
    let kinds = kinds.map_err(|wrong| ApiError::invalid_field("kinds", wrong))?;
    if kinds.len() > MAX_KINDS {
        let message = format!("must be at most {MAX_KINDS} kinds of changes");
        return Err(ApiError::invalid_field("kinds", message));
    }
    Ok(kinds)
}

async fn create(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let form = form.of_owner()?;
    let order = form.order(&state)?;
    let fields = &form.fields;
    let wrong = |wrong: String| ApiError::invalid_field("url", wrong);
    let url = validate::web_address(fields.need("url")?).map_err(wrong)?;
    state.hooks.check(&url).map_err(wrong)?;
    let new = NewHook {
        url,
        kinds: kinds(fields)?,
        body: fields.parse::<HookBody>("body")?,
        description: fields.line("description")?,
    };
    let made = hooks::create(&state.store, &state.vault, &order, new).await?;
    let back = format!("/console/hooks/{}", made.hook.id);
    let secret = made.secret.expose_secret().to_owned();
    issued(
        &form.visitor,
        back,
        "The secret of the hook",
        secret,
        NEW_SECRET,
    )
}

/// The address of a hook's page. What is asked for may be no id, and then leads to no page.
pub(super) fn page_of(id: &str) -> String {
    format!("/console/hooks/{id}")
}
