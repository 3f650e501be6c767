//! What a provider was asked, as a message: it is processed like a webhook.

use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::api::Observed;
use crate::queue::message::{Headers, HeadersV1};
use crate::queue::{Message, Origin};
use crate::random::{self, RandomError};

/// Makes a message of what a provider said. `origin`: who asked, where that is to be kept.
///
/// # Errors
/// When no receipt could be made.
pub(super) fn message(
    app: &AppSlug,
    provider: Provider,
    observed: Observed,
    mode: Mode,
    origin: Origin,
    now: Timestamp,
) -> Result<Message, RandomError> {
    Ok(Message {
        headers: Headers::V1(HeadersV1 {
            app: app.clone(),
            provider,
            event_id: observed.id,
            event_type: observed.event_type,
            received_at: now,
            mode,
            receipt: random::uuid(now)?.simple().to_string(),
            attempt: 0,
            origin,
            replay: None,
            error: None,
        }),
        body: observed.body.into(),
    })
}
