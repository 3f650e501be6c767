//! Payloads of Paddle.

use tollgate::provider::PADDLE;

#[cfg(test)]
use super::payload;
#[cfg(not(test))]
#[path = "payload.rs"]
mod payload;

/// The data are a body.
pub(crate) fn target(data: &[u8]) {
    payload::check(PADDLE, data);
}
