//! The overview: how it goes, at a glance. Its part with figures is asked for again while somebody
//! looks.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::days::{Days, RefusedRow, tone};
use super::latency::Times;
use super::page::{Frame, render};
use super::pauses::{self, PauseLine};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::{When, from_now};
use crate::domain::customer::row::Status;
use crate::domain::event::EventOutcome;
use crate::http::{ApiError, AppState};
use crate::pipeline::{flags, history, stats};
use crate::provider;
use crate::store::endpoint_receipt::LastWebhook;
use crate::store::{FlagFilter, Window};

/// How often the figures are asked for, in seconds: those of queues are read anew every few seconds.
const POLL: u32 = 5;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/overview", get(show))
}

/// A bar of parts side by side, and its legend.
struct Bar {
    title: &'static str,
    total: u64,
    parts: Vec<Part>,
}

struct Part {
    word: &'static str,
    tone: &'static str,
    count: u64,
    x: u64,
    width: u64,
    link: String,
}

/// The width of a bar, in units of its drawing.
const WIDTH: u64 = 1_000;

impl Bar {
    fn new(
        title: &'static str,
        words: &[&'static str],
        counts: &BTreeMap<String, u64>,
        link: &str,
    ) -> Self {
        let count = |word: &str| counts.get(word).copied().unwrap_or_default();
        let total = words.iter().map(|word| count(word)).sum();
        let mut before = 0;
        let parts = words.iter().map(|word| {
            let count = count(word);
            let x = (WIDTH * before).checked_div(total).unwrap_or_default();
            before += count;
            let end = (WIDTH * before).checked_div(total).unwrap_or_default();
            Part {
                word,
                tone: tone(word),
                count,
                x,
                // A gap between parts, and still to be seen where there is one of thousands.
                width: (end - x)
                    .saturating_sub(2)
                    .max(if count > 0 { 3 } else { 0 }),
                link: format!("{link}={word}"),
            }
        });
        Self {
            title,
            total,
            parts: parts.collect(),
        }
    }
}

/// The last webhook of a provider, and whether operators were told that nothing comes any more.
struct Heard {
    provider: String,
    last: Option<When>,
    is_silent: bool,
}

/// The last comparison with a provider.
struct Compared {
    provider: String,
    drift: u64,
    repaired: u64,
    at: Option<When>,
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    figures: Figures,
    times: Times,
    poll: u32,
}

#[derive(Template)]
#[template(
    path = "overview_figures.html",
    config = "src/http/console/askama.toml"
)]
struct Live {
    figures: Figures,
    poll: u32,
}

struct Figures {
    at: When,
    pause: Option<PauseLine>,
    bars: Vec<Bar>,
    days: Days,
    refused: Vec<RefusedRow>,
    waiting: Option<u64>,
    retrying: u64,
    dead: u64,
    oldest: Option<String>,
    spool: u64,
    unaccounted: u64,
    flags: u64,
    failures: u64,
    heard: Vec<Heard>,
    compared: Vec<Compared>,
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let figures = figures(&state, &visitor).await?;
    let poll = POLL;
    if visitor.is_part {
        return Ok(render(&Live { figures, poll })?);
    }
    let mut frame = Frame::new(&visitor, "overview", "Overview");
    frame.notice = pauses::notice(asked.get("done"));
    let times = Times::of(&state, &visitor.app, state.clock.now()).await?;
    Ok(render(&Page {
        frame,
        figures,
        times,
        poll,
    })?)
}

async fn figures(state: &AppState, visitor: &Visitor) -> Result<Figures, ApiError> {
    let (store, app, now) = (&state.store, &visitor.app, state.clock.now());
    let read = stats::stats(store, Some(app), now).await?;
    let history = history::of(store, app, now).await?;
    // A broker that is away is no reason to show nothing.
    let depths = state.publisher.depths().await.ok();
    let first = Window::Page { number: 1, size: 1 };
    let open = flags::list(
        store,
        app,
        &FlagFilter {
            kind: None,
            customer: None,
        },
        &first,
    )
    .await?;
    let waiting = read.acknowledged;
    let reconciles = read.reconciles.into_iter().map(|it| Compared {
        provider: it.provider.to_string(),
        drift: it.found.drift(),
        repaired: it.found.repaired,
        at: it.finished_at.map(When),
    });
    Ok(Figures {
        at: When(now),
        pause: read.paused.into_iter().next().map(PauseLine::from),
        bars: vec![
            Bar::new(
                "Customers",
                &Status::WORDS,
                &read.customers,
                "/console/customers?status",
            ),
            Bar::new(
                "Events of the last day",
                &EventOutcome::WORDS,
                &read.recent_events,
                "/console/events?outcome",
            ),
            Bar::new(
                "All events",
                &EventOutcome::WORDS,
                &read.events,
                "/console/events?outcome",
            ),
        ],
        days: Days::of(&history.customers),
        refused: history.refused.into_iter().map(RefusedRow::from).collect(),
        waiting: depths.as_ref().map(|depths| depths.work),
        retrying: depths.as_ref().map_or(0, |depths| {
            depths.retry.iter().map(|(_, count)| count).sum()
        }),
        dead: depths.map_or(0, |depths| depths.failed),
        oldest: read.oldest_pending.map(|at| from_now(at, now)),
        spool: read.spool,
        unaccounted: waiting.under_10_minutes + waiting.under_2_hours + waiting.older,
        flags: open.total.unwrap_or_default(),
        failures: read.events.get("failed").copied().unwrap_or_default(),
        heard: heard(&read.webhooks),
        compared: reconciles.collect(),
    })
}

fn heard(known: &[LastWebhook]) -> Vec<Heard> {
    let heard = |provider| {
        let last = known.iter().find(|it| it.provider == provider);
        Heard {
            provider: provider.to_string(),
            last: last.map(|it| When(it.last_at)),
            is_silent: last.is_some_and(LastWebhook::is_silent),
        }
    };
    provider::names().map(heard).collect()
}
