//! What the export of a customer reads beside the lists of the API: rows as they are stored, and
//! events by whatever names the customer.
//!
//! Everything comes in parts of a known length, each found by an index, in transactions that only
//! read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::customer_rows::rows_of;
use super::erasure::OwnedKey;
use super::event_object::hash;
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::words::words;

/// The tables whose rows hold a document about a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentTable {
    /// The customer's own rows.
    Customers,
    /// Its billing accounts.
    Accounts,
    /// Subscriptions of these.
    Subscriptions,
    /// Payments of these.
    Payments,
    /// Disputes of these.
    Disputes,
    /// Refunds of these.
    Refunds,
}

words!(DocumentTable {
    Customers = "customers",
    Accounts = "accounts",
    Subscriptions = "subscriptions",
    Payments = "payments",
    Disputes = "disputes",
    Refunds = "refunds",
});

record! {
    /// A row as it is stored.
    #[derive(Debug)]
    pub struct StoredDocument from "customers, accounts, subscriptions, payments, disputes, refunds" {
        /// The key of the row.
        pub key: String,
        /// The document.
        pub kept: Value,
    }
}

record! {
    struct PlaceRow from "events" {
        id: String,
        seq: i64,
    }
}

/// A customer, by everything that leads to what is kept of it.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    /// The app.
    pub(crate) app: AppSlug,
    /// The row that is shown.
    pub(crate) customer: CustomerId,
    /// It and the rows merged into it.
    pub(crate) rows: BTreeSet<CustomerId>,
    /// Its billing accounts.
    pub(crate) accounts: BTreeSet<ObjectKey>,
    /// These and what was bought through them, as the ledger's index has it.
    pub(crate) hashes: Vec<i64>,
    /// Customers that were one with it for a time and are not any more.
    pub(crate) former_customers: BTreeSet<CustomerId>,
    /// Their accounts, and accounts that it once had and that are somebody else's by now.
    pub(crate) former: BTreeSet<ObjectKey>,
    /// The provider's ids of these and of what was bought through them.
    pub(crate) former_ids: BTreeSet<String>,
}

