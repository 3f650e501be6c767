//! Flags: matters that a person should look at.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::time::Timestamp;
use crate::http::api::flag::FlagView;
use crate::http::api::list::{self, Filters, List, Listing, PagingQuery};
use crate::http::api::order_of;
use crate::http::field_errors::{FieldErrors, word_of};
use crate::http::openapi::{self, words};
use crate::http::reason::ReasonQuery;
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::flags::{self, FlagError};
use crate::store::FlagFilter;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(clear));
    openapi::resource(
        "flags",
        "Flags: matters that a person should look at.",
        routes,
    )
}

fn flag_not_found() -> ApiError {
    ApiError::not_found("flag_not_found", "no such flag is open")
}

impl From<FlagError> for ApiError {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::NotFound => flag_not_found(),
            FlagError::Act(error) => error.into(),
            FlagError::Store(error) => error.into(),
        }
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FlagQuery {
    #[param(schema_with = words::flag_kind)]
    kind: Option<String>,
    /// Only flags of this customer.
    customer_id: Option<String>,
}

impl Filters for FlagQuery {
    type Filter = FlagFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> FlagFilter {
        let customer = word_of("customer_id", self.customer_id);
        FlagFilter {
            kind: field_errors.note(word_of("kind", self.kind)).flatten(),
            customer: field_errors.note(customer).flatten(),
        }
    }
}

/// Lists open flags.
///
/// Flags of the newest events come first; mistakes of set-up, which no event decides, come last.
#[utoipa::path(
    get,
    path = "/flags",
    params(PagingQuery, FlagQuery),
    responses((status = 200, description = "Flags.", body = List<FlagView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Listing { paging, filter }: Listing<FlagQuery>,
) -> Result<Json<List<FlagView>>, ApiError> {
    let part = flags::list(
        &state.store,
        &admin.app_or_default(),
        &filter,
        &paging.window,
    )
    .await?;
    paging.answer(list::map(part, FlagView::from))
}

/// Clears a flag.
///
/// The same event sent again does not bring it back; a newer one does.
#[utoipa::path(
    delete,
    path = "/flags/{id}",
    params(ReasonQuery),
    responses((status = 204, description = "Cleared."))
)]
async fn clear(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| flag_not_found())?;
    flags::clear(&state.store, &order_of(&admin, &state), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
