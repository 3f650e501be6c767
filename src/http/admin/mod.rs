//! The admin API, `/api/v1`: one file per resource.
//!
//! Handlers read the request, call the store or a use case, and dress the answer; what things
//! mean is decided elsewhere, so that other dialects can be other clothes over the same
//! functions. A path without an app means the token's own app, or `default` for tokens of all
//! apps. What a token may not see answers as if it did not exist.

mod admin_tokens;
pub(in crate::http) mod apps;
mod audit;
mod catalogue;
mod constraints;
pub(in crate::http) mod customers;
mod events;
mod explain;
mod flags;
pub(in crate::http) mod licenses;
pub(in crate::http) mod list;
pub(in crate::http) mod operations;
mod packages;
mod plans;
mod policy;
pub(in crate::http) mod problem;
mod releases;
mod replays;
mod secrets;
mod stats;
mod subscriptions;
mod tokens;
pub(in crate::http) mod view;

pub(super) use policy::PolicyBody;
use utoipa_axum::router::OpenApiRouter;

use super::error::ApiError;
use super::field_errors::{FieldErrors, checked, end, instant, word_of, yes_or_no};
use super::{Admin, AppState, openapi};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId};
use crate::pipeline::order::Order;
use crate::store::Tx;

/// Everything below `/api/v1`.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .merge(customers::router())
        .merge(operations::router())
        .merge(explain::router())
        .merge(subscriptions::router())
        .merge(packages::router())
        .merge(catalogue::router())
        .merge(flags::router())
        .merge(tokens::router())
        .merge(licenses::router())
        .merge(releases::router())
        .merge(plans::router())
        .merge(policy::router())
        .merge(events::router())
        .merge(replays::router())
        .merge(audit::router())
        .merge(stats::router())
        .merge(apps::router())
        .merge(secrets::router())
        .merge(admin_tokens::router())
        .merge(constraints::router());
    OpenApiRouter::default().nest("/api/v1", openapi::guarded(routes))
}

/// In whose name, where and when a request does something.
pub(in crate::http) fn order_of(admin: &Admin, state: &AppState) -> Order {
    order_in(admin, state, admin.app_or_default())
}

/// As [`order_of`], in an app that the path names.
pub(in crate::http) fn order_in(admin: &Admin, state: &AppState, app: AppSlug) -> Order {
    Order {
        app,
        actor: admin.actor.clone(),
        now: state.clock.now(),
    }
}

/// A customer's id from a path. What is no id names nobody.
pub(in crate::http) fn customer_id(text: &str) -> Result<CustomerId, ApiError> {
    text.parse().map_err(|_| problem::customer_not_found())
}

/// The customer of a path, which may be deleted softly but not merged into another.
async fn shown_customer(tx: &mut Tx, app: &AppSlug, id: &str) -> Result<Customer, ApiError> {
    let found = tx.customer_find(app, &customer_id(id)?).await?;
    let customer = found.ok_or_else(problem::customer_not_found)?;
    match &customer.merged_into {
        Some(into) => Err(problem::customer_merged(into)),
        None => Ok(customer),
    }
}

/// The customer of a path, to be changed.
pub(in crate::http) async fn living_customer(
    tx: &mut Tx,
    app: &AppSlug,
    id: &str,
) -> Result<Customer, ApiError> {
    let customer = shown_customer(tx, app, id).await?;
    match customer.deleted_at {
        Some(_) => Err(problem::customer_deleted()),
        None => Ok(customer),
    }
}
