//! The uses of tokens and secrets, counted in memory and written periodically.
//!
//! Writing on every access check and webhook would cost a transaction each, and make them fail
//! while the store is away. So uses are counted in memory and written every ten seconds, and at
//! shutdown. A process that is killed loses the last few: these numbers are for people who look for
//! unused tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::causes::chain;
use crate::domain::access::token::{AdminToken, CustomerToken};
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::time::Timestamp;
use crate::pipeline::history::day_of;
use crate::pipeline::usage;
use crate::store::endpoint_receipt::{Endpoint, Receipt};
use crate::store::usage::{RefusedKey, SecretUses, Uses};
use crate::store::{Store, StoreError};

/// The time between writes.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// The time limit for the write at shutdown.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// The age of a token's last use from which another one is worth a write.
const WORTH_WRITING: Duration = Duration::from_mins(1);

/// The uses since the last write. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Mutex<Uses>>);

impl Usage {
    /// Notes that an access token was accepted.
    pub(super) fn note_token(&self, token: &CustomerToken, now: Timestamp) {
        if is_worth_writing(token.last_used_at, now) {
            self.with(|uses| uses.tokens.insert(token.id.clone(), now));
        }
    }

    /// Notes that an admin token was accepted.
    pub(super) fn note_admin_token(&self, token: &AdminToken, now: Timestamp) {
        if is_worth_writing(token.last_used_at, now) {
            self.with(|uses| uses.admin_tokens.insert(token.id.clone(), now));
        }
    }

    /// Notes that a webhook secret verified a webhook.
    pub(super) fn note_secret(&self, id: &SecretId, now: Timestamp) {
        let uses = SecretUses {
            count: 1,
            last_at: now,
        };
        self.with(|all| all.add_secret(id.clone(), uses));
    }

    /// Notes that a webhook came to an endpoint, signed with one of its secrets: this one, or one of the
    /// settings.
    pub(super) fn note_receipt(
        &self,
        app: &AppSlug,
        provider: Provider,
        secret: Option<&SecretId>,
        now: Timestamp,
    ) {
        let endpoint = Endpoint {
            app: app.clone(),
            provider,
        };
        let receipt = Receipt {
            at: now,
            of_settings: secret.is_none(),
        };
        self.with(|all| all.add_receipt(endpoint, receipt));
    }

    /// Notes that a webhook was refused that no secret of its endpoint had signed. What can be noted is
    /// bounded by the endpoints that there are.
    pub(super) fn note_refused(
        &self,
        app: &AppSlug,
        provider: Provider,
        reason: &'static str,
        now: Timestamp,
    ) {
        let key = RefusedKey {
            app: app.clone(),
            provider,
            reason,
            day: day_of(now),
        };
        let refused = SecretUses {
            count: 1,
            last_at: now,
        };
        self.with(|all| all.add_refused(key, refused));
    }

    /// Writes the noted uses. If that fails they stay noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let uses = self.with(std::mem::take);
        if uses.is_empty() {
            return Ok(());
        }
        let written = usage::write(store, &uses).await;
        if written.is_err() {
            self.with(|all| all.add(uses));
        }
        written
    }

    /// Writes every ten seconds until `shutdown`.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        let mut failed = false;
        loop {
            let result = self.flush(&store).await;
            if let (Err(error), false) = (&result, failed) {
                tracing::warn!(
                    error = chain(error),
                    "writing the last uses of tokens failed; trying again"
                );
            }
            failed = result.is_err();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(FLUSH_EVERY) => {}
            }
        }
    }

    /// Writes the uses of the last requests, within a second.
    pub async fn finish(&self, store: &Store) {
        match tokio::time::timeout(LAST_FLUSH, self.flush(store)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("writing the last uses of tokens at shutdown failed");
            }
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Uses) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_worth_writing(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| last.plus(WORTH_WRITING) <= now)
}
