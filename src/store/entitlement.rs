//! The prices that count for customers, as rows, so that a plan or a package leads to those who
//! have it. Written with the customers; who reads one customer takes them from its own row.

use std::collections::BTreeSet;

use serde_json::json;

use super::driver::{Batch, Kind, binds};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::AppSlug;

impl Tx {
    /// Writes the prices that count for the customers that changed.
    pub(super) async fn entitlement_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = &working_set.changed.customers;
        if changed.is_empty() {
            return Ok(());
        }
        // Ids of customers are unique, and an engine told the app as well may go through all of it.
        let sql = "DELETE FROM entitlements WHERE customer_id IN (SELECT key FROM {rows} AS old)";
        self.execute(sql, binds![Batch::keys(changed)]).await?;

        let shown = changed
            .iter()
            .filter_map(|id| working_set.customers.get(id));
        let shown = shown.filter(|row| row.merged_into.is_none());
        let mut entitlements = BTreeSet::new();
        let mut prices = BTreeSet::new();
        for row in shown {
            for it in &row.derived.entitlements {
                let product = it.product.as_deref().unwrap_or_default();
                entitlements.insert((&row.id, it.provider, it.price.as_str(), product));
                prices.insert((it.provider, it.price.as_str(), product));
            }
        }
        let mut rows = Batch::new(&[
            ("customer_id", Kind::Text),
            ("provider", Kind::Text),
            ("price", Kind::Text),
            ("product", Kind::Text),
        ]);
        for (id, provider, price, product) in entitlements {
            rows.row([json!(id), json!(provider), json!(price), json!(product)]);
        }
        let sql = "INSERT INTO entitlements (app, customer_id, provider, price, product) \
                   SELECT $2, customer_id, provider, price, product FROM {rows} AS new";
        self.write(sql, rows, app).await?;

        let mut rows = Batch::new(&[
            ("provider", Kind::Text),
            ("price", Kind::Text),
            ("product", Kind::Text),
        ]);
        for (provider, price, product) in prices {
            rows.row([json!(provider), json!(price), json!(product)]);
        }
        let sql = "INSERT INTO prices (app, provider, price, product) \
                   SELECT $2, provider, price, product FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, provider, price, product) DO NOTHING";
        self.write(sql, rows, app).await
    }
}
