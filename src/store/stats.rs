//! Counts for monitoring: customers by status, events by outcome.
//!
//! Counting is linear, so every count is read off an index alone, and none reads a row: a million
//! customers take PostgreSQL 0.4 s on two busy cores, five million events 1 s. Refused: totals that
//! each write keeps up, because all workers would wait for the rows of the totals.

use std::collections::BTreeMap;

use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::event::EventOutcome;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

record! {
    struct Count from "counts" {
        word: String,
        n: u64,
    }
}

record! {
    struct Ends from "events" {
        first: i64,
        last: i64,
    }
}

record! {
    struct Received from "events" {
        seq: i64,
        received_at: Timestamp,
    }
}

impl Tx {
    /// Counts the customers that are shown, by status, of one app or of all; neither merged rows
    /// nor deleted ones count. A status that nobody has is missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats_customers(
        &mut self,
        app: Option<&AppSlug>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let sql = r"
            SELECT status AS word, COUNT(*) AS n
            FROM customers
            WHERE merged_into IS NULL AND deleted_at IS NULL {app}
            GROUP BY status
        ";
        self.stats_by_word(sql, app).await
    }

    /// Counts the events of the ledger by outcome, of one app or of all. An outcome that none has
    /// is missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats_events(
        &mut self,
        app: Option<&AppSlug>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let sql = r"
            SELECT outcome AS word, COUNT(*) AS n
            FROM events
            WHERE true {app}
            GROUP BY outcome
        ";
        self.stats_by_word(sql, app).await
    }

    /// Runs a statement that counts, with `{app}` in it for the condition that names one.
    async fn stats_by_word(
        &mut self,
        sql: &str,
        app: Option<&AppSlug>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        // Two statements, not one that asks whether an app is named: an engine plans for it.
        let counts: Vec<Count> = match app {
            Some(app) => {
                let sql = sql.replace("{app}", "AND app = $1");
                self.fetch(&sql, binds![app]).await?
            }
            None => self.fetch(&sql.replace("{app}", ""), binds![]).await?,
        };
        Ok(counts.into_iter().map(|it| (it.word, it.n)).collect())
    }

    /// As [`stats_events`](Self::stats_events), from a place in the ledger on. Asks app by app
    /// and outcome by outcome, each of which is one stretch of an index.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats_events_from(
        &mut self,
        app: Option<&AppSlug>,
        place: i64,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        // One engine's sum of whole numbers is a decimal.
        let sql = r"
            SELECT
                outcomes.key AS word,
                CAST(SUM((
                    SELECT COUNT(*) FROM events
                    WHERE events.app = apps.slug
                        AND events.outcome = outcomes.key
                        AND events.seq >= $2
                )) AS BIGINT) AS n
            FROM {rows} AS outcomes
            CROSS JOIN apps
            WHERE apps.deleting IS NULL AND ($3 IS NULL OR apps.slug = $3)
            GROUP BY outcomes.key
        ";
        let binds = binds![keys(EventOutcome::ALL), place, app];
        let counts: Vec<Count> = self.fetch(sql, binds).await?;
        Ok(counts.into_iter().map(|it| (it.word, it.n)).collect())
    }

    /// Finds the place in the ledger of the first event that was received at an instant or later.
    /// Places are given out as events come, so the ledger is cut in halves until it is found:
    /// thirty looks at one row each in place of another index, which every event would pay for.
    /// Events that overtook each other around the instant may fall on its other side.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats_events_since(&mut self, since: Timestamp) -> Result<i64, StoreError> {
        let sql = r"
            SELECT COALESCE(MIN(seq), 1) AS first, COALESCE(MAX(seq), 0) AS last
            FROM events
        ";
        let Some(Ends { first, last }) = self.fetch_opt(sql, binds![]).await? else {
            return Ok(0);
        };
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let sql = r"
                SELECT seq, received_at
                FROM events
                WHERE seq >= $1
                ORDER BY seq
                LIMIT 1
            ";
            let found: Option<Received> = self.fetch_opt(sql, binds![middle]).await?;
            match found {
                Some(row) if row.received_at < since => low = row.seq + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Returns the time of arrival of the event that has been pending longest.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats_oldest_pending(
        &mut self,
        app: Option<&AppSlug>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = r"
            SELECT MIN((
                SELECT received_at FROM events
                WHERE events.app = apps.slug AND outcome = 'pending'
                ORDER BY seq
                LIMIT 1
            )) AS oldest
            FROM apps
            WHERE apps.deleting IS NULL AND ($1 IS NULL OR apps.slug = $1)
        ";
        let oldest: Option<Option<Timestamp>> =
            self.fetch_value("events", sql, binds![app]).await?;
        Ok(oldest.flatten())
    }
}
