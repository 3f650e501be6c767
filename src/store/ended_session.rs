//! Sessions of the console that somebody ended before their time. A session itself is kept by its browser
//! alone, so only its end can be written down; the row goes when the session would have ended anyway.

use super::record::binds;
use super::{StoreError, Tx};
use crate::domain::time::Timestamp;

impl Tx {
    /// Notes that a session was ended that would have lasted until an instant. It may be ended twice.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ended_session_add(
        &mut self,
        session: &str,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO ended_sessions (session, ends_at)
            VALUES ($1, $2)
            ON CONFLICT DO NOTHING
        ";
        self.execute(sql, binds![session, ends_at]).await?;
        Ok(())
    }

    /// Reports whether a session was ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ended_session_has(&mut self, session: &str) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM ended_sessions WHERE session = $1";
        let count: Option<u64> = self
            .fetch_value("ended_sessions", sql, binds![session])
            .await?;
        Ok(count.unwrap_or_default() > 0)
    }

    /// Removes sessions that would have ended by now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ended_session_purge(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let sql = "DELETE FROM ended_sessions WHERE ends_at <= $1";
        self.execute(sql, binds![now]).await?;
        Ok(())
    }
}
