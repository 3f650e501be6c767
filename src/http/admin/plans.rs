//! Plans: what a price buys. Plan grants are looked up when they are read, so a change counts at
//! once for everybody.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{List, Paging, PagingQuery};
use super::order_of;
use super::packages::{GrantBody, grants_of};
use super::view::PlanView;
use crate::domain::id::Provider;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::provider::Spec;
use crate::store::{Plan, PlanSource};

/// Longest price id, in bytes. Stripe's own limit for ids is 255.
/// <https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backward-compatible>
const MAX_PRICE_ID: usize = 255;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show, put, delete));
    openapi::resource("plans", "What prices buy.", routes)
}

/// A plan as a path names it.
struct Place {
    provider: Provider,
    price_id: String,
}

impl Place {
    fn of((provider, price_id): (String, String)) -> Result<Self, ApiError> {
        let spec: &Spec = provider.parse().map_err(|_| plan_not_found())?;
        let provider = spec.name;
        if price_id.len() > MAX_PRICE_ID || !price_id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ApiError::invalid_field(
                "price_id",
                "must be printable ASCII of at most 255 characters",
            ));
        }
        Ok(Self { provider, price_id })
    }
}

fn plan_not_found() -> ApiError {
    ApiError::not_found("plan_not_found", "there is no such plan")
}

/// Refuses to change what the settings say.
fn refuse_environment(plan: Option<&Plan>) -> Result<(), ApiError> {
    match plan.map(|plan| plan.source) {
        Some(PlanSource::Environment) => Err(ApiError::conflict(
            "plan_read_only",
            "this plan comes from the settings of the server and can be changed only there",
        )),
        Some(PlanSource::Api) | None => Ok(()),
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
    let all = state
        .store
        .read()
        .await?
        .plan_list(&admin.app_or_default())
        .await?;
    let all: Vec<PlanView> = all.into_iter().map(PlanView::from).collect();
    Ok(paging.cut(all, PlanView::key))
}

/// Shows a plan.
#[utoipa::path(
    get,
    path = "/plans/{provider}/{price_id}",
    responses(
        (status = 200, description = "The plan.", body = PlanView),
        (status = 422, description = "`body_invalid`: this is no price id."),
    )
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(place): ValidPath<(String, String)>,
) -> Result<Json<PlanView>, ApiError> {
    let Place { provider, price_id } = Place::of(place)?;
    let mut tx = state.store.read().await?;
    let plan = tx
        .plan_find(&admin.app_or_default(), provider, &price_id)
        .await?;
    Ok(Json(plan.ok_or_else(plan_not_found)?.into()))
}

/// What a price buys.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    #[schema(max_items = 1_000)]
    packages: Vec<GrantBody>,
}

/// A plan after an order.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedPlan)]
struct PutView {
    #[serde(flatten)]
    plan: PlanView,
    changed: bool,
}

/// Sets what a price buys.
///
/// It counts at once for everybody who pays that price.
#[utoipa::path(
    put,
    path = "/plans/{provider}/{price_id}",
    request_body = PlanBody,
    responses(
        (status = 200, description = "The plan.", body = PutView),
        (status = 201, description = "The new plan.", body = PutView),
        (status = 409, description = "`plan_read_only`: it comes from the settings of the server."),
    )
)]
async fn put(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(place): ValidPath<(String, String)>,
    ValidJson(body): ValidJson<PlanBody>,
) -> Result<(StatusCode, Json<PutView>), ApiError> {
    let Place { provider, price_id } = Place::of(place)?;
    let packages = grants_of(body.packages)?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let known = tx.plan_find(&order.app, provider, &price_id).await?;
    refuse_environment(known.as_ref())?;
    let status = if known.is_none() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let before = known.as_ref().map(|plan| plan.packages.clone());
    if let Some(plan) = known.filter(|plan| plan.packages == packages) {
        return Ok((
            status,
            Json(PutView {
                plan: plan.into(),
                changed: false,
            }),
        ));
    }
    let plan = Plan {
        provider,
        price_id,
        packages,
        source: PlanSource::Api,
        updated_at: order.now,
    };
    tx.plan_put(&order.app, std::slice::from_ref(&plan)).await?;
    let details = json!({"provider": provider, "price_id": plan.price_id, "from": before,
        "to": plan.packages});
    order.audit(&mut tx, None, "plan_put", details).await?;
    tx.commit().await?;
    Ok((
        status,
        Json(PutView {
            plan: plan.into(),
            changed: true,
        }),
    ))
}

/// Deletes a plan.
#[utoipa::path(
    delete,
    path = "/plans/{provider}/{price_id}",
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "`plan_read_only`: it comes from the settings of the server."),
        (status = 422, description = "`body_invalid`: this is no price id."),
    )
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(place): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let Place { provider, price_id } = Place::of(place)?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let known = tx.plan_find(&order.app, provider, &price_id).await?;
    refuse_environment(known.as_ref())?;
    let plan = known.ok_or_else(plan_not_found)?;
    tx.plan_delete(&order.app, provider, &price_id).await?;
    let details = json!({"provider": provider, "price_id": price_id, "from": plan.packages,
        "to": null});
    order.audit(&mut tx, None, "plan_delete", details).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
