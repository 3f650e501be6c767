//! Plans: what a price buys.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::plan_licenses::{self, PlanLicenseBody, licenses_of};
use super::plan_packages::{PlanPackageBody, packages_of};
use crate::domain::access::plan::{PackageGrant, Plan, check_plan_id};
use crate::domain::id::Provider;
use crate::domain::span::Span;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::order_of;
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::plans::{self, PlanError, Shown};
use crate::provider::Spec;
use crate::store::StoredPlan;

pub(super) fn router() -> OpenApiRouter<AppState> {
    // `acct_…%2Fprice_…` is one part of the path, `acct_…/price_…` two.
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show, put, delete))
        .routes(routes!(
            show_in_two_parts,
            put_in_two_parts,
            delete_in_two_parts
        ));
    openapi::resource("plans", "Plans: what a price buys.", routes)
}

/// A price as a path names it.
struct Price {
    provider: Provider,
    price_id: String,
}

impl Price {
    fn of((provider, price_id): (String, String)) -> Result<Self, ApiError> {
        let spec: &Spec = provider.parse().map_err(|_| plan_not_found())?;
        let provider = spec.name;
        check_plan_id(&price_id).map_err(|error| ApiError::invalid_field("price_id", error))?;
        Ok(Self { provider, price_id })
    }
}

fn plan_not_found() -> ApiError {
    ApiError::not_found("plan_not_found", "there is no such plan")
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NotFound => plan_not_found(),
            PlanError::Stale(error) => error.into(),
            PlanError::ReadOnly => Self::conflict(
                "plan_read_only",
                "this plan comes from the settings of the server and can be removed only there",
            ),
            PlanError::Package(error) => error.into(),
            PlanError::TooMany => Self::conflict("plans_too_many", error.to_string()),
            PlanError::Store(error) => error.into(),
        }
    }
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
struct PlanView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("price_1Q2w3e4R5t6Y7u8I"))]
    price_id: String,
    /// A name for people; null if it has none.
    #[schema(examples("Pro, yearly"))]
    name: Option<String>,
    packages: Vec<PackageGrant>,
    licenses: Vec<PlanLicenseBody>,
    /// True if the price counts for the customer's status even if it buys nothing.
    counts: bool,
    /// Of something bought once: how long new versions are included; null: for ever.
    #[schema(examples("365d"))]
    updates: Option<String>,
    #[schema(schema_with = words::plan_source)]
    source: &'static str,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Of a plan of the settings: the plan that was set through the API for the same price. It
    /// counts as soon as the settings do not name the price any more. Null if there is none.
    waiting: Option<WaitingView>,
}

/// A plan that waits until the settings do not name its price any more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingPlan)]
struct WaitingView {
    #[schema(examples("Pro, yearly"))]
    name: Option<String>,
    packages: Vec<PackageGrant>,
    licenses: Vec<PlanLicenseBody>,
    counts: bool,
    #[schema(examples("365d"))]
    updates: Option<String>,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<StoredPlan> for WaitingView {
    fn from(plan: StoredPlan) -> Self {
        Self {
            name: plan.name,
            packages: plan.packages,
            licenses: plan_licenses::shown(plan.licenses),
            counts: plan.counts,
            updates: plan.updates.map(|updates| updates.to_string()),
            updated_at: plan.updated_at.to_string(),
        }
    }
}

impl From<Shown> for PlanView {
    fn from(Shown { plan, waiting }: Shown) -> Self {
        Self {
            provider: plan.provider,
            price_id: plan.price_id,
            name: plan.name,
            packages: plan.packages,
            licenses: plan_licenses::shown(plan.licenses),
            counts: plan.counts,
            updates: plan.updates.map(|updates| updates.to_string()),
            source: plan.source.as_str(),
            updated_at: plan.updated_at.to_string(),
            waiting: waiting.map(WaitingView::from),
        }
    }
}

/// Lists plans.
#[utoipa::path(
    get,
    path = "/plans",
    params(PagingQuery),
    responses((status = 200, description = "Plans, also those of the settings.", body = List<PlanView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<PlanView>>, ApiError> {
    let all = plans::list(&state.store, &admin.app_or_default()).await?;
    let position = |Shown { plan, .. }: &Shown| {
        let names = (plan.provider, plan.price_id.clone());
        (Reverse(plan.updated_at), names)
    };
    paging.cut(all, position, PlanView::from)
}

/// Shows a plan.
#[utoipa::path(
    get,
    path = "/plans/{provider}/{price_id}",
    responses(
        (status = 200, description = "The plan.", body = PlanView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 422, description = "`body_invalid`: this is no price id."),
    )
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(price): ValidPath<(String, String)>,
) -> Result<(Tag, Json<PlanView>), ApiError> {
    let Price { provider, price_id } = Price::of(price)?;
    let app = admin.app_or_default();
    let plan = plans::find(&state.store, &app, provider, &price_id).await?;
    Ok((Tag(plan.state_tag()), Json(plan.into())))
}

/// What a price buys.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// A name for people. One line; none by default.
    #[schema(min_length = 1, max_length = 255, examples("Pro, yearly"))]
    name: Option<String>,
    #[schema(max_items = 1_000)]
    packages: Vec<PlanPackageBody>,
    /// A licence of each of these products is made for every customer who buys the price, one for
    /// each of its subscriptions and purchases; also for those who have bought it already. Each is
    /// valid while what was bought is good or leaves something. None by default.
    #[schema(max_items = 20)]
    licenses: Option<Vec<PlanLicenseBody>>,
    /// True to let the price count for the customer's status even if it buys nothing: for
    /// sellers who grant packages by hand and let billing decide. False by default.
    counts: Option<bool>,
    /// Of something bought once: how long new versions are included, such as `365d`; `forever` by
    /// default.
    #[schema(examples("365d"))]
    updates: Option<String>,
}

/// The same, and why.
type PlanWithReason = Reasoned<PlanBody>;

/// A plan after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedPlan)]
struct PutView {
    #[serde(flatten)]
    plan: PlanView,
    changed: bool,
}

/// The answer to a plan that was set.
type PutAnswer = (StatusCode, Option<Location>, Tag, Json<PutView>);

/// Sets what a price buys.
///
/// `price_id` is the provider's id of a price, a product, a feature or a payment link, or the lookup
/// key of a price or a feature; of a connected account, `acct_…/` and one of these. The plan of a price counts before that of its
/// product, and that before the lookup key's. What is bought at a connected account that the app
/// names gets the plan that names the account too, else that of the price id alone. The change takes
/// effect at once for everybody who pays that price. If the settings of the server name the price,
/// their plan goes on to count and this one waits behind it (`waiting`): it counts as soon as the
/// settings do not name the price any more.
#[utoipa::path(
    put,
    path = "/plans/{provider}/{price_id}",
    params(IfMatchHeader),
    request_body = PlanWithReason,
    responses(
        (status = 200, description = "The plan.", body = PutView),
        (status = 201, description = "The new plan.", body = PutView),
        (status = 409, description = "`plans_too_many`: there are five thousand."),
    )
)]
async fn put(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(price): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned { body, reason }): ValidJson<PlanWithReason>,
) -> Result<PutAnswer, ApiError> {
    let Price { provider, price_id } = Price::of(price)?;
    let updates = match body.updates.as_deref() {
        None | Some("forever") => None,
        Some(text) => Some(text.parse::<Span>().map_err(|error| {
            ApiError::invalid_field("updates", format!("{error}, or `forever`"))
        })?),
    };
    let name = body.name.as_deref().map(validate::line).transpose();
    let name = name.map_err(|error| ApiError::invalid_field("name", error))?;
    let order = order_of(&admin, &state).because(reason);
    let plan = Plan {
        name,
        packages: packages_of(&state, &order.app, body.packages).await?,
        licenses: licenses_of(body.licenses)?,
        counts: body.counts.unwrap_or_default(),
        updates,
    };
    let set = plans::put(&state.store, &order, provider, price_id, plan, &only_if).await?;
    let (status, location) = if set.is_new {
        let plan = &set.shown.plan;
        let parts = ["plans", plan.provider.as_str(), &plan.price_id];
        (StatusCode::CREATED, Some(Location::of(parts)))
    } else {
        (StatusCode::OK, None)
    };
    let tag = Tag(set.shown.state_tag());
    let view = PutView {
        plan: set.shown.into(),
        changed: set.changed,
    };
    Ok((status, location, tag, Json(view)))
}

