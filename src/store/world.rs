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
use crate::domain::customer::Customer;
use crate::domain::fact::is_account;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::kept::KeptUnfetched;
use crate::domain::reach::{Reach, external_ids};
use crate::domain::time::Timestamp;
use crate::domain::world::{Account, Dispute, Refund, Subscription, World};

/// How many pairs a walk follows: a dispute names a charge, that an intent, that an invoice,
/// that an account.
const PAIRS: i64 = 4;

impl Tx {
    /// Loads everything of an app that facts with this reach can touch.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn world_load(&mut self, app: &AppSlug, reach: &Reach) -> Result<World, StoreError> {
        self.lock_reach(app, reach).await?;
        let mut world = World {
            policy: self.app_policy(app).await?.unwrap_or_default(),
            plans: self.plan_all(app).await?,
            ..World::default()
        };
        let mut accounts = reach.accounts.clone();

        let money: BTreeSet<ObjectKey> = reach
            .references
            .iter()
            .chain(&reach.disputes)
            .chain(&reach.refunds)
            .cloned()
            .collect();
        let mut money = self.world_walk(app, &mut world, &money).await?;
        accounts.extend(money.iter().filter(|key| is_account(key)).cloned());
        money.extend(reach.disputes.iter().chain(&reach.refunds).cloned());
        self.world_disputes(app, &mut world, "key", &money).await?;
        self.world_refunds(app, &mut world, "key", &money).await?;
        self.world_subscriptions(app, &mut world, "key", &reach.subscriptions)
            .await?;
        accounts.extend(owners(&world).cloned());
        self.world_unfetched(app, &mut world, &reach.unfetched)
            .await?;
        self.lock_found(app, accounts.iter().flat_map(names_of_account))
            .await?;
        self.world_accounts(app, &mut world, "key", accounts.iter())
            .await?;

        let mut emails = reach.emails.clone();
        for account in world.accounts.values() {
            emails.extend(account.kept.emails.keys().cloned());
            emails.extend(account.kept.secondary_emails.keys().cloned());
        }
        self.lock_found(app, emails.iter().cloned()).await?;
        self.world_accounts(app, &mut world, "linking_email", emails.iter())
            .await?;

        accounts.extend(world.accounts.keys().cloned());
        self.world_customers(app, &mut world, reach, &accounts, &emails)
            .await?;
        let rows: BTreeSet<CustomerId> = world.customers.keys().cloned().collect();
        self.world_accounts(app, &mut world, "customer_id", rows.iter())
            .await?;
        let homes: BTreeSet<ObjectKey> = world
            .customers
            .values()
            .filter_map(|row| row.home.clone())
            .collect();
        // An account that no event has named as one can own disputes before it is there itself.
        let named = accounts.iter().chain(world.accounts.keys());
        let owners: BTreeSet<ObjectKey> = named.chain(&homes).cloned().collect();
        self.lock_found(app, owners.iter().flat_map(names_of_account))
            .await?;
        self.world_accounts(app, &mut world, "key", homes.iter())
            .await?;

        self.world_subscriptions(app, &mut world, "account", &owners)
            .await?;
        self.world_disputes(app, &mut world, "account", &owners)
            .await?;
        self.world_refunds(app, &mut world, "account", &owners)
            .await?;
        let money: BTreeSet<ObjectKey> = world
            .disputes
            .keys()
            .chain(world.refunds.keys())
            .cloned()
            .collect();
        self.lock_found(app, names_of_all(&world)).await?;
        self.world_walk(app, &mut world, &money).await?;
        Ok(world)
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
    async fn world_walk(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        loop {
            let reached = self.world_pairs(app, world, from).await?;
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

    async fn world_pairs(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        from: &BTreeSet<ObjectKey>,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let sql = "WITH RECURSIVE walk (key, is_account, depth) AS ( \
                   SELECT key, FALSE, 0 FROM {rows} AS start \
                   UNION \
                   SELECT pairs.other, pairs.other_is_account, walk.depth + 1 \
                   FROM walk JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key \
                   WHERE walk.depth < $3 AND NOT walk.is_account) \
                   SELECT DISTINCT pairs.key, pairs.other FROM walk \
                   JOIN pairs ON pairs.app = $2 AND pairs.key = walk.key \
                   WHERE NOT walk.is_account";
        let mut reached = BTreeSet::new();
        for row in self
            .fetch(sql, binds![Batch::keys(from), app.as_str(), PAIRS])
            .await?
        {
            let (one, other): (ObjectKey, ObjectKey) = (row.parsed("key")?, row.parsed("other")?);
            reached.insert(one.clone());
            reached.insert(other.clone());
            world.references.insert(if one < other {
                (one, other)
            } else {
                (other, one)
            });
        }
        Ok(reached)
    }

    async fn world_accounts<T: ToString>(
        &mut self,
        app: &AppSlug,
        world: &mut World,
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
                kept: row.json("kept")?,
                linking_email: row.text_opt("linking_email")?,
                customer: row.parsed_opt("customer_id")?,
            };
            world.accounts.insert(key, account);
        }
        Ok(())
    }

