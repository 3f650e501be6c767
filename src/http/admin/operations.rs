//! Operations on a customer by hand, its events, and the access check on its behalf.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::EventView;
use crate::domain::access::versions::Schemes;
use crate::domain::customer::act::FreezeOrder;
use crate::domain::customer::row::PackageVersion;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::access_answer::AccessAnswer;
use crate::http::api::customer::ActedView;
use crate::http::api::list::{self, List, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of};
use crate::http::field_errors::{FieldErrors, checked, instant};
use crate::http::openapi;
use crate::http::precondition::{IfMatch, IfMatchHeader, Tagged};
use crate::http::reason::{ReasonBody, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, ValidQuery};
use crate::pipeline::access::{Question, check_customer};
use crate::pipeline::customers::{self, Act};
use crate::pipeline::events::list_of;
use crate::pipeline::order::Order;
use crate::pipeline::package_texts::schemes;

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
    openapi::resource(
        "operations",
        "Suspending, freezing and other operations on a customer by hand.",
        routes,
    )
}

/// Suspends a customer until an admin lifts it.
#[utoipa::path(
    post,
    path = "/customers/{id}/suspend",
    params(IfMatchHeader),
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
    only_if: IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<ActedView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let suspend = Act::Suspend(order.reason.clone());
    act(&state, &order, &id, suspend, &only_if).await
}

/// Lifts a manual hold, and keeps access open against the present verdict of billing.
#[utoipa::path(
    post,
    path = "/customers/{id}/reactivate",
    params(IfMatchHeader),
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn reactivate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    only_if: IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<ActedView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    act(&state, &order, &id, Act::Reactivate, &only_if).await
}

/// Ends a customer's access.
#[utoipa::path(
    post,
    path = "/customers/{id}/expire",
    params(IfMatchHeader),
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
    only_if: IfMatch,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Tagged<ActedView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let expire = Act::Expire(order.reason.clone());
    act(&state, &order, &id, expire, &only_if).await
}

/// The versions that stay available: those named, or all that were out at an instant.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"versions": [{"package": "acme/tool", "version": "2.1.0"}]})))]
struct FreezeBody {
    /// Exactly these versions. Cannot be combined with `at`.
    #[schema(max_items = 10_000)]
    versions: Option<Vec<VersionBody>>,
    /// The last moment whose releases stay. Must not lie ahead. Defaults to the end of what was paid for,
    /// where billing has frozen or ended the customer, and otherwise to now.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// The same, and why.
type FreezeWithReason = Reasoned<FreezeBody>;

/// A version that stays available.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VersionBody {
    #[schema(examples("acme/tool"))]
    package: String,
    #[schema(examples("2.1.0"))]
    version: String,
}

/// Freezes a customer to the versions of today; newer ones are not available.
#[utoipa::path(
    post,
    path = "/customers/{id}/freeze",
    params(IfMatchHeader),
    request_body = Option<FreezeWithReason>,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn freeze(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    only_if: IfMatch,
    body: Option<ValidJson<FreezeWithReason>>,
) -> Result<Tagged<ActedView>, ApiError> {
    let (body, reason) = Reasoned::parts_of(body);
    let order = order_of(&admin, &state).because(reason);
    let listed = body.versions.iter().flatten();
    let names = listed.map(|version| version.package.as_str());
    let schemes = schemes(&state.store, &order.app, names.take(MAX_VERSIONS)).await?;
    let freeze = freeze_order(body, &schemes, order.now)?;
    act(&state, &order, &id, Act::Freeze(freeze), &only_if).await
}

fn freeze_order(
    body: FreezeBody,
    schemes: &Schemes,
    now: Timestamp,
) -> Result<FreezeOrder, ApiError> {
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
    if at.is_some_and(|at| at > now) {
        field_errors.add(
            "at",
            "must not lie ahead: a freeze keeps what is out already",
        );
    }
    let versions = body.versions.map(|versions| {
        let versions = versions.into_iter().enumerate();
        versions
            .filter_map(|(index, version)| {
                package_version(&mut field_errors, index, version, schemes)
            })
            .collect()
    });
    field_errors.into_result()?;
    Ok(FreezeOrder { at, versions })
}

fn package_version(
    field_errors: &mut FieldErrors,
    index: usize,
    VersionBody { package, version }: VersionBody,
    schemes: &Schemes,
) -> Option<PackageVersion> {
    let field = |name: &str| format!("versions[{index}].{name}");
    let scheme = schemes.of(&package);
    let package = field_errors.note(checked(&field("package"), scheme.package(&package)));
    let parsed = validate::short(&version)
        .and_then(|version| scheme.version(version).map_err(|error| error.to_string()));
    let parsed = field_errors.note(checked(&field("version"), parsed));
    parsed.and(package).map(|package| PackageVersion {
        package,
        version: version.trim().to_owned(),
    })
}

async fn act(
    state: &AppState,
    order: &Order,
    id: &str,
    act: Act,
    IfMatch(only_if): &IfMatch,
) -> Result<Tagged<ActedView>, ApiError> {
    let id = customer_id(id)?;
    let done = customers::act(&state.store, order, &id, act, only_if).await?;
    Ok(ActedView::tagged(&order.app, done))
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
    let part = list_of(&state.store, &app, &customer_id(&id)?, &paging.window).await?;
    paging.answer(list::map(part, EventView::from))
}

/// A question about one package. Unlike at `/access`, headers cannot ask it.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CustomerAccessQuery {
    /// The name of the package, in any case.
    #[param(min_length = 1, example = "acme/tool")]
    package: String,
    /// A version, as Composer writes it, or SemVer if the package is declared so. Without it, the check asks for any version.
    #[param(example = "2.1.0")]
    version: Option<String>,
}

/// Runs the access check for a customer.
#[utoipa::path(
    get,
    path = "/customers/{id}/access",
    params(CustomerAccessQuery),
    responses(
        (status = 200, description = "The answer, be it yes or no.", body = AccessAnswer),
        (status = 422, description = "`query_invalid`: no package is named."),
    )
)]
async fn access(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidQuery(query): ValidQuery<CustomerAccessQuery>,
) -> Result<Json<AccessAnswer>, ApiError> {
    let app = admin.app_or_default();
    let (id, now) = (customer_id(&id)?, state.clock.now());
    let question = Question {
        package: Some(&query.package),
        version: query.version.as_deref(),
        reference: None,
        is_of_composer: false,
    };
    let answer = check_customer(&state.store, &app, &id, question, now).await?;
    Ok(Json(AccessAnswer::for_admin(answer)))
}
