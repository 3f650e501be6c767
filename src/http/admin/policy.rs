//! The policy of the app: how billing events affect access.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::id::CustomerId;
use crate::domain::policy::Policy;
use crate::http::api::cursor::{self, Cursors};
use crate::http::api::{order_of, problem};
use crate::http::openapi::{self, words};
use crate::http::precondition::{IfMatch, IfMatchHeader, Tag};
use crate::http::reason::Reasoned;
use crate::http::{Admin, ApiError, AppState, Reading, ValidJson, ValidQuery};
use crate::pipeline::policy::{self, Forecast, Foreseen, InForce, PolicyError};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(show, put))
        .routes(routes!(simulate));
    openapi::resource("policy", "How billing events affect access.", routes)
}

/// Some of the fields of a policy, checked by [`Policy::with`].
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct PolicyBody(Map<String, Value>);

impl From<PolicyError> for ApiError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Invalid { errors } => Self::invalid(errors),
            PolicyError::Stale(error) => error.into(),
            PolicyError::NoApp => problem::app_not_found(),
            PolicyError::Store(error) => error.into(),
        }
    }
}

/// The same, to be kept.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct PolicyChange(pub(super) PolicyBody);

/// The same, and why.
type PolicyWithReason = Reasoned<PolicyChange>;

/// The whole policy.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyInForce)]
struct PolicyView {
    #[serde(flatten)]
    policy: Policy,
    /// True while some customers are still shown by the previous policy; the workers are updating
    /// them.
    pending: bool,
}

impl From<InForce> for PolicyView {
    fn from(InForce { policy, pending }: InForce) -> Self {
        Self { policy, pending }
    }
}

/// Shows the policy.
#[utoipa::path(
    get,
    path = "/policy",
    responses((status = 200, description = "The whole policy.", body = PolicyView, headers(("ETag" = String, description = "Its tag, for `If-Match`."))))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
) -> Result<(Tag, Json<PolicyView>), ApiError> {
    let policy = policy::show(&state.store, &admin.app_or_default()).await?;
    Ok((Tag(policy.state_tag()), Json(policy.into())))
}

/// The policy after a request.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedPolicy)]
struct PutView {
    #[serde(flatten)]
    policy: PolicyView,
    changed: bool,
}

/// Changes the policy.
///
/// Only the given fields change. The workers then update all customers.
#[utoipa::path(
    put,
    path = "/policy",
    params(IfMatchHeader),
    request_body = PolicyWithReason,
    responses((status = 200, description = "The whole policy.", body = PutView))
)]
async fn put(
    State(state): State<AppState>,
    admin: Admin,
    IfMatch(only_if): IfMatch,
    ValidJson(Reasoned {
        body: PolicyChange(PolicyBody(fields)),
        reason,
    }): ValidJson<PolicyWithReason>,
) -> Result<(Tag, Json<PutView>), ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let (policy, changed) = policy::put(&state.store, &order, &fields, &only_if).await?;
    let tag = Tag(policy.state_tag());
    let policy = policy.into();
    Ok((tag, Json(PutView { policy, changed })))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SimulateQuery {
    /// The `next_cursor` of the previous answer to the same policy, to continue where it ended.
    cursor: Option<String>,
}

/// The effect that a policy would have.
#[derive(Serialize, ToSchema)]
#[schema(as = Forecast)]
struct ForecastView {
    /// The whole policy that is tried out.
    policy: Policy,
    /// The number of customers that were examined, at most 10,000 in one answer.
    examined: usize,
    /// The numbers of customers that would go from one status to another.
    counts: Vec<CountView>,
    /// The customers who would change, at most 1,000 in one answer.
    customers: Vec<ForeseenView>,
    /// Continues with the customers that were not examined; null if there are none.
    next_cursor: Option<String>,
}

/// A number of customers that would go from one status to another.
#[derive(Serialize, ToSchema)]
#[schema(as = ForecastCount)]
struct CountView {
    #[schema(schema_with = words::status)]
    from: &'static str,
    /// The same as `from` where the reason, the holds or the grants would change.
    #[schema(schema_with = words::status)]
    to: &'static str,
    customers: usize,
}

/// A customer who would change.
#[derive(Serialize, ToSchema)]
#[schema(as = ForeseenCustomer)]
struct ForeseenView {
    #[schema(value_type = String)]
    id: CustomerId,
    email: Option<String>,
    #[schema(schema_with = words::status)]
    from: &'static str,
    #[schema(schema_with = words::status)]
    to: &'static str,
    reason: Option<String>,
}

impl From<Foreseen> for ForeseenView {
    fn from(customer: Foreseen) -> Self {
        Self {
            id: customer.id,
            email: customer.email,
            from: customer.from.as_str(),
            to: customer.to.as_str(),
            reason: customer.reason,
        }
    }
}

impl ForecastView {
    fn of(forecast: Forecast, next_cursor: Option<String>) -> Self {
        let count = |((from, to), customers)| CountView {
            from,
            to,
            customers,
        };
        Self {
            policy: forecast.policy,
            examined: forecast.examined,
            counts: forecast.counts.into_iter().map(count).collect(),
            customers: forecast.customers.into_iter().map(Into::into).collect(),
            next_cursor,
        }
    }
}

/// Simulates a policy. A viewer is enough.
#[utoipa::path(
    post,
    path = "/policy/simulate",
    request_body = PolicyBody,
    params(SimulateQuery),
    responses((status = 200, description = "The customers who would change.", body = ForecastView))
)]
async fn simulate(
    State(state): State<AppState>,
    Reading(admin): Reading,
    cursors: Cursors,
    ValidQuery(query): ValidQuery<SimulateQuery>,
    ValidJson(PolicyBody(fields)): ValidJson<PolicyBody>,
) -> Result<Json<ForecastView>, ApiError> {
    let cursors = cursors.within(&fields)?;
    let wrong = |error| ApiError::invalid_query(vec![error]);
    let after = cursors.open(query.cursor.as_deref().unwrap_or_default());
    let after = after.map_err(wrong)?.map(|text| text.parse());
    let after = after.transpose().map_err(|_| wrong(cursor::refused()))?;
    let (app, now) = (admin.app_or_default(), state.clock.now());
    let forecast = policy::simulate(&state.store, &app, &fields, after, now).await?;
    let next = cursors.seal(forecast.next.as_ref().map(CustomerId::as_str))?;
    Ok(Json(ForecastView::of(forecast, next)))
}
