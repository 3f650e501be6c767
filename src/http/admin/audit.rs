//! The audit: who changed what, from what to what, because of which event. Entries are written
//! with the changes that they tell of, in one transaction; nothing here changes any.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::list::{self, List, Paging};
use super::{instant, word_of};
use crate::domain::id::AppSlug;
use crate::domain::validate::FieldError;
use crate::http::{Admin, ApiError, AppState, ValidQuery};
use crate::store::{AuditFilter, AuditRecord};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/audit", get(list))
}

/// One change.
#[derive(Debug, Serialize)]
struct AuditView {
    /// Grows with time; not without gaps.
    id: i64,
    app: String,
    at: String,
    /// `event:{provider}:{id}`, `admin:{token id}`, `admin:root` for `ADMIN_TOKEN`, `timer`, or
    /// `operator` for who works at the machine.
    actor: String,
    event_id: Option<String>,
    customer_id: Option<String>,
    operation: String,
    /// From what to what, as the operation has it; never a secret.
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
#[derive(Deserialize)]
struct AuditQuery {
    customer_id: Option<String>,
    operation: Option<String>,
    actor: Option<String>,
    event_id: Option<String>,
    since: Option<String>,
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
