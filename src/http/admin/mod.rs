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
use super::{Admin, AppState, openapi};
use crate::domain::customer::Customer;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::pipeline::customers::Order;
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

/// A word of a query, read by its own parser, or what is wrong with it.
fn word_of<T>(field: &str, word: Option<String>) -> Result<Option<T>, FieldError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let read = |word: String| word.parse().map_err(|error: T::Err| error.to_string());
    checked(field, word.map(read).transpose())
}

/// An instant of a body or query, or what is wrong with it.
fn instant(field: &str, text: &str) -> Result<Timestamp, FieldError> {
    Timestamp::parse(text)
        .ok_or_else(|| FieldError::new(field, "must be a time such as 2026-01-31T09:30:00Z"))
}

/// The end of something that is made now.
fn end(field: &str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, FieldError> {
    let Some(text) = text else { return Ok(None) };
    let end = instant(field, text)?;
    if end > now {
        Ok(Some(end))
    } else {
        Err(FieldError::new(field, "must lie ahead"))
    }
}

/// Puts the field's name to what a rule of `validate` says.
fn checked<T>(field: &str, result: Result<T, String>) -> Result<T, FieldError> {
    result.map_err(|message| FieldError::new(field, message))
}

/// Collects what is wrong, so that one answer names all of it.
#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault that no single value shows.
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// The value, or `None` with its fault noted.
    fn note<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.0.push(fault);
                None
            }
        }
    }

    /// 422 if anything is wrong.
    fn into_result(self) -> Result<(), ApiError> {
        self.finish(Some(()))
    }

    /// What was read, or 422 with all that is wrong.
    fn finish<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::invalid(self.0)),
        }
    }
}
