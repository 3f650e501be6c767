//! The inbox: what a person should look at, by kind and by how many customers it concerns, each with
//! what mends it.

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
use crate::domain::customer::flag::{Flag, FlagKind};
use crate::domain::role::Role;
use crate::http::AppState;
use crate::http::input::written;
use crate::pipeline::flags::{self, FlagError, OpenGroup};
use crate::provider::{PADDLE, STRIPE};
use crate::store::{FlagFilter, FlagKindCount, FlagLink};

/// Most subjects that are shown. Nobody works through more at a sitting.
const MOST: u32 = 200;

/// Most customers that are named for one subject.
const NAMED: u32 = 5;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/flags", get(list))
        .route("/flags/{id}/clear", get(ask_clear).post(clear))
}

#[derive(Template)]
#[template(path = "flags.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    kinds: Vec<(String, &'static str, u64, bool)>,
    groups: Vec<Group>,
    is_cut: bool,
    most: u32,
    /// What narrows the list, for forms that lead back to it.
    narrowed: Vec<(&'static str, String)>,
    customer: Option<String>,
}

/// All flags of one kind about one subject.
struct Group {
    kind: &'static str,
    subject: String,
    meaning: &'static str,
    at: Option<When>,
    count: u64,
    customers: Vec<String>,
    /// Customers who are not named.
    more: u64,
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
    fn of(flag: &Flag, link: Option<FlagLink>, customer: Option<&String>) -> Self {
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
            (FlagKind::SameEmail, Some(_)) => match link {
                Some(link) => Self::Link {
                    customer: link.customer.to_string(),
                    account: link.account.id,
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
            (FlagKind::HookDisabled, _) => page("/console/hooks".to_owned(), "See the hooks"),
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
    fn of(open: OpenGroup, asked: &Asked) -> Option<Self> {
        let OpenGroup { group, link } = open;
        let first = group.first.first()?;
        let customers = group.first.iter().filter_map(|it| it.holder.customer());
        let customers: Vec<String> = customers.map(ToString::to_string).collect();
        let flag = &first.flag;
        Some(Self {
            kind: flag.kind.as_str(),
            subject: flag.subject.clone(),
            meaning: words::flag(flag.kind.as_str()),
            at: group.newest.map(When),
            count: if customers.is_empty() { 0 } else { group.count },
            mend: Mend::of(flag, link, customers.first()),
            more: group.count.saturating_sub(customers.len() as u64),
            customers,
            clear: (group.count == 1).then(|| {
                let query = asked.with("kind", asked.get("kind"));
                format!("/console/flags/{}/clear{query}", first.id())
            }),
        })
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let mut filter = FlagFilter {
        kind: None,
        customer: asked.customer()?,
    };
    let counts = flags::kinds(store, app, &filter).await?;
    let kind = asked.get("kind");
    filter.kind = kind.and_then(|word| word.parse().ok());
    let found = if kind.is_some() && filter.kind.is_none() {
        Vec::new()
    } else {
        flags::groups(store, app, &filter, NAMED, MOST).await?
    };
    let in_all: u64 = counts.iter().map(|it| it.count).sum();
    let wanted = counts.iter().find(|it| Some(it.kind) == filter.kind);
    let is_cut = wanted.map_or(in_all, |it| it.count) > u64::from(MOST);
    let all = (asked.with("kind", None), "all", in_all, kind.is_none());
    let kinds = counts.into_iter().map(|FlagKindCount { kind: of, count }| {
        let word = of.as_str();
        (
            asked.with("kind", Some(word)),
            word,
            count,
            kind == Some(word),
        )
    });
    let groups = found.into_iter().filter_map(|it| Group::of(it, &asked));
    let mut frame = Frame::new(&visitor, "flags", "Flags");
    frame.notice = match asked.get("done") {
        Some("map") => Some("Mapped. Everybody who pays this price has its packages now."),
        Some("clear") => Some("Cleared. It comes back if something new happens."),
        _ => None,
    };
    let page = Page {
        frame,
        kinds: std::iter::once(all).chain(kinds).collect(),
        groups: groups.collect(),
        is_cut,
        most: MOST,
        narrowed: narrowed(|name| asked.get(name)),
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
pub(super) fn list_of<'a>(get: impl Fn(&str) -> Option<&'a str>, done: Option<&str>) -> String {
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
