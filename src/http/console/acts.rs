//! Suspending, reactivating, freezing and expiring a customer: the effect first, then the act.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::customers::name_of;
use super::effect::Effect;
use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when;
use crate::domain::customer::act::FreezeOrder;
use crate::domain::precondition::Precondition;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::http::api::customer_id;
use crate::http::{ApiError, AppState};
use crate::pipeline::customers::{self, Act, Named};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/customers/{id}/act/{act}", get(ask).post(act))
}

/// Words of an act: its name, the title of its page, the button, and what it means.
struct Words {
    act: &'static str,
    title: &'static str,
    button: &'static str,
    meaning: &'static str,
    takes_reason: bool,
}

const ACTS: [Words; 4] = [
    Words {
        act: "suspend",
        title: "Suspend",
        button: "Suspend",
        meaning: "Nothing can be installed until an admin lifts it, whatever is paid.",
        takes_reason: true,
    },
    Words {
        act: "reactivate",
        title: "Reactivate",
        button: "Reactivate",
        meaning: "Lifts the hold of an admin. Against the verdict of billing it is a courtesy, until billing has something new to say.",
        takes_reason: false,
    },
    Words {
        act: "freeze",
        title: "Freeze",
        button: "Freeze",
        meaning: "What was released by then can still be installed, newer versions cannot.",
        takes_reason: false,
    },
    Words {
        act: "expire",
        title: "Expire",
        button: "Expire",
        meaning: "Ends the access until an admin lifts it, whatever is paid.",
        takes_reason: true,
    },
];

fn words_of(act: &str) -> Option<&'static Words> {
    ACTS.iter().find(|words| words.act == act)
}

/// The act that undoes another one, on a customer who was active and held by nobody before.
pub(super) fn undo_of(done: &str) -> Option<&'static str> {
    matches!(done, "suspend" | "freeze" | "expire").then_some("reactivate")
}

#[derive(Template)]
#[template(path = "act.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    words: &'static Words,
    at: String,
    effect: Effect,
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let Some(words) = words_of(&act) else {
        return Err(Refusal::no_such_page());
    };
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let at = date(asked.get("at"))?;
    let after = customers::preview(store, &order, &id, act_of(words, None, at)).await?;
    let name = name_of(&before.customer);
    let page = Page {
        frame: Frame::new(&visitor, "customers", format!("{} {name}", words.title)),
        id: id.to_string(),
        name,
        words,
        at: asked.own("at").unwrap_or_default(),
        effect: Effect::between(&before, &after),
    };
    Ok(render(&page)?)
}

/// Reads a day, or an instant; an empty one means now.
fn date(text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| when::parse("at", text)).transpose()
}

fn act_of(words: &Words, reason: Option<String>, at: Option<Timestamp>) -> Act {
    match words.act {
        "suspend" => Act::Suspend(reason),
        "expire" => Act::Expire(reason),
        "freeze" => Act::Freeze(FreezeOrder { at, versions: None }),
        _ => Act::Reactivate,
    }
}

async fn act(
    State(state): State<AppState>,
    Path((id, act)): Path<(String, String)>,
    Form { visitor, fields }: Form,
) -> Result<Response, Refusal> {
    let Some(words) = words_of(&act) else {
        return Err(Refusal::no_such_page());
    };
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let reason = fields.line("reason")?;
    let at = date(fields.get("at"))?;
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let only_if = Precondition::None;
    let done = customers::act(store, &order, &id, act_of(words, reason, at), &only_if).await?;
    // Undoing leads back exactly there only from where no hold was.
    let was_free = before.customer.hold.is_none() && before.customer.derived.holds.is_empty();
    let undo = if was_free { "&undo=1" } else { "" };
    let said = if done.changed { words.act } else { "unchanged" };
    let target = format!("/console/customers/{id}?done={said}{undo}");
    Ok(Redirect::to(&target).into_response())
}
