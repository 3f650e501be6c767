//! Forms that do their act once, however often they are sent: each has a key, and the second gets the answer of
//! the first.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::idempotency::{answer, in_use, reserve, to_the_end};
use super::{ApiError, AppState};
use crate::store::idempotency::Attempt;

/// The field with the key.
pub(super) const FIELD: &str = "idempotency_key";

/// How often, and for how long, a form looks whether the first one has been answered.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Answers a form that is sent with a key: one that was sent before gets the first answer, and waits for
/// it. `id` names who sends what with which key.
pub(super) async fn answer_form(
    state: AppState,
    id: String,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // Pages, and what leads to one. What a form that was refused has met may have changed.
    let is_kept = |status: StatusCode| status.is_success() || status.is_redirection();
    to_the_end(async move {
        for _ in 0..LOOKS {
            let attempt = reserve(&state, &id, &id).await?;
            if !matches!(attempt, Attempt::Running) {
                return answer(state, id, attempt, request, next, is_kept).await;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err(in_use())
    })
    .await
}
