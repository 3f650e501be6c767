//! Customers, as people and scripts look for them. How they are written is in `working set.rs`.

use super::driver::{Batch, Row, Value, binds};
use super::page::{Filter, Key, Listed, Window};
use super::{StoreError, Tx};
use crate::domain::apply::lookup_keys::prefixed_account;
use crate::domain::customer::row::Customer;
use crate::domain::email::fold_email;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// Which customers a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// Part of the e-mail address, in whatever case.
    pub email: Option<String>,
    /// The whole external id.
    pub external_id: Option<String>,
    /// The whole user id.
    pub user_id: Option<String>,
    /// The status: `active`, `suspended`, `frozen` or `expired`.
    pub status: Option<String>,
    /// Part of the name, e-mail address, external id or id.
    pub text: Option<String>,
    /// Made after this instant.
    pub created_after: Option<Timestamp>,
    /// Whether it has an access token.
    pub has_token: Option<bool>,
    /// Also those that were deleted softly.
    pub include_deleted: bool,
}

/// Which look-ups of a customer by a word count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// What must be unique: what admins set, what accounts link by, and accounts themselves.
    Unique,
    /// Also what is merely shown, and other spellings.
    Loose,
}

impl Tx {
    /// A row by its id, be it merged or deleted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find(
        &mut self,
        app: &AppSlug,
        id: &CustomerId,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT kept FROM customers WHERE app = $1 AND id = $2";
        let row = self
            .fetch_opt(sql, binds![app.as_str(), id.as_str()])
            .await?;
        row.as_ref().map(customer_of).transpose()
    }

    /// The customer with an external id: what an admin set comes first, then billing accounts
    /// of that id, with or without the provider and `_` before it, then what is shown, and last
    /// the same under `other_spellings`. Of a merged row the one that is shown; deleted ones are
    /// not found. Accounts of connected accounts are found by what is shown for them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find_by_external(
        &mut self,
        app: &AppSlug,
        external_id: &str,
        other_spellings: &[String],
    ) -> Result<Option<Customer>, StoreError> {
        // Of a key without a connected account, the part before the id is empty.
        let unconnected = "SUBSTR(key, LENGTH(key) - LENGTH(id) - 1, 2) = '::'";
        let mut found = format!(
            "SELECT id, 0 AS rank FROM customers WHERE app = $1 AND admin_external_id = $2 \
             UNION ALL SELECT customer_id, 1 FROM accounts \
             WHERE app = $1 AND id = $2 AND {unconnected} \
             UNION ALL SELECT customer_id, 1 FROM accounts \
             WHERE app = $1 AND id = $3 AND {unconnected} AND key LIKE $4 \
             UNION ALL SELECT id, 2 FROM customers WHERE app = $1 AND external_id = $2"
        );
        let prefixed = prefixed_account(external_id);
        let (id, of_provider) = prefixed.map_or(("", String::new()), |(provider, id)| {
            (id, format!("account:{provider}:%"))
        });
        let mut binds = binds![app.as_str(), external_id, id, of_provider];
        if !other_spellings.is_empty() {
            found.push_str(
                " UNION ALL SELECT id, 3 FROM customers \
                 WHERE app = $1 AND admin_external_id IN (SELECT key FROM {rows} AS other) \
                 UNION ALL SELECT id, 4 FROM customers \
                 WHERE app = $1 AND external_id IN (SELECT key FROM {rows} AS other)",
            );
            binds.extend(binds![Batch::keys(other_spellings)]);
        }
        self.customer_best(&found, binds).await
    }

    /// The customer with an e-mail address, in whatever case: what an admin set comes first,
    /// then the address by which billing accounts are linked, then what is shown. Of a merged
    /// row the one that is shown; deleted ones are not found.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find_by_email(
        &mut self,
        app: &AppSlug,
        email: &str,
        which: Match,
    ) -> Result<Option<Customer>, StoreError> {
        let Some(email) = fold_email(email) else {
            return Ok(None);
        };
        let found = "SELECT id, 0 AS rank FROM customers WHERE app = $1 AND admin_email = $2 \
                     UNION ALL SELECT customer_id, 1 FROM accounts \
                     WHERE app = $1 AND linking_email = $2";
        let shown = " UNION ALL SELECT id, 2 FROM customers WHERE app = $1 AND email = $2";
        let found = match which {
            Match::Unique => found.to_owned(),
            Match::Loose => format!("{found}{shown}"),
        };
        self.customer_best(&found, binds![app.as_str(), email])
            .await
    }

    /// The customer shown for the best of some rows: the lowest rank, then the first made.
    async fn customer_best(
        &mut self,
        found: &str,
        binds: Vec<Value>,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = format!(
            "SELECT shown.kept FROM ({found}) AS found \
             JOIN customers AS held ON held.id = found.id \
             JOIN customers AS shown ON shown.id = COALESCE(held.merged_into, held.id) \
             WHERE held.deleted_at IS NULL AND shown.deleted_at IS NULL \
             ORDER BY found.rank, shown.id LIMIT 1"
        );
        self.fetch_opt(&sql, binds)
            .await?
            .as_ref()
            .map(customer_of)
            .transpose()
    }

    /// Customers of an app, newest first, without merged rows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_list(
        &mut self,
        app: &AppSlug,
        wanted: &CustomerFilter,
        window: &Window,
    ) -> Result<Listed<Customer>, StoreError> {
        let select = "SELECT customers.id, customers.kept FROM customers";
        let filter = filter_of(app, wanted);
        self.list(select, filter, Key::Text("id"), window, customer_of)
            .await
    }
}

