//! The inbox: what a person should look at, by kind and by how many customers it concerns, each with
//! what mends it.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words;
use crate::domain::customer::flag::FlagKind;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::input::written;
use crate::pipeline::flags::{self, FlagError, OpenFlag};
use crate::provider::{PADDLE, STRIPE};
use crate::store::{FlagFilter, Window};

/// Most flags that are gathered. Nobody works through more at a sitting.
const MOST: u32 = 1_000;

/// Most customers that are named for one subject.
const NAMED: usize = 5;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/flags", get(list))
        .route("/flags/{id}/clear", get(ask_clear).post(clear))
}

#[derive(Template)]
#[template(path = "flags.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    kinds: Vec<(String, &'static str, usize, bool)>,
    groups: Vec<Group>,
    is_cut: bool,
    most: u32,
    customer: Option<String>,
}

/// All flags of one kind about one subject.
struct Group {
    kind: &'static str,
    subject: String,
    meaning: &'static str,
    at: Option<When>,
    count: usize,
    customers: Vec<String>,
    mend: Mend,
    clear: Option<String>,
}

/// What mends it.
enum Mend {
    /// A plan for a price.
    Map { provider: &'static str },
    /// Linking an account to a customer.
    Link { customer: String, account: String },
    /// A page that does it.
    Page { path: String, name: &'static str },
    /// Nothing here.
    Nothing,
}

impl Mend {
    fn of(first: &OpenFlag, customer: Option<&String>) -> Self {
        let flag = &first.held.flag;
        let page = |path: String, name| Self::Page { path, name };
        match (flag.kind, customer) {
            // The form of the ids tells whose prices and products they are: `price_`, `prod_` and
            // `pri_`, `pro_` (https://developer.paddle.com/api-reference/about/paddle-ids).
            (FlagKind::UnmappedPrice, _) => {
                let is_paddle =
                    flag.subject.starts_with("pri_") || flag.subject.starts_with("pro_");
                let spec = if is_paddle { PADDLE } else { STRIPE };
                Self::Map {
                    provider: spec.name.as_str(),
                }
            }
            (FlagKind::SameEmail, Some(_)) => match &first.link {
                Some(link) => Self::Link {
                    customer: link.customer.to_string(),
                    account: link.account.id.clone(),
                },
                None => Self::Nothing,
            },
            (FlagKind::OpenDispute | FlagKind::LostDispute | FlagKind::FullRefund, Some(id)) => {
                page(
                    format!("/console/customers/{id}/act/reactivate"),
                    "Waive it: reactivate…",
                )
            }
            (FlagKind::ReleasesUnknown, _) => {
                page("/console/packages".to_owned(), "Name its releases")
            }
            (FlagKind::ApiKeyNeeded | FlagKind::ApiKeyExposed | FlagKind::WrongMode, _) => {
                page("/console/endpoints".to_owned(), "See the endpoints")
            }
            (FlagKind::FailedEvents, Some(id)) => page(
                format!("/console/events?outcome=failed&customer={id}"),
                "See the events",
            ),
            (_, Some(id)) => page(format!("/console/customers/{id}"), "See the customer"),
            (_, None) => page(
                format!("/console/customers?q={}", escaped(&flag.subject)),
                "See its events",
            ),
        }
    }
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Group {
    fn of(flags: &[OpenFlag], asked: &Asked) -> Option<Self> {
        let first = flags.first()?;
        let customers: Vec<String> = flags
            .iter()
            .filter_map(|it| it.held.holder.customer())
            .map(ToString::to_string)
            .collect();
        let flag = &first.held.flag;
        let newest: Option<Timestamp> = flags.iter().filter_map(|it| it.held.flag.at).max();
        Some(Self {
            kind: flag.kind.as_str(),
            subject: flag.subject.clone(),
            meaning: words::flag(flag.kind.as_str()),
            at: newest.map(When),
            count: customers.len(),
            mend: Mend::of(first, customers.first()),
            customers: customers.into_iter().take(NAMED).collect(),
            clear: (flags.len() == 1).then(|| {
                let query = asked.with("kind", asked.get("kind"));
                format!("/console/flags/{}/clear{query}", first.held.id())
            }),
        })
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let customer = asked.customer()?;
    let filter = FlagFilter {
        kind: None,
        customer,
    };
    let window = Window::Walk {
        after: None,
        size: MOST,
    };
    let found = flags::list(&state.store, &visitor.app, &filter, &window).await?;
    let is_cut = found.next.is_some();
    let mut by_subject: BTreeMap<(FlagKind, String), Vec<OpenFlag>> = BTreeMap::new();
    for open in found.rows {
        let key = (open.held.flag.kind, open.held.flag.subject.clone());
        by_subject.entry(key).or_default().push(open);
    }
    let mut groups: Vec<Group> = by_subject
        .values()
        .filter_map(|it| Group::of(it, &asked))
        .collect();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for group in &groups {
        *counts.entry(group.kind).or_default() += 1;
    }
    let kind = asked.get("kind");
    groups.retain(|group| kind.is_none_or(|kind| kind == group.kind));
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let all = (
        asked.with("kind", None),
        "all",
        counts.values().sum(),
        kind.is_none(),
    );
    let kinds = counts.into_iter().map(|(word, count)| {
        (
            asked.with("kind", Some(word)),
            word,
            count,
            kind == Some(word),
        )
    });
    let mut frame = Frame::new(&visitor, "flags", "Flags");
    frame.notice = match asked.get("done") {
        Some("map") => Some("Mapped. Everybody who pays this price has its packages now."),
        Some("clear") => Some("Cleared. It comes back if something new happens."),
        _ => None,
    };
    let page = Page {
        frame,
        kinds: std::iter::once(all).chain(kinds).collect(),
        groups,
        is_cut,
        most: MOST,
        customer: asked.own("customer"),
    };
    Ok(render(&page)?)
}

/// What narrows the list that somebody looks at.
fn narrowed<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Vec<(&'static str, String)> {
    let given = ["kind", "customer"].map(|name| get(name).map(|value| (name, value.to_owned())));
    given.into_iter().flatten().collect()
}

/// The list as it was narrowed, after an act if one was done.
fn list_of<'a>(get: impl Fn(&str) -> Option<&'a str>, done: Option<&str>) -> String {
    let narrowed = narrowed(get).into_iter();
    let done = done.map(|done| ("done", done.to_owned()));
    let pairs = narrowed.chain(done);
    let pairs: Vec<_> = pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    match written(&pairs).query().filter(|query| !query.is_empty()) {
        Some(query) => format!("/console/flags?{query}"),
        None => "/console/flags".to_owned(),
    }
}

async fn ask_clear(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = id.parse().map_err(|_| FlagError::NotFound)?;
    let held = flags::find(&state.store, &visitor.app, &id).await?;
    let kind = held.flag.kind.as_str();
    let act = Confirm {
        title: format!("Clear the flag {kind}?"),
        meaning: "It is gone for everybody, and comes back if something new happens.",
        facts: vec![
            ("About", held.flag.subject),
            ("It says", words::flag(kind).to_owned()),
        ],
        path: format!("/console/flags/{id}/clear"),
        hidden: narrowed(|name| asked.get(name)),
        button: "Clear it",
        back: list_of(|name| asked.get(name), None),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "flags", act)
}

async fn clear(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = id.parse().map_err(|_| FlagError::NotFound)?;
    flags::clear(&state.store, &form.order(&state)?, &id).await?;
    let list = list_of(|name| form.fields.get(name), Some("clear"));
    Ok(Redirect::to(&list).into_response())
}
