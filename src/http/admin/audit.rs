//! The audit: every change, who made it and because of which event. Entries are written in the
//! transaction of the change that they describe; nothing here changes them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::id::AppSlug;
use crate::domain::operation::operation;
use crate::domain::shown_times::shown;
use crate::domain::time::Timestamp;
use crate::http::api::list::{self, Filters, List, Listing, PagingQuery};
use crate::http::field_errors::{FieldErrors, checked, instant, word_of};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState};
use crate::pipeline::audit;
use crate::store::{AuditFilter, AuditRecord};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    openapi::resource("audit", "The audit: every change, and who made it.", routes)
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditView {
    /// Grows with time, with gaps.
    id: i64,
    app: String,
    #[schema(format = DateTime)]
    at: String,
    /// `event:{provider}:{id}`, `admin:{token id}`, `admin:root` for `ADMIN_TOKEN`, `timer`, `policy`,
    /// `repository`, `import`, or `operator` for a command on the server.
    actor: String,
    /// The provider's id of the event that caused the change.
    event_id: Option<String>,
    customer_id: Option<String>,
    #[schema(examples("suspend", "token_create"))]
    operation: String,
    /// The state before and after, in a form that depends on the operation; never a secret.
    #[schema(value_type = Object)]
    details: Value,
}

impl AuditView {
    pub(super) fn of(app: &AppSlug, record: AuditRecord) -> Self {
        Self {
            id: record.seq,
            app: app.to_string(),
            at: record.at.to_string(),
            actor: record.actor,
            event_id: record.event,
            customer_id: record.customer.map(Into::into),
            operation: record.operation,
            details: shown(record.details),
        }
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only changes of this customer.
    customer_id: Option<String>,
    #[param(schema_with = words::operation)]
    operation: Option<String>,
    /// `event`, `admin`, `root`, `timer`, `policy`, `operator`, `repository`, `import`, or the id of an admin token.
    actor: Option<String>,
    /// Only changes made by this event.
    event_id: Option<String>,
    /// Made at this time or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Made before this time.
    #[param(format = DateTime)]
    until: Option<String>,
}

impl Filters for AuditQuery {
    type Filter = AuditFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> AuditFilter {
        let since = self.since.map(|text| instant("since", &text));
        let until = self.until.map(|text| instant("until", &text));
        let customer = word_of("customer_id", self.customer_id);
        let operation = self.operation.map(|word| operation(&word)).transpose();
        AuditFilter {
            customer: field_errors.note(customer).flatten(),
            operation: field_errors.note(checked("operation", operation)).flatten(),
            actor: field_errors.note(word_of("actor", self.actor)).flatten(),
            event: self.event_id,
            since: since.and_then(|it| field_errors.note(it)),
            until: until.and_then(|it| field_errors.note(it)),
        }
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
    Listing { paging, filter }: Listing<AuditQuery>,
) -> Result<Json<List<AuditView>>, ApiError> {
    let app = admin.app_or_default();
    let part = audit::list(&state.store, &app, &filter, &paging.window).await?;
    paging.answer(list::map(part, |record| AuditView::of(&app, record)))
}
