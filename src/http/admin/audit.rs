//! The audit: who changed what, from what to what, because of which event. Entries are written
//! with the changes that they tell of, in one transaction; nothing here changes any.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{self, List, Paging, PagingQuery};
use super::{instant, word_of};
use crate::domain::id::AppSlug;
use crate::domain::validate::FieldError;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidQuery};
use crate::store::{AuditFilter, AuditRecord};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    openapi::resource("audit", "Who changed what.", routes)
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditView {
    /// Grows with time; not without gaps.
    id: i64,
    app: String,
    #[schema(format = DateTime)]
    at: String,
    /// `event:{provider}:{id}`, `admin:{token id}`, `admin:root` for `ADMIN_TOKEN`, `timer`, or
    /// `operator` for who works at the machine.
    actor: String,
    /// The provider's id of the event that did it.
    event_id: Option<String>,
    customer_id: Option<String>,
    #[schema(examples("suspend", "token_create"))]
    operation: String,
    /// From what to what, as the operation has it; never a secret.
    #[schema(value_type = Object)]
    details: Value,
}

impl AuditView {
    fn of(app: &AppSlug, record: AuditRecord) -> Self {
        Self {
            id: record.seq,
            app: app.to_string(),
            at: record.at.to_string(),
            actor: record.actor,
            event_id: record.event,
            customer_id: record.customer.map(Into::into),
            operation: record.operation,
            details: record.details,
        }
    }
}

/// The filters of the list. Texts throughout, so that each has its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only changes of this customer.
    customer_id: Option<String>,
    #[param(example = "suspend")]
    operation: Option<String>,
    /// `event`, `admin`, `root`, `timer`, `operator`, or the id of an admin token.
    actor: Option<String>,
    /// Only what this event changed.
    event_id: Option<String>,
    /// Then or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before.
    #[param(format = DateTime)]
    until: Option<String>,
}

impl AuditQuery {
    fn filter(self) -> Result<AuditFilter, FieldError> {
        let since = self.since.map(|text| instant("since", &text)).transpose()?;
        let until = self.until.map(|text| instant("until", &text)).transpose()?;
        Ok(AuditFilter {
            customer: word_of("customer_id", self.customer_id)?,
            operation: self.operation,
            actor: word_of("actor", self.actor)?,
            event: self.event_id,
            since,
            until,
        })
    }
}

/// Lists changes.
#[utoipa::path(
    get,
    path = "/audit",
    params(PagingQuery, AuditQuery),
    responses((status = 200, description = "Changes, the newest first.", body = List<AuditView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
    ValidQuery(query): ValidQuery<AuditQuery>,
) -> Result<Json<List<AuditView>>, ApiError> {
    let filter = query
        .filter()
        .map_err(|error| ApiError::invalid_query(vec![error]))?;
    let app = admin.app_or_default();
    let mut tx = state.store.read().await?;
    let part = tx.audit_list(&app, &filter, &paging.0).await?;
    Ok(paging.answer(list::map(part, |record| AuditView::of(&app, record))))
}
