//! Deliveries of changes to hooks.

use super::backlog::MOST;
use super::change::{ChangeBacklog, StoredChange};
use super::filter::Filter;
use super::new_delivery::{NewDelivery, delivery_id};
use super::page::{Key, Listed, Window};
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::hook::DeliveryState;
use crate::domain::id::{AppSlug, ChangeId, CustomerId, DeliveryId, HookId};
use crate::domain::time::Timestamp;

/// A delivery of a change to a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookDelivery {
    /// Its place, in the order of the changes.
    pub seq: i64,
    /// Names it in the API.
    pub id: DeliveryId,
    /// The hook.
    pub hook: HookId,
    /// The place of the change.
    pub change_seq: i64,
    /// The change: what receivers tell repetitions by.
    pub change: ChangeId,
    /// The customer, if it is about one.
    pub customer: Option<CustomerId>,
    /// The kind of the change.
    pub kind: String,
    /// How it stands.
    pub state: DeliveryState,
    /// The number of tries so far.
    pub attempts: i64,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it is tried next, while it waits.
    pub next_at: Timestamp,
    /// The last try.
    pub tried_at: Option<Timestamp>,
    /// When it ended.
    pub settled_at: Option<Timestamp>,
    /// The status of the receiver's last answer.
    pub status: Option<i64>,
    /// Why there was no answer, or why it did not count.
    pub error: Option<String>,
}

record! {
    impl HookDelivery from "hook_deliveries" {
        seq, id, hook, change_seq, change, customer, kind, state, attempts, created_at, next_at,
        tried_at, settled_at, status, error,
    }
}

/// How a try at a delivery ended.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) seq: i64,
    pub(crate) state: DeliveryState,
    pub(crate) next_at: Timestamp,
    pub(crate) status: Option<i64>,
    pub(crate) error: Option<String>,
}

record! {
    struct TriedRow<'a> {
        seq: i64,
        state: DeliveryState,
        next_at: Timestamp,
        settled_at: Option<Timestamp>,
        status: Option<i64>,
        error: Option<&'a str>,
    }
}

/// The deliveries that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// How they stand.
    pub state: Option<DeliveryState>,
    /// The kind of the change.
    pub kind: Option<String>,
}

/// The condition that a row of `hook_deliveries` is the oldest that waits of its customer at its hook. That
/// one is asked for as a value, by the index of a customer's: `NOT EXISTS` is a join, which a server that knows
/// little of how much waits makes with all that waits at the hook.
pub(super) const IS_NEXT_OF_CUSTOMER: &str = r"
    COALESCE(
        (
            SELECT oldest.seq
            FROM hook_deliveries AS oldest
            WHERE oldest.hook_id = hook_deliveries.hook_id
                AND oldest.customer_id = hook_deliveries.customer_id
                AND oldest.settled_at IS NULL
            ORDER BY oldest.hook_id, oldest.customer_id, oldest.seq
            LIMIT 1
        ),
        hook_deliveries.seq
    ) = hook_deliveries.seq
";

const COLUMNS: &str = r"
    hook_deliveries.seq AS seq, hook_deliveries.id AS id, hook_id AS hook, change_seq,
    changes.id AS change, hook_deliveries.customer_id AS customer, hook_deliveries.kind AS kind,
    state, attempts, created_at, next_at, tried_at, settled_at, status, error
";

