//! Loading all that a batch of facts can touch. How what it changed is written is in `save`.
//!
//! The number of statements is fixed. Loading follows the ways by which one fact can reach
//! another's customer: pairs of ids that lead from a dispute to an account, an address that
//! several accounts first held, the rows that stand for one customer. What is loaded beyond
//! need costs little; what would be missing would be derived wrongly.

mod save;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::driver::{Batch, Kind, Row, Value, binds};
use super::lock::{names_of_account, names_of_customer, object_name};
use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::{LookupKeys, external_ids, prefixed_account};
use crate::domain::apply::working_set::{Account, Dispute, Refund, Subscription, WorkingSet};
use crate::domain::billing::history::UnfetchedHistory;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, Kind as ObjectKind, ObjectKey};
use crate::domain::time::Timestamp;

/// How many pairs a walk follows: a dispute names a charge, that an intent, that an invoice,
/// that an account.
const PAIRS: i64 = 4;

impl Tx {
    /// Loads everything of an app that facts with this reach can touch.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn working_set_load(
        &mut self,
        app: &AppSlug,
        lookup_keys: &LookupKeys,
    ) -> Result<WorkingSet, StoreError> {
        self.lock_reach(app, lookup_keys).await?;
        let mut working_set = WorkingSet {
            policy: self.app_policy(app).await?.unwrap_or_default(),
            plans: self.plan_all(app).await?,
            ..WorkingSet::default()
        };
        let mut accounts = lookup_keys.accounts.clone();

        let money: BTreeSet<ObjectKey> = lookup_keys
            .payment_links
            .iter()
            .chain(&lookup_keys.disputes)
            .chain(&lookup_keys.refunds)
            .cloned()
            .collect();
        let mut money = self.working_set_walk(app, &mut working_set, &money).await?;
        accounts.extend(
            money
                .iter()
                .filter(|key| key.kind == ObjectKind::Account)
                .cloned(),
        );
        money.extend(
            lookup_keys
                .disputes
                .iter()
                .chain(&lookup_keys.refunds)
                .cloned(),
        );
        self.working_set_disputes(app, &mut working_set, "key", &money)
            .await?;
        self.working_set_refunds(app, &mut working_set, "key", &money)
            .await?;
        self.working_set_subscriptions(app, &mut working_set, "key", &lookup_keys.subscriptions)
            .await?;
        accounts.extend(owners(&working_set).cloned());
        self.working_set_unfetched(app, &mut working_set, &lookup_keys.unfetched)
            .await?;
        self.lock_found(app, accounts.iter().flat_map(names_of_account))
            .await?;
        self.working_set_accounts(app, &mut working_set, "key", accounts.iter())
            .await?;

        let mut given = lookup_keys.given_external_ids.clone();
        for external_id in &lookup_keys.given_external_ids {
            given.extend(prefixed_account(external_id).map(|(_, id)| id.to_owned()));
        }
        if !given.is_empty() {
            self.working_set_accounts(app, &mut working_set, "id", given.iter())
                .await?;
        }

        let mut emails = lookup_keys.emails.clone();
        for account in working_set.accounts.values() {
            emails.extend(account.history.emails.keys().cloned());
            emails.extend(account.history.secondary_emails.keys().cloned());
        }
        self.lock_found(app, emails.iter().cloned()).await?;
        self.working_set_accounts(app, &mut working_set, "linking_email", emails.iter())
            .await?;

        accounts.extend(working_set.accounts.keys().cloned());
        self.working_set_customers(app, &mut working_set, lookup_keys, &accounts, &emails)
            .await?;
        let rows: BTreeSet<CustomerId> = working_set.customers.keys().cloned().collect();
        self.working_set_accounts(app, &mut working_set, "customer_id", rows.iter())
            .await?;
        let homes: BTreeSet<ObjectKey> = working_set
            .customers
            .values()
            .filter_map(|row| row.home.clone())
            .collect();
        // An account that no event has named as one can own disputes before it is there itself.
        let named = accounts.iter().chain(working_set.accounts.keys());
        let owners: BTreeSet<ObjectKey> = named.chain(&homes).cloned().collect();
        self.lock_found(app, owners.iter().flat_map(names_of_account))
            .await?;
        self.working_set_accounts(app, &mut working_set, "key", homes.iter())
            .await?;

        self.working_set_subscriptions(app, &mut working_set, "account", &owners)
            .await?;
        self.working_set_disputes(app, &mut working_set, "account", &owners)
            .await?;
        self.working_set_refunds(app, &mut working_set, "account", &owners)
            .await?;
        let money: BTreeSet<ObjectKey> = working_set
            .disputes
            .keys()
            .chain(working_set.refunds.keys())
            .cloned()
            .collect();
        self.lock_found(app, names_of_all(&working_set)).await?;
        self.working_set_walk(app, &mut working_set, &money).await?;
        Ok(working_set)
    }

    /// Shown customers whose due time has come, the longest overdue first.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_due(
        &mut self,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<(AppSlug, CustomerId)>, StoreError> {
        let sql = "SELECT app, id FROM customers WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
        self.fetch(sql, binds![Value::Nanos(Some(now)), most])
            .await?
            .iter()
            .map(|row| Ok((row.parsed("app")?, row.parsed("id")?)))
            .collect()
    }

    /// Shown customers in the order of their ids, deleted ones too, behind an id.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_after(
        &mut self,
        app: &AppSlug,
        after: &str,
        most: i64,
    ) -> Result<Vec<CustomerId>, StoreError> {
        let sql = "SELECT id FROM customers \
                   WHERE app = $1 AND id > $2 AND merged_into IS NULL ORDER BY id LIMIT $3";
        let rows = self.fetch(sql, binds![app.as_str(), after, most]).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Billing accounts that an address may tie to others or to an admin-made row, and no pin
    /// ties to anybody; in the order of their keys, behind a key.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn account_sharing(
        &mut self,
        app: &AppSlug,
        after: &str,
        most: i64,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let sql = "SELECT key FROM accounts \
                   WHERE app = $1 AND key > $2 AND linking_email IS NOT NULL \
                   AND kept ->> 'pin' IS NULL AND (EXISTS (SELECT 1 FROM accounts AS other \
                   WHERE other.app = $1 AND other.linking_email = accounts.linking_email \
                   AND other.key <> accounts.key) \
                   OR EXISTS (SELECT 1 FROM customers \
                   WHERE customers.app = $1 AND customers.admin_email = accounts.linking_email)) \
                   ORDER BY key LIMIT $3";
        let rows = self.fetch(sql, binds![app.as_str(), after, most]).await?;
        rows.iter().map(|row| row.parsed("key")).collect()
    }

    /// Loads the pairs around some ids; answers all ids that were reached.
    async fn working_set_walk(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        loop {
            let reached = self.working_set_pairs(app, working_set, from).await?;
            // Who has just got the name of an id on the way does not know yet what others did to
            // it before. Each round goes one pair further at least, and walks are short.
            if !self
                .lock_found(app, reached.iter().map(object_name))
                .await?
            {
                return Ok(reached);
            }
        }
    }

    async fn working_set_pairs(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let sql = "WITH RECURSIVE walk (key, depth) AS ( \
                   SELECT key, 0 FROM {rows} AS start \
                   UNION \
                   SELECT pairs.other, walk.depth + 1 \
                   FROM walk JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key \
                   WHERE walk.depth < $3 AND walk.key NOT LIKE 'account:%') \
                   SELECT DISTINCT pairs.key, pairs.other FROM walk \
                   JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key \
                   WHERE walk.key NOT LIKE 'account:%'";
        let mut reached = BTreeSet::new();
        for row in self
            .fetch(sql, binds![Batch::keys(from), app.as_str(), PAIRS])
            .await?
        {
            let (one, other): (ObjectKey, ObjectKey) = (row.parsed("key")?, row.parsed("other")?);
            reached.insert(one.clone());
            reached.insert(other.clone());
            working_set.payment_links.insert(if one < other {
                (one, other)
            } else {
                (other, one)
            });
        }
        Ok(reached)
    }

    async fn working_set_accounts<T: ToString>(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        by: &'static str,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let sql = by_column(
            "accounts",
            "accounts.key, customer_id, linking_email, kept",
            by,
        );
        for row in self
            .fetch(&sql, binds![Batch::keys(values), app.as_str()])
            .await?
        {
            let key: ObjectKey = row.parsed("key")?;
            let account = Account {
                key: key.clone(),
                history: row.json("kept")?,
                linking_email: row.text_opt("linking_email")?,
                customer: row.parsed_opt("customer_id")?,
            };
            working_set.accounts.insert(key, account);
        }
        Ok(())
    }

    /// Loads rows that belong to an account: key, account, what is kept.
    async fn working_set_owned<K: DeserializeOwned>(
        &mut self,
        app: &AppSlug,
        table: &'static str,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<Vec<(ObjectKey, Option<ObjectKey>, K)>, StoreError> {
        let sql = by_column(table, &format!("{table}.key, account, kept"), by);
        let rows = self
            .fetch(&sql, binds![Batch::keys(keys), app.as_str()])
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.parsed("key")?,
                    row.parsed_opt("account")?,
                    row.json("kept")?,
                ))
            })
            .collect()
    }

    async fn working_set_subscriptions(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self
            .working_set_owned(app, "subscriptions", by, keys)
            .await?
        {
            let it = Subscription {
                key: key.clone(),
                history: kept,
                account,
            };
            working_set.subscriptions.insert(key, it);
        }
        Ok(())
    }

    async fn working_set_disputes(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self.working_set_owned(app, "disputes", by, keys).await? {
            let it = Dispute {
                key: key.clone(),
                history: kept,
                account,
            };
            working_set.disputes.insert(key, it);
        }
        Ok(())
    }

    async fn working_set_refunds(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self.working_set_owned(app, "refunds", by, keys).await? {
            let it = Refund {
                key: key.clone(),
                history: kept,
                account,
            };
            working_set.refunds.insert(key, it);
        }
        Ok(())
    }

    async fn working_set_unfetched(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let sql = by_column("unfetched", "unfetched.key, at, cleared_at", "key");
        let binds = binds![Batch::keys(keys), app.as_str()];
        for row in self.fetch(&sql, binds).await? {
            let kept = UnfetchedHistory {
                at: row.time("at")?,
                cleared_at: row.time_opt("cleared_at")?,
            };
            working_set.unfetched.insert(row.parsed("key")?, kept);
        }
        Ok(())
    }

    /// Loads the rows that accounts, addresses and external ids lead to, and then the rows that
    /// these stand for or are merged into.
    async fn working_set_customers(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        lookup_keys: &LookupKeys,
        accounts: &BTreeSet<ObjectKey>,
        emails: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let mut wanted = Batch::new(&[("kind", Kind::Text), ("value", Kind::Text)]);
        for id in lookup_keys.customers.iter().chain(linked_rows(working_set)) {
            wanted.row([json!("id"), json!(id)]);
        }
        for key in accounts {
            wanted.row([json!("home"), json!(key)]);
            for form in external_ids(key) {
                wanted.row([json!("external_id"), json!(form)]);
            }
        }
        for external_id in &lookup_keys.external_ids {
            wanted.row([json!("external_id"), json!(external_id)]);
        }
        for email in emails {
            wanted.row([json!("email"), json!(email)]);
        }
        // The names of accounts and addresses are held already; rows have them, too.
        let named = lookup_keys.customers.iter().chain(linked_rows(working_set));
        let named: Vec<String> = named.map(ToString::to_string).collect();
        self.lock_found(app, named).await?;
        // One look-up for each index: none answers several conditions joined by OR.
        let sql = "WITH wanted AS (SELECT kind, value FROM {rows} AS given), found (id) AS ( \
                   SELECT value FROM wanted WHERE kind = 'id' \
                   UNION SELECT customers.id FROM wanted JOIN customers \
                   ON customers.app = $2 AND customers.home = wanted.value \
                   WHERE wanted.kind = 'home' \
                   UNION SELECT customers.id FROM wanted JOIN customers \
                   ON customers.app = $2 AND customers.admin_external_id = wanted.value \
                   WHERE wanted.kind = 'external_id' \
                   UNION SELECT customers.id FROM wanted JOIN customers \
                   ON customers.app = $2 AND customers.admin_email = wanted.value \
                   WHERE wanted.kind = 'email') \
                   SELECT customers.kept FROM found JOIN customers ON customers.id = found.id \
                   WHERE customers.app = $2";
        let rows = self.fetch(sql, binds![wanted, app.as_str()]).await?;
        keep_customers(working_set, &rows)?;

        let shown = working_set
            .customers
            .values()
            .map(|row| row.merged_into.as_ref().unwrap_or(&row.id));
        let shown: BTreeSet<CustomerId> = shown.cloned().collect();
        let rows = working_set.customers.keys().chain(&shown);
        let rows: Vec<String> = rows.map(ToString::to_string).collect();
        self.lock_found(app, rows).await?;
        let sql = "WITH shown AS (SELECT key FROM {rows} AS given), found (id) AS ( \
                   SELECT key FROM shown \
                   UNION SELECT customers.id FROM shown JOIN customers \
                   ON customers.app = $2 AND COALESCE(customers.merged_into, customers.id) = shown.key) \
                   SELECT customers.kept FROM found JOIN customers ON customers.id = found.id \
                   WHERE customers.app = $2";
        let rows = self
            .fetch(sql, binds![Batch::keys(&shown), app.as_str()])
            .await?;
        keep_customers(working_set, &rows)?;
        let found: Vec<String> = names_of_rows(working_set).collect();
        self.lock_found(app, found).await.map(|_| ())
    }
}

