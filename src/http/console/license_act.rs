//! Acts on a licence: the effect first, then the act.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::confirm::{self, Confirm, Question};
use super::form::Form;
use super::issued::issued;
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::{Back, done_at, done_to};
use super::visitor::Visitor;
use super::when;
use crate::domain::access::activation::check_limit;
use crate::domain::id::LicenseId;
use crate::domain::precondition::Precondition;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses::change::{LicenseChange, Renewal, change, delete, reissue, renew};
use crate::pipeline::licenses::preview::{LicenseAct, preview};
use crate::pipeline::licenses::{self, Changed, LicenseError, OwnedLicense, activations, key_of};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/licenses/{id}/act/{act}", get(ask).post(act))
}

/// Words of an act: its name, its title and button, and what it means.
struct Words {
    act: &'static str,
    button: &'static str,
    meaning: &'static str,
    /// What the effect depends on: the name of a field, what it is called, and its kind.
    question: Option<(&'static str, &'static str, &'static str)>,
    is_final: bool,
}

const ACTS: [Words; 7] = [
    Words {
        act: "revoke",
        button: "Revoke",
        meaning: "It is valid nowhere any more, and keeps its key and its places.",
        question: None,
        is_final: false,
    },
    Words {
        act: "reinstate",
        button: "Reinstate",
        meaning: "It is valid again, if nothing else stands against it.",
        question: None,
        is_final: false,
    },
    Words {
        act: "renew",
        button: "Renew",
        meaning: "It gets a later end. One that was revoked stays so.",
        question: Some(("expires_at", "New end", "date")),
        is_final: false,
    },
    Words {
        act: "limit",
        button: "Change the limit of",
        meaning: "So many machines may use it at once. Those that do now keep their places.",
        question: Some(("limit", "Places", "number")),
        is_final: false,
    },
    Words {
        act: "free",
        button: "Free all places of",
        meaning: "Every machine has to activate it again.",
        question: None,
        is_final: true,
    },
    Words {
        act: "reissue",
        button: "Give another key to",
        meaning: "The key that it has is unknown at once, wherever it is entered.",
        question: None,
        is_final: true,
    },
    Words {
        act: "delete",
        button: "Delete",
        meaning: "Its key is unknown at once, and nothing is kept of it but the audit. Revoke it to keep it.",
        question: None,
        is_final: true,
    },
];

/// A licence's id from a path. A text that is no id names no licence.
pub(super) fn license_id(text: &str) -> Result<LicenseId, ApiError> {
    text.parse().map_err(|_| LicenseError::NotFound.into())
}

/// Reads a limit of activations.
pub(super) fn limit_of(text: &str) -> Result<u32, ApiError> {
    let limit = text.parse::<i64>().unwrap_or_default();
    check_limit(limit).map_err(|wrong| ApiError::invalid_field("limit", wrong))
}

/// Reports whether there is an act of this name.
pub(super) fn is_act(word: &str) -> bool {
    ACTS.iter().any(|words| words.act == word)
}

fn words_of(act: &str) -> Result<&'static Words, Refusal> {
    let found = ACTS.iter().find(|words| words.act == act);
    found.ok_or_else(Refusal::no_such_page)
}

/// The act that can be shown before it is done; `None` where its words say all.
fn shown_act(words: &Words, value: Option<&str>) -> Result<Option<LicenseAct>, ApiError> {
    Ok(match (words.act, value) {
        ("revoke", _) => Some(LicenseAct::Revoke),
        ("reinstate", _) => Some(LicenseAct::Reinstate),
        ("renew", Some(end)) => Some(LicenseAct::Renew(until(end)?)),
        ("limit", Some(limit)) => Some(LicenseAct::Change(limited(limit)?)),
        _ => None,
    })
}

fn until(text: &str) -> Result<Renewal, ApiError> {
    when::parse("expires_at", text).map(Renewal::Until)
}

fn limited(text: &str) -> Result<LicenseChange, ApiError> {
    Ok(LicenseChange {
        activations_limit: Some(Some(limit_of(text)?)),
        ..LicenseChange::default()
    })
}

