//! The admin API, `/api/v1`: one file per resource.
//!
//! Handlers read the request, call a use case of [`pipeline`](crate::pipeline), and show what it
//! returns. What several dialects show in the same way is in `api`. A path without an app means the
//! token's own app; for tokens of all apps the one of `?app=`, else `default`. What a token may not see answers as if it did not exist.

mod accounts;
mod activations;
mod admin_tokens;
mod api_keys;
mod apps;
mod audit;
mod catalogue;
mod constraints;
mod customers;
mod dismissals;
mod endpoints;
mod event_filter;
mod events;
mod explain;
mod export;
mod flags;
mod hook_deliveries;
mod hooks;
mod licenses;
pub(crate) mod lines;
mod operations;
mod package_orders;
mod packages;
mod pauses;
mod payments;
mod plan_licenses;
mod plan_packages;
mod plans;
mod policy;
mod policy_schema;
mod portal_links;
mod reconciles;
mod refetches;
mod registry;
mod releases;
mod replays;
mod secrets;
mod stats;
mod subscriptions;
mod timeline;
mod tokens;
mod unaccounted;

use utoipa_axum::router::OpenApiRouter;

use super::{AppState, openapi};

/// Everything below `/api/v1`.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .merge(customers::router())
        .merge(portal_links::router())
        .merge(operations::router())
        .merge(accounts::router())
        .merge(explain::router())
        .merge(export::router())
        .merge(subscriptions::router())
        .merge(timeline::router())
        .merge(packages::router())
        .merge(payments::router())
        .merge(catalogue::router())
        .merge(flags::router())
        .merge(tokens::router())
        .merge(licenses::router())
        .merge(activations::router())
        .merge(registry::router())
        .merge(releases::router())
        .merge(plans::router())
        .merge(policy::router())
        .merge(events::router())
        .merge(replays::router())
        .merge(reconciles::router())
        .merge(dismissals::router())
        .merge(audit::router())
        .merge(stats::router())
        .merge(apps::router())
        .merge(pauses::router())
        .merge(endpoints::router())
        .merge(secrets::router())
        .merge(api_keys::router())
        .merge(hooks::router())
        .merge(hook_deliveries::router())
        .merge(refetches::router())
        .merge(admin_tokens::router())
        .merge(constraints::router());
    OpenApiRouter::default().nest("/api/v1", openapi::guarded(routes))
}
