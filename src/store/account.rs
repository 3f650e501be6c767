//! Billing accounts, one by one. They are written with their working set.

use super::filter::Filter;
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::{connected_part, prefixed_account};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};

record! {
    struct OwnerRow from "accounts" {
        key: ObjectKey,
        customer_id: Option<CustomerId>,
    }
}

/// The billing accounts that an external id can mean, by the parts of their keys.
pub(super) struct Meant<'a> {
    /// The provider's id.
    pub(super) id: &'a str,
    /// A pattern of the keys at its provider.
    pub(super) keys: String,
    /// The end of the key: the connected account, which is empty for the platform's own, and the id.
    pub(super) tail: String,
}

impl<'a> Meant<'a> {
    /// Returns the accounts of any provider, and those of the provider that stands before the id.
    pub(super) fn by(external_id: &'a str) -> (Self, Self) {
        let meant = |id: &'a str, keys: String| {
            let (connected, id) = connected_part(id);
            let tail = format!(":{}:{id}", connected.unwrap_or_default());
            Self { id, keys, tail }
        };
        let prefixed = prefixed_account(external_id).map_or_else(
            || meant("", String::new()),
            |(provider, id)| meant(id, format!("account:{provider}:%")),
        );
        (meant(external_id, String::new()), prefixed)
    }
}

/// A subquery of the rows that an external id can mean in the app `$1`, the best of the lowest
/// rank; see [`Tx::customer_find_by_external`].
pub(super) fn meant_by(
    filter: &mut Filter,
    external_id: &str,
    other_spellings: &[String],
) -> String {
    let (bare, prefixed) = Meant::by(external_id);
    let (whole, tail) = (filter.place(bare.id), filter.place(bare.tail));
    let (own, of) = (filter.place(prefixed.id), filter.place(prefixed.keys));
    let end = filter.place(prefixed.tail);
    let external_id = filter.place(external_id);
    let found = format!(
        r"
        SELECT id, 0 AS rank FROM customers
        WHERE app = $1 AND admin_external_id = {external_id}
        UNION ALL
        SELECT customer_id, 1 FROM accounts
        WHERE app = $1 AND id = {whole}
            AND SUBSTR(key, LENGTH(key) + 1 - LENGTH(CAST({tail} AS TEXT))) = {tail}
        UNION ALL
        SELECT customer_id, 1 FROM accounts
        WHERE app = $1 AND id = {own} AND key LIKE {of}
            AND SUBSTR(key, LENGTH(key) + 1 - LENGTH(CAST({end} AS TEXT))) = {end}
        UNION ALL
        SELECT id, 2 FROM customers
        WHERE app = $1 AND external_id = {external_id}
        UNION ALL
        SELECT customer_id, 3 FROM accounts
        WHERE app = $1 AND seller_id = {external_id}
            AND COALESCE(kept ->> 'pinned_by', '') <> 'parted'
        "
    );
    if other_spellings.is_empty() {
        return found;
    }
    let others = other_spellings.iter().map(|other| filter.place(other));
    let others = others.collect::<Vec<_>>().join(", ");
    format!(
        r"
        {found}
        UNION ALL
        SELECT id, 4 FROM customers
        WHERE app = $1 AND admin_external_id IN ({others})
        UNION ALL
        SELECT id, 5 FROM customers
        WHERE app = $1 AND external_id IN ({others})
        UNION ALL
        SELECT customer_id, 6 FROM accounts
        WHERE app = $1 AND id = {whole}
        UNION ALL
        SELECT customer_id, 6 FROM accounts
        WHERE app = $1 AND id = {own} AND key LIKE {of}
        "
    )
}

impl Tx {
    /// Lists billing accounts that an address may link to others or to an admin-made row, and that
    /// no admin has linked by hand; in the order of their keys, behind a key.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn account_sharing(
        &mut self,
        app: &AppSlug,
        after: &str,
        most: i64,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let sql = r"
            SELECT key
            FROM accounts
            WHERE app = $1
                AND key > $2
                AND linking_email IS NOT NULL
                AND kept ->> 'pin' IS NULL
                AND (
                    EXISTS (
                        SELECT 1 FROM accounts AS other
                        WHERE other.app = $1
                            AND other.linking_email = accounts.linking_email
                            AND other.key <> accounts.key
                    )
                    OR EXISTS (
                        SELECT 1 FROM customers
                        WHERE customers.app = $1
                            AND customers.admin_email = accounts.linking_email
                    )
                )
            ORDER BY key
            LIMIT $3
        ";
        self.fetch_values("accounts", sql, binds![app, after, most])
            .await
    }

    /// Lists billing accounts that have an id of the seller's own, and that no admin has linked by
    /// hand; in the order of their keys, behind a key.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn account_with_seller_id(
        &mut self,
        app: &AppSlug,
        after: &str,
        most: i64,
    ) -> Result<Vec<ObjectKey>, StoreError> {
        let sql = r"
            SELECT key
            FROM accounts
            WHERE app = $1 AND key > $2 AND seller_id IS NOT NULL AND kept ->> 'pin' IS NULL
            ORDER BY key
            LIMIT $3
        ";
        self.fetch_values("accounts", sql, binds![app, after, most])
            .await
    }

    /// Finds the billing accounts with some provider's ids, of both modes and all connected accounts,
    /// each with the row that is shown for it.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn account_owners(
        &mut self,
        app: &AppSlug,
        ids: impl IntoIterator<Item = &str> + Send,
    ) -> Result<Vec<(ObjectKey, Option<CustomerId>)>, StoreError> {
        let sql = r"
            SELECT key, customer_id
            FROM accounts
            WHERE app = $2 AND id IN (SELECT key FROM {rows} AS wanted)
            ORDER BY key
        ";
        let rows: Vec<OwnerRow> = self.fetch(sql, binds![keys(ids), app]).await?;
        let rows = rows.into_iter();
        Ok(rows.map(|row| (row.key, row.customer_id)).collect())
    }
}
