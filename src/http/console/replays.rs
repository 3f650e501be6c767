//! Replaying all events that match: what it would be, how it goes, and stopping it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::event_row::path_of;
use super::events::{Filled, filter_of};
use super::form::Form;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::id::ReplayId;
use crate::domain::role::Role;
use crate::http::{ApiError, AppState};
use crate::pipeline::bulk_replay::{self, How, MAX_PER_SECOND};
use crate::pipeline::replay::ReplayError;
use crate::store::EventFilter;
use crate::store::replay::{BulkReplay, ReplayStatus};

/// The pace that the form proposes, in events a second: the queue hardly notices it.
const PACE: u32 = 50;

/// How often a page that shows progress asks, in seconds.
const POLL: u32 = 2;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/replays", get(list).post(order))
        .route("/replays/new", get(ask))
        .route("/replays/{id}", get(show))
        .route("/replays/{id}/cancel", get(ask_cancel).post(cancel))
}

#[derive(Template)]
#[template(path = "replay_new.html", config = "src/http/console/askama.toml")]
struct AskPage {
    frame: Frame,
    filled: Filled,
    matched: u64,
    skipped: u64,
    pace: u32,
    seconds: u64,
    examples: Vec<(String, String)>,
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let mut filter = filter_of(|name| asked.get(name))?;
    // The form means what the page counted, and nothing that comes between the two.
    let now = state.clock.now();
    let until = filter.until.map_or(now, |until| until.min(now));
    filter.until = Some(until);
    let mut filled = Filled::of(|name| asked.get(name));
    filled.set("until", until.exact());
    let about = bulk_replay::preview(&state.store, &visitor.app, &filter, false).await?;
    let examples = about.first.into_iter();
    let page = AskPage {
        frame: Frame::new(&visitor, "events", "Replay all that match"),
        filled,
        matched: about.count,
        skipped: about.skipped,
        pace: PACE,
        seconds: about.count.div_ceil(PACE.into()),
        examples: examples.map(|id| (path_of(&id), id)).collect(),
    };
    Ok(render(&page)?)
}

async fn order(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let (order, fields) = (form.order(&state)?, &form.fields);
    let filter = filter_of(|name| fields.get(name))?;
    let pace = fields.get("per_second");
    let pace = pace.map(|text| text.parse::<u32>().ok());
    let per_second = match pace {
        None => None,
        Some(Some(pace)) if (1..=MAX_PER_SECOND).contains(&pace) => Some(pace),
        Some(_) => {
            let wrong = format!("must be a whole number from 1 to {MAX_PER_SECOND}");
            return Err(ApiError::invalid_field("per_second", wrong).into());
        }
    };
    let how = How {
        force: false,
        per_second,
    };
    let replay = bulk_replay::order(&state.store, &order, &filter, how).await?;
    Ok(Redirect::to(&format!("/console/replays/{}", replay.id)).into_response())
}

struct Row {
    id: String,
    status: Badge,
    is_open: bool,
    filter: String,
    matched: i64,
    published: i64,
    skipped: i64,
    share: i64,
    pace: String,
    created_at: When,
    ended_at: Option<When>,
}

impl From<BulkReplay> for Row {
    fn from(replay: BulkReplay) -> Self {
        let status = replay.status();
        let tone = match status {
            ReplayStatus::Open => "warn",
            ReplayStatus::Finished => "good",
            ReplayStatus::Canceled => "",
        };
        let done = replay.published + replay.skipped;
        let pace = replay.per_second.map(|it| format!("{it} a second"));
        Self {
            status: Badge::new(status.as_str(), tone),
            is_open: status == ReplayStatus::Open,
            share: (100 * done)
                .checked_div(replay.matched)
                .unwrap_or(100)
                .min(100),
            id: replay.id.into(),
            filter: words_of(&replay.filter),
            matched: replay.matched,
            published: replay.published,
            skipped: replay.skipped,
            pace: pace.unwrap_or_else(|| "as fast as the queue has room".to_owned()),
            created_at: When(replay.created_at),
            ended_at: replay.finished_at.or(replay.canceled_at).map(When),
        }
    }
}

fn words_of(filter: &EventFilter) -> String {
    let parts = [
        filter.outcome.map(|it| it.to_string()),
        filter.provider.map(|it| it.to_string()),
        filter.event_type.clone(),
        filter.error_code.clone(),
        filter.object.clone(),
        filter.customer.as_ref().map(ToString::to_string),
        filter.since.map(|at| format!("since {at}")),
        filter.until.map(|at| format!("before {at}")),
    ];
    let words: Vec<String> = parts.into_iter().flatten().collect();
    if words.is_empty() {
        "all events".to_owned()
    } else {
        words.join(", ")
    }
}

#[derive(Template)]
#[template(path = "replays.html", config = "src/http/console/askama.toml")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    pager: Pager,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let found = bulk_replay::list(&state.store, &visitor.app, &asked.window()).await?;
    let page = ListPage {
        frame: Frame::new(&visitor, "events", "Replays"),
        rows: found.rows.into_iter().map(Row::from).collect(),
        pager: asked.pager(found.total.unwrap_or_default())?,
    };
    Ok(render(&page)?)
}

#[derive(Template)]
#[template(path = "replay.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    row: Row,
    poll: u32,
}

/// The part of the page that is asked for again while it goes on.
#[derive(Template)]
#[template(path = "replay_progress.html", config = "src/http/console/askama.toml")]
struct Progress {
    frame: Frame,
    row: Row,
    poll: u32,
}

fn id_of(text: &str) -> Result<ReplayId, ReplayError> {
    text.parse().map_err(|_| ReplayError::ReplayNotFound)
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let found = bulk_replay::find(&state.store, &visitor.app, &id_of(&id)?).await?;
    let row = Row::from(found.ok_or(ReplayError::ReplayNotFound)?);
    let frame = Frame::new(&visitor, "events", "A replay");
    let poll = POLL;
    if visitor.is_part {
        return Ok(render(&Progress { frame, row, poll })?);
    }
    Ok(render(&Page { frame, row, poll })?)
}

async fn ask_cancel(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let found = bulk_replay::find(&state.store, &visitor.app, &id_of(&id)?).await?;
    let row = Row::from(found.ok_or(ReplayError::ReplayNotFound)?);
    let page = format!("/console/replays/{}", row.id);
    let act = Confirm {
        title: "Cancel the replay?".to_owned(),
        meaning: "What was published goes its way; nothing more is.",
        facts: vec![
            ("Filter", row.filter),
            ("Published", format!("{} of {}", row.published, row.matched)),
        ],
        path: format!("{page}/cancel"),
        button: "Cancel the replay",
        back: page,
        ..Confirm::default()
    };
    confirm::ask(&visitor, "events", act)
}

async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let order = form.order(&state)?;
    let (replay, _) = bulk_replay::cancel(&state.store, &order, &id_of(&id)?).await?;
    Ok(Redirect::to(&format!("/console/replays/{}", replay.id)).into_response())
}
