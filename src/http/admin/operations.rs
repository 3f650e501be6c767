//! What is done to a customer by hand, its chain of events, and the access check in its place.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::customers::{ActedView, acted};
use super::list::{List, Paging, PagingQuery};
use super::view::EventView;
use super::{FieldErrors, checked, customer_id, instant, list, order_of, shown_customer};
use crate::domain::access::constraint::Version;
use crate::domain::customer::act::FreezeOrder;
use crate::domain::customer::row::PackageVersion;
use crate::domain::validate;
use crate::http::access::{AccessAnswer, AccessQuery, check_customer};
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, Act};
use crate::store::EventFilter;

/// Most versions of one freeze: more than any list that a person makes.
const MAX_VERSIONS: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(suspend))
        .routes(routes!(reactivate))
        .routes(routes!(freeze))
        .routes(routes!(expire))
        .routes(routes!(events))
        .routes(routes!(access));
    openapi::resource("operations", "What is done to a customer by hand.", routes)
}

/// Why it is done.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ReasonBody {
    /// For people. One line.
    #[schema(min_length = 1, max_length = 255, examples("asked for by mail"))]
    reason: Option<String>,
}

impl ReasonBody {
    pub(super) fn of(body: Option<ValidJson<Self>>) -> Result<Option<String>, ApiError> {
        let reason = body.and_then(|ValidJson(body)| body.reason);
        let mut field_errors = FieldErrors::default();
        let reason =
            reason.and_then(|it| field_errors.note(checked("reason", validate::line(&it))));
        field_errors.into_result()?;
        Ok(reason)
    }
}

/// A body that may be missing and says nothing.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EmptyBody {}

/// Suspends a customer until an admin lifts it.
#[utoipa::path(
    post,
    path = "/customers/{id}/suspend",
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn suspend(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<ActedView>, ApiError> {
    let reason = ReasonBody::of(body)?;
    act(&state, &admin, &id, Act::Suspend(reason)).await
}

/// Lifts what an admin ordered, and holds access open over what billing says now.
#[utoipa::path(
    post,
    path = "/customers/{id}/reactivate",
    request_body = Option<EmptyBody>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn reactivate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    _body: Option<ValidJson<EmptyBody>>,
) -> Result<Json<ActedView>, ApiError> {
    act(&state, &admin, &id, Act::Reactivate).await
}

/// Ends a customer's access.
#[utoipa::path(
    post,
    path = "/customers/{id}/expire",
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn expire(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<ActedView>, ApiError> {
    let reason = ReasonBody::of(body)?;
    act(&state, &admin, &id, Act::Expire(reason)).await
}

/// Which versions are left: those that are named, or all that were out at an instant.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"versions": [{"package": "acme/tool", "version": "2.1.0"}]})))]
struct FreezeBody {
    /// Exactly these. Does not go with `at`.
    #[schema(max_items = 10_000)]
    versions: Option<Vec<VersionBody>>,
    /// Now, unless given.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// A version that is left.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VersionBody {
    #[schema(examples("acme/tool"))]
    package: String,
    #[schema(examples("2.1.0"))]
    version: String,
}

/// Leaves a customer the versions of today, and nothing newer.
#[utoipa::path(
    post,
    path = "/customers/{id}/freeze",
    request_body = Option<FreezeBody>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn freeze(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<FreezeBody>>,
) -> Result<Json<ActedView>, ApiError> {
    let body = body.map(|ValidJson(body)| body).unwrap_or_default();
    let freeze = freeze_order(body)?;
    act(&state, &admin, &id, Act::Freeze(freeze)).await
}

fn freeze_order(body: FreezeBody) -> Result<FreezeOrder, ApiError> {
    let mut field_errors = FieldErrors::default();
    if body.versions.is_some() && body.at.is_some() {
        field_errors.add("at", "does not go with `versions`");
    }
    if body
        .versions
        .as_ref()
        .is_some_and(|versions| versions.len() > MAX_VERSIONS)
    {
        let message = format!("must be at most {MAX_VERSIONS} versions");
        return Err(ApiError::invalid_field("versions", message));
    }
    let at = body
        .at
        .and_then(|text| field_errors.note(instant("at", &text)));
    let versions = body.versions.map(|versions| {
        let mut checked_versions: Vec<PackageVersion> = versions
            .into_iter()
            .enumerate()
            .filter_map(|(index, version)| package_version(&mut field_errors, index, version))
            .collect();
        // Lists are compared to tell a repetition from a change, so they have one order.
        checked_versions.sort();
        checked_versions.dedup();
        checked_versions
    });
    field_errors.into_result()?;
    Ok(FreezeOrder { at, versions })
}

fn package_version(
    field_errors: &mut FieldErrors,
    index: usize,
    VersionBody { package, version }: VersionBody,
) -> Option<PackageVersion> {
    let field = |name: &str| format!("versions[{index}].{name}");
    let package = field_errors.note(checked(&field("package"), validate::package(&package)));
    let parsed = Version::parse(&version).map_err(|error| error.to_string());
    let parsed = field_errors.note(checked(&field("version"), parsed));
    parsed.and(package).map(|package| PackageVersion {
        package,
        version: version.trim().to_owned(),
    })
}

async fn act(
    state: &AppState,
    admin: &Admin,
    id: &str,
    act: Act,
) -> Result<Json<ActedView>, ApiError> {
    let (order, id) = (order_of(admin, state), customer_id(id)?);
    let done = customers::act(&state.store, &order, &id, act).await?;
    acted(state, &order.app, done).await
}

/// Lists the events that concerned a customer.
#[utoipa::path(
    get,
    path = "/customers/{id}/events",
    params(PagingQuery),
    responses((status = 200, description = "Events, the newest first.", body = List<EventView>))
)]
async fn events(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<EventView>>, ApiError> {
    let app = admin.app_or_default();
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let filter = EventFilter {
        customer: Some(customer.id),
        ..EventFilter::default()
    };
    let part = tx.event_list(&app, &filter, &paging.0).await?;
    Ok(paging.answer(list::map(part, EventView::from)))
}

/// Tells what the access check would say to a customer.
#[utoipa::path(
    get,
    path = "/customers/{id}/access",
    params(AccessQuery),
    responses((status = 200, description = "The answer, whichever it is.", body = AccessAnswer))
)]
async fn access(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidQuery(query): ValidQuery<AccessQuery>,
) -> Result<Json<AccessAnswer>, ApiError> {
    let app = admin.app_or_default();
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let answer = check_customer(&mut tx, &app, None, &customer, &query, state.clock.now()).await?;
    Ok(Json(answer))
}
