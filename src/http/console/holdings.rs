//! What a customer holds: packages by hand, billing accounts, access tokens.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use std::time::Duration;

use super::customers::name_of;
use super::effect::Effect;
use super::form::Form;
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when;
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::CustomerId;
use crate::domain::role::Role;
use crate::http::api::customer_id;
use crate::http::{ApiError, AppState};
use crate::pipeline::customers::{self, AccountName, Named};
use crate::pipeline::grants;
use crate::pipeline::tokens::{self, Issued, TokenError, TokenOrder};

/// How long the text before a rotation still works: time to put the new one in place.
const OVERLAP: Duration = Duration::from_hours(24);

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/grant", get(ask_grant).post(grant))
        .route("/customers/{id}/revoke", post(revoke))
        .route("/customers/{id}/link", get(ask_link).post(link))
        .route("/customers/{id}/tokens", post(issue))
        .route("/customers/{id}/tokens/{token}/rotate", post(rotate))
        .route("/customers/{id}/tokens/{token}/revoke", post(revoke_token))
}

fn back_to(id: &CustomerId, done: &str) -> Response {
    Redirect::to(&format!("/console/customers/{id}?done={done}")).into_response()
}

#[derive(Template)]
#[template(path = "grant.html", config = "src/http/console/askama.toml")]
struct GrantPage {
    frame: Frame,
    id: String,
    name: String,
    package: String,
    constraint: String,
    expires_at: String,
    ignores_billing: bool,
    effect: Option<Effect>,
}

/// A package by hand, as a form or an address says it.
fn grant_of<'t>(get: impl Fn(&str) -> Option<&'t str>) -> Result<HandGrant, ApiError> {
    let package = get("package");
    let package = package.ok_or_else(|| ApiError::invalid_field("package", "must be filled in"))?;
    let expires_at = get("expires_at").map(|text| when::parse("expires_at", text));
    let billing = match get("billing") {
        Some("ignore") => GrantBilling::Ignore,
        _ => GrantBilling::Follow,
    };
    Ok(HandGrant {
        grant: PackageGrant {
            package: package.to_owned(),
            constraint: get("constraint").unwrap_or("*").to_owned(),
        },
        billing,
        expires_at: expires_at.transpose()?,
    })
}

async fn ask_grant(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let effect = match asked.get("package") {
        Some(_) => {
            let wanted = grant_of(|name| asked.get(name))?;
            let after = grants::preview(store, &order, &id, wanted).await?;
            Some(Effect::between(&before, &after))
        }
        None => None,
    };
    let name = name_of(&before.customer);
    let text = |name: &str| asked.own(name).unwrap_or_default();
    let page = GrantPage {
        frame: Frame::new(&visitor, "customers", format!("Give {name} a package")),
        id: id.to_string(),
        name,
        package: text("package"),
        constraint: text("constraint"),
        expires_at: text("expires_at"),
        ignores_billing: asked.get("billing") == Some("ignore"),
        effect,
    };
    Ok(render(&page)?)
}

async fn grant(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form { visitor, fields }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let wanted = grant_of(|name| fields.get(name))?;
    let given = grants::grant(&state.store, &visitor.order(&state), &id, wanted).await?;
    Ok(back_to(
        &id,
        if given.changed { "grant" } else { "unchanged" },
    ))
}

async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form { visitor, fields }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let package = fields.need("package")?;
    grants::revoke(&state.store, &visitor.order(&state), &id, package).await?;
    Ok(back_to(&id, "revoke"))
}

#[derive(Template)]
#[template(path = "link.html", config = "src/http/console/askama.toml")]
struct LinkPage {
    frame: Frame,
    id: String,
    name: String,
    account: String,
    effect: Option<Effect>,
}

/// A billing account by the id that a person pastes, with the provider before it or without.
fn account_of(text: &str) -> AccountName {
    let provider = match text {
        text if text.starts_with("cus_") => Some(crate::provider::STRIPE.name),
        text if text.starts_with("ctm_") => Some(crate::provider::PADDLE.name),
        _ => None,
    };
    AccountName {
        provider,
        id: text.to_owned(),
        ..AccountName::default()
    }
}

async fn ask_link(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let effect = match asked.get("account") {
        Some(account) => {
            let name = account_of(account);
            let after = customers::preview_link(store, &order, &id, &name).await?;
            Some(Effect::between(&before, &after))
        }
        None => None,
    };
    let name = name_of(&before.customer);
    let page = LinkPage {
        frame: Frame::new(&visitor, "customers", format!("Link an account to {name}")),
        id: id.to_string(),
        name,
        account: asked.own("account").unwrap_or_default(),
        effect,
    };
    Ok(render(&page)?)
}

async fn link(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form { visitor, fields }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let name = account_of(fields.need("account")?);
    let order = visitor.order(&state);
    let linked = customers::link_account(&state.store, &order, &id, &name).await?;
    // An account that no webhook has named yet is linked for when one does, which changes nobody now.
    Ok(back_to(&linked.customer.id, "link"))
}

#[derive(Template)]
#[template(path = "issued.html", config = "src/http/console/askama.toml")]
struct IssuedPage {
    frame: Frame,
    back: String,
    what: &'static str,
    text: String,
    note: &'static str,
}

/// Shows a token this once. It is the answer to the form, so no address leads to it again.
fn issued(
    visitor: &Visitor,
    id: &CustomerId,
    issued: &Issued,
    note: &'static str,
) -> Result<Response, Refusal> {
    let page = IssuedPage {
        frame: Frame::new(visitor, "customers", "The new access token"),
        back: format!("/console/customers/{id}"),
        what: "The new access token",
        text: issued.text.expose().to_owned(),
        note,
    };
    Ok(render(&page)?)
}

async fn issue(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form { visitor, fields }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let name = fields.line("name")?;
    let name = name.ok_or_else(|| ApiError::invalid_field("name", "must be filled in"))?;
    let wanted = TokenOrder {
        name,
        scope: None,
        packages: Vec::new(),
        expires_at: None,
        text: None,
    };
    let made = tokens::issue(&state.store, &visitor.order(&state), &id, wanted).await?;
    issued(
        &visitor,
        &id,
        &made,
        "It opens everything that the customer may have.",
    )
}

async fn rotate(
    State(state): State<AppState>,
    Path((id, token)): Path<(String, String)>,
    Form { visitor, .. }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let token = token.parse().map_err(|_| TokenError::NotFound)?;
    let order = visitor.order(&state);
    let made = tokens::rotate(&state.store, &order, &id, &token, OVERLAP).await?;
    issued(
        &visitor,
        &id,
        &made,
        "The text before still works for 24 hours.",
    )
}

async fn revoke_token(
    State(state): State<AppState>,
    Path((id, token)): Path<(String, String)>,
    Form { visitor, .. }: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let token = token.parse().map_err(|_| TokenError::NotFound)?;
    tokens::revoke(&state.store, &visitor.order(&state), &id, &token).await?;
    Ok(back_to(&id, "token"))
}