/// The rows that accounts are linked to.
fn linked_rows(working_set: &WorkingSet) -> impl Iterator<Item = &CustomerId> {
    let accounts = working_set.accounts.values();
    accounts
        .flat_map(|it| [&it.customer, &it.history.pin])
        .flatten()
}

/// The accounts that subscriptions, disputes and refunds belong to.
fn owners(working_set: &WorkingSet) -> impl Iterator<Item = &ObjectKey> {
    let subscriptions = working_set.subscriptions.values().map(|it| &it.account);
    let disputes = working_set.disputes.values().map(|it| &it.account);
    let refunds = working_set.refunds.values().map(|it| &it.account);
    subscriptions.chain(disputes).chain(refunds).flatten()
}

/// The names of the rows that were loaded.
fn names_of_rows(working_set: &WorkingSet) -> impl Iterator<Item = String> {
    let ids = working_set.customers.keys().map(ToString::to_string);
    ids.chain(working_set.customers.values().flat_map(names_of_customer))
}

/// The names of all that was loaded.
fn names_of_all(working_set: &WorkingSet) -> Vec<String> {
    let accounts = working_set.accounts.values();
    let emails = accounts.filter_map(|it| it.linking_email.clone());
    let keys = (working_set.subscriptions.keys())
        .chain(working_set.disputes.keys())
        .chain(working_set.refunds.keys())
        .chain(owners(working_set));
    let linked = linked_rows(working_set).map(ToString::to_string);
    emails
        .chain(keys.map(object_name))
        .chain(linked)
        .chain(names_of_rows(working_set))
        .collect()
}

fn keep_customers(working_set: &mut WorkingSet, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let customer: Customer = row.json("kept")?;
        working_set.customers.insert(customer.id.clone(), customer);
    }
    Ok(())
}

/// A statement that reads the rows of a table whose column is among the given values.
fn by_column(table: &str, columns: &str, by: &str) -> String {
    format!(
        "SELECT {columns} FROM {{rows}} AS wanted \
         JOIN {table} ON {table}.app = $2 AND {table}.{by} = wanted.key"
    )
}
