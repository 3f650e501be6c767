//! Giving packages by hand, and taking them back.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::customers::name_of;
use super::effect::Effect;
use super::form::{Form, missing};
use super::page::{Frame, render};
use super::query::Asked;
use super::refusal::Refusal;
use super::undo::{Back, done_to};
use super::visitor::Visitor;
use super::when;
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::live_grant::GrantSource;
use crate::domain::access::plan::PackageGrant;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::http::api::customer_id;
use crate::http::{ApiError, AppState};
use crate::pipeline::customers::{self, CustomerDetails, Named};
use crate::pipeline::grants;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/grant", get(ask_grant).post(grant))
        .route("/customers/{id}/revoke", get(ask_revoke).post(revoke))
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
    let expires_at = get("expires_at").map(|text| when::parse("expires_at", text));
    let billing = match get("billing") {
        Some("ignore") => GrantBilling::Ignore,
        _ => GrantBilling::Follow,
    };
    Ok(HandGrant {
        grant: PackageGrant {
            package: needed(get("package"))?.to_owned(),
            constraint: get("constraint").unwrap_or("*").to_owned(),
        },
        billing,
        expires_at: expires_at.transpose()?,
    })
}

fn needed(package: Option<&str>) -> Result<&str, ApiError> {
    package.ok_or_else(|| missing("package"))
}

/// What a customer has by hand of a package.
fn by_hand(details: &CustomerDetails, package: &str) -> Option<HandGrant> {
    let live = details.granted.of(&details.customer).into_iter();
    live.filter(|it| it.grant.package == package)
        .find_map(|it| match it.source {
            GrantSource::Hand {
                billing,
                expires_at,
                ..
            } => Some(HandGrant {
                grant: it.grant,
                billing,
                expires_at,
            }),
            GrantSource::Plan { .. } => None,
        })
}

/// The page that gives a package as it was given.
fn giving(grant: &HandGrant) -> Back {
    let back = Back::new("grant")
        .with("package", &grant.grant.package)
        .with("constraint", &grant.grant.constraint);
    let back = match grant.expires_at {
        Some(at) => back.with("expires_at", Timestamp::to_string(&at)),
        None => back,
    };
    match grant.billing {
        GrantBilling::Ignore => back.with("billing", "ignore"),
        GrantBilling::Follow => back,
    }
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
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, form.order(&state)?);
    let wanted = grant_of(|name| form.fields.get(name))?;
    let package = wanted.grant.package.clone();
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let before = by_hand(&before, &package);
    let given = grants::grant(store, &order, &id, wanted).await?;
    if !given.changed {
        return Ok(done_to(&id, "unchanged", None));
    }
    let back = match &before {
        Some(before) => giving(before),
        None => Back::new("revoke").with("package", package),
    };
    Ok(done_to(&id, "grant", Some(back)))
}

async fn ask_revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = customer_id(&id)?;
    let package = needed(asked.get("package"))?;
    let (store, order) = (&state.store, visitor.order(&state));
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let after = grants::preview_revoke(store, &order, &id, package).await?;
    let act = Confirm {
        title: format!("Take {package} back from {}?", name_of(&before.customer)),
        meaning: "What was given by hand ends. What is paid for stays.",
        effect: Some(Effect::between(&before, &after)),
        path: format!("/console/customers/{id}/revoke"),
        hidden: vec![("package", package.to_owned())],
        button: "Take it back",
        back: format!("/console/customers/{id}"),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let package = form.fields.need("package")?;
    let (store, order) = (&state.store, form.order(&state)?);
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    grants::revoke(store, &order, &id, package).await?;
    let back = by_hand(&before, package).map(|it| giving(&it));
    Ok(done_to(&id, "revoke", back))
}
