//! Removal of payloads that have been kept long enough. What else the ledger says of an event stays.

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

record! {
    struct KeyRow from "events" {
        app: AppSlug,
        provider: Provider,
        id: String,
    }
}

record! {
    struct GoneRow<'a> {
        app: &'a AppSlug,
        provider: Provider,
        id: &'a str,
    }
}

impl Tx {
    /// Lists events that were settled before an instant and still have a payload, the oldest first.
    pub(crate) async fn payload_expired(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<EventKey>, StoreError> {
        // In the words of the partial index.
        let sql = r"
            SELECT app, provider, id
            FROM events
            WHERE payload_removed_at IS NULL AND outcome NOT IN ('pending', 'failed')
                AND processed_at < $1
            ORDER BY processed_at
            LIMIT $2
        ";
        let rows: Vec<KeyRow> = self.fetch(sql, binds![before, most]).await?;
        let keys = rows.into_iter().map(|row| EventKey {
            app: row.app,
            provider: row.provider,
            id: row.id,
        });
        Ok(keys.collect())
    }

    /// Removes the payloads of those of some events that are settled. Returns how many had one.
    pub(crate) async fn payload_remove(
        &mut self,
        events: &[EventKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = events.iter().map(|key| GoneRow {
            app: &key.app,
            provider: key.provider,
            id: &key.id,
        });
        let rows: Rows<GoneRow<'_>> = rows.collect();
        let sql = r"
            UPDATE events
            SET payload_removed_at = $2
            FROM {rows} AS gone
            WHERE events.app = gone.app
                AND events.provider = gone.provider
                AND events.id = gone.id
                AND payload_removed_at IS NULL
                AND outcome NOT IN ('pending', 'failed')
            RETURNING seq
        ";
        let places: Vec<i64> = self.fetch_values("events", sql, binds![rows, now]).await?;
        self.payload_delete(places.iter().copied()).await?;
        Ok(u64::try_from(places.len()).unwrap_or(u64::MAX))
    }
}
