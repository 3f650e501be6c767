//! A Composer repository for each customer.
//!
//! The same as the access check, asked by the customer's own Composer: what may not be had is not
//! listed. What is not granted at all is 404, so that Composer looks for public packages elsewhere.
//! Answers differ by token, so they are `private`, and metadata has no `Last-Modified`: Composer
//! would ask with it whether a file is newer, when it is the customer who has changed.

mod archive;
mod caller;
mod document;
mod range;
mod refusal;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::caller::Caller;
use self::document::{document, is_known, unchanged, whole};
use self::refusal::{Refusal, RefusalView, not_found};
use super::access::note_use;
use super::{ApiError, AppState, ValidPath, openapi};
use crate::domain::validate;
use crate::pipeline::composer;

/// Everything below `/composer`.
pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(packages))
        .routes(routes!(metadata))
        .routes(routes!(archive::archive));
    openapi::resource(
        "composer",
        "A Composer repository for each customer.",
        routes,
    )
}

/// What a Composer repository says of itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ComposerRepository)]
struct RootView {
    /// No package is described here.
    packages: Vec<String>,
    /// The address of the metadata of a package. Absent where the customer has none: Composer takes an
    /// empty list for no list, and would ask here for every package of every project.
    #[serde(rename = "metadata-url", skip_serializing_if = "Option::is_none")]
    #[schema(examples("/composer/p2/%package%.json"))]
    metadata_url: Option<&'static str>,
    /// The packages of this customer, as far as the repository has them.
    #[serde(rename = "available-packages")]
    #[schema(value_type = Vec<String>, examples("acme/tool"))]
    available_packages: std::collections::BTreeSet<String>,
}

/// Shows the customer's packages to Composer.
#[utoipa::path(
    get,
    path = "/composer/packages.json",
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "The repository's `packages.json`.", body = RootView),
        (status = 304, description = "It is the same as before."),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`.", body = RefusalView),
        (status = 403, description = "The customer is held; Composer prints the warning.", body = RefusalView),
        (status = 404, description = "`repository_missing`: the app has no repository."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`, or `repository_unavailable`: the app's repository does not answer."),
    )
)]
async fn packages(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let answer = composer::packages(caller.request(&state)).await?;
    let granted = match answer {
        Ok(granted) => granted,
        Err(refused) => return Err(Refusal::of(&state, refused, &caller).await),
    };
    note_use(&state, &granted.asker, caller.now);
    let available_packages = granted.found.unwrap_or_default();
    let has_any = !available_packages.is_empty();
    let root = RootView {
        packages: Vec::new(),
        metadata_url: has_any.then_some("/composer/p2/%package%.json"),
        available_packages,
    };
    let body = serde_json::to_string(&root).map_err(ApiError::internal)?;
    Ok(document(&headers, body))
}

/// Shows the versions of a package that the customer may have.
///
/// In Composer's minified form. The names of archives lead to `/composer/dist`. Branches are in a
/// file of their own, `~dev.json`.
#[utoipa::path(
    get,
    path = "/composer/p2/{vendor}/{file}",
    security(("customer_token" = []), ("customer_basic" = [])),
    responses(
        (status = 200, description = "The versions.", body = serde_json::Value),
        (status = 304, description = "They are the same as before."),
        (status = 401, description = "Another token may help: `token_unknown` or `token_expired`.", body = RefusalView),
        (status = 403, description = "The customer is held; Composer prints the warning.", body = RefusalView),
        (status = 404, description = "The package is not granted, or the repository does not have it."),
        (status = 500, description = "`internal`."),
        (status = 503, description = "`unavailable`, or `repository_unavailable`: the app's repository does not answer."),
    )
)]
async fn metadata(
    State(state): State<AppState>,
    caller: Caller,
    ValidPath((vendor, file)): ValidPath<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let named = file.strip_suffix(".json").unwrap_or_default();
    let (name, dev) = match named.strip_suffix("~dev") {
        Some(name) => (name, true),
        None => (named, false),
    };
    // Composer's names are in lower case; older clients may ask in another.
    let package = validate::package(&format!("{vendor}/{name}").to_ascii_lowercase());
    let package = package.map_err(|_| not_found("there is no such package"))?;
    let dists = format!("{}/composer/dist/{package}/", caller.here);
    let answer = composer::metadata(caller.request(&state), &package, dev, &dists).await?;
    let granted = match answer {
        Ok(granted) => granted,
        Err(refused) => return Err(Refusal::of_metadata(&state, refused, &caller).await),
    };
    note_use(&state, &granted.asker, caller.now);
    let missing = || not_found("the repository does not have this package");
    let file = granted.found.ok_or_else(missing)?;
    let tag = file.tag().to_string();
    if is_known(&headers, &tag) {
        return Ok(unchanged(&tag));
    }
    Ok(whole(&tag, file.write().await))
}
