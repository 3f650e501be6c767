//! A customer's subscriptions and how each counts, as of now.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::billing::assessment::Verdict;
use crate::domain::billing::fact::{Item, SubscriptionStatus};
use crate::domain::id::Provider;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, time};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::subscriptions::{self, Assessed};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    openapi::resource(
        "subscriptions",
        "Subscriptions of customers, and how they count.",
        routes,
    )
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(super) struct SubscriptionView {
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// The id of the billing account that pays.
    account: Option<String>,
    livemode: bool,
    /// The provider's word for its status; the last one that Tollgate knows, if any.
    status: Option<String>,
    #[schema(schema_with = words::class)]
    class: &'static str,
    /// Its verdict for the customer; null if it does not count.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    items: Vec<ItemView>,
    #[schema(format = DateTime)]
    period_end: Option<String>,
    #[schema(format = DateTime)]
    cancel_at: Option<String>,
    collection_paused: bool,
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The newest time at which a payment of it failed, whether or not that matters.
    #[schema(format = DateTime)]
    last_payment_failed_at: Option<String>,
    /// The time of the next try to collect what has failed.
    #[schema(format = DateTime)]
    next_payment_attempt: Option<String>,
    /// The time at which a timer changes this, if nothing happens before.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// Its events allow another state too; the one with least access was taken.
    ambiguous: bool,
}

/// An item of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionItem)]
struct ItemView {
    price: String,
    product: Option<String>,
    quantity: Option<i64>,
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        Self {
            price: item.price,
            product: item.product,
            quantity: item.quantity,
        }
    }
}

impl SubscriptionView {
    pub(super) fn new(assessed: Assessed) -> Self {
        let Assessed {
            subscription,
            assessment,
            view,
        } = assessed;
        let state = assessment.state.as_ref();
        let status = state.map(|state| state.status.clone());
        let unknown = subscription.history.unknown;
        let status = status.or(unknown.map(|(_, word)| SubscriptionStatus::Unknown(word)));
        let scope = subscription.key.scope;
        Self {
            id: subscription.key.id,
            provider: scope.provider,
            account: subscription.account.map(|key| key.id),
            livemode: scope.livemode,
            status: status.map(|status| status.as_str().to_owned()),
            class: assessment.standing.as_str(),
            verdict: assessment.verdict.map(Verdict::as_str),
            items: assessment.items().iter().cloned().map(Into::into).collect(),
            period_end: time(state.and_then(|state| state.period_end)),
            cancel_at: time(state.and_then(|state| state.cancel_at)),
            collection_paused: state.is_some_and(|state| state.collection_paused),
            failing_since: time(view.failing_since),
            ended_at: time(assessment.ended_at),
            last_payment_failed_at: time(view.last_payment_failed_at),
            next_payment_attempt: time(view.next_payment_attempt),
            due_at: time(assessment.due_at),
            ambiguous: assessment.ambiguous,
        }
    }
}

/// Lists a customer's subscriptions as of now.
#[utoipa::path(
    get,
    path = "/customers/{id}/subscriptions",
    params(PagingQuery),
    responses((status = 200, description = "Subscriptions.", body = List<SubscriptionView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<SubscriptionView>>, ApiError> {
    let app = admin.app_or_default();
    let id = customer_id(&id)?;
    let found = subscriptions::list_of(&state.store, &app, &id, state.clock.now()).await?;
    let position = |it: &Assessed| it.subscription.key.clone();
    paging.cut(found, position, SubscriptionView::new)
}
