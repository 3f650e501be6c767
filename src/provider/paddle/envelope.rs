//! The envelope of a notification: everything around its entity.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::json::{self, Pruned};
use super::super::reading::ReadError;
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;

pub(super) const NAME: Provider = Provider::named("paddle");

/// The envelope of the entity: <https://developer.paddle.com/webhooks/how-webhooks-work>.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    event_id: Option<Pruned>,
    notification_id: Option<Pruned>,
    occurred_at: Option<Pruned>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// True for what the webhook simulator sends: <https://developer.paddle.com/webhooks/test-webhooks>.
    pub(super) fn is_simulated(&self) -> bool {
        let begins = |id: &Option<Pruned>, with: &str| {
            let id = id.as_ref().and_then(|id| id.0.as_str());
            id.is_some_and(|id| id.starts_with(with))
        };
        begins(&self.event_id, "ntfsimevt_") || begins(&self.notification_id, "ntfsim")
    }

    pub(super) fn occurred_at(&self) -> Option<Timestamp> {
        Timestamp::parse(self.occurred_at.as_ref()?.0.as_str()?)
    }

    pub(super) fn need_time(&self) -> Result<Timestamp, ReadError> {
        let path = || "occurred_at".to_owned();
        match &self.occurred_at {
            None => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => self.occurred_at().ok_or_else(|| ReadError::FieldMalformed {
                path: path(),
                wanted: "an RFC 3339 time",
            }),
        }
    }

    /// The entity, unread.
    pub(super) fn raw_data(&self) -> Option<&RawValue> {
        self.data
    }

    pub(super) fn data(&self) -> Result<Value, ReadError> {
        let path = || "data".to_owned();
        let data = self
            .data
            .ok_or_else(|| ReadError::FieldMissing { path: path() })?;
        match json::parse(data.get()) {
            Ok(data @ Value::Object(_)) => Ok(data),
            Ok(_) => Err(ReadError::FieldMalformed {
                path: path(),
                wanted: "an object",
            }),
            Err(error) => Err(ReadError::FieldMalformed {
                path: path(),
                wanted: json::wanted(&error),
            }),
        }
    }
}