/// What may differ by an act, in words.
fn standing(owned: &OwnedLicense, now: Timestamp) -> [(&'static str, String); 3] {
    let license = &owned.license;
    let code = license.judge(&owned.customer, &owned.plans, now);
    let end = license.expires_at;
    let limit = owned.activations_allowed();
    [
        (
            "It is",
            if code.is_valid() {
                "valid".to_owned()
            } else {
                code.as_str().to_owned()
            },
        ),
        (
            "It ends",
            end.map_or("never".to_owned(), |at| at.to_string()),
        ),
        (
            "Places",
            limit.map_or("as many as are wanted".to_owned(), |it| it.to_string()),
        ),
    ]
}

/// The differences between two moments.
fn difference(
    before: &OwnedLicense,
    after: &OwnedLicense,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let pairs = standing(before, now).into_iter().zip(standing(after, now));
    let changed = pairs.filter(|((_, was), (_, is))| was != is);
    let told = changed.map(|((name, was), (_, is))| (name, format!("{was} → {is}")));
    let mut told: Vec<_> = told.collect();
    if told.is_empty() {
        told.push(("It", "stays as it is".to_owned()));
    }
    told
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let words = words_of(&act)?;
    let id = license_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let before = licenses::find(store, &order.app, &id).await?;
    let value = words.question.and_then(|(name, ..)| asked.get(name));
    let mut facts = match shown_act(words, value)? {
        Some(act) => {
            let Changed { owned, .. } = preview(store, &order, &id, act).await?;
            difference(&before, &owned, order.now)
        }
        None => Vec::new(),
    };
    if words.act == "free" {
        facts.push(("Places taken", format!("{} → 0", before.activations)));
    }
    let question = words.question.map(|(name, label, kind)| Question {
        name,
        label,
        kind,
        value: value.unwrap_or_default().to_owned(),
    });
    let product = &before.license.product;
    let act = Confirm {
        title: format!("{} the licence {product}?", words.button),
        meaning: words.meaning,
        question,
        facts,
        path: format!("/console/licenses/{id}/act/{}", words.act),
        button: "Do it",
        is_final: words.is_final,
        sets_state: matches!(words.act, "revoke" | "reinstate" | "renew" | "limit"),
        back: format!("/console/licenses/{id}"),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn act(
    State(state): State<AppState>,
    Path((id, act)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    let words = words_of(&act)?;
    let id = license_id(&id)?;
    let (store, order, only_if) = (&state.store, form.order(&state)?, Precondition::None);
    let reason = order.reason.clone();
    let (changed, back) = match words.act {
        "revoke" => {
            let done = licenses::revoke(store, &order, &id, reason, &only_if).await?;
            (done.changed, Some(Back::new("reinstate")))
        }
        "reinstate" => {
            let done = licenses::reinstate(store, &order, &id, &only_if).await?;
            (done.changed, Some(Back::new("revoke")))
        }
        "renew" => {
            let renewal = until(form.fields.need("expires_at")?)?;
            let done = renew(store, &order, &id, renewal, &only_if).await?;
            (done.changed, None)
        }
        "limit" => {
            let before = licenses::find(store, &order.app, &id).await?;
            let wanted = limited(form.fields.need("limit")?)?;
            let done = change(store, &order, &id, wanted, &only_if).await?;
            let known = before.license.activations_limit;
            let back = known.map(|it| Back::new("limit").with("limit", it.to_string()));
            (done.changed, back)
        }
        "free" => (activations::clear(store, &order, &id).await? > 0, None),
        "reissue" => return another_key(&state, &form, &id).await,
        _ => {
            let found = licenses::find(store, &order.app, &id).await?;
            delete(store, &order, &id, &only_if).await?;
            return Ok(done_to(&found.customer.id, "license", None));
        }
    };
    let page = format!("/console/licenses/{id}");
    Ok(if changed {
        done_at(&page, words.act, back)
    } else {
        done_at(&page, "unchanged", None)
    })
}

async fn another_key(state: &AppState, form: &Form, id: &LicenseId) -> Result<Response, Refusal> {
    let (order, only_if) = (form.order(state)?, Precondition::None);
    let made = reissue(&state.store, &state.vault, &order, id, &only_if).await?;
    let key = key_of(&state.vault, &order.app, id, &made.sealed);
    let note =
        "The key before is unknown from now on. The page of the licence shows the new one again.";
    let back = format!("/console/licenses/{id}");
    issued(
        &form.visitor,
        back,
        "The new licence key",
        key.unwrap_or_default(),
        note,
    )
}
