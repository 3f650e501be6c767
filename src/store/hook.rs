//! Webhooks of an app's own, and their secrets.

use super::hook_delivery::IS_NEXT_OF_CUSTOMER;
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::hook::{DisabledBecause, HookBody, HookStatus};
use crate::domain::id::{AppSlug, HookId, HookSecretId};
use crate::domain::time::Timestamp;

/// A webhook of an app's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Names it in the API.
    pub id: HookId,
    /// The app.
    pub app: AppSlug,
    /// Where deliveries go.
    pub url: String,
    /// The kinds of changes that it is told of; see [`filter`](crate::domain::announcement::filter).
    pub kinds: Vec<String>,
    /// What bodies hold.
    pub body: HookBody,
    /// What it is for, in the words of who made it.
    pub description: Option<String>,
    /// Whether it is delivered to.
    pub status: HookStatus,
    /// Why it is not.
    pub reason: Option<DisabledBecause>,
    /// When it was made, by the local clock.
    pub created_at: Timestamp,
    /// When an admin or a failure last changed it.
    pub updated_at: Timestamp,
    /// Since when nothing was delivered, though it was tried.
    pub failing_since: Option<Timestamp>,
    /// How many rounds have delivered nothing since.
    pub failures: i64,
}

record! {
    impl Hook from "hooks" {
        id, app, url, kinds, body, description, status, reason, created_at, updated_at,
        failing_since, failures,
    }
}

/// A secret of a hook, sealed.
#[derive(Clone, Debug)]
pub struct SealedHookSecret {
    /// Names it.
    pub id: HookSecretId,
    /// The app.
    pub app: AppSlug,
    /// The hook.
    pub hook: HookId,
    /// As the vault sealed it.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it signs nothing.
    pub expires_at: Option<Timestamp>,
}

record! {
    impl SealedHookSecret from "hook_secrets" { id, app, hook, sealed, created_at, expires_at }
}

