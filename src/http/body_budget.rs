//! The memory for the bodies of webhooks under way, in the whole process.
//!
//! Whether a body is signed shows when all of it is there, so strangers can make the receiver hold
//! bodies; the budget bounds how much. A body takes its share as its bytes arrive: one that is only
//! announced costs nothing, and a slow sender holds what it has sent, for as long as bodies may
//! take. What does not fit is refused, and the provider sends it again.
//!
//! A body over [`limits::SMALL_BODY`] needs a permit besides, of which there are few: providers'
//! events are small, and these must find room while somebody fills what there is with large ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::limits::{self, Limits};

/// The part of a body's memory that is accounted for.
pub(super) trait Share {
    /// Accounts for a body that takes this many bytes by now.
    ///
    /// # Errors
    /// When there is no memory for it.
    async fn grow(&mut self, size: usize) -> Result<(), ApiError>;
}

/// The share of those who are trusted with memory.
pub(super) struct Unlimited;

impl Share for Unlimited {
    async fn grow(&mut self, _size: usize) -> Result<(), ApiError> {
        Ok(())
    }
}

/// The budget. All bodies under way take their shares of it.
pub(super) struct BodyBudget {
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
    large_wait: Duration,
}

impl BodyBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(limits.webhook_bytes)),
            large: Arc::new(Semaphore::new(limits.large_bodies)),
            large_wait: limits.large_body_wait,
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
        if self.large.is_some() {
            return Ok(());
        }
        let permit = Arc::clone(&self.budget.large).acquire_owned();
        // The semaphore is never closed.
        let Ok(Ok(permit)) = tokio::time::timeout(self.budget.large_wait, permit).await else {
            return Err(ApiError::TooManyBodies);
        };
        self.large = Some(permit);
        Ok(())
    }
}

impl Share for BodyShare<'_> {
    async fn grow(&mut self, size: usize) -> Result<(), ApiError> {
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
