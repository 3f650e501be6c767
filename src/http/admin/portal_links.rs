//! Links to customers' own pages.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::api::{customer_id, order_of};
use crate::http::portal::link::Link;
use crate::http::reason::Reasoned;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, openapi};
use crate::pipeline::portal::{self, DEFAULT_LIFE, LONGEST_LIFE, SHORTEST_LIFE};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(make));
    openapi::resource(
        "customers",
        "Customers, whose access Tollgate keeps.",
        routes,
    )
}

/// How long a link is to be good.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PortalLinkBody {
    /// Seconds, from a minute to a day; an hour without it.
    #[schema(minimum = 60, maximum = 86_400, examples(3_600))]
    expires_in: Option<u64>,
}

/// The same, and why.
type PortalLinkWithReason = Reasoned<PortalLinkBody>;

/// A link to a customer's own page.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalLink)]
struct PortalLinkView {
    /// The path of the page. Put the address before it by which customers reach this server.
    #[schema(examples("/portal/AaJk…"))]
    path: String,
    /// From then on it leads nowhere. It cannot be taken back before.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Makes a link to a customer's own page.
///
/// The page shows the customer its status in plain words, its tokens, which it can rotate, what to
/// write into `auth.json`, and its licences. Whoever has the link may do that: send it to nobody else.
#[utoipa::path(
    post,
    path = "/customers/{id}/portal-link",
    request_body = Option<PortalLinkWithReason>,
    responses(
        (status = 200, description = "The link.", body = PortalLinkView),
        (status = 409, description = "`customer_deleted`: it has no page."),
    )
)]
async fn make(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<PortalLinkWithReason>>,
) -> Result<Json<PortalLinkView>, ApiError> {
    let (body, reason) = Reasoned::parts_of(body);
    let life = body.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
    if !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&life) {
        let message = "must be from 60 to 86400 seconds";
        return Err(ApiError::invalid_field("expires_in", message));
    }
    let order = order_of(&admin, &state).because(reason);
    let ends_at = order.now.plus(life);
    let customer = portal::note_link(&state.store, &order, &customer_id(&id)?, ends_at).await?;
    let link = Link {
        app: order.app,
        customer: customer.id,
        ends_at,
    };
    Ok(Json(PortalLinkView {
        path: link.path(&state.vault)?,
        expires_at: ends_at.to_string(),
    }))
}
