//! Comparisons of what is kept with what a provider says.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::EventErrorView;
use crate::domain::id::{Provider, ReconcileId};
use crate::domain::reconcile::{Found, Tally};
use crate::domain::time::Timestamp;
use crate::http::api::list::{self, List, Paging, PagingQuery};
use crate::http::api::{order_of, time};
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonBody, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::reconcile::{self, ReconcileError, Wanted};
use crate::provider::Spec;
use crate::store::reconcile::Reconcile;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, order))
        .routes(routes!(show))
        .routes(routes!(cancel));
    openapi::resource(
        "reconciles",
        "Comparing what is kept with what the providers say.",
        routes,
    )
}

/// What is to be compared.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReconcileOrder)]
struct OrderBody {
    #[schema(schema_with = words::provider)]
    provider: String,
    /// Only objects that the provider made since, by its clock. Without it all customers and
    /// subscriptions are read, and what could have changed since the last time of everything else.
    #[schema(format = DateTime)]
    #[serde(default)]
    since: Option<String>,
    /// Changes nothing: only counts what differs.
    #[serde(default)]
    dry_run: bool,
}

/// The same, and why.
type OrderWithReason = Reasoned<OrderBody>;

/// A comparison with what a provider says.
#[derive(Serialize, ToSchema)]
#[schema(as = Reconcile)]
pub(super) struct ReconcileView {
    #[schema(examples("rcn_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: String,
    #[schema(schema_with = words::reconcile_status)]
    status: &'static str,
    dry_run: bool,
    /// From when on was ordered.
    #[schema(format = DateTime)]
    since: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// The kind that is being read, or was last.
    #[schema(examples("subscriptions"))]
    stage: &'static str,
    /// Objects that the provider listed.
    read: u64,
    drift: DriftView,
    /// Differences that were repaired.
    repaired: u64,
    /// Objects that could not be understood; the ledger says why.
    unreadable: u64,
    /// The kinds that the API key may not read, with what the provider says. They are not compared until a
    /// key is given that may; then the field of the next comparison is empty.
    not_read: BTreeMap<&'static str, String>,
    /// The numbers by kind.
    kinds: BTreeMap<&'static str, TallyView>,
    /// The first subscriptions that the provider does not list any more.
    gone: Vec<String>,
    /// Prices that customers pay for and no plan maps, those of most running subscriptions first.
    unmapped_prices: Vec<UnmappedView>,
    /// Why it failed, or what it waits for.
    error: Option<EventErrorView>,
}

/// What differed.
#[derive(Serialize, ToSchema)]
#[schema(as = Drift)]
struct DriftView {
    /// Not known here.
    missing: u64,
    /// Known here in another state.
    different: u64,
    /// Kept here, and not listed by the provider. Nothing is removed because of it.
    gone: u64,
}

/// The numbers of a kind.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconcileTally)]
struct TallyView {
    read: u64,
    missing: u64,
    different: u64,
    unreadable: u64,
}

/// A price without a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = UnmappedPrice)]
struct UnmappedView {
    price_id: String,
    /// The subscriptions that include it and have not ended.
    subscriptions: u64,
    /// The customers who pay for it.
    customers: u64,
}

impl From<Reconcile> for ReconcileView {
    fn from(it: Reconcile) -> Self {
        let status = it.status().as_str();
        let total = it.found.total();
        let Found {
            kinds,
            gone,
            gone_ids,
            repaired,
            unmapped,
            requests: _,
            features_asked_at: _,
            not_read,
        } = it.found;
        let tally = |it: Tally| TallyView {
            read: it.read,
            missing: it.missing,
            different: it.different,
            unreadable: it.unreadable,
        };
        let unmapped = unmapped.into_iter().map(|it| UnmappedView {
            price_id: it.price,
            subscriptions: it.subscriptions,
            customers: it.customers,
        });
        Self {
            id: it.id.into(),
            provider: it.provider.to_string(),
            status,
            dry_run: it.dry_run,
            since: time(it.ordered_since),
            created_at: it.created_at.to_string(),
            started_at: time(it.started_at),
            finished_at: time(it.finished_at),
            stage: it.stage.as_str(),
            read: total.read,
            drift: DriftView {
                missing: total.missing,
                different: total.different,
                gone,
            },
            repaired,
            unreadable: total.unreadable,
            not_read: not_read
                .into_iter()
                .map(|(stage, said)| (stage.as_str(), said))
                .collect(),
            kinds: kinds
                .into_iter()
                .map(|(stage, it)| (stage.as_str(), tally(it)))
                .collect(),
            gone: gone_ids,
            unmapped_prices: unmapped.collect(),
            error: it.error.map(EventErrorView::from),
        }
    }
}

