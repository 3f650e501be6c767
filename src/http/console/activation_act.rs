//! Freeing the place that a machine has of a licence: the effect first, then the act.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::Form;
use super::license_act::license_id;
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::done_at;
use super::visitor::Visitor;
use crate::domain::access::activation::Activation;
use crate::domain::id::{ActivationId, LicenseId};
use crate::domain::role::Role;
use crate::http::AppState;
use crate::http::input::written;
use crate::pipeline::licenses::{LicenseError, activations};

pub(super) fn router() -> Router<AppState> {
    Router::new().route(
        "/licenses/{id}/activations/{activation}/free",
        get(ask).post(free),
    )
}

/// The page that asks about the place of an activation. It names the machine, so that it can still be
/// named when the place was freed meanwhile.
pub(super) fn page_of(activation: &Activation) -> String {
    let machine = activation.name.as_ref().unwrap_or(&activation.fingerprint);
    let query = written(&[("machine".to_owned(), machine.clone())]);
    format!(
        "{}?{}",
        path_of(&activation.license, &activation.id),
        query.query().unwrap_or_default()
    )
}

fn path_of(license: &LicenseId, activation: &ActivationId) -> String {
    format!("/console/licenses/{license}/activations/{activation}/free")
}

/// Says that there is no place to free.
fn is_free(machine: Option<&str>) -> Refusal {
    let machine = machine.unwrap_or("that machine");
    let sentence =
        format!("The licence has no place for {machine} any more: it was freed meanwhile.");
    Refusal::Plain(StatusCode::NOT_FOUND, sentence.into())
}

async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((license, id)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let license = license_id(&license)?;
    let id: ActivationId = id.parse().map_err(|_| LicenseError::NotActive)?;
    let (owned, found) = activations::find(&state.store, &visitor.app, &license, &id).await?;
    let Some(activation) = found else {
        return Err(is_free(asked.get("machine")));
    };
    let machine = activation.name.as_ref().unwrap_or(&activation.fingerprint);
    let taken = owned.activations;
    let after = taken.saturating_sub(1);
    let act = Confirm {
        title: format!("Free the place of {machine}?"),
        meaning: "The machine has to activate the licence again, if there is a place for it then.",
        facts: vec![
            ("Licence", owned.license.product),
            ("Machine", activation.fingerprint.clone()),
            ("Since", activation.created_at.to_string()),
            ("Places taken", format!("{taken} → {after}")),
        ],
        path: path_of(&license, &id),
        hidden: vec![("machine", machine.clone())],
        button: "Free it",
        is_final: true,
        back: format!("/console/licenses/{license}"),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn free(
    State(state): State<AppState>,
    Path((license, id)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    let license = license_id(&license)?;
    let id: ActivationId = id.parse().map_err(|_| LicenseError::NotActive)?;
    match activations::delete(&state.store, &form.order(&state)?, &license, &id).await {
        Ok(()) => Ok(done_at(
            &format!("/console/licenses/{license}"),
            "free",
            None,
        )),
        Err(LicenseError::NotActive) => Err(is_free(form.fields.get("machine"))),
        Err(error) => Err(error.into()),
    }
}
