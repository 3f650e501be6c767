//! Suspending, reactivating, freezing and expiring a customer: the effect first, then the act.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::customers::name_of;
use super::effect::Effect;
use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::{Back, done_to};
use super::visitor::Visitor;
use super::when;
use crate::domain::customer::act::FreezeOrder;
use crate::domain::customer::row::{AdminHold, Customer};
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
}

const ACTS: [Words; 4] = [
    Words {
        act: "suspend",
        title: "Suspend",
        button: "Suspend",
        meaning: "Nothing can be installed until an admin lifts it, whatever is paid.",
    },
    Words {
        act: "reactivate",
        title: "Reactivate",
        button: "Reactivate",
        meaning: "Lifts the hold of an admin. Against the verdict of billing it is a courtesy, until billing has something new to say.",
    },
    Words {
        act: "freeze",
        title: "Freeze",
        button: "Freeze",
        meaning: "What was released by then can still be installed, newer versions cannot.",
    },
    Words {
        act: "expire",
        title: "Expire",
        button: "Expire",
        meaning: "Ends the access until an admin lifts it, whatever is paid.",
    },
];

fn words_of(act: &str) -> Option<&'static Words> {
    ACTS.iter().find(|words| words.act == act)
}

#[derive(Template)]
#[template(path = "act.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    words: &'static Words,
    at: String,
    reason: String,
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
        reason: asked.own("reason").unwrap_or_default(),
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
    form: Form,
) -> Result<Response, Refusal> {
    let Some(words) = words_of(&act) else {
        return Err(Refusal::no_such_page());
    };
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, form.order(&state)?);
    let at = date(form.fields.get("at"))?;
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let only_if = Precondition::None;
    let reason = order.reason.clone();
    let done = customers::act(store, &order, &id, act_of(words, reason, at), &only_if).await?;
    let said = if done.changed { words.act } else { "unchanged" };
    let back = done.changed.then(|| back_to(words, &before.customer));
    Ok(done_to(&id, said, back.flatten()))
}

/// What leads back to where a customer was before an act.
fn back_to(done: &Words, before: &Customer) -> Option<Back> {
    let with_reason = |word, reason: &Option<String>| {
        let back = Back::new(word);
        match reason {
            Some(reason) => back.with("reason", reason),
            None => back,
        }
    };
    match &before.hold {
        Some(AdminHold::Suspended { reason, .. }) => Some(with_reason("suspend", reason)),
        Some(AdminHold::Expired { reason, .. }) => Some(with_reason("expire", reason)),
        Some(AdminHold::Frozen {
            at, versions: None, ..
        }) => Some(Back::new("freeze").with("at", at.to_string())),
        // Reactivating leads back exactly there only from where no hold was.
        None if done.act != "reactivate" && before.derived.holds.is_empty() => Some(Back::new("1")),
        // No form says versions.
        Some(AdminHold::Frozen { .. }) | None => None,
    }
}
