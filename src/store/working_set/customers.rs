//! Customers: the rows that accounts, addresses and external ids lead to, and all rows that
//! stand for the same customer.

use std::collections::{BTreeMap, BTreeSet};

use super::{LookUp, Wanted, by, union_all, wanted};
use crate::domain::apply::lookup_keys::{LookupKeys, external_ids};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::links::Words;
use crate::store::customer::CustomerRow;
use crate::store::lock::lock_keys_of_rows;
use crate::store::record::{Rows, binds};
use crate::store::{StoreError, Tx};

/// What leads to customers. A row that is merged leads to the one that is shown for it.
const WAYS: [LookUp; 5] = [
    by("id", "customers", "id"),
    by("home", "customers", "home"),
    by("external_id", "customers", "admin_external_id"),
    by("user_id", "customers", "user_id"),
    by("email", "customers", "admin_email"),
];

/// The statement that finds the rows that wanted values lead to, and all that are merged with them.
///
/// SQLite keeps the order of a `CROSS JOIN`; left to itself it walks all customers of the app, and looks
/// each up among the few that are shown.
fn rows(wanted: &Rows<Wanted>) -> String {
    let found = union_all("COALESCE(it.merged_into, it.id)", &WAYS, wanted);
    format!(
        r"
            WITH found (id) AS ({found}),
            shown (id) AS (SELECT DISTINCT id FROM found)
            SELECT customers.kept
            FROM shown
            JOIN customers ON customers.app = $2 AND customers.id = shown.id
            UNION ALL
            SELECT customers.kept
            FROM shown
            CROSS JOIN customers
            WHERE customers.app = $2
                AND customers.merged_into = shown.id
                AND customers.id <> shown.id
        "
    )
}

impl Tx {
    /// Loads the rows that accounts, addresses and external ids lead to, the rows that are shown
    /// for these, and the others that are merged into them.
    pub(super) async fn working_set_customers(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        lookup_keys: &LookupKeys,
        accounts: &BTreeSet<ObjectKey>,
        words: &Words,
    ) -> Result<(), StoreError> {
        let linked = working_set.linked_rows();
        let ids: BTreeSet<CustomerId> = lookup_keys
            .customers
            .iter()
            .chain(linked)
            .cloned()
            .collect();
        // The keys of accounts and addresses are locked already; rows have keys, too.
        self.lock_found(app, ids.iter().map(ToString::to_string))
            .await?;
        let forms = accounts.iter().flat_map(external_ids);
        let wanted: Vec<Wanted> = wanted("id", &ids)
            .chain(wanted("home", accounts))
            .chain(wanted("external_id", forms))
            .chain(wanted("external_id", &lookup_keys.external_ids))
            .chain(wanted("external_id", &words.seller_ids))
            .chain(wanted("user_id", &words.seller_ids))
            .chain(wanted("email", &words.emails))
            .collect();
        loop {
            working_set.customers = self.working_set_rows(app, &wanted).await?;
            // Until the key of a row is locked, another batch may change it or merge it, so rows
            // whose keys were not locked before are read again.
            let keys: Vec<String> = lock_keys_of_rows(working_set).collect();
            if !self.lock_found(app, keys).await? {
                return Ok(());
            }
        }
    }

    async fn working_set_rows(
        &mut self,
        app: &AppSlug,
        wanted: &[Wanted],
    ) -> Result<BTreeMap<CustomerId, Customer>, StoreError> {
        let wanted: Rows<Wanted> = wanted.iter().cloned().collect();
        let rows: Vec<CustomerRow> = self.fetch(&rows(&wanted), binds![wanted, app]).await?;
        let rows = rows.into_iter().map(Customer::from);
        Ok(rows.map(|row| (row.id.clone(), row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::record::record;

    record! {
        #[expect(dead_code, reason = "these are the columns of the engine's answer")]
        struct Step from "plan" {
            id: i64,
            parent: i64,
            notused: i64,
            detail: String,
        }
    }

    #[tokio::test]
    async fn sqlite_walks_no_table_of_customers_to_find_the_rows_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let mut tx = store.read().await.unwrap();
        let all = WAYS.iter().flat_map(|way| wanted(way.kind, ["cust_1"]));
        let all: Rows<Wanted> = all.collect();
        let app = AppSlug::default_app();
        let sql = format!("EXPLAIN QUERY PLAN {}", rows(&all));
        let steps: Vec<Step> = tx.fetch(&sql, binds![all, &app]).await.unwrap();
        assert!(steps.len() > 10, "{}", steps.len());
        for step in steps {
            assert!(
                !["SCAN customers", "SCAN it"]
                    .iter()
                    .any(|scan| step.detail.starts_with(scan)),
                "{}",
                step.detail
            );
        }
    }
}