    /// Loads rows that belong to an account: key, account, what is kept.
    async fn world_owned<K: DeserializeOwned>(
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

    async fn world_subscriptions(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self.world_owned(app, "subscriptions", by, keys).await? {
            let it = Subscription {
                key: key.clone(),
                kept,
                account,
            };
            world.subscriptions.insert(key, it);
        }
        Ok(())
    }

    async fn world_disputes(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self.world_owned(app, "disputes", by, keys).await? {
            let it = Dispute {
                key: key.clone(),
                kept,
                account,
            };
            world.disputes.insert(key, it);
        }
        Ok(())
    }

    async fn world_refunds(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        by: &'static str,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        for (key, account, kept) in self.world_owned(app, "refunds", by, keys).await? {
            let it = Refund {
                key: key.clone(),
                kept,
                account,
            };
            world.refunds.insert(key, it);
        }
        Ok(())
    }

    async fn world_unfetched(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        keys: &BTreeSet<ObjectKey>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let sql = by_column("unfetched", "unfetched.key, at, cleared_at", "key");
        let binds = binds![Batch::keys(keys), app.as_str()];
        for row in self.fetch(&sql, binds).await? {
            let kept = KeptUnfetched {
                at: row.time("at")?,
                cleared_at: row.time_opt("cleared_at")?,
            };
            world.unfetched.insert(row.parsed("key")?, kept);
        }
        Ok(())
    }

    /// Loads the rows that accounts, addresses and external ids lead to, and then the rows that
    /// these stand for or are merged into.
    async fn world_customers(
        &mut self,
        app: &AppSlug,
        world: &mut World,
        reach: &Reach,
        accounts: &BTreeSet<ObjectKey>,
        emails: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let mut wanted = Batch::new(&[("kind", Kind::Text), ("value", Kind::Text)]);
        for id in reach.customers.iter().chain(linked_rows(world)) {
            wanted.row([json!("id"), json!(id)]);
        }
        for key in accounts {
            wanted.row([json!("home"), json!(key)]);
            for form in external_ids(key) {
                wanted.row([json!("external_id"), json!(form)]);
            }
        }
        for external_id in &reach.external_ids {
            wanted.row([json!("external_id"), json!(external_id)]);
        }
        for email in emails {
            wanted.row([json!("email"), json!(email)]);
        }
        // The names of accounts and addresses are held already; rows have them, too.
        let named = reach.customers.iter().chain(linked_rows(world));
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
        keep_customers(world, &rows)?;

        let shown = world
            .customers
            .values()
            .map(|row| row.merged_into.as_ref().unwrap_or(&row.id));
        let shown: BTreeSet<CustomerId> = shown.cloned().collect();
        let rows = world.customers.keys().chain(&shown);
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
        keep_customers(world, &rows)?;
        let found: Vec<String> = names_of_rows(world).collect();
        self.lock_found(app, found).await.map(|_| ())
    }
}

/// The rows that accounts are linked to.
fn linked_rows(world: &World) -> impl Iterator<Item = &CustomerId> {
    let accounts = world.accounts.values();
    accounts
        .flat_map(|it| [&it.customer, &it.kept.pin])
        .flatten()
}

/// The accounts that subscriptions, disputes and refunds belong to.
fn owners(world: &World) -> impl Iterator<Item = &ObjectKey> {
    let subscriptions = world.subscriptions.values().map(|it| &it.account);
    let disputes = world.disputes.values().map(|it| &it.account);
    let refunds = world.refunds.values().map(|it| &it.account);
    subscriptions.chain(disputes).chain(refunds).flatten()
}

/// The names of the rows that were loaded.
fn names_of_rows(world: &World) -> impl Iterator<Item = String> {
    let ids = world.customers.keys().map(ToString::to_string);
    ids.chain(world.customers.values().flat_map(names_of_customer))
}

/// The names of all that was loaded.
fn names_of_all(world: &World) -> Vec<String> {
    let accounts = world.accounts.values();
    let emails = accounts.filter_map(|it| it.linking_email.clone());
    let keys = (world.subscriptions.keys())
        .chain(world.disputes.keys())
        .chain(world.refunds.keys())
        .chain(owners(world));
    let linked = linked_rows(world).map(ToString::to_string);
    emails
        .chain(keys.map(object_name))
        .chain(linked)
        .chain(names_of_rows(world))
        .collect()
}

fn keep_customers(world: &mut World, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let customer: Customer = row.json("kept")?;
        world.customers.insert(customer.id.clone(), customer);
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
