//! What failures of the store and of the queue are over HTTP.

use super::api::cursor::refused;
use super::error::ApiError;
use crate::queue::QueueError;
use crate::store::StoreError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Cursor) {
            return Self::invalid_query(vec![refused()]);
        }
        let passing = error.is_passing();
        let cause = Some(error.into());
        if passing {
            Self::Unavailable { cause }
        } else {
            Self::Internal { cause }
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Unavailable { .. } | QueueError::Closed => Self::Unavailable {
                cause: Some(error.into()),
            },
        }
    }
}
