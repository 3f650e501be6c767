//! Failed events that somebody has dismissed.

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::event::EventKey;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

record! {
    struct DismissedRow<'a> {
        app: &'a AppSlug,
        provider: Provider,
        id: &'a str,
    }
}

impl Tx {
    /// Settles those of some events that have failed: they are ignored from now on, and say why they
    /// had failed. The retention of their payloads begins now. Returns how many had failed.
    pub(crate) async fn event_dismiss(
        &mut self,
        events: &[EventKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = events.iter().map(|key| DismissedRow {
            app: &key.app,
            provider: key.provider,
            id: &key.id,
        });
        let rows: Rows<DismissedRow<'_>> = rows.collect();
        // 2,000 is `domain::event::MAX_DETAIL`.
        let sql = r"
            UPDATE events
            SET
                outcome = 'ignored', processed_at = $2, error_code = 'dismissed',
                error_detail = SUBSTR(
                    'dismissed after it had failed: ' || COALESCE(error_code, 'unknown')
                        || ': ' || COALESCE(error_detail, ''),
                    1, 2000
                )
            FROM {rows} AS dismissed
            WHERE events.app = dismissed.app
                AND events.provider = dismissed.provider
                AND events.id = dismissed.id
                AND outcome = 'failed'
        ";
        self.execute(sql, binds![rows, now]).await
    }
}
