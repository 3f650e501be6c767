//! The endpoints of an app, and when each last had a webhook.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::id::Provider;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{time, visible_app};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::silence;
use crate::provider;
use crate::store::endpoint_receipt::LastWebhook;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    let about = "Where the providers post webhooks of an app.";
    openapi::resource("endpoints", about, routes)
}

/// Where a provider posts the webhooks of an app.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
struct EndpointView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// Where the provider posts. Without a secret there is no such address.
    #[schema(examples("/webhooks/default/stripe"))]
    path: String,
    /// When the last webhook of the provider came that a secret verified; null if none ever did. Receivers
    /// write it every ten seconds, and test events of the console do not count.
    #[schema(format = DateTime)]
    last_received_at: Option<String>,
    /// True if operators were told that nothing has come since for `TOLLGATE_ENDPOINT_SILENT_AFTER`.
    silent: bool,
}

/// Lists the endpoints of an app.
#[utoipa::path(
    get,
    path = "/apps/{slug}/endpoints",
    params(PagingQuery),
    responses((status = 200, description = "Endpoints, one for each provider.", body = List<EndpointView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<EndpointView>>, ApiError> {
    let app = visible_app(&state, &admin, &slug).await?.slug;
    let known = silence::last_webhooks(&state.store, &app, state.clock.now()).await?;
    let endpoint = |provider| {
        let last = known.iter().find(|it| it.provider == provider);
        (provider, last)
    };
    let all: Vec<_> = provider::names().map(endpoint).collect();
    let view = |(provider, last): (Provider, Option<&LastWebhook>)| EndpointView {
        path: format!("/webhooks/{app}/{provider}"),
        last_received_at: time(last.map(|it| it.last_at)),
        silent: last.is_some_and(LastWebhook::is_silent),
        provider,
    };
    paging.cut(all, |(provider, _)| provider.to_string(), view)
}
