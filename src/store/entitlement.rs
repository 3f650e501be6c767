//! The prices that give customers something, as rows, so that a plan or a package leads to those
//! who have it. Written with the customers; a reader of one customer takes them from its own row.

use std::collections::BTreeSet;

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::{DerivedRows, WorkingSet};
use crate::domain::id::{AppSlug, CustomerId, Provider};

record! {
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Entitled<'a> {
        customer_id: &'a CustomerId,
        provider: Provider,
        price: String,
        plan: &'a str,
    }
}

impl Tx {
    /// Writes the prices that count now for the customers who changed, where others counted when they
    /// were loaded. A further subscription of a price that counts already writes nothing.
    pub(super) async fn entitlement_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let (mut before, mut now) = (BTreeSet::new(), BTreeSet::new());
        let derived: Vec<(&CustomerId, DerivedRows)> = (working_set.changed.customers.iter())
            .map(|id| (id, working_set.derived_rows(id)))
            .collect();
        for (id, derived) in &derived {
            now.extend(entitled(id, derived));
            if let Some(loaded) = working_set.loaded.get(*id) {
                before.extend(entitled(id, loaded));
            }
        }
        let gone: Rows<Entitled<'_>> = before.difference(&now).cloned().collect();
        let sql = r"
            DELETE FROM entitlements
            WHERE (customer_id, provider, price, plan) IN (
                SELECT customer_id, provider, price, plan FROM {rows} AS gone
            )
        ";
        self.execute(sql, binds![gone]).await?;

        let new: Rows<Entitled<'_>> = now.difference(&before).cloned().collect();
        // One that is there already is what was wanted.
        let sql = r"
            INSERT INTO entitlements (app, customer_id, provider, price, plan)
            SELECT $2, customer_id, provider, price, plan
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (customer_id, provider, price, plan) DO NOTHING
        ";
        self.execute(sql, binds![new, app]).await?;
        Ok(())
    }
}

/// The rows of one customer. Two subscriptions of one price are one row.
fn entitled<'a>(
    customer: &'a CustomerId,
    derived: &'a DerivedRows,
) -> impl Iterator<Item = Entitled<'a>> {
    derived.entitlements.iter().map(move |it| Entitled {
        customer_id: customer,
        provider: it.provider,
        price: it.price_name(),
        plan: it.plan.as_deref().unwrap_or_default(),
    })
}
