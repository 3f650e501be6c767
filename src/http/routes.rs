//! The routes with a description, by the roles of a process.

use utoipa_axum::router::OpenApiRouter;

use super::state::{AppState, Roles};
use super::{access, admin, apps, composer, docs, webhook};

/// Returns the routes of the admin API and of those with the same form.
pub(super) fn admin() -> OpenApiRouter<AppState> {
    admin::router().merge(apps::routes::router())
}

/// Returns the routes that processes of these roles serve, except for health, which all of them
/// serve. `description` is the text that describes them all: it is handed in, because it is made
/// from these routes itself.
pub(super) fn described(
    roles: Roles,
    admin: OpenApiRouter<AppState>,
    description: fn() -> &'static str,
) -> OpenApiRouter<AppState> {
    let mut routes = OpenApiRouter::default();
    if roles.receiver {
        routes = routes.merge(webhook::router());
    }
    if roles.api {
        routes = routes
            .merge(admin)
            .merge(access::router())
            .merge(composer::router())
            .merge(docs::router(description));
    }
    routes
}
