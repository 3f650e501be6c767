//! What a comparison with a provider reads and remembers of the objects that the provider lists.

use std::collections::{BTreeMap, BTreeSet};

use super::reconcile::Reconcile;
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::billing::history::{DisputeHistory, RefundHistory};
use crate::domain::id::{AppSlug, Kind, ObjectKey, Provider, ReconcileId};
use crate::domain::reconcile::UnmappedPrice;
use crate::domain::words::words;

/// The tables of objects that providers list. An id does not tell: Paddle's disputes are kept by their
/// transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectTable {
    /// Billing accounts.
    Accounts,
    /// Subscriptions.
    Subscriptions,
    /// Payments.
    Payments,
    /// Disputes.
    Disputes,
    /// Refunds.
    Refunds,
}

words!(ObjectTable, all {
    Accounts = "accounts",
    Subscriptions = "subscriptions",
    Payments = "payments",
    Disputes = "disputes",
    Refunds = "refunds",
});

record! {
    struct DisputeRow from "disputes" {
        key: ObjectKey,
        kept: DisputeHistory,
    }
}

record! {
    struct RefundRow from "refunds" {
        key: ObjectKey,
        kept: RefundHistory,
    }
}

record! {
    struct UnmappedRow from "entitlements" {
        price: String,
        subscriptions: u64,
        customers: u64,
    }
}

impl Tx {
    /// Remembers subscriptions that the provider listed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_see(
        &mut self,
        id: &ReconcileId,
        seen: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO reconcile_seen (reconcile_id, key)
            SELECT $2, key FROM {rows} AS seen
            WHERE TRUE
            ON CONFLICT DO NOTHING
        ";
        // An engine takes `SELECT … ON CONFLICT` for a join unless a condition stands between.
        self.execute(sql, binds![keys(seen), id]).await?;
        Ok(())
    }

    /// Forgets which subscriptions a comparison has seen: it has ended.
    pub(super) async fn reconcile_forget_seen(
        &mut self,
        id: &ReconcileId,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM reconcile_seen WHERE reconcile_id = $1";
        self.execute(sql, binds![id]).await?;
        Ok(())
    }

    /// Returns the next subscriptions of the seller's own at a provider that a comparison has not
    /// seen, behind a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_unseen(
        &mut self,
        it: &Reconcile,
        livemode: bool,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let mode = if livemode { "live" } else { "test" };
        // The empty connected account, and the character that follows the colon.
        let first = format!("{}:{}:{mode}::", Kind::Subscription, it.provider);
        let end = format!("{}:{}:{mode}:;", Kind::Subscription, it.provider);
        let sql = r"
            SELECT key
            FROM subscriptions
            WHERE app = $1 AND key > $2 AND key < $3
                AND NOT EXISTS (
                    SELECT 1 FROM reconcile_seen AS seen
                    WHERE seen.reconcile_id = $4 AND seen.key = subscriptions.key
                )
            ORDER BY key
            LIMIT $5
        ";
        let after = after.unwrap_or(&first);
        let binds = binds![&it.app, after, end.as_str(), &it.id, most];
        self.fetch_values("subscriptions", sql, binds).await
    }

    /// Returns those of some objects that are known here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_known(
        &mut self,
        app: &AppSlug,
        wanted: &BTreeSet<(ObjectTable, ObjectKey)>,
    ) -> Result<BTreeSet<(ObjectTable, ObjectKey)>, StoreError> {
        let mut known = BTreeSet::new();
        for table in ObjectTable::ALL {
            let of_table = wanted.iter().filter(|it| it.0 == table).map(|it| &it.1);
            let sql = format!(
                "SELECT it.key FROM {{rows}} AS wanted
                 JOIN {table} AS it ON it.app = $2 AND it.key = wanted.key"
            );
            let found: Vec<ObjectKey> = self
                .fetch_values(table.as_str(), &sql, binds![keys(of_table), app])
                .await?;
            known.extend(found.into_iter().map(|key| (table, key)));
        }
        Ok(known)
    }

    /// Returns what is kept of some disputes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_disputes(
        &mut self,
        app: &AppSlug,
        wanted: impl IntoIterator<Item = &ObjectKey> + Send,
    ) -> Result<BTreeMap<ObjectKey, DisputeHistory>, StoreError> {
        let sql = r"
            SELECT it.key, it.kept FROM {rows} AS wanted
            JOIN disputes AS it ON it.app = $2 AND it.key = wanted.key
        ";
        let rows: Vec<DisputeRow> = self.fetch(sql, binds![keys(wanted), app]).await?;
        Ok(rows.into_iter().map(|row| (row.key, row.kept)).collect())
    }

    /// Returns what is kept of some refunds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_refunds(
        &mut self,
        app: &AppSlug,
        wanted: impl IntoIterator<Item = &ObjectKey> + Send,
    ) -> Result<BTreeMap<ObjectKey, RefundHistory>, StoreError> {
        let sql = r"
            SELECT it.key, it.kept FROM {rows} AS wanted
            JOIN refunds AS it ON it.app = $2 AND it.key = wanted.key
        ";
        let rows: Vec<RefundRow> = self.fetch(sql, binds![keys(wanted), app]).await?;
        Ok(rows.into_iter().map(|row| (row.key, row.kept)).collect())
    }

    /// Returns the prices at a provider that customers have and no plan maps, those of most running
    /// subscriptions first: what ended or was bought once brings no more money. A subscription has a
    /// price if its history names it, which is near enough to put them in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_unmapped(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        most: u32,
    ) -> Result<Vec<UnmappedPrice>, StoreError> {
        let sql = r#"
            SELECT
                unmapped.price,
                COUNT(DISTINCT running.key) AS subscriptions,
                COUNT(DISTINCT unmapped.customer_id) AS customers
            FROM entitlements AS unmapped
            LEFT JOIN accounts ON accounts.app = $1 AND accounts.customer_id = unmapped.customer_id
            LEFT JOIN subscriptions AS running
                ON running.app = $1
                AND running.account = accounts.key
                AND running.kept ->> 'terminal' IS NULL
                AND CAST(running.kept AS TEXT) LIKE '%"' || unmapped.price || '"%'
            WHERE unmapped.app = $1 AND unmapped.plan = '' AND unmapped.provider = $2
            GROUP BY unmapped.price
            ORDER BY subscriptions DESC, customers DESC, unmapped.price
            LIMIT $3
        "#;
        let rows: Vec<UnmappedRow> = self.fetch(sql, binds![app, provider, most]).await?;
        let unmapped = rows.into_iter().map(|row| UnmappedPrice {
            price: row.price,
            subscriptions: row.subscriptions,
            customers: row.customers,
        });
        Ok(unmapped.collect())
    }
}
