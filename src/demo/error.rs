//! Reasons why the demo ended early.

use crate::client::RequestError;
use crate::random::RandomError;
use crate::server::embedded::EmbeddedError;

/// The demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No secret can be made.
    #[error("no secret can be made")]
    Random(#[from] RandomError),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] EmbeddedError),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A step had a result that it should not have.
    #[error("the demo did not go as it should: {0}")]
    Wrong(String),
}
