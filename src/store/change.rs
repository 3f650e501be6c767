//! The outbox: changes that others are to be told of, written in the transaction that makes them.
//!
//! A row is written if a broker or a hook wants it, and for each hook that does a delivery with it. So
//! whoever commits a change has committed to telling it, and nothing is told of what was rolled back.
//! Where nobody wants changes, that costs a transaction one look at a table that is empty.
//!
//! Numbers are given while a customer is locked, so those of one customer stand in the order in which
//! its changes were made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::backlog::MOST;
use super::new_delivery::{NewDelivery, delivery_id, unique};
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::announcement::{AnnouncedRow, Announcement, body, passes};
use crate::domain::id::{AppSlug, ChangeId, CustomerId, DeliveryId, HookId};
use crate::domain::time::Timestamp;

/// A change as the outbox has it.
#[derive(Clone, Debug)]
pub struct StoredChange {
    /// Its place.
    pub seq: i64,
    /// Its id, the same whenever it is told.
    pub id: ChangeId,
    /// The app.
    pub app: AppSlug,
    /// The customer, if it is about one.
    pub customer: Option<CustomerId>,
    /// The kind.
    pub kind: String,
    /// When it was.
    pub occurred_at: Timestamp,
    /// What changed.
    pub data: Value,
}

record! {
    impl StoredChange from "changes" { seq, id, app, customer, kind, occurred_at, data }
}

impl StoredChange {
    /// Returns the body that tells of it.
    pub fn body(&self, full: bool) -> String {
        let row = AnnouncedRow {
            app: &self.app,
            customer: self.customer.as_ref(),
            kind: &self.kind,
            occurred_at: self.occurred_at,
            data: &self.data,
        };
        body(self.id.as_str(), &row, full)
    }
}

/// How much waits for the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeBacklog {
    /// The number of changes.
    pub waiting: u64,
    /// When the oldest of them was.
    pub oldest: Option<Timestamp>,
}

record! {
    impl ChangeBacklog from "changes" { waiting, oldest }
}

record! {
    struct NewChange<'a> {
        place: i64,
        id: &'a ChangeId,
        app: &'a AppSlug,
        customer_id: Option<&'a CustomerId>,
        kind: &'static str,
        occurred_at: Timestamp,
        data: &'a Map<String, Value>,
        published_at: Option<Timestamp>,
    }
}

record! {
    struct Wanting from "hooks" {
        id: HookId,
        app: AppSlug,
        kinds: Vec<String>,
    }
}

record! {
    struct Added from "changes" {
        seq: i64,
        id: ChangeId,
    }
}

fn id_of(change: &Announcement) -> ChangeId {
    let customer = change.customer.as_ref().map_or("", CustomerId::as_str);
    let data = serde_json::Value::Object(change.data.clone());
    let about = format!("{} {customer} {} {data}", change.app, change.kind);
    ChangeId::from_uuid(unique(&about, change.occurred_at))
}

impl Tx {
    /// Adds changes, oldest first, as far as anybody is to be told of them.
    pub(crate) async fn change_add(
        &mut self,
        changes: Vec<Announcement>,
    ) -> Result<(), StoreError> {
        let apps: BTreeSet<&AppSlug> = changes.iter().map(|it| &it.app).collect();
        let sql = r"
            SELECT id, app, kinds
            FROM hooks
            WHERE status = 'enabled' AND app IN (SELECT key FROM {rows} AS wanted)
            ORDER BY id
        ";
        let hooks: Vec<Wanting> = self.fetch(sql, binds![keys(apps)]).await?;
        if hooks.is_empty() && !self.announces {
            return Ok(());
        }
        let wants = |hook: &Wanting, change: &Announcement| {
            hook.app == change.app && hook.kinds.iter().any(|it| passes(it, change.kind))
        };
        let wanted = changes
            .into_iter()
            .filter(|change| self.announces || hooks.iter().any(|hook| wants(hook, change)));
        let wanted: Vec<(ChangeId, Announcement)> =
            wanted.map(|change| (id_of(&change), change)).collect();
        let announces = self.announces;
        let rows = wanted
            .iter()
            .zip(0..)
            .map(|((id, change), place)| NewChange {
                place,
                id,
                app: &change.app,
                customer_id: change.customer.as_ref(),
                kind: change.kind,
                occurred_at: change.occurred_at,
                data: &change.data,
                // Without a broker there is nobody to publish it to.
                published_at: (!announces).then_some(change.occurred_at),
            });
        let rows: Rows<NewChange<'_>> = rows.collect();
        // Numbered in this order.
        let sql = r"
            INSERT INTO changes (app, id, customer_id, kind, occurred_at, data, published_at)
            SELECT app, id, customer_id, kind, occurred_at, data, published_at
            FROM {rows} AS new
            ORDER BY place
        ";
        if hooks.is_empty() {
            self.execute(sql, binds![rows]).await?;
            return Ok(());
        }
        let sql = format!("{sql} RETURNING seq, id");
        let added: Vec<Added> = self.fetch(&sql, binds![rows]).await?;
        let seqs: BTreeMap<ChangeId, i64> = added.into_iter().map(|it| (it.id, it.seq)).collect();
        let mut deliveries = Vec::new();
        for (id, change) in &wanted {
            let Some(seq) = seqs.get(id) else { continue };
            for hook in hooks.iter().filter(|hook| wants(hook, change)) {
                deliveries.push(NewDelivery {
                    id: delivery_id(&hook.id, id, change.occurred_at),
                    app: change.app.clone(),
                    hook_id: hook.id.clone(),
                    change_seq: *seq,
                    customer_id: change.customer.clone(),
                    kind: change.kind.to_owned(),
                    created_at: change.occurred_at,
                });
            }
        }
        self.delivery_add(deliveries).await
    }