fn filter_of(app: &AppSlug, wanted: &CustomerFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app.as_str());
    filter.and_plain("merged_into IS NULL");
    if !wanted.include_deleted {
        filter.and_plain("deleted_at IS NULL");
    }
    if let Some(email) = &wanted.email {
        filter.and("email LIKE ? ESCAPE '\\'", part(&email.to_lowercase()));
    }
    if let Some(external_id) = &wanted.external_id {
        filter.and("external_id = ?", external_id.as_str());
    }
    if let Some(user_id) = &wanted.user_id {
        filter.and("user_id = ?", user_id.as_str());
    }
    if let Some(status) = &wanted.status {
        filter.and("status = ?", status.as_str());
    }
    if let Some(text) = &wanted.text {
        let condition = "(email LIKE ? ESCAPE '\\' OR name LIKE ? ESCAPE '\\' \
                         OR LOWER(external_id) LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\')";
        filter.and(condition, part(&text.to_lowercase()));
    }
    if let Some(after) = wanted.created_after {
        filter.and("made_at > ?", after);
    }
    // `|| ''` makes an expression of the column, which SQLite asks for before it looks into an
    // index of expressions.
    let holds_token = "EXISTS (SELECT 1 FROM customers AS held \
                       JOIN tokens ON tokens.customer_id = held.id WHERE held.app = customers.app \
                       AND COALESCE(held.merged_into, held.id) = customers.id || '')";
    match wanted.has_token {
        Some(true) => filter.and_plain(holds_token),
        Some(false) => filter.and_plain(&format!("NOT {holds_token}")),
        None => {}
    }
    filter
}

/// A `LIKE` pattern for texts that contain this one.
pub(super) fn part(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}

/// A subquery of the rows that stand for a customer: its own, and those merged into it. Both
/// arguments are parameters such as `$1`.
pub(super) fn rows_of(app: &str, id: &str) -> String {
    // The id itself stands there for what was deleted: events still name it.
    format!(
        "SELECT CAST({id} AS TEXT) UNION ALL SELECT id FROM customers \
         WHERE app = {app} AND COALESCE(merged_into, id) = {id}"
    )
}

pub(super) fn customer_of(row: &Row) -> Result<Customer, StoreError> {
    row.json("kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_plain_characters() {
        assert_eq!(part("50%_\\"), "%50\\%\\_\\\\%");
    }
}
