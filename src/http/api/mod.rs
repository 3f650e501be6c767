//! Shared by the admin API and its dialects: views of the resources that several of them show,
//! lists, bodies and refusals. `admin`, `apps` and `merchant` are clothes over these and over the
//! use cases of [`pipeline`](crate::pipeline).

pub(super) mod cursor;
pub(super) mod customer;
pub(super) mod deletion;
mod external_id;
pub(super) mod flag;
pub(super) mod license;
mod license_source;
pub(super) mod list;
pub(super) mod package;
pub(super) mod pause;
pub(super) mod problem;

use super::{Admin, ApiError, AppState};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::pipeline::apps;
use crate::pipeline::order::Order;
use crate::store::App;

/// The order of a request in the app of its token.
pub(super) fn order_of(admin: &Admin, state: &AppState) -> Order {
    order_in(admin, state, admin.app_or_default())
}

/// The order of a request in this app.
pub(super) fn order_in(admin: &Admin, state: &AppState, app: AppSlug) -> Order {
    Order {
        app,
        actor: admin.actor.clone(),
        now: state.clock.now(),
        reason: admin.reason.clone(),
    }
}

/// A customer's id from a path. A text that is no id names nobody.
pub(super) fn customer_id(text: &str) -> Result<CustomerId, ApiError> {
    text.parse().map_err(|_| problem::customer_not_found())
}

/// The app of a path, if there is one and the token may see it.
pub(super) async fn visible_app(
    state: &AppState,
    admin: &Admin,
    slug: &str,
) -> Result<App, ApiError> {
    let slug: AppSlug = slug.parse().map_err(|_| problem::app_not_found())?;
    if !admin.may_see(&slug) {
        return Err(problem::named_app_not_found(&slug));
    }
    let found = apps::find(&state.store, &slug).await;
    found.map_err(|error| problem::of_named_app(error, &slug))
}

/// The order of a request in the app of its path, if there is one and the token may see it.
pub(super) async fn order_in_path(
    admin: &Admin,
    state: &AppState,
    slug: &str,
) -> Result<Order, ApiError> {
    let app = visible_app(state, admin, slug).await?;
    Ok(order_in(admin, state, app.slug))
}

/// The most members of a list inside the view of one thing. Lists that can be longer have an
/// address of their own, with pages.
const MOST_SHOWN: usize = 100;

/// Cuts a list inside a view, and says whether something was left out.
pub(super) fn cut<T>(mut list: Vec<T>) -> (Vec<T>, bool) {
    let truncated = list.len() > MOST_SHOWN;
    list.truncate(MOST_SHOWN);
    (list, truncated)
}

/// True where nothing was left out, which is not said.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(super) const fn is_whole(truncated: &bool) -> bool {
    !*truncated
}

/// A time as answers show it: RFC 3339 in UTC.
pub(super) fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