impl Tx {
    /// Adds a hook.
    pub(crate) async fn hook_add(&mut self, hook: &Hook) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO hooks (
                id, app, url, kinds, body, description, status, reason, created_at, updated_at,
                failures, rest_until, leased_until
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 0, $9, $9)
        ";
        let binds = binds![
            &hook.id,
            &hook.app,
            &hook.url,
            &hook.kinds,
            hook.body,
            &hook.description,
            hook.status,
            hook.reason,
            hook.created_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lists the hooks of an app, oldest first.
    pub(crate) async fn hook_list(&mut self, app: &AppSlug) -> Result<Vec<Hook>, StoreError> {
        let sql = r"
            SELECT
                id, app, url, kinds, body, description, status, reason, created_at, updated_at,
                failing_since, failures
            FROM hooks
            WHERE app = $1
            ORDER BY id
        ";
        self.fetch(sql, binds![app]).await
    }

    /// Finds a hook of an app.
    pub(crate) async fn hook_find(
        &mut self,
        app: &AppSlug,
        id: &HookId,
    ) -> Result<Option<Hook>, StoreError> {
        let sql = r"
            SELECT
                id, app, url, kinds, body, description, status, reason, created_at, updated_at,
                failing_since, failures
            FROM hooks
            WHERE id = $2 AND app = $1
        ";
        self.fetch_opt(sql, binds![app, id]).await
    }

    /// Writes what an admin changed of a hook. It is tried anew at once.
    pub(crate) async fn hook_put(&mut self, hook: &Hook) -> Result<(), StoreError> {
        let sql = r"
            UPDATE hooks
            SET url = $3, kinds = $4, body = $5, description = $6, status = $7, reason = $8,
                updated_at = $9, failing_since = NULL, failures = 0, rest_until = $9
            WHERE id = $2 AND app = $1
        ";
        let binds = binds![
            &hook.app,
            &hook.id,
            &hook.url,
            &hook.kinds,
            hook.body,
            &hook.description,
            hook.status,
            hook.reason,
            hook.updated_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a hook, its secrets and its deliveries.
    pub(crate) async fn hook_delete(
        &mut self,
        app: &AppSlug,
        id: &HookId,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM hooks WHERE id = $2 AND app = $1";
        Ok(self.execute(sql, binds![app, id]).await? > 0)
    }

    /// Lists the hooks for which a delivery is due and that nobody delivers to just now, those first whose
    /// receivers answer. One that waits
    /// behind another of its customer is not due, whatever its time: a round would find nothing to do. The first
    /// that is due is asked for as a value, for the reason of [`IS_NEXT_OF_CUSTOMER`].
    pub(crate) async fn hook_due(
        &mut self,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Hook>, StoreError> {
        let sql = format!(
            r"
            SELECT
                id, app, url, kinds, body, description, status, reason, created_at, updated_at,
                failing_since, failures
            FROM hooks
            WHERE status = 'enabled' AND leased_until <= $1 AND rest_until <= $1
                AND (
                    SELECT seq
                    FROM hook_deliveries
                    WHERE hook_id = hooks.id AND settled_at IS NULL AND next_at <= $1
                        AND {IS_NEXT_OF_CUSTOMER}
                    ORDER BY next_at, seq
                    LIMIT 1
                ) IS NOT NULL
            ORDER BY failures > 0, leased_until
            LIMIT $2
        "
        );
        self.fetch(&sql, binds![now, most]).await
    }

    /// Takes a hook for a round of deliveries; `false` if somebody else has it.
    pub(crate) async fn hook_lease(
        &mut self,
        id: &HookId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE hooks
            SET leased_until = $2
            WHERE id = $1 AND leased_until <= $3 AND status = 'enabled'
        ";
        Ok(self.execute(sql, binds![id, until, now]).await? > 0)
    }

    /// Gives back a hook that was taken until an instant; `false` if it is gone, or somebody else's because
    /// the round took longer than that.
    pub(crate) async fn hook_give_back(
        &mut self,
        id: &HookId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE hooks SET leased_until = $3 WHERE id = $1 AND leased_until = $2";
        Ok(self.execute(sql, binds![id, until, now]).await? > 0)
    }

    /// Notes how a hook stands after a round of deliveries, and until when it rests; `false` if an admin
    /// has changed it meanwhile.
    pub(crate) async fn hook_settle(
        &mut self,
        hook: &Hook,
        rest_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE hooks
            SET failing_since = $2, failures = $3, rest_until = $4
            WHERE id = $1 AND updated_at = $5
        ";
        let binds = binds![
            &hook.id,
            hook.failing_since,
            hook.failures,
            rest_until,
            hook.updated_at
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Makes due now what was put off further than any pause, by a clock that was ahead: `leased` and `rests`
    /// are the latest ends of a lease and of a rest that clocks which agree can have given.
    pub(crate) async fn hook_heed_clock(
        &mut self,
        now: Timestamp,
        leased: Timestamp,
        rests: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE hooks SET leased_until = $1 WHERE leased_until > $2";
        self.execute(sql, binds![now, leased]).await?;
        let sql = "UPDATE hooks SET rest_until = $1 WHERE rest_until > $2";
        self.execute(sql, binds![now, rests]).await?;
        // By hook, as the index of what is due is.
        let sql = r"
            UPDATE hook_deliveries
            SET next_at = $1
            WHERE hook_id IN (SELECT id FROM hooks) AND settled_at IS NULL AND next_at > $2
        ";
        self.execute(sql, binds![now, rests]).await?;
        Ok(())
    }

    /// Ends the rest of a hook: an admin wants something to be sent now.
    pub(crate) async fn hook_wake(
        &mut self,
        id: &HookId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE hooks SET rest_until = $2 WHERE id = $1 AND rest_until > $2";
        self.execute(sql, binds![id, now]).await?;
        Ok(())
    }

    /// Disables a hook because of how its deliveries went; `false` if it is already.
    pub(crate) async fn hook_disable(
        &mut self,
        id: &HookId,
        reason: DisabledBecause,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE hooks
            SET status = 'disabled', reason = $2, updated_at = $3
            WHERE id = $1 AND status = 'enabled'
        ";
        Ok(self.execute(sql, binds![id, reason, now]).await? > 0)
    }

    /// Counts the hooks of all apps that were disabled because of how their deliveries went.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn hook_count_lost(&mut self) -> Result<u64, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS n
            FROM hooks
            WHERE status = 'disabled' AND reason <> 'admin'
        ";
        let count: Option<u64> = self.fetch_value("hooks", sql, binds![]).await?;
        Ok(count.unwrap_or_default())
    }

    /// Adds a secret to a hook.
    pub(crate) async fn hook_secret_add(
        &mut self,
        secret: &SealedHookSecret,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO hook_secrets (id, app, hook_id, sealed, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
        ";
        let binds = binds![
            &secret.id,
            &secret.app,
            &secret.hook,
            secret.sealed.clone(),
            secret.created_at,
            secret.expires_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lets the secrets of a hook end at an instant, if they do not end before. Removes those that have
    /// ended, and of the rest all but the newest `most`.
    pub(crate) async fn hook_secret_retire(
        &mut self,
        hook: &HookId,
        at: Timestamp,
        now: Timestamp,
        most: i64,
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM hook_secrets
            WHERE hook_id = $1
                AND (
                    expires_at <= $2
                    OR id NOT IN (
                        SELECT id FROM hook_secrets WHERE hook_id = $1 ORDER BY id DESC LIMIT $3
                    )
                )
        ";
        self.execute(sql, binds![hook, now, most]).await?;
        let sql = r"
            UPDATE hook_secrets SET expires_at = $2
            WHERE hook_id = $1 AND (expires_at IS NULL OR expires_at > $2)
        ";
        self.execute(sql, binds![hook, at]).await?;
        Ok(())
    }

    /// Lists the secrets of a hook, newest first.
    pub(crate) async fn hook_secret_list(
        &mut self,
        hook: &HookId,
    ) -> Result<Vec<SealedHookSecret>, StoreError> {
        let sql = r"
            SELECT id, app, hook_id AS hook, sealed, created_at, expires_at
            FROM hook_secrets
            WHERE hook_id = $1
            ORDER BY id DESC
        ";
        self.fetch(sql, binds![hook]).await
    }

    /// Lists the secrets of all hooks.
    pub(crate) async fn hook_secret_list_all(
        &mut self,
    ) -> Result<Vec<SealedHookSecret>, StoreError> {
        let sql = r"
            SELECT id, app, hook_id AS hook, sealed, created_at, expires_at
            FROM hook_secrets
            ORDER BY id
        ";
        self.fetch(sql, binds![]).await
    }

    /// Puts a newly sealed text in the place of another one of the same secret; `false` if it is no
    /// longer there.
    pub(crate) async fn hook_secret_reseal(
        &mut self,
        id: &HookSecretId,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE hook_secrets SET sealed = $3 WHERE id = $1 AND sealed = $2";
        Ok(self.execute(sql, binds![id, from, to]).await? > 0)
    }
}