    /// Adds a change for one hook alone, to try it. Returns its delivery.
    pub(crate) async fn change_add_test(
        &mut self,
        hook: &HookId,
        change: &Announcement,
    ) -> Result<DeliveryId, StoreError> {
        let id = id_of(change);
        let sql = r"
            INSERT INTO changes (app, id, customer_id, kind, occurred_at, data, published_at)
            VALUES ($1, $2, NULL, $3, $4, $5, $4)
            RETURNING seq, id
        ";
        let binds = binds![
            &change.app,
            &id,
            change.kind,
            change.occurred_at,
            &change.data
        ];
        let added: Vec<Added> = self.fetch(sql, binds).await?;
        let delivery = delivery_id(hook, &id, change.occurred_at);
        let new = added.into_iter().map(|added| NewDelivery {
            id: delivery.clone(),
            app: change.app.clone(),
            hook_id: hook.clone(),
            change_seq: added.seq,
            customer_id: None,
            kind: change.kind.to_owned(),
            created_at: change.occurred_at,
        });
        self.delivery_add(new.collect()).await?;
        Ok(delivery)
    }

    /// Lists what the broker is to have next, oldest first.
    pub(crate) async fn change_unpublished(
        &mut self,
        most: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        let sql = r"
            SELECT seq, id, app, customer_id AS customer, kind, occurred_at, data
            FROM changes
            WHERE published_at IS NULL
            ORDER BY seq
            LIMIT $1
        ";
        self.fetch(sql, binds![most]).await
    }

    /// Notes that the broker has some changes. Those that no hook was told of go at once.
    pub(crate) async fn change_published(
        &mut self,
        seqs: &[i64],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM changes
            WHERE seq IN (SELECT key FROM {rows} AS done)
                AND NOT EXISTS (
                    SELECT 1 FROM hook_deliveries WHERE change_seq = changes.seq
                )
        ";
        let gone = self
            .execute(sql, binds![keys(seqs.iter().copied())])
            .await?;
        if gone == u64::try_from(seqs.len()).unwrap_or(u64::MAX) {
            return Ok(());
        }
        let sql = r"
            UPDATE changes
            SET published_at = $2
            WHERE seq IN (SELECT key FROM {rows} AS done) AND published_at IS NULL
        ";
        self.execute(sql, binds![keys(seqs.iter().copied()), now])
            .await?;
        Ok(())
    }

    /// True if a change has been kept since before an instant.
    pub(crate) async fn change_is_old(&mut self, before: Timestamp) -> Result<bool, StoreError> {
        let sql = r"
            SELECT seq
            FROM changes
            WHERE published_at IS NOT NULL AND published_at < $1
            LIMIT 1
        ";
        let found: Option<i64> = self.fetch_value("changes", sql, binds![before]).await?;
        Ok(found.is_some())
    }

    /// Removes changes, and their deliveries, that have been kept since before an instant. Returns how
    /// many. What is still to be delivered stays.
    pub(crate) async fn change_purge(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        // The first condition is that of the row as it is when its lock was waited for.
        let sql = r"
            DELETE FROM changes
            WHERE published_at < $1 AND seq IN (
                SELECT seq
                FROM changes
                WHERE published_at IS NOT NULL AND published_at < $1
                    AND NOT EXISTS (
                        SELECT 1
                        FROM hook_deliveries
                        WHERE change_seq = changes.seq AND settled_at IS NULL
                    )
                ORDER BY published_at
                LIMIT $2
            )
        ";
        self.execute(sql, binds![before, most]).await
    }

    /// Takes from the changes of customers what was changed. That there were some is told all the same:
    /// what is left names ids only.
    pub(super) async fn change_forget(
        &mut self,
        app: &AppSlug,
        rows: &[CustomerId],
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE changes
            SET data = $3
            WHERE app = $2 AND customer_id IN (SELECT key FROM {rows} AS gone)
        ";
        let nothing = Map::new();
        self.execute(sql, binds![keys(rows), app, &nothing]).await?;
        Ok(())
    }

    /// Counts what waits for the broker, up to a bound.
    pub(crate) async fn change_backlog(&mut self) -> Result<ChangeBacklog, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS waiting, MIN(occurred_at) AS oldest
            FROM (
                SELECT occurred_at FROM changes WHERE published_at IS NULL ORDER BY seq LIMIT $1
            ) AS counted
        ";
        Ok(self.fetch_opt(sql, binds![MOST]).await?.unwrap_or_default())
    }
}
