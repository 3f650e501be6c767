//! New deliveries, and the ids of what is told.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, ChangeId, CustomerId, DeliveryId, HookId};
use crate::domain::time::Timestamp;

record! {
    pub(super) struct NewDelivery {
        pub(super) id: DeliveryId,
        pub(super) app: AppSlug,
        pub(super) hook_id: HookId,
        pub(super) change_seq: i64,
        pub(super) customer_id: Option<CustomerId>,
        pub(super) kind: String,
        pub(super) created_at: Timestamp,
    }
}

/// Counts the ids that this process has made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// An id that sorts by time. The rest is a digest of what it is about and a count: the same thing
/// happens to one customer in one nanosecond once.
pub(super) fn unique(about: &str, at: Timestamp) -> Uuid {
    let count = MADE.fetch_add(1, Ordering::Relaxed);
    let nanos = at.nanos();
    let digest = Sha256::digest(format!("{about} {nanos} {count}"));
    let mut rest = [0; 10];
    rest.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(nanos / 1_000_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

/// The id of a delivery of a change to a hook; each is another.
pub(super) fn delivery_id(hook: &HookId, change: &ChangeId, now: Timestamp) -> DeliveryId {
    DeliveryId::from_uuid(unique(&format!("{hook} {change}"), now))
}

impl Tx {
    /// Adds deliveries, due at once.
    pub(super) async fn delivery_add(&mut self, new: Vec<NewDelivery>) -> Result<(), StoreError> {
        let rows: Rows<NewDelivery> = new.into_iter().collect();
        let sql = r"
            INSERT INTO hook_deliveries (
                id, app, hook_id, change_seq, customer_id, kind, state, attempts, created_at, next_at
            )
            SELECT
                id, app, hook_id, change_seq, customer_id, kind, 'waiting', 0, created_at, created_at
            FROM {rows} AS new
            ORDER BY change_seq
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }
}
