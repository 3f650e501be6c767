//! Admin tokens, and the apps.

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
use crate::domain::role::Role;
use crate::http::{ApiError, AppState};
use crate::pipeline::admin_tokens::{self, AdminTokenError, AdminTokenOrder};
use crate::pipeline::apps;

/// The longest life of a token that can be asked for, in days.
const MAX_DAYS: u32 = 3_650;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/admins", get(list).post(issue))
        .route("/admins/{id}/revoke", get(ask_revoke).post(revoke))
        .route("/apps", get(list_apps))
}

#[derive(Template)]
#[template(path = "admins.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    roles: [&'static str; 3],
    rows: Vec<Row>,
    pager: Option<Pager>,
}

struct Row {
    id: String,
    name: String,
    role: &'static str,
    app: String,
    prefix: String,
    created_at: When,
    expires_at: Option<When>,
    last_used_at: Option<When>,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    // As in the API, only owners see who has tokens; of one app alone, those of the app.
    let (rows, pager) = if visitor.may_own() {
        let only = (!visitor.sees_all_apps).then_some(&visitor.app);
        let found = admin_tokens::list(&state.store, only, &asked.window()).await?;
        let rows = found.rows.into_iter().map(|token| Row {
            id: token.id.into(),
            name: token.name,
            role: token.role.as_str(),
            app: token
                .app
                .map_or_else(|| "all".to_owned(), |app| app.to_string()),
            prefix: token.prefix,
            created_at: When(token.created_at),
            expires_at: token.expires_at.map(When),
            last_used_at: token.last_used_at.map(When),
        });
        let pager = asked.pager(found.total.unwrap_or_default())?;
        (rows.collect(), Some(pager))
    } else {
        (Vec::new(), None)
    };
    let page = Page {
        frame: Frame::new(&visitor, "admins", "Admins"),
        roles: Role::WORDS,
        rows,
        pager,
    };
    Ok(render(&page)?)
}

#[derive(Template)]
#[template(path = "issued.html", config = "src/http/console/askama.toml")]
struct IssuedPage {
    frame: Frame,
    back: &'static str,
    what: &'static str,
    text: String,
    note: &'static str,
}

async fn issue(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let form = form.of_owner()?;
    let order = form.order(&state)?;
    let Form { visitor, fields } = form;
    let days = match fields.get("days") {
        Some(_) => Some(fields.parse::<u32>("days")?),
        None => None,
    };
    if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
        let message = format!("must be a number from 1 to {MAX_DAYS}");
        return Err(ApiError::invalid_field("days", message).into());
    }
    // A token of one app makes only such tokens.
    let is_for_all = fields.get("all_apps").is_some() && visitor.sees_all_apps;
    let wanted = AdminTokenOrder {
        name: fields.need_line("name")?,
        role: fields.parse::<Role>("role")?,
        app: (!is_for_all).then(|| visitor.app.clone()),
        expires_in_days: days,
    };
    let made = admin_tokens::issue(&state.store, &order, wanted).await?;
    let page = IssuedPage {
        frame: Frame::new(&visitor, "admins", "The new admin token"),
        back: "/console/admins",
        what: "The new admin token",
        text: made.text.expose().to_owned(),
        note: "Whoever has it signs in here, and calls the API.",
    };
    Ok(render(&page)?)
}

async fn ask_revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Owner)?;
    let id = id.parse().map_err(|_| AdminTokenError::NotFound)?;
    let only = (!visitor.sees_all_apps).then_some(&visitor.app);
    let token = admin_tokens::show(&state.store, &id, only).await?;
    let used = token.last_used_at.map(|at| at.to_string());
    let act = Confirm {
        title: format!("Revoke the admin token {}?", token.name),
        meaning: "It opens nothing any more, and whoever is signed in with it is signed out. Another one \
                  can be made.",
        facts: vec![
            ("Begins with", format!("{}…", token.prefix)),
            ("Role", token.role.as_str().to_owned()),
            ("Last used", used.unwrap_or_else(|| "never".to_owned())),
        ],
        path: format!("/console/admins/{id}/revoke"),
        button: "Revoke it",
        is_final: true,
        back: "/console/admins".to_owned(),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "admins", act)
}

async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let form = form.of_owner()?;
    let id = id.parse().map_err(|_| AdminTokenError::NotFound)?;
    let only = (!form.visitor.sees_all_apps).then_some(&form.visitor.app);
    admin_tokens::revoke(&state.store, &form.order(&state)?, &id, only).await?;
    Ok(Redirect::to("/console/admins").into_response())
}

#[derive(Template)]
#[template(path = "apps.html", config = "src/http/console/askama.toml")]
struct AppsPage {
    frame: Frame,
    rows: Vec<(String, String, bool)>,
}

async fn list_apps(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Refusal> {
    let all = if visitor.sees_all_apps {
        apps::list(&state.store)
            .await?
            .into_iter()
            .map(|it| it.app)
            .collect()
    } else {
        vec![apps::find(&state.store, &visitor.app).await?]
    };
    let rows = all.into_iter().map(|app| {
        let is_current = app.slug == visitor.app;
        (app.slug.to_string(), app.name, is_current)
    });
    let page = AppsPage {
        frame: Frame::new(&visitor, "apps", "Apps"),
        rows: rows.collect(),
    };
    Ok(render(&page)?)
}