impl Tx {
    /// Finds everything that leads to what is kept of a customer.
    pub(crate) async fn export_traces(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<Traces, StoreError> {
        let rows = self.customer_rows(app, customer).await?;
        let sql = r"
            SELECT key
            FROM accounts
            WHERE app = $1 AND customer_id IN (SELECT key FROM {rows} AS own)
        ";
        let own = binds![app, keys(&rows)];
        let accounts: BTreeSet<ObjectKey> = self.fetch_values("accounts", sql, own).await?;
        let former_customers = self.former_customers(app, &rows).await?;
        let mut former = self.former_accounts(app, &rows, &former_customers).await?;
        former.retain(|key| !accounts.contains(key));
        let own: BTreeSet<String> = ids_of(self.erasure_objects(app, &accounts).await?);
        let mut former_ids = ids_of(self.erasure_objects(app, &former).await?);
        // The other mode may have an account of the same id.
        former_ids.retain(|id| !own.contains(id));
        Ok(Traces {
            app: app.clone(),
            customer: customer.clone(),
            rows,
            accounts,
            hashes: own.iter().map(|id| hash(id)).collect(),
            former_customers,
            former,
            former_ids,
        })
    }

    /// Finds the customers who were one with some rows for a time and are not any more.
    async fn former_customers(
        &mut self,
        app: &AppSlug,
        rows: &BTreeSet<CustomerId>,
    ) -> Result<BTreeSet<CustomerId>, StoreError> {
        let sql = r"
            SELECT COALESCE(held.merged_into, held.id)
            FROM audit
            JOIN customers AS held
                ON held.app = $1
                AND held.id = CAST(COALESCE(details ->> 'into', details ->> 'from') AS TEXT)
            WHERE audit.app = $1
                AND audit.customer_id IN (SELECT key FROM {rows} AS own)
                AND operation IN ('link_account', 'merge', 'pin_account', 'split')
        ";
        let own = binds![app, keys(rows)];
        let mut found: BTreeSet<CustomerId> = self.fetch_values("customers", sql, own).await?;
        found.retain(|id| !rows.contains(id));
        Ok(found)
    }

    /// Finds the accounts of such customers, and those that some rows once had or still have. An
    /// account becomes a customer's with its row, or by a link that the audit tells of.
    async fn former_accounts(
        &mut self,
        app: &AppSlug,
        rows: &BTreeSet<CustomerId>,
        former: &BTreeSet<CustomerId>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let of_others = r"
            SELECT key
            FROM accounts
            WHERE app = $1 AND customer_id IN (SELECT key FROM {rows} AS other)
        ";
        let brought_along = r"
            SELECT home
            FROM customers
            WHERE app = $1 AND home IS NOT NULL AND id IN (SELECT key FROM {rows} AS own)
        ";
        let linked = r"
            SELECT CAST(details ->> 'account' AS TEXT)
            FROM audit
            WHERE app = $1
                AND customer_id IN (SELECT key FROM {rows} AS own)
                AND operation IN ('link_account', 'pin_account')
                AND details ->> 'account' IS NOT NULL
        ";
        let mut found = BTreeSet::new();
        for (table, sql, rows) in [
            ("accounts", of_others, former),
            ("customers", brought_along, rows),
            ("audit", linked, rows),
        ] {
            let some: Vec<ObjectKey> = self
                .fetch_values(table, sql, binds![app, keys(rows)])
                .await?;
            found.extend(some);
        }
        Ok(found)
    }

    /// Reads the next rows of a table about a customer, in the order of their keys.
    pub(crate) async fn export_documents(
        &mut self,
        table: DocumentTable,
        traces: &Traces,
        after: &str,
        most: u32,
    ) -> Result<Vec<StoredDocument>, StoreError> {
        let (key, owner) = match table {
            DocumentTable::Customers => ("id", "id"),
            DocumentTable::Accounts => ("key", "key"),
            DocumentTable::Subscriptions
            | DocumentTable::Payments
            | DocumentTable::Disputes
            | DocumentTable::Refunds => ("key", "account"),
        };
        let owners = match table {
            DocumentTable::Customers => keys_of(&traces.rows),
            DocumentTable::Accounts
            | DocumentTable::Subscriptions
            | DocumentTable::Payments
            | DocumentTable::Disputes
            | DocumentTable::Refunds => keys_of(&traces.accounts),
        };
        let table = table.as_str();
        let sql = format!(
            r"
            SELECT {key} AS key, kept
            FROM {table}
            WHERE app = $1 AND {owner} IN (SELECT key FROM {{rows}} AS own) AND {key} > $3
            ORDER BY {key}
            LIMIT $4
            "
        );
        self.fetch(&sql, binds![&traces.app, keys(owners), after, most])
            .await
    }

    /// Lists the places of the next events, the newest first, that concerned a customer, that were
    /// not processed and are of its accounts, or that name anything of it.
    pub(crate) async fn export_events(
        &mut self,
        traces: &Traces,
        before: i64,
        most: u32,
    ) -> Result<Vec<i64>, StoreError> {
        let rows = rows_of("$2");
        // Ordered by an expression, or an engine may walk the whole ledger in this order.
        let sql = format!(
            r"
            SELECT seq FROM (
                SELECT seq FROM events
                WHERE app = $1 AND customer_id IN ({rows}) AND seq < $4
                ORDER BY seq + 0 DESC LIMIT $5
            ) AS applied
            UNION
            SELECT seq FROM (
                SELECT events.seq
                FROM accounts
                JOIN events ON events.app = $1 AND events.billing_account = accounts.key
                WHERE accounts.app = $1 AND accounts.customer_id IN ({rows}) AND events.seq < $4
                ORDER BY events.seq + 0 DESC LIMIT $5
            ) AS unprocessed
            UNION
            SELECT seq FROM (
                SELECT DISTINCT seq FROM event_objects
                WHERE app = $1 AND hash IN (SELECT key FROM {{rows}} AS named) AND seq < $4
                ORDER BY seq DESC LIMIT $5
            ) AS naming
            ORDER BY seq DESC
            LIMIT $5
            "
        );
        let hashes = keys(traces.hashes.iter().copied()).sent_when_empty();
        let binds = binds![&traces.app, &traces.customer, hashes, before, most];
        self.fetch_values("events", &sql, binds).await
    }

    /// Returns which of the events of a span name an account that the customer once had, or
    /// anything that was bought through one.
    pub(crate) async fn export_events_of_former(
        &mut self,
        traces: &Traces,
        (first, last): (i64, i64),
    ) -> Result<BTreeSet<i64>, StoreError> {
        let sql = r"
            SELECT seq
            FROM event_objects
            WHERE app = $1 AND hash IN (SELECT key FROM {rows} AS named)
                AND seq >= $3 AND seq <= $4
        ";
        let hashes = keys(traces.former_ids.iter().map(|id| hash(id)));
        self.fetch_values(
            "event_objects",
            sql,
            binds![&traces.app, hashes, first, last],
        )
        .await
    }

    /// Returns which of these events, by the provider's ids, name such an account.
    pub(crate) async fn export_event_ids_of_former(
        &mut self,
        traces: &Traces,
        ids: impl IntoIterator<Item = &str> + Send,
    ) -> Result<BTreeSet<String>, StoreError> {
        if traces.former_ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let sql = r"
            SELECT events.id, events.seq
            FROM {rows} AS wanted
            JOIN events ON events.app = $1 AND events.id = wanted.key
        ";
        let places: Vec<PlaceRow> = self.fetch(sql, binds![&traces.app, keys(ids)]).await?;
        let seqs = places.iter().map(|row| row.seq);
        let span = seqs.clone().min().zip(seqs.max()).unwrap_or_default();
        let of_former = self.export_events_of_former(traces, span).await?;
        let places = places.into_iter();
        let named = places.filter(|row| of_former.contains(&row.seq));
        Ok(named.map(|row| row.id).collect())
    }
}

fn ids_of(owned: BTreeSet<OwnedKey>) -> BTreeSet<String> {
    owned.into_iter().map(|it| it.key.id).collect()
}

fn keys_of<T: ToString>(own: &BTreeSet<T>) -> Vec<String> {
    own.iter().map(ToString::to_string).collect()
}
