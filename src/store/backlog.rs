//! What waits in the store, for monitoring: counted up to a bound and found by index, so that asking
//! often costs little, however much waits.

use super::cell::{Document, Nanos};
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::time::Timestamp;

/// The bound of every count. A figure that shows it means "as many, or more".
pub(super) const MOST: i64 = 100_000;

record! {
    /// The messages of a lane.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct LaneBacklog from "messages" {
        /// Those that may be processed now.
        pub due: u64,
        /// Those that wait for their next try.
        pub resting: u64,
    }
}

record! {
    struct WaitingRow from "messages" {
        due_at: Timestamp,
        headers: Document,
    }
}

record! {
    /// The customers whose due time has come.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DueTimers from "customers" {
        /// Their number.
        pub due: u64,
        /// The due time that came first.
        pub first: Option<Timestamp>,
    }
}

impl Tx {
    /// Counts the messages of a lane.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog_of_lane(
        &mut self,
        lane: &'static str,
        now: Timestamp,
    ) -> Result<LaneBacklog, StoreError> {
        let sql = r"
            SELECT
                (
                    SELECT COUNT(*) FROM (
                        SELECT 1 FROM messages WHERE lane = $1 AND due_at <= $2 LIMIT $3
                    ) AS first_due
                ) AS due,
                (
                    SELECT COUNT(*) FROM (
                        SELECT 1 FROM messages WHERE lane = $1 AND due_at > $2 LIMIT $3
                    ) AS first_resting
                ) AS resting
        ";
        let counted = self.fetch_opt(sql, binds![lane, now, MOST]).await?;
        Ok(counted.unwrap_or_default())
    }

    /// Returns those messages of a lane that became due first, after one time and until another, with
    /// the time of each and its headers, a JSON document. Replays are left out; where a great many of
    /// them are due first, so may be what follows them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog_first(
        &mut self,
        lane: &'static str,
        (after, until): (Timestamp, Timestamp),
        most: u32,
    ) -> Result<Vec<(Timestamp, String)>, StoreError> {
        // Read in the order of an index, so it ends with the last that is wanted.
        let sql = r"
            SELECT due_at, headers
            FROM (
                SELECT due_at, seq, headers
                FROM messages
                WHERE lane = $1 AND due_at > $2 AND due_at <= $3
                ORDER BY due_at, seq
                LIMIT $5
            ) AS first_due
            WHERE headers ->> 'replay' IS NULL
            ORDER BY due_at, seq
            LIMIT $4
        ";
        let binds = binds![lane, after, until, i64::from(most), MOST];
        let rows: Vec<WaitingRow> = self.fetch(sql, binds).await?;
        let pairs = rows.into_iter().map(|row| (row.due_at, row.headers.0));
        Ok(pairs.collect())
    }

    /// Counts the customers whose due time has come, but not those of apps that are paused.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog_of_timers(&mut self, now: Timestamp) -> Result<DueTimers, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS due, MIN(due_at) AS first
            FROM (
                SELECT due_at
                FROM customers
                WHERE due_at <= $1
                    AND app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
                    AND app NOT IN (SELECT slug FROM apps WHERE deleting IS NOT NULL)
                ORDER BY due_at
                LIMIT $2
            ) AS first_due
        ";
        let counted = self.fetch_opt(sql, binds![Nanos(now), MOST]).await?;
        Ok(counted.unwrap_or_default())
    }

    /// Counts the replays that are not finished.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn backlog_of_replays(&mut self) -> Result<u64, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS n
            FROM (SELECT 1 FROM replays WHERE finished_at IS NULL LIMIT $1) AS unfinished
        ";
        let count: Option<u64> = self.fetch_value("replays", sql, binds![MOST]).await?;
        Ok(count.unwrap_or_default())
    }
}
