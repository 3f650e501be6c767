//! Finding customers by many external ids or e-mail addresses at once, for those who import them.

use std::collections::BTreeMap;

use super::account::Meant;
use super::customer::CustomerRow;
use super::record::{FromRow, Reader, Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::customer::row::Customer;
use crate::domain::id::AppSlug;

record! {
    /// A value to look up by, and the name of which it is one form. The kind says in which column.
    struct Form {
        name: String,
        kind: &'static str,
        value: String,
        keys: String,
        tail: String,
    }
}

record! {
    struct NameRow from "customers" {
        name: String,
    }
}

/// A customer, and the name by which it was found.
struct Named {
    name: String,
    customer: Customer,
}

impl FromRow for Named {
    fn from_row(row: &mut Reader<'_>) -> Result<Self, StoreError> {
        let (named, found) = <(NameRow, CustomerRow)>::from_row(row)?;
        Ok(Self {
            name: named.name,
            customer: found.into(),
        })
    }
}

impl Tx {
    /// Finds customers by external ids, each with its other spellings, as
    /// [`Tx::customer_find_by_external`] finds one.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn customers_by_external(
        &mut self,
        app: &AppSlug,
        names: &BTreeMap<String, Vec<String>>,
    ) -> Result<BTreeMap<String, Customer>, StoreError> {
        let forms: Rows<Form> = names
            .iter()
            .flat_map(|(name, others)| forms(name, others))
            .collect();
        // As the look-up of one, with its ranks. SQLite keeps the order of a CROSS JOIN.
        let found = r"
            SELECT wanted.name, customers.id, 0 AS rank
            FROM wanted
            CROSS JOIN customers
            WHERE wanted.kind = 'external_id'
                AND customers.app = $2 AND customers.admin_external_id = wanted.value
            UNION ALL
            SELECT wanted.name, accounts.customer_id, 1
            FROM wanted
            CROSS JOIN accounts
            WHERE wanted.kind = 'account'
                AND accounts.app = $2 AND accounts.id = wanted.value
                AND accounts.key LIKE wanted.keys
                AND SUBSTR(accounts.key, LENGTH(accounts.key) + 1 - LENGTH(wanted.tail))
                    = wanted.tail
            UNION ALL
            SELECT wanted.name, customers.id, 2
            FROM wanted
            CROSS JOIN customers
            WHERE wanted.kind = 'external_id'
                AND customers.app = $2 AND customers.external_id = wanted.value
            UNION ALL
            SELECT wanted.name, accounts.customer_id, 3
            FROM wanted
            CROSS JOIN accounts
            WHERE wanted.kind = 'external_id'
                AND accounts.app = $2 AND accounts.seller_id = wanted.value
                AND COALESCE(accounts.kept ->> 'pinned_by', '') <> 'parted'
            UNION ALL
            SELECT wanted.name, customers.id, 4
            FROM wanted
            CROSS JOIN customers
            WHERE wanted.kind = 'spelling'
                AND customers.app = $2 AND customers.admin_external_id = wanted.value
            UNION ALL
            SELECT wanted.name, customers.id, 5
            FROM wanted
            CROSS JOIN customers
            WHERE wanted.kind = 'spelling'
                AND customers.app = $2 AND customers.external_id = wanted.value
            UNION ALL
            SELECT wanted.name, accounts.customer_id, 6
            FROM wanted
            CROSS JOIN accounts
            WHERE wanted.kind = 'anywhere'
                AND accounts.app = $2 AND accounts.id = wanted.value
                AND accounts.key LIKE wanted.keys
        ";
        self.customers_best(
            &format!(
                r"
                WITH wanted AS (SELECT name, kind, value, keys, tail FROM {{rows}} AS given),
                found AS MATERIALIZED ({found})
                "
            ),
            binds![forms, app]?,
        )
        .await
    }

    /// Finds customers by e-mail addresses in their one spelling, as
    /// [`Tx::customer_find_by_email`] finds one.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn customers_by_email(
        &mut self,
        app: &AppSlug,
        emails: impl IntoIterator<Item = &String> + Send,
    ) -> Result<BTreeMap<String, Customer>, StoreError> {
        let found = r"
            WITH wanted AS (SELECT key AS name FROM {rows} AS given),
            found AS MATERIALIZED (
                SELECT wanted.name, customers.id, 0 AS rank
                FROM wanted
                CROSS JOIN customers
                WHERE customers.app = $2 AND customers.admin_email = wanted.name
                UNION ALL
                SELECT
                    wanted.name, accounts.customer_id,
                    CASE WHEN customers.email = wanted.name THEN 1 ELSE 2 END
                FROM wanted
                CROSS JOIN accounts
                CROSS JOIN customers
                WHERE accounts.app = $2 AND accounts.linking_email = wanted.name
                    AND customers.id = accounts.customer_id
            )
        ";
        self.customers_best(found, binds![keys(emails), app]?).await
    }

    /// Returns for each name the customer shown for the best of the rows that were found: the
    /// lowest rank, then the first made. What was found is MATERIALIZED: while PostgreSQL knows
    /// nothing yet of a table that fills, it would find it anew for every customer that there is.
    async fn customers_best(
        &mut self,
        found: &str,
        binds: Vec<super::driver::Value>,
    ) -> Result<BTreeMap<String, Customer>, StoreError> {
        let sql = format!(
            r"
            {found}
            SELECT found.name, shown.kept
            FROM found
            JOIN customers AS held ON held.id = found.id
            JOIN customers AS shown ON shown.id = COALESCE(held.merged_into, held.id)
            WHERE held.deleted_at IS NULL AND shown.deleted_at IS NULL
            ORDER BY found.name, found.rank, shown.id
            "
        );
        let rows: Vec<Named> = self.fetch(&sql, Ok(binds)).await?;
        let mut best = BTreeMap::new();
        for row in rows {
            best.entry(row.name).or_insert(row.customer);
        }
        Ok(best)
    }
}

fn forms(name: &str, others: &[String]) -> Vec<Form> {
    let form = |kind, value: &str, keys: &str, tail: &str| Form {
        name: name.to_owned(),
        kind,
        value: value.to_owned(),
        keys: keys.to_owned(),
        tail: tail.to_owned(),
    };
    let (bare, prefixed) = Meant::by(name);
    let mut forms = vec![
        form("external_id", name, "", ""),
        form("account", bare.id, "%", &bare.tail),
        form("account", prefixed.id, &prefixed.keys, &prefixed.tail),
    ];
    if !others.is_empty() {
        forms.extend(others.iter().map(|other| form("spelling", other, "", "")));
        forms.push(form("anywhere", bare.id, "%", ""));
        forms.push(form("anywhere", prefixed.id, &prefixed.keys, ""));
    }
    forms
}
