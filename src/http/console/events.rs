//! The events of the ledger: a list with filters, failures in groups by their cause, and replays.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::event_row::EventRow;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::{self, When};
use crate::domain::event::EventOutcome;
use crate::http::{ApiError, AppState};
use crate::pipeline::events;
use crate::provider::Spec;
use crate::store::{EventFilter, FailureGroup};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/events", get(list))
}

/// The fields of the filter, in the order of the form.
pub(super) const FIELDS: [&str; 8] = [
    "outcome", "provider", "type", "error", "customer", "object", "since", "until",
];

/// Reads the filter that an address or a form says.
///
/// # Errors
/// 422 with the field.
pub(super) fn filter_of<'t>(
    get: impl Fn(&str) -> Option<&'t str>,
) -> Result<EventFilter, ApiError> {
    fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
        name: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, ApiError> {
        let read = text.map(str::parse::<T>).transpose();
        read.map_err(|error| ApiError::invalid_field(name, error.to_string()))
    }
    let at = |name: &str| get(name).map(|text| when::parse(name, text)).transpose();
    Ok(EventFilter {
        outcome: read::<EventOutcome>("outcome", get("outcome"))?,
        provider: read::<&Spec>("provider", get("provider"))?.map(|spec| spec.name),
        event_type: get("type").map(str::to_owned),
        customer: read("customer", get("customer"))?,
        external: None,
        object: get("object").map(str::to_owned),
        error_code: get("error").map(str::to_owned),
        since: at("since")?,
        until: at("until")?,
    })
}

/// The values of the filter's fields.
pub(super) struct Filled(Vec<(&'static str, String)>);

impl Filled {
    pub(super) fn of<'t>(get: impl Fn(&str) -> Option<&'t str>) -> Self {
        let filled = FIELDS.map(|name| (name, get(name).unwrap_or_default().to_owned()));
        Self(filled.into())
    }

    /// Returns the text of a field, which is empty if nothing is wanted of it.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, text)| text.as_str())
    }

    /// Fills a field in.
    pub(super) fn set(&mut self, name: &str, text: String) {
        let mut fields = self.0.iter_mut();
        if let Some((_, value)) = fields.find(|(known, _)| *known == name) {
            *value = text;
        }
    }

    /// Those that are filled in.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let filled = self.0.iter().map(|(name, text)| (*name, text.as_str()));
        filled.filter(|(_, text)| !text.is_empty())
    }
}

#[derive(Template)]
#[template(path = "events.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    outcomes: [&'static str; EventOutcome::WORDS.len()],
    providers: Vec<String>,
    filled: Filled,
    groups: Vec<GroupRow>,
    events: Vec<EventRow>,
    pager: Pager,
    /// `None` where what is listed has had its effect.
    replay: Option<String>,
}

struct GroupRow {
    code: String,
    detail: String,
    event_type: String,
    provider: String,
    count: u64,
    oldest: When,
    newest: When,
    events: String,
    replay: String,
}

impl GroupRow {
    fn of(group: FailureGroup, asked: &Asked) -> Self {
        let narrowed = |query: &str| {
            let mut narrow = asked.clone();
            for (name, value) in [
                ("outcome", "failed"),
                ("error", group.error_code.as_str()),
                ("type", group.event_type.as_str()),
                ("provider", group.provider.as_str()),
            ] {
                narrow.set(name, value);
            }
            format!("/console/{query}{}", narrow.with("done", None))
        };
        Self {
            events: narrowed("events"),
            replay: narrowed("replays/new"),
            detail: group.sample_detail.unwrap_or_default(),
            provider: group.provider.to_string(),
            code: group.error_code,
            event_type: group.event_type,
            count: group.count,
            oldest: When(group.oldest),
            newest: When(group.newest),
        }
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let filter = filter_of(|name| asked.get(name))?;
    let found = events::list(store, app, &filter, &asked.window()).await?;
    let is_narrow = filter.error_code.is_some();
    let wants_failures = matches!(filter.outcome, None | Some(EventOutcome::Failed));
    let groups = if wants_failures && !is_narrow {
        events::failures(store, app, &filter).await?
    } else {
        Vec::new()
    };
    // It would take `force`, which nobody orders here.
    let has_had_it = matches!(
        filter.outcome,
        Some(EventOutcome::Applied | EventOutcome::Unchanged | EventOutcome::Superseded)
    );
    let replay = format!("/console/replays/new{}", asked.with("done", None));
    let page = Page {
        frame: Frame::new(&visitor, "events", "Events"),
        outcomes: EventOutcome::WORDS,
        providers: crate::provider::names().map(|it| it.to_string()).collect(),
        filled: Filled::of(|name| asked.get(name)),
        groups: groups
            .into_iter()
            .map(|it| GroupRow::of(it, &asked))
            .collect(),
        events: found.rows.into_iter().map(EventRow::from).collect(),
        pager: asked.pager(found.total.unwrap_or_default())?,
        replay: Some(replay).filter(|_| !has_had_it),
    };
    Ok(render(&page)?)
}
