//! The event ledger, and replay of one event.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::list::{self, List, Paging};
use super::view::EventView;
use super::{instant, order_of, problem, word_of};
use crate::domain::validate::FieldError;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, ValidQuery};
use crate::pipeline::replay::replay_one;
use crate::store::EventFilter;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/events", get(list))
        .route("/events/{id}", get(show))
        .route("/events/{id}/replay", post(replay))
}

/// The filters of the list. Texts throughout, so that each has its own message.
#[derive(Deserialize)]
struct EventQuery {
    outcome: Option<String>,
    /// The same as `outcome`.
    status: Option<String>,
    provider: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    customer_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl EventQuery {
    fn filter(self) -> Result<EventFilter, FieldError> {
        let since = self.since.map(|text| instant("since", &text)).transpose()?;
        let until = self.until.map(|text| instant("until", &text)).transpose()?;
        let outcome = match self.outcome {
            Some(word) => word_of("outcome", Some(word))?,
            None => word_of("status", self.status)?,
        };
        Ok(EventFilter {
            outcome,
            provider: word_of("provider", self.provider)?,
            event_type: self.event_type,
            customer: word_of("customer_id", self.customer_id)?,
            since,
            until,
        })
    }
}

async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
    ValidQuery(query): ValidQuery<EventQuery>,
) -> Result<Json<List<EventView>>, ApiError> {
    let filter = query
        .filter()
        .map_err(|error| ApiError::invalid_query(vec![error]))?;
    let mut tx = state.store.read().await?;
    let part = tx
        .event_list(&admin.app_or_default(), &filter, &paging.0)
        .await?;
    Ok(paging.answer(list::map(part, EventView::from)))
}

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<EventView>, ApiError> {
    let found = state
        .store
        .read()
        .await?
        .event_find(&admin.app_or_default(), &id)
        .await?;
    Ok(Json(found.ok_or_else(problem::event_not_found)?.into()))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReplayBody {
    force: bool,
}

/// A replay that was ordered.
#[derive(Serialize)]
struct ReplayView {
    id: String,
    /// It is in the queue; `GET /events/{id}` shows what became of it.
    replayed: bool,
}

async fn replay(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReplayBody>>,
) -> Result<(StatusCode, Json<ReplayView>), ApiError> {
    let ReplayBody { force } = body.map(|ValidJson(body)| body).unwrap_or_default();
    let order = order_of(&admin, &state);
    let (store, publisher) = (&state.store, &*state.publisher);
    replay_one(store, publisher, &order.app, &id, force, order.now).await?;
    let mut tx = state.store.begin().await?;
    let details = json!({"event_id": id, "force": force});
    order.audit(&mut tx, None, "event_replay", details).await?;
    tx.commit().await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(ReplayView { id, replayed: true }),
    ))
}
