//! The prices that give customers something, as rows, so that a plan or a package leads to those
//! who have it. Written with the customers; a reader of one customer takes them from its own row.

use std::collections::BTreeSet;

use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, CustomerId, Provider};

record! {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct Entitled<'a> {
        customer_id: &'a CustomerId,
        provider: Provider,
        price: String,
        plan: &'a str,
    }
}

impl Tx {
    /// Writes the prices that count for the customers for whom others counted when they were
    /// loaded.
    pub(super) async fn entitlement_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.customers.iter();
        let changed: Vec<&CustomerId> = changed
            .filter(|id| {
                let loaded = working_set.loaded.get(id);
                let now = working_set.derived_rows(id).entitlements;
                loaded.is_none_or(|it| it.entitlements != now)
            })
            .collect();
        // Ids of customers are unique, and an engine told the app as well may go through all of it.
        let sql = r"
            DELETE FROM entitlements
            WHERE customer_id IN (SELECT key FROM {rows} AS old)
        ";
        self.execute(sql, binds![keys(changed.iter().copied())])
            .await?;

        let shown = changed
            .iter()
            .filter_map(|id| working_set.customers.get(id));
        let shown = shown.filter(|row| row.merged_into.is_none());
        let mut entitlements = BTreeSet::new();
        for row in shown {
            for it in &row.derived.entitlements {
                entitlements.insert(Entitled {
                    customer_id: &row.id,
                    provider: it.provider,
                    price: it.price_name(),
                    plan: it.plan.as_deref().unwrap_or_default(),
                });
            }
        }
        let rows: Rows<Entitled<'_>> = entitlements.into_iter().collect();
        let sql = r"
            INSERT INTO entitlements (app, customer_id, provider, price, plan)
            SELECT $2, customer_id, provider, price, plan
            FROM {rows} AS new
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }
}