/// Compares what is kept with what a provider says, and repairs what differs. The workers carry it
/// out, page by page.
///
/// Needs an API key of the provider. Nothing is ever removed because the provider does not list it.
#[utoipa::path(
    post,
    path = "/reconciles",
    request_body = OrderWithReason,
    responses(
        (status = 202, description = "It is ordered.", body = ReconcileView),
        (status = 409, description = "`reconcile_open`: the app has one that is open at this provider. `api_key_needed`: it has no API key of the provider."),
    )
)]
async fn order(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<OrderWithReason>,
) -> Result<(StatusCode, Json<ReconcileView>), ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let mut field_errors = FieldErrors::default();
    let provider = body.provider.parse::<&Spec>();
    let provider = provider.map_err(|error| error.to_string());
    let provider: Option<&Spec> = field_errors.note(checked("provider", provider));
    let since = body.since.as_deref().map(str::parse::<Timestamp>);
    let since = since.transpose().map_err(|error| error.to_string());
    let since = field_errors.note(checked("since", since)).flatten();
    let provider: Provider = field_errors.finish(provider.map(|spec| spec.name))?;
    let wanted = Wanted {
        provider,
        since,
        dry_run: body.dry_run,
    };
    let ordered = reconcile::order(&state.store, &state.apis, &order, wanted).await?;
    tracing::info!(
        app = %order.app,
        reconcile.id = %ordered.id,
        %provider,
        "reconciliation ordered"
    );
    Ok((StatusCode::ACCEPTED, Json(ordered.into())))
}

/// Lists the comparisons with the providers.
#[utoipa::path(
    get,
    path = "/reconciles",
    params(PagingQuery),
    responses((status = 200, description = "The comparisons, the newest first.", body = List<ReconcileView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<ReconcileView>>, ApiError> {
    let part = reconcile::list(&state.store, &admin.app_or_default(), &paging.window).await?;
    paging.answer(list::map(part, ReconcileView::from))
}

/// Shows how far a comparison is, and what it found.
#[utoipa::path(
    get,
    path = "/reconciles/{id}",
    responses((status = 200, description = "The comparison.", body = ReconcileView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<ReconcileView>, ApiError> {
    let id = reconcile_id(&id)?;
    let found = reconcile::find(&state.store, &admin.app_or_default(), &id).await?;
    Ok(Json(found.into()))
}

/// A comparison, and whether it was open until now.
#[derive(Serialize, ToSchema)]
#[schema(as = CanceledReconcile)]
struct CanceledView {
    #[serde(flatten)]
    reconcile: ReconcileView,
    changed: bool,
}

/// Cancels a comparison: nothing more is read. What was repaired stays, and the next one reads
/// everything that this one did not.
#[utoipa::path(
    post,
    path = "/reconciles/{id}/cancel",
    request_body = Option<ReasonBody>,
    responses((status = 200, description = "It is canceled, or had ended before.", body = CanceledView))
)]
async fn cancel(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<CanceledView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let (found, changed) = reconcile::cancel(&state.store, &order, &reconcile_id(&id)?).await?;
    let reconcile = found.into();
    Ok(Json(CanceledView { reconcile, changed }))
}

fn reconcile_id(text: &str) -> Result<ReconcileId, ReconcileError> {
    text.parse().map_err(|_| ReconcileError::NotFound)
}
