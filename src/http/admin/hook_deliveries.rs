//! Deliveries to the hooks of an app: how they went, and the same again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::announcement;
use crate::domain::hook::DeliveryState;
use crate::domain::time::Timestamp;
use crate::http::api::list::{self, Filters, List, Listing, PagingQuery};
use crate::http::api::{order_in_path, time, visible_app};
use crate::http::field_errors::{FieldErrors, checked, word_of};
use crate::http::openapi::{self, words};
use crate::http::reason::ReasonBody;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::hooks;
use crate::store::hook_delivery::{DeliveryFilter, HookDelivery};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(deliveries))
        .routes(routes!(resend))
        .routes(routes!(test));
    openapi::resource("deliveries", "Deliveries to the hooks of an app.", routes)
}

/// A delivery of a change to a hook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookDelivery)]
struct DeliveryView {
    #[schema(examples("dlv_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    hook_id: String,
    /// The id of the change: the header `webhook-id`, the same whenever it is delivered.
    #[schema(examples("chg_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    change_id: String,
    #[schema(examples("customer.suspended"))]
    kind: String,
    customer_id: Option<String>,
    /// `waiting` for its first or next try, `delivered`, or `failed`: given up after about three days.
    #[schema(schema_with = words::delivery_state)]
    state: &'static str,
    attempts: i64,
    /// When it is tried next; null if it ended. Not before older ones of the same customer.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    tried_at: Option<String>,
    #[schema(format = DateTime)]
    settled_at: Option<String>,
    /// The status of the receiver's last answer; null if there was none.
    status: Option<i64>,
    /// Why the last try failed: `refused` by its status, `redirected`, `timed_out`,
    /// `name_unknown` (DNS), `certificate_expired`, `certificate_untrusted` (its issuer is not known, or not
    /// sent along), `certificate_of_another_name`, `tls_failed` (something else, or there is no TLS),
    /// `connection_failed`, `address_refused` for a private address, `url_invalid`, `secret_unreadable`
    /// if the secrets do not open with the server's key, so that nothing was sent.
    error: Option<String>,
}

impl From<HookDelivery> for DeliveryView {
    fn from(it: HookDelivery) -> Self {
        let waits = it.state == DeliveryState::Waiting;
        Self {
            id: it.id.into(),
            hook_id: it.hook.into(),
            change_id: it.change.into(),
            kind: it.kind,
            customer_id: it.customer.map(Into::into),
            state: it.state.as_str(),
            attempts: it.attempts,
            next_at: time(waits.then_some(it.next_at)),
            created_at: it.created_at.to_string(),
            tried_at: time(it.tried_at),
            settled_at: time(it.settled_at),
            status: it.status,
            error: it.error,
        }
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    #[param(schema_with = words::delivery_state)]
    state: Option<String>,
    /// Only changes of this kind, such as `customer.suspended`.
    kind: Option<String>,
}

impl Filters for DeliveryQuery {
    type Filter = DeliveryFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> DeliveryFilter {
        let state = field_errors.note(word_of("state", self.state));
        let kind = self
            .kind
            .map(|text| checked("kind", announcement::known(text)));
        DeliveryFilter {
            state: state.flatten(),
            kind: kind.and_then(|kind| field_errors.note(kind)),
        }
    }
}

/// Lists the deliveries of a hook.
#[utoipa::path(
    get,
    path = "/apps/{slug}/hooks/{id}/deliveries",
    params(PagingQuery, DeliveryQuery),
    responses((status = 200, description = "Deliveries, the newest first.", body = List<DeliveryView>))
)]
async fn deliveries(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
    Listing { paging, filter }: Listing<DeliveryQuery>,
) -> Result<Json<List<DeliveryView>>, ApiError> {
    let app = visible_app(&state, &admin, &slug).await?.slug;
    let part = hooks::deliveries(&state.store, &app, &id, &filter, &paging.window).await?;
    paging.answer(list::map(part, DeliveryView::from))
}

/// Delivers a change again.
///
/// It has the same `webhook-id`, by which a receiver knows that it has seen it. One that waits for its
/// next try is tried now, with what waits of the same customer before it.
#[utoipa::path(
    post,
    path = "/apps/{slug}/hooks/{id}/deliveries/{delivery}/resend",
    request_body = Option<ReasonBody>,
    responses(
        (status = 202, description = "The new delivery, or the one that waits.", body = DeliveryView),
        (status = 409, description = "`hook_disabled`: enable it first."),
    )
)]
async fn resend(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id, delivery)): ValidPath<(String, String, String)>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let order = order_in_path(&admin, &state, &slug)
        .await?
        .because(ReasonBody::of(body));
    let again = hooks::resend(&state.store, &order, &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(again.into())))
}

/// Delivers a `hook.test`, which changes nothing, to try a hook.
#[utoipa::path(
    post,
    path = "/apps/{slug}/hooks/{id}/test",
    request_body = Option<ReasonBody>,
    responses(
        (status = 202, description = "Its delivery.", body = DeliveryView),
        (status = 409, description = "`hook_disabled`: enable it first."),
    )
)]
async fn test(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let order = order_in_path(&admin, &state, &slug)
        .await?
        .because(ReasonBody::of(body));
    let delivery = hooks::test(&state.store, &order, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}
