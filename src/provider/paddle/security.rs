//! The seller's own keys.
//! <https://developer.paddle.com/webhooks/api-key-exposures/api-key-exposure-created>

use super::super::event::Event;
use super::super::reading::ReadError;
use crate::domain::billing::fact::Fact;
use crate::domain::id::Kind;

/// `api_key_exposure.created`.
pub(super) fn exposed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let key = event.object.need_id(&["api_key_id", "id"])?;
    Ok(vec![Fact::KeyExposed {
        key: event.scope.key(Kind::ApiKey, key),
    }])
}