/// Deletes a plan; of a price that the settings of the server name, the plan that waits.
#[utoipa::path(
    delete,
    path = "/plans/{provider}/{price_id}",
    params(ReasonQuery, IfMatchHeader),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`plan_read_only`: it comes from the settings of the server."),
        (status = 422, description = "`body_invalid`: this is no price id."),
    )
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(price): ValidPath<(String, String)>,
    IfMatch(only_if): IfMatch,
) -> Result<StatusCode, ApiError> {
    let Price { provider, price_id } = Price::of(price)?;
    let order = order_of(&admin, &state);
    plans::delete(&state.store, &order, provider, &price_id, &only_if).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the plan of a connected account.
#[utoipa::path(
    get,
    path = "/plans/{provider}/{account}/{price_id}",
    responses(
        (status = 200, description = "The plan.", body = PlanView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))),
        (status = 422, description = "`body_invalid`: this is no price id of a connected account."),
    )
)]
async fn show_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath(parts): ValidPath<(String, String, String)>,
) -> Result<(Tag, Json<PlanView>), ApiError> {
    show(state, admin, joined(parts)).await
}

/// Sets what a price of a connected account buys.
///
/// See `PUT /plans/{provider}/{price_id}`; here the two parts of its id are two parts of the path.
#[utoipa::path(
    put,
    path = "/plans/{provider}/{account}/{price_id}",
    params(IfMatchHeader),
    request_body = PlanWithReason,
    responses(
        (status = 200, description = "The plan.", body = PutView),
        (status = 201, description = "The new plan.", body = PutView),
        (status = 409, description = "`plans_too_many`: there are five thousand."),
    )
)]
async fn put_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath(parts): ValidPath<(String, String, String)>,
    only_if: IfMatch,
    body: ValidJson<PlanWithReason>,
) -> Result<PutAnswer, ApiError> {
    put(state, admin, joined(parts), only_if, body).await
}

/// Deletes the plan of a connected account.
#[utoipa::path(
    delete,
    path = "/plans/{provider}/{account}/{price_id}",
    params(ReasonQuery, IfMatchHeader),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`plan_read_only`: it comes from the settings of the server."),
        (status = 422, description = "`body_invalid`: this is no price id of a connected account."),
    )
)]
async fn delete_in_two_parts(
    state: State<AppState>,
    admin: Admin,
    ValidPath(parts): ValidPath<(String, String, String)>,
    only_if: IfMatch,
) -> Result<StatusCode, ApiError> {
    delete(state, admin, joined(parts), only_if).await
}

fn joined((provider, account, price): (String, String, String)) -> ValidPath<(String, String)> {
    ValidPath((provider, format!("{account}/{price}")))
}
