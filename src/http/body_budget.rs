//! The memory for the bodies of requests under way, in the whole process.
//!
//! Of webhooks: whether a body is signed shows when all of it is there, so strangers can make the
//! receiver hold bodies; the budget bounds how much. A body takes its share as its bytes arrive: one
//! that is only announced costs nothing, and a slow sender holds what it has sent, for as long as
//! bodies may take. What does not fit is refused, and the provider sends it again.
//!
//! A body over [`limits::SMALL_BODY`] needs a permit besides, of which there are few: providers'
//! events are small, and these must find room while somebody fills what there is with large ones.
//!
//! The bodies of other requests have a budget of their own, without any rule for large ones: they
//! are read only for those who have a token.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::limits::{self, Limits};

/// The budget. All bodies under way take their shares of it.
pub(super) struct BodyBudget {
    bytes: Arc<Semaphore>,
    /// The permits for large bodies, and the time to wait for one; `None`: they need none.
    large: Option<(Arc<Semaphore>, Duration)>,
}

impl BodyBudget {
    /// Makes the budget of webhooks.
    pub(super) fn of_webhooks(limits: &Limits) -> Self {
        let large = Arc::new(Semaphore::new(limits.large_bodies));
        Self {
            bytes: Arc::new(Semaphore::new(limits.webhook_bytes)),
            large: Some((large, limits.large_body_wait)),
        }
    }

    /// Makes the budget of all other requests.
    pub(super) fn of_api(limits: &Limits) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(limits.api_bytes)),
            large: None,
        }
    }

    /// Returns an empty share for one body. It is given back when it is dropped.
    pub(super) fn share(&self) -> BodyShare<'_> {
        BodyShare {
            budget: self,
            bytes: None,
            large: None,
        }
    }
}

/// The share of one body.
pub(super) struct BodyShare<'a> {
    budget: &'a BodyBudget,
    bytes: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl BodyShare<'_> {
    /// Takes a permit for a large body; waits a moment for one that another body gives back.
    async fn take_large(&mut self) -> Result<(), ApiError> {
        let Some((permits, wait)) = self.budget.large.as_ref() else {
            return Ok(());
        };
        if self.large.is_some() {
            return Ok(());
        }
        let permit = Arc::clone(permits).acquire_owned();
        // The semaphore is never closed.
        let Ok(Ok(permit)) = tokio::time::timeout(*wait, permit).await else {
            return Err(ApiError::TooManyBodies);
        };
        self.large = Some(permit);
        Ok(())
    }

    /// Accounts for a body that takes this many bytes by now.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) async fn grow(&mut self, size: usize) -> Result<(), ApiError> {
        if size > limits::SMALL_BODY {
            self.take_large().await?;
        }
        let held = self
            .bytes
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = size.checked_sub(held).filter(|more| *more > 0) else {
            return Ok(());
        };
        let more = u32::try_from(more).map_err(|_| ApiError::TooManyBodies)?;
        let permits = Arc::clone(&self.budget.bytes).try_acquire_many_owned(more);
        let permits = permits.map_err(|_| ApiError::TooManyBodies)?;
        match &mut self.bytes {
            Some(held) => held.merge(permits),
            none => *none = Some(permits),
        }
        Ok(())
    }
}
