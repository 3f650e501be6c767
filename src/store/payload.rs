//! What was signed, apart from the ledger: the largest part of an event, which is written once, hardly
//! ever read, and removed after a time.

use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};

record! {
    struct NewPayload<'a> {
        seq: i64,
        payload: &'a str,
    }
}

impl Tx {
    /// Keeps payloads by the places of their events. The one that came first stays.
    pub(super) async fn payload_add(
        &mut self,
        payloads: impl IntoIterator<Item = (i64, &str)> + Send,
    ) -> Result<(), StoreError> {
        let rows = payloads.into_iter();
        let rows: Rows<NewPayload<'_>> = rows
            .map(|(seq, payload)| NewPayload { seq, payload })
            .collect();
        let sql = r"
            INSERT INTO payloads (seq, payload)
            SELECT seq, payload
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (seq) DO NOTHING
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }

    /// Removes the payloads of the events at these places. That they are gone is said with the events.
    pub(super) async fn payload_delete(
        &mut self,
        places: impl IntoIterator<Item = i64> + Send,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM payloads WHERE seq IN (SELECT key FROM {rows} AS gone)";
        self.execute(sql, binds![keys(places)]).await?;
        Ok(())
    }
}
