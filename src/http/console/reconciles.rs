//! Comparing with what the providers say, and the drift that was found.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::form::Form;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::reconcile::ReconcileStatus;
use crate::domain::role::Role;
use crate::http::AppState;
use crate::pipeline::reconcile::{self, ReconcileError, Wanted};
use crate::provider::{self, Spec};
use crate::store::reconcile::Reconcile;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/reconciles", get(list).post(order))
        .route("/reconciles/{id}/cancel", get(ask_cancel).post(cancel))
}

struct Row {
    id: String,
    provider: String,
    status: Badge,
    is_open: bool,
    dry_run: bool,
    read: u64,
    missing: u64,
    different: u64,
    gone: u64,
    repaired: u64,
    unmapped: Vec<String>,
    /// What the key may not read, and what the provider says.
    not_read: Vec<(&'static str, String)>,
    error: String,
    at: When,
}

impl From<Reconcile> for Row {
    fn from(it: Reconcile) -> Self {
        let status = it.status();
        let tone = match status {
            ReconcileStatus::Open => "warn",
            ReconcileStatus::Finished => "good",
            ReconcileStatus::Failed => "bad",
            ReconcileStatus::Canceled => "",
        };
        let total = it.found.total();
        let unmapped = it.found.unmapped.iter();
        let not_read = it.found.not_read.iter();
        Self {
            status: Badge::new(status.as_str(), tone),
            is_open: status == ReconcileStatus::Open,
            id: it.id.into(),
            provider: it.provider.to_string(),
            dry_run: it.dry_run,
            read: total.read,
            missing: total.missing,
            different: total.different,
            gone: it.found.gone,
            repaired: it.found.repaired,
            unmapped: unmapped.map(|price| price.price.clone()).collect(),
            not_read: not_read
                .map(|(stage, said)| (stage.as_str(), said.clone()))
                .collect(),
            error: it.error.map(|error| error.detail).unwrap_or_default(),
            at: When(it.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "reconciles.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    providers: Vec<String>,
    rows: Vec<Row>,
    pager: Pager,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let found = reconcile::list(&state.store, &visitor.app, &asked.window()).await?;
    let page = Page {
        frame: Frame::new(&visitor, "reconciles", "Reconcile"),
        providers: provider::names().map(|it| it.to_string()).collect(),
        rows: found.rows.into_iter().map(Row::from).collect(),
        pager: asked.pager(found.total.unwrap_or_default())?,
    };
    Ok(render(&page)?)
}

async fn order(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let (order, fields) = (form.order(&state)?, &form.fields);
    let wanted = Wanted {
        provider: fields.parse::<&Spec>("provider")?.name,
        since: None,
        dry_run: fields.get("dry_run").is_some(),
    };
    reconcile::order(&state.store, &state.apis, &order, wanted).await?;
    Ok(Redirect::to("/console/reconciles").into_response())
}

async fn ask_cancel(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = id.parse().map_err(|_| ReconcileError::NotFound)?;
    let found = reconcile::find(&state.store, &visitor.app, &id).await?;
    let act = Confirm {
        title: format!("Stop comparing with {}?", found.provider),
        meaning: "Nothing more is read. What was repaired stays, and the next comparison reads all that this \
                  one did not.",
        facts: vec![
            ("Status", found.status().to_string()),
            ("Read", found.found.total().read.to_string()),
        ],
        path: format!("/console/reconciles/{id}/cancel"),
        button: "Stop it",
        back: "/console/reconciles".to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "reconciles", act)
}

async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = id.parse().map_err(|_| ReconcileError::NotFound)?;
    reconcile::cancel(&state.store, &form.order(&state)?, &id).await?;
    Ok(Redirect::to("/console/reconciles").into_response())
}
