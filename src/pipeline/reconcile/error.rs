//! Why there is no comparison.

use crate::domain::id::{Provider, ReconcileId};
use crate::pipeline::apis::NoApi;
use crate::pipeline::process::ProcessError;
use crate::random::RandomError;
use crate::store::StoreError;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The app has no API key for the provider.
    #[error(
        "the app has no API key of {provider}, and without one nothing can be read there: set \
         {}_API_KEY for the app `default`, or `PUT /apps/{{slug}}/endpoints/{provider}/api-key`",
        provider.as_str().to_uppercase()
    )]
    KeyNeeded {
        /// The provider.
        provider: Provider,
    },
    /// The app has one that is open at the provider.
    #[error("the reconciliation {id} of this app is open; wait for its end, or cancel it")]
    Open {
        /// That one.
        id: ReconcileId,
    },
    /// There is no such app.
    #[error("there is no such app")]
    AppNotFound,
    /// The app has none of this id.
    #[error("there is no such reconciliation")]
    NotFound,
    /// The app's key cannot be used.
    #[error(transparent)]
    Api(NoApi),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The system gave no randomness for an id.
    #[error("no id could be made")]
    Random(#[from] RandomError),
}

impl From<ProcessError> for ReconcileError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Store(error) => Self::Store(error),
            ProcessError::Random(error) => Self::Random(error),
        }
    }
}

impl From<NoApi> for ReconcileError {
    fn from(error: NoApi) -> Self {
        match error {
            NoApi::Store(error) => Self::Store(error),
            other => Self::Api(other),
        }
    }
}
