//! How long events took from their receipt to their outcome, of a sample of the ledger.
//!
//! A percentile needs the times themselves, and a day of a busy app has millions. So places are laid
//! evenly over the part of the ledger that is meant, and from each the next event of the app is
//! looked up in the index of its list: as many looks as there are places, however much there is.
//! Refused: figures that every write keeps up, as in `store/stats.rs`; and an index with both times,
//! which every event would pay for and a page that somebody looks at now and then would use.

use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

record! {
    struct Last from "events" {
        last: i64,
    }
}

record! {
    /// When an event was received, and when it had its outcome.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ProcessedEvent from "events" {
        /// By the receiver's clock.
        pub received_at: Timestamp,
        /// By the worker's. Of one that was replayed, the last time.
        pub processed_at: Timestamp,
    }
}

impl Tx {
    /// Samples the events of an app that have an outcome, from a place of the ledger on: all of them
    /// if there are no more than `most`, else so many at most, evenly.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn latency_sample(
        &mut self,
        app: &AppSlug,
        first: i64,
        most: i64,
    ) -> Result<Vec<ProcessedEvent>, StoreError> {
        let sql = "SELECT COALESCE(MAX(seq), 0) AS last FROM events";
        let last = self.fetch_opt(sql, binds![]).await?;
        let last = last.map_or(0, |Last { last }| last);
        let step = (last - first).div_euclid(most.max(1)) + 1;
        let places = (0..most.max(1)).map(|nth| first + nth * step);
        let places = keys(places.take_while(|place| *place <= last));
        // Each look ends at the next place. Without that, an engine that chooses the order of the ledger,
        // for an app that has little of it, would walk to its end from every place.
        let sql = r"
            SELECT received_at, processed_at
            FROM events
            WHERE processed_at IS NOT NULL AND seq IN (
                SELECT (
                    SELECT MIN(near.seq) FROM events AS near
                    WHERE near.app = $1 AND near.seq >= places.key AND near.seq < places.key + $3
                )
                FROM {rows} AS places
            )
        ";
        self.fetch(sql, binds![app, places, step]).await
    }
}
