//! An answer as a message, so that it is processed like a webhook.

use crate::domain::id::ObjectKey;
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::pipeline::observation::message;
use crate::provider::ReadError;
use crate::provider::api::{Fetched, observed_of};
use crate::queue::{Message, Origin};
use crate::random::RandomError;
use crate::store::WaitingRefetch;

/// Why an answer was not made a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoMessage {
    /// It is no object with an id.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No receipt could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Makes a message of an answer; `None` of an object that says nothing that matters here.
pub(super) fn message_of(
    refetch: &WaitingRefetch,
    fetched: &Fetched,
    mode: Mode,
    now: Timestamp,
) -> Result<Option<Message>, NoMessage> {
    let ObjectKey { scope, .. } = &refetch.key;
    let Some(observed) = observed_of(&refetch.key, &fetched.object, fetched.at)? else {
        return Ok(None);
    };
    let (app, origin) = (&refetch.app, Origin::default());
    let message = message(app, scope.provider, observed, mode, origin, now)?;
    Ok(Some(message))
}
