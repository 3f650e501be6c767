//! Reasons why a simulation could not be completed.

use crate::client::RequestError;
use crate::random::RandomError;
use crate::server::embedded::EmbeddedError;

/// A simulation could not be completed. Differences between model and server are not an error.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No secret can be made.
    #[error("no secret can be made")]
    Random(#[from] RandomError),
    /// The embedded server did not start.
    #[error(transparent)]
    Start(#[from] EmbeddedError),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server did not do its part.
    #[error("the simulation could not be carried through: {0}")]
    Server(String),
}
