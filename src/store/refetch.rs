//! Questions to providers that wait for their turn: one row for each object, however many events have
//! left something open about it.

use sha2::{Digest, Sha256};
use uuid::Builder;

use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::apply::doubts::Doubts;
use crate::domain::id::{AppSlug, ObjectKey, Provider, RefetchId};
use crate::domain::refetch::RefetchReason;
use crate::domain::time::Timestamp;

/// A question about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRefetch {
    /// Names it in the API.
    pub id: RefetchId,
    /// Of which app.
    pub app: AppSlug,
    /// The object.
    pub key: ObjectKey,
    /// Why it is asked for.
    pub reason: RefetchReason,
    /// Since when, by the local clock.
    pub since: Timestamp,
    /// Grows with every need: what was asked before the last one does not settle it.
    pub version: i64,
    /// The number of times that the provider was asked in vain.
    pub attempts: i64,
    /// When it is asked next.
    pub next_at: Timestamp,
    /// Why the last try led to nothing.
    pub error: Option<String>,
    /// When it was given up; `None` while it waits.
    pub ended_at: Option<Timestamp>,
}

record! {
    impl WaitingRefetch from "refetches" {
        id, app, key, reason, since, version, attempts, next_at, error, ended_at,
    }
}

record! {
    struct NewRefetch<'a> {
        id: RefetchId,
        provider: Provider,
        key: &'a ObjectKey,
        reason: RefetchReason,
        next_at: Timestamp,
    }
}

record! {
    struct Waiting from "refetches" {
        provider: Provider,
        waiting: u64,
    }
}

/// The id of the question about an object that begins at some time. Ids sort by time.
fn id_of(app: &AppSlug, key: &ObjectKey, now: Timestamp) -> RefetchId {
    let digest = Sha256::digest(format!("{app} {key}"));
    let mut rest = [0; 10];
    rest.copy_from_slice(&digest[..10]);
    let milliseconds = u64::try_from(now.nanos() / 1_000_000).unwrap_or_default();
    let id = Builder::from_unix_timestamp_millis(milliseconds, &rest);
    RefetchId::from_uuid(id.into_uuid())
}

impl Tx {
    /// Notes that objects are to be asked for. One that waits already is asked for once, at its time.
    pub(crate) async fn refetch_want(
        &mut self,
        app: &AppSlug,
        doubts: &Doubts,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = doubts.iter().map(|(key, reason)| NewRefetch {
            id: id_of(app, key, now),
            provider: key.scope.provider,
            key,
            reason: *reason,
            next_at: now.plus(reason.patience()),
        });
        let rows: Rows<NewRefetch<'_>> = rows.collect();
        let sql = r"
            INSERT INTO refetches (
                id, app, provider, key, reason, since, version, attempts, next_at
            )
            SELECT id, $2, provider, key, reason, $3, 1, 0, next_at
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET
                id = CASE
                    WHEN refetches.ended_at IS NULL THEN refetches.id ELSE excluded.id
                END,
                reason = excluded.reason,
                since = CASE
                    WHEN refetches.ended_at IS NULL THEN refetches.since ELSE excluded.since
                END,
                version = refetches.version + 1,
                attempts = CASE
                    WHEN refetches.ended_at IS NULL THEN refetches.attempts ELSE 0
                END,
                next_at = CASE
                    WHEN refetches.ended_at IS NULL THEN refetches.next_at ELSE excluded.next_at
                END,
                error = CASE
                    WHEN refetches.ended_at IS NULL THEN refetches.error ELSE NULL
                END,
                ended_at = NULL
        ";
        self.execute(sql, binds![rows, app, now]).await?;
        Ok(())
    }

    /// Finds the next question to a provider that is due.
    pub(crate) async fn refetch_due(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        now: Timestamp,
    ) -> Result<Option<WaitingRefetch>, StoreError> {
        let sql = r"
            SELECT id, app, key, reason, since, version, attempts, next_at, error, ended_at
            FROM refetches
            WHERE app = $1 AND provider = $2 AND ended_at IS NULL AND next_at <= $3
            ORDER BY next_at
            LIMIT 1
        ";
        self.fetch_opt(sql, binds![app, provider, now]).await
    }

    /// Removes a question that was answered, unless there has been another need since: then it stays,
    /// until `next_at`.
    pub(crate) async fn refetch_settle(
        &mut self,
        refetch: &WaitingRefetch,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM refetches WHERE id = $1 AND version = $2";
        let settled = self
            .execute(sql, binds![&refetch.id, refetch.version])
            .await?;
        if settled == 0 {
            self.refetch_put_off(refetch, None, next_at).await?;
        }
        Ok(())
    }

    /// Notes that a try led to nothing, and when the next one is.
    pub(crate) async fn refetch_put_off(
        &mut self,
        refetch: &WaitingRefetch,
        error: Option<&str>,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE refetches
            SET attempts = attempts + 1, error = $2, next_at = $3
            WHERE id = $1
        ";
        self.execute(sql, binds![&refetch.id, error, next_at])
            .await?;
        Ok(())
    }

    /// Gives a question up, with a word why.
    pub(crate) async fn refetch_end(
        &mut self,
        refetch: &WaitingRefetch,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE refetches
            SET attempts = attempts + 1, error = $3, ended_at = $4
            WHERE id = $1 AND version = $2
        ";
        let binds = binds![&refetch.id, refetch.version, error, now];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes the questions of an app to a provider that wait: nobody can ask them any more.
    pub(crate) async fn refetch_forget(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM refetches
            WHERE app = $1 AND provider = $2 AND ended_at IS NULL
        ";
        self.execute(sql, binds![app, provider]).await?;
        Ok(())
    }

    /// Lists the questions of an app, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refetch_list(
        &mut self,
        app: &AppSlug,
        window: &Window,
    ) -> Result<Listed<WaitingRefetch>, StoreError> {
        let select = r"
            SELECT id, app, key, reason, since, version, attempts, next_at, error, ended_at
            FROM refetches
        ";
        let filter = Filter::new("app = ?", app);
        let id = |refetch: &WaitingRefetch| refetch.id.to_string();
        self.list(select, filter, Key::Text("id"), window, id).await
    }

    /// Finds the questions about some objects that wait.
    pub(crate) async fn refetch_of(
        &mut self,
        app: &AppSlug,
        objects: impl IntoIterator<Item = &ObjectKey> + Send,
    ) -> Result<Vec<WaitingRefetch>, StoreError> {
        let sql = r"
            SELECT id, app, key, reason, since, version, attempts, next_at, error, ended_at
            FROM refetches
            WHERE app = $2 AND ended_at IS NULL AND key IN (SELECT key FROM {rows} AS wanted)
            ORDER BY id
        ";
        self.fetch(sql, binds![super::record::keys(objects), app])
            .await
    }

    /// Counts the questions that wait, by provider.
    pub(crate) async fn refetch_count(&mut self) -> Result<Vec<(Provider, u64)>, StoreError> {
        let sql = r"
            SELECT provider, COUNT(*) AS waiting
            FROM refetches
            WHERE ended_at IS NULL
            GROUP BY provider
            ORDER BY provider
        ";
        let rows: Vec<Waiting> = self.fetch(sql, binds![]).await?;
        Ok(rows
            .into_iter()
            .map(|it| (it.provider, it.waiting))
            .collect())
    }
}
