//! Apps that are paused: what workers do for them waits.
//!
//! The row of a pause stays when the app goes on, until the messages that waited are in the queue
//! again: whoever moves them finds the app by it, and need not look for messages of each app.

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// The pause of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The app that waits.
    pub app: AppSlug,
    /// Since when, by the local clock.
    pub since: Timestamp,
    /// Why, in an admin's words.
    pub reason: Option<String>,
}

record! {
    /// The pause of an app, and how much waits.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PausedApp from "pauses" {
        /// The app that waits.
        pub app: AppSlug,
        /// Since when, by the local clock.
        pub since: Timestamp,
        /// Why, in an admin's words.
        pub reason: Option<String>,
        /// Messages that workers have put aside; counted up to a bound.
        pub waiting: u64,
    }
}

/// The bound of every count, so that asking often costs little. A figure that shows it means "as many,
/// or more".
const MOST: i64 = 100_000;

/// The lane of messages that wait until an app goes on. Each app has its own, so that taking those of
/// one does not read past those of another. [`Tx::pause_list`] has the name in its statement too.
pub(crate) fn paused_lane(app: &AppSlug) -> String {
    format!("paused/{app}")
}

record! {
    impl Pause from "pauses" { app, since, reason }
}

impl Tx {
    /// Finds the pause of an app; `None` while it is not paused.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause_find(&mut self, app: &AppSlug) -> Result<Option<Pause>, StoreError> {
        let sql = "SELECT app, since, reason FROM pauses WHERE app = $1 AND ended_at IS NULL";
        self.fetch_opt(sql, binds![app]).await
    }

    /// Lists the pauses, of one app or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause_list(
        &mut self,
        app: Option<&AppSlug>,
    ) -> Result<Vec<PausedApp>, StoreError> {
        let sql = r"
            SELECT app, since, reason, (
                SELECT COUNT(*) FROM (
                    SELECT 1 FROM messages WHERE lane = 'paused/' || pauses.app LIMIT $2
                ) AS first_waiting
            ) AS waiting
            FROM pauses
            WHERE ended_at IS NULL AND ($1 IS NULL OR app = $1)
            ORDER BY app
        ";
        self.fetch(sql, binds![app, MOST]).await
    }

    /// Counts the apps that are paused.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause_count(&mut self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM pauses WHERE ended_at IS NULL";
        let count: Option<u64> = self.fetch_value("pauses", sql, binds![]).await?;
        Ok(count.unwrap_or_default())
    }

    /// Pauses an app. Begun in a transaction that holds its exclusive lock, so that no batch which
    /// does not know of it is under way.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause_begin(&mut self, pause: &Pause) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO pauses (app, since, reason)
            VALUES ($1, $2, $3)
            ON CONFLICT (app) DO UPDATE SET
                since = excluded.since, reason = excluded.reason, ended_at = NULL
        ";
        let binds = binds![&pause.app, pause.since, &pause.reason];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lets an app go on; false if it was not paused. In a transaction as that of
    /// [`pause_begin`](Self::pause_begin).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause_end(&mut self, app: &AppSlug, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE pauses SET ended_at = $2 WHERE app = $1 AND ended_at IS NULL";
        Ok(self.execute(sql, binds![app, now]).await? > 0)
    }

    /// Lists the apps that go on and may have messages that still wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn pause_ended(&mut self) -> Result<Vec<AppSlug>, StoreError> {
        let sql = "SELECT app FROM pauses WHERE ended_at IS NOT NULL ORDER BY app";
        self.fetch_values("pauses", sql, binds![]).await
    }

    /// Forgets a pause that is over. In a transaction as that of
    /// [`pause_begin`](Self::pause_begin), which has seen that no message waits.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn pause_forget(&mut self, app: &AppSlug) -> Result<(), StoreError> {
        let sql = "DELETE FROM pauses WHERE app = $1 AND ended_at IS NOT NULL";
        self.execute(sql, binds![app]).await?;
        Ok(())
    }
}
