//! Acts on a hook, each after a question: trying it, delivering again, disabling and enabling it, another
//! secret, removing it.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use secrecy::ExposeSecret;

use super::confirm::{self, Confirm};
use super::form::Form;
use super::hooks::page_of;
use super::issued::issued;
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::done_at;
use super::visitor::Visitor;
use crate::domain::hook::{DeliveryState, HookStatus};
use crate::domain::role::Role;
use crate::http::AppState;
use crate::pipeline::hooks::{self, HookChange};
use crate::store::Window;
use crate::store::hook_delivery::DeliveryFilter;

/// How long the secret before signs too after one was replaced.
const OVERLAP: Duration = Duration::from_hours(24);

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/hooks/{id}/act/{act}", get(ask).post(act))
}

/// Words of an act: its name, its title, its button, and what it means.
struct Words {
    act: &'static str,
    title: &'static str,
    button: &'static str,
    meaning: &'static str,
    needs: Role,
    is_final: bool,
}

const ACTS: [Words; 6] = [
    Words {
        act: "test",
        title: "Send a test?",
        button: "Send it",
        meaning: "A `hook.test` is delivered, signed like all others. It changes nothing.",
        needs: Role::Admin,
        is_final: false,
    },
    Words {
        act: "resend",
        title: "Deliver it again?",
        button: "Deliver it",
        meaning: "It has the same `webhook-id`, by which a receiver knows that it has seen it.",
        needs: Role::Admin,
        is_final: false,
    },
    Words {
        act: "enable",
        title: "Enable the hook?",
        button: "Enable",
        meaning: "What waits goes out now, and what happens from now on is delivered.",
        needs: Role::Owner,
        is_final: false,
    },
    Words {
        act: "disable",
        title: "Disable the hook?",
        button: "Disable",
        meaning: "Nothing is delivered any more. What waits goes out when it is enabled again; what happens \
                  meanwhile is not kept for it.",
        needs: Role::Owner,
        is_final: false,
    },
    Words {
        act: "rotate",
        title: "Give the hook another secret?",
        button: "Show the new secret",
        meaning: "Deliveries are signed with both for 24 hours, then with the new one alone.",
        needs: Role::Owner,
        is_final: false,
    },
    Words {
        act: "delete",
        title: "Remove the hook?",
        button: "Remove",
        meaning: "It goes with its secrets, its deliveries and what waits for it.",
        needs: Role::Owner,
        is_final: true,
    },
];

fn words_of(act: &str) -> Result<&'static Words, Refusal> {
    let found = ACTS.iter().find(|words| words.act == act);
    found.ok_or_else(Refusal::no_such_page)
}

fn is_state(word: &str) -> bool {
    DeliveryState::WORDS.contains(&word)
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let words = words_of(&act)?;
    visitor.admin.require(words.needs)?;
    let (store, app) = (&state.store, &visitor.app);
    let hook = hooks::find(store, app, &id).await?;
    let waiting = DeliveryFilter {
        state: Some(DeliveryState::Waiting),
        kind: None,
    };
    let one = Window::Page { number: 1, size: 1 };
    let found = hooks::deliveries(store, app, &id, &waiting, &one).await?;
    let mut facts = vec![
        ("Goes to", hook.url),
        ("Waiting", found.total.unwrap_or_default().to_string()),
    ];
    let mut hidden = Vec::new();
    if words.act == "resend" {
        let delivery = asked.own("delivery").unwrap_or_default();
        let again = hooks::find_delivery(store, app, &id, &delivery).await?;
        facts.push(("Change", again.kind.clone()));
        facts.push(("Of", again.created_at.to_string()));
        hidden.push(("delivery", delivery));
        hidden.extend(asked.own("state").map(|state| ("state", state)));
    }
    let act = Confirm {
        title: words.title.to_owned(),
        meaning: words.meaning,
        facts,
        hidden,
        path: format!("{}/act/{}", page_of(&id), words.act),
        button: words.button,
        is_final: words.is_final,
        sets_state: matches!(words.act, "enable" | "disable"),
        back: page_of(&id),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "hooks", act)
}

async fn act(
    State(state): State<AppState>,
    Path((id, act)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    let words = words_of(&act)?;
    form.visitor.admin.require(words.needs)?;
    let (store, order) = (&state.store, form.order(&state)?);
    match words.act {
        "test" => {
            hooks::test(store, &order, &id).await?;
            Ok(done_at(&page_of(&id), "test", None))
        }
        "resend" => {
            let delivery = form.fields.need("delivery")?;
            hooks::resend(store, &order, &id, delivery).await?;
            // The list stays as it was narrowed.
            let state = form.fields.get("state").filter(|word| is_state(word));
            let target = match state {
                Some(state) => format!("{}?state={state}&done=resend", page_of(&id)),
                None => format!("{}?done=resend", page_of(&id)),
            };
            Ok(Redirect::to(&target).into_response())
        }
        "enable" | "disable" => {
            let status = match words.act {
                "enable" => HookStatus::Enabled,
                _ => HookStatus::Disabled,
            };
            let wanted = HookChange {
                status: Some(status),
                ..HookChange::default()
            };
            hooks::change(store, &order, &id, wanted).await?;
            Ok(done_at(&page_of(&id), words.act, None))
        }
        "rotate" => {
            let made = hooks::rotate_secret(store, &state.vault, &order, &id, OVERLAP).await?;
            let secret = made.secret.expose_secret().to_owned();
            let note = "The one before signs too for another 24 hours.";
            let what = "The new secret of the hook";
            issued(&form.visitor, page_of(&id), what, secret, note)
        }
        _ => {
            hooks::remove(store, &order, &id).await?;
            Ok(done_at("/console/hooks", "delete", None))
        }
    }
}