impl Tx {
    /// Lists the deliveries of a hook that are due, oldest first, with what they tell: of each customer
    /// only the oldest that waits, since the others come after it.
    pub(crate) async fn delivery_due(
        &mut self,
        hook: &HookId,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<(HookDelivery, StoredChange)>, StoreError> {
        let sql = format!(
            r"
            SELECT {COLUMNS},
                changes.seq AS seq, changes.id AS id, changes.app AS app,
                changes.customer_id AS customer, changes.kind AS kind, occurred_at, data
            FROM hook_deliveries
            JOIN changes ON changes.seq = hook_deliveries.change_seq
            WHERE hook_id = $1 AND settled_at IS NULL AND next_at <= $2
                AND {IS_NEXT_OF_CUSTOMER}
            ORDER BY next_at, hook_deliveries.seq
            LIMIT $3
        "
        );
        self.fetch(&sql, binds![hook, now, most]).await
    }

    /// Notes how tries ended, unless another worker has ended the delivery meanwhile.
    pub(crate) async fn delivery_settle(
        &mut self,
        tried: &[Tried],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = tried.iter().map(|it| TriedRow {
            seq: it.seq,
            state: it.state,
            next_at: it.next_at,
            settled_at: (it.state != DeliveryState::Waiting).then_some(now),
            status: it.status,
            error: it.error.as_deref(),
        });
        let rows: Rows<TriedRow<'_>> = rows.collect();
        let sql = r"
            UPDATE hook_deliveries
            SET state = tried.state, attempts = hook_deliveries.attempts + 1,
                next_at = tried.next_at, tried_at = $2, settled_at = tried.settled_at,
                status = tried.status, error = tried.error
            FROM {rows} AS tried
            WHERE hook_deliveries.seq = tried.seq AND hook_deliveries.settled_at IS NULL
        ";
        self.execute(sql, binds![rows, now]).await?;
        Ok(())
    }

    /// Makes due what waits for its next try at a hook: the receiver answers again, or an admin says that
    /// it does.
    pub(crate) async fn delivery_hasten(
        &mut self,
        hook: &HookId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE hook_deliveries
            SET next_at = $2
            WHERE hook_id = $1 AND settled_at IS NULL AND next_at > $2
        ";
        self.execute(sql, binds![hook, now]).await?;
        Ok(())
    }

    /// Makes due what an admin wants to be sent now: this delivery, if it waits, and what waits of the
    /// same customer, which would be sent before it.
    pub(crate) async fn delivery_hasten_one(
        &mut self,
        delivery: &HookDelivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE hook_deliveries
            SET next_at = $2
            WHERE hook_id = $1 AND settled_at IS NULL AND next_at > $2
                AND (seq = $3 OR customer_id = $4)
        ";
        let binds = binds![&delivery.hook, now, delivery.seq, &delivery.customer];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lists the deliveries of a hook, newest first.
    pub(crate) async fn delivery_list(
        &mut self,
        hook: &HookId,
        wanted: &DeliveryFilter,
        window: &Window,
    ) -> Result<Listed<HookDelivery>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM hook_deliveries JOIN changes ON changes.seq = change_seq"
        );
        let mut filter = Filter::new("hook_id = ?", hook);
        if let Some(state) = wanted.state {
            filter.and("state = ?", state);
        }
        if let Some(kind) = &wanted.kind {
            filter.and("hook_deliveries.kind = ?", kind.as_str());
        }
        let seq = |it: &HookDelivery| it.seq.to_string();
        let key = Key::Number("hook_deliveries.seq");
        self.list(&select, filter, key, window, seq).await
    }

    /// Finds a delivery of a hook.
    pub(crate) async fn delivery_find(
        &mut self,
        hook: &HookId,
        id: &DeliveryId,
    ) -> Result<Option<HookDelivery>, StoreError> {
        let sql = format!(
            r"
            SELECT {COLUMNS}
            FROM hook_deliveries
            JOIN changes ON changes.seq = change_seq
            WHERE hook_deliveries.seq = (SELECT seq FROM hook_deliveries WHERE id = $2)
                AND hook_id = $1
        "
        );
        self.fetch_opt(&sql, binds![hook, id]).await
    }

    /// Orders the same again: another delivery of the same change, which is kept as long from now on as
    /// if it were new. `None` if it is gone by now.
    pub(crate) async fn delivery_again(
        &mut self,
        app: &AppSlug,
        delivery: &HookDelivery,
        now: Timestamp,
    ) -> Result<Option<DeliveryId>, StoreError> {
        // What removes old changes takes their deliveries with them. Under way at the same time, it waits
        // for this row and finds that it is not old any more.
        let sql = r"
            UPDATE changes
            SET published_at = CASE WHEN published_at IS NULL THEN NULL ELSE $2 END
            WHERE seq = $1
        ";
        if self.execute(sql, binds![delivery.change_seq, now]).await? == 0 {
            return Ok(None);
        }
        let id = delivery_id(&delivery.hook, &delivery.change, now);
        let new = NewDelivery {
            id: id.clone(),
            app: app.clone(),
            hook_id: delivery.hook.clone(),
            change_seq: delivery.change_seq,
            customer_id: delivery.customer.clone(),
            kind: delivery.kind.clone(),
            created_at: now,
        };
        self.delivery_add(vec![new]).await?;
        Ok(Some(id))
    }

    /// Counts the deliveries that wait, up to a bound. Those of a disabled hook do not.
    pub(crate) async fn delivery_backlog(&mut self) -> Result<ChangeBacklog, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest
            FROM (
                SELECT created_at
                FROM hook_deliveries
                WHERE settled_at IS NULL
                    AND hook_id IN (SELECT id FROM hooks WHERE status = 'enabled')
                LIMIT $1
            ) AS counted
        ";
        Ok(self.fetch_opt(sql, binds![MOST]).await?.unwrap_or_default())
    }
}
