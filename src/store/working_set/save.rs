//! Writing what changed in a working set, a statement a table.

use serde_json::json;

use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::Customer;
use crate::domain::email::fold_email;
use crate::domain::id::AppSlug;
use crate::store::driver::{Batch, Kind, binds};
use crate::store::{StoreError, Tx, document};

impl Tx {
    /// Writes what has changed since loading.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn working_set_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        self.lock_covers(app, working_set)?;
        let changed = &working_set.changed;
        self.working_set_save_customers(app, working_set).await?;
        self.entitlement_save(app, working_set).await?;
        self.flag_save(app, working_set).await?;
        let mut rows = Batch::new(&[
            ("key", Kind::Text),
            ("id", Kind::Text),
            ("customer_id", Kind::Text),
            ("linking_email", Kind::Text),
            ("kept", Kind::Json),
        ]);
        for account in changed
            .accounts
            .iter()
            .filter_map(|key| working_set.accounts.get(key))
        {
            let kept = document(&account.history)?;
            rows.row([
                json!(account.key),
                json!(account.key.id),
                json!(account.customer),
                json!(account.linking_email),
                json!(kept),
            ]);
        }
        let sql = "INSERT INTO accounts (app, key, id, customer_id, linking_email, kept) \
                   SELECT $2, key, id, customer_id, linking_email, kept FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, key) DO UPDATE SET customer_id = excluded.customer_id, \
                   linking_email = excluded.linking_email, kept = excluded.kept";
        self.write(sql, rows, app).await?;

        let mut rows = owned_rows();
        for it in changed
            .subscriptions
            .iter()
            .filter_map(|key| working_set.subscriptions.get(key))
        {
            rows.row([
                json!(it.key),
                json!(it.account),
                json!(document(&it.history)?),
            ]);
        }
        self.write(&upsert_owned("subscriptions"), rows, app)
            .await?;
        let mut rows = owned_rows();
        for it in changed
            .disputes
            .iter()
            .filter_map(|key| working_set.disputes.get(key))
        {
            rows.row([
                json!(it.key),
                json!(it.account),
                json!(document(&it.history)?),
            ]);
        }
        self.write(&upsert_owned("disputes"), rows, app).await?;
        let mut rows = owned_rows();
        for it in changed
            .refunds
            .iter()
            .filter_map(|key| working_set.refunds.get(key))
        {
            rows.row([
                json!(it.key),
                json!(it.account),
                json!(document(&it.history)?),
            ]);
        }
        self.write(&upsert_owned("refunds"), rows, app).await?;

        let mut rows = Batch::new(&[("key", Kind::Text), ("other", Kind::Text)]);
        for (one, other) in &changed.payment_links {
            rows.row([json!(one), json!(other)]);
            rows.row([json!(other), json!(one)]);
        }
        let sql = "INSERT INTO pairs (app, key, other) \
                   SELECT $2, key, other FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, key, other) DO NOTHING";
        self.write(sql, rows, app).await?;

        let mut rows = Batch::new(&[
            ("key", Kind::Text),
            ("at", Kind::Nanos),
            ("cleared_at", Kind::Nanos),
        ]);
        for key in &changed.unfetched {
            if let Some(kept) = working_set.unfetched.get(key) {
                rows.row([json!(key), json!(kept.at), json!(kept.cleared_at)]);
            }
        }
        let sql = "INSERT INTO unfetched (app, key, at, cleared_at) \
                   SELECT $2, key, at, cleared_at FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, key) DO UPDATE SET at = excluded.at, \
                   cleared_at = excluded.cleared_at";
        self.write(sql, rows, app).await
    }

    pub(in crate::store) async fn write(
        &mut self,
        sql: &str,
        rows: Batch,
        app: &AppSlug,
    ) -> Result<(), StoreError> {
        if !rows.is_empty() {
            self.execute(sql, binds![rows, app.as_str()]).await?;
        }
        Ok(())
    }

    async fn working_set_save_customers(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let mut rows = Batch::new(CUSTOMER_COLUMNS);
        let changed = &working_set.changed.customers;
        for customer in changed
            .iter()
            .filter_map(|id| working_set.customers.get(id))
        {
            rows.row(customer_row(customer)?);
        }
        let sql = "INSERT INTO customers (app, id, home, made_at, updated_at, deleted_at, \
                   merged_into, admin_email, admin_external_id, user_id, email, name, \
                   external_id, status, status_since, due_at, frozen, kept) \
                   SELECT $2, id, home, made_at, updated_at, deleted_at, \
                   merged_into, admin_email, admin_external_id, user_id, email, name, \
                   external_id, status, status_since, due_at, frozen, kept \
                   FROM {rows} AS new WHERE true \
                   ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, \
                   deleted_at = excluded.deleted_at, merged_into = excluded.merged_into, \
                   admin_email = excluded.admin_email, \
                   admin_external_id = excluded.admin_external_id, user_id = excluded.user_id, \
                   email = excluded.email, name = excluded.name, \
                   external_id = excluded.external_id, status = excluded.status, \
                   status_since = excluded.status_since, due_at = excluded.due_at, \
                   frozen = excluded.frozen, kept = excluded.kept";
        self.write(sql, rows, app).await
    }
}

/// The columns of a customer's row. All but `kept` repeat what stands in it, for the indexes.
const CUSTOMER_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("home", Kind::Text),
    ("made_at", Kind::Time),
    ("updated_at", Kind::Time),
    ("deleted_at", Kind::Time),
    ("merged_into", Kind::Text),
    ("admin_email", Kind::Text),
    ("admin_external_id", Kind::Text),
    ("user_id", Kind::Text),
    ("email", Kind::Text),
    ("name", Kind::Text),
    ("external_id", Kind::Text),
    ("status", Kind::Text),
    ("status_since", Kind::Time),
    ("due_at", Kind::Nanos),
    ("frozen", Kind::Bool),
    ("kept", Kind::Json),
];

fn customer_row(customer: &Customer) -> Result<[serde_json::Value; 17], StoreError> {
    let Customer {
        id,
        home,
        made_at,
        updated_at,
        deleted_at,
        merged_into,
        ..
    } = customer;
    let (profile, shown) = (&customer.profile, &customer.derived);
    Ok([
        json!(id),
        json!(home),
        json!(made_at),
        json!(updated_at),
        json!(deleted_at),
        json!(merged_into),
        json!(profile.email.as_deref().and_then(fold_email)),
        json!(profile.external_id),
        json!(profile.user_id),
        json!(shown.contact.email.as_deref().and_then(fold_email)),
        json!(shown.contact.name.as_ref().map(|it| it.to_lowercase())),
        json!(shown.external_id),
        json!(shown.status.as_str()),
        json!(customer.status_since),
        json!(shown.due_at),
        json!(merged_into.is_none() && shown.is_frozen_by_time()),
        json!(document(customer)?),
    ])
}

fn owned_rows() -> Batch {
    Batch::new(&[
        ("key", Kind::Text),
        ("account", Kind::Text),
        ("kept", Kind::Json),
    ])
}

fn upsert_owned(table: &str) -> String {
    format!(
        "INSERT INTO {table} (app, key, account, kept) \
         SELECT $2, key, account, kept FROM {{rows}} AS new WHERE true \
         ON CONFLICT (app, key) DO UPDATE SET account = excluded.account, kept = excluded.kept"
    )
}
