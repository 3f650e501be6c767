//! Linking billing accounts to a customer, and parting them from it.

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
use crate::domain::role::Role;
use crate::http::api::customer_id;
use crate::http::{ApiError, AppState};
use crate::pipeline::customers::{self, AccountName, Named};
use crate::provider::Spec;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/link", get(ask_link).post(link))
        .route("/customers/{id}/part", get(ask_part).post(part))
}

#[derive(Template)]
#[template(path = "link.html", config = "src/http/console/askama.toml")]
struct LinkPage {
    frame: Frame,
    id: String,
    name: String,
    account: String,
    mode: String,
    effect: Option<Effect>,
}

/// The fields that name an account.
const FIELDS: [&str; 4] = ["account", "provider", "mode", "connected"];

/// A billing account by the id that a person pastes, with the provider before it or without, and by what
/// a page of ours knows of it besides.
fn account_of<'t>(get: impl Fn(&str) -> Option<&'t str>) -> Result<AccountName, ApiError> {
    let text = get("account");
    let text = text.ok_or_else(|| missing("account"))?;
    let named = get("provider").map(str::parse::<&Spec>).transpose();
    let named = named.map_err(|error| ApiError::invalid_field("provider", error.to_string()))?;
    let provider = match text {
        _ if named.is_some() => named.map(|spec| spec.name),
        text if text.starts_with("cus_") => Some(crate::provider::STRIPE.name),
        text if text.starts_with("ctm_") => Some(crate::provider::PADDLE.name),
        _ => None,
    };
    Ok(AccountName {
        provider,
        id: text.to_owned(),
        livemode: get("mode").map(|mode| mode == "live"),
        connected_account: get("connected").map(str::to_owned),
    })
}

/// The page that undoes it, with everything that names the account.
fn back_by<'t>(word: &'static str, get: impl Fn(&str) -> Option<&'t str>) -> Back {
    let known = FIELDS
        .into_iter()
        .filter_map(|name| Some((name, get(name)?)));
    known.fold(Back::new(word), |back, (name, value)| {
        back.with(name, value)
    })
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
        Some(_) => {
            let name = account_of(|name| asked.get(name))?;
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
        mode: asked.own("mode").unwrap_or_default(),
        effect,
    };
    Ok(render(&page)?)
}

async fn link(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let name = account_of(|name| form.fields.get(name))?;
    let linked = customers::link_account(&state.store, &form.order(&state)?, &id, &name).await?;
    // An account that no webhook has named yet is linked for when one does, which changes nobody now.
    let back = linked
        .changed
        .then(|| back_by("part", |name| form.fields.get(name)));
    let done = if linked.changed { "link" } else { "unchanged" };
    Ok(done_to(&linked.customer.id, done, back))
}

async fn ask_part(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    visitor.admin.require(Role::Admin)?;
    let id = customer_id(&id)?;
    let (store, order) = (&state.store, visitor.order(&state));
    let name = account_of(|name| asked.get(name))?;
    let before = customers::find(store, &order.app, Named::Id(&id), order.now).await?;
    let after = customers::preview_part(store, &order, &id, &name).await?;
    let hidden = FIELDS
        .into_iter()
        .filter_map(|name| Some((name, asked.own(name)?)));
    let act = Confirm {
        title: format!("Part {} from {}?", name.id, name_of(&before.customer)),
        meaning: "What the account pays for counts for the customer that it brought along, or for one \
                  of its own. Tokens, licences and packages by hand stay here. Nothing but an admin \
                  links it to this customer again.",
        effect: Some(Effect::between(&before, &after)),
        path: format!("/console/customers/{id}/part"),
        hidden: hidden.collect(),
        button: "Part it",
        back: format!("/console/customers/{id}"),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn part(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let name = account_of(|name| form.fields.get(name))?;
    let parted = customers::part_account(&state.store, &form.order(&state)?, &id, &name).await?;
    let back = back_by("link", |name| form.fields.get(name));
    Ok(done_to(&parted.customer.id, "part", Some(back)))
}
