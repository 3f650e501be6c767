//! Customers, as people and scripts look for them. They are written with their working set.

use super::account::{Meant, meant_by};
use super::cell::Nanos;
use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{Binds, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::customer::row::Customer;
use crate::domain::email::{fold_email, fold_email_part};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::spelling;
use crate::domain::time::Timestamp;

/// The customers that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct CustomerFilter {
    /// Part of the e-mail address, in any spelling.
    pub email: Option<String>,
    /// The whole external id, or the id of a billing account.
    pub external_id: Option<String>,
    /// The other forms in which the external id may be written.
    pub other_spellings: Vec<String>,
    /// The whole user id.
    pub user_id: Option<String>,
    /// The status: `active`, `suspended`, `frozen` or `expired`.
    pub status: Option<String>,
    /// Part of the name, e-mail address, external id or id.
    pub text: Option<String>,
    /// Made after this instant.
    pub created_after: Option<Timestamp>,
    /// With an access token, or without.
    pub has_token: Option<bool>,
    /// Also those that were deleted softly.
    pub include_deleted: bool,
}

record! {
    /// A row as its document says it.
    pub(super) struct CustomerRow from "customers" {
        kept: Customer,
    }
}

record! {
    struct DueRow from "customers" {
        app: AppSlug,
        id: CustomerId,
    }
}

impl From<CustomerRow> for Customer {
    fn from(row: CustomerRow) -> Self {
        row.kept
    }
}

/// The beginning of every list of customers.
pub(super) const LIST: &str = r"
    SELECT customers.kept
    FROM customers
";

impl Tx {
    /// Finds a row by its id, be it merged or deleted, unless it is hidden.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find(
        &mut self,
        app: &AppSlug,
        id: &CustomerId,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = "SELECT kept FROM customers WHERE app = $1 AND id = $2";
        let found: Option<CustomerRow> = self.fetch_opt(sql, binds![app, id]).await?;
        Ok(found.map(Customer::from).filter(|row| !row.hidden))
    }

    /// Finds the customer with an external id: one that an admin set comes first, then billing
    /// accounts of that id, with or without the provider and `_` before it, then the external id
    /// shown, then accounts with that id of the seller's own that no admin has parted from its
    /// customer, and last, if there are `other_spellings`, the first and the third under these, and
    /// accounts of that id at any connected account. For a merged row, the row shown instead is
    /// found; deleted customers are not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find_by_external(
        &mut self,
        app: &AppSlug,
        external_id: &str,
        other_spellings: &[String],
    ) -> Result<Option<Customer>, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        let found = meant_by(&mut filter, external_id, other_spellings);
        let (_, binds) = filter.into_parts();
        self.customer_best(&found, binds).await
    }

    /// Finds the customer who has an external id for good, so that nobody else can get it: one that
    /// an admin gave it, in this or another spelling, or the one of a billing account of that id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_holding_external_id(
        &mut self,
        app: &AppSlug,
        external_id: &str,
        other_spellings: &[String],
        own: Option<&CustomerId>,
    ) -> Result<Option<Customer>, StoreError> {
        let found = r"
            SELECT id, 0 AS rank FROM customers
            WHERE app = $1 AND admin_external_id IN (SELECT key FROM {rows} AS spelling)
                AND COALESCE(merged_into, id) <> $8
            UNION ALL
            SELECT customer_id, 1 FROM accounts
            WHERE app = $1 AND id = $3 AND customer_id <> $8
                AND SUBSTR(key, LENGTH(key) + 1 - LENGTH(CAST($4 AS TEXT))) = $4
            UNION ALL
            SELECT customer_id, 1 FROM accounts
            WHERE app = $1 AND id = $5 AND key LIKE $6 AND customer_id <> $8
                AND SUBSTR(key, LENGTH(key) + 1 - LENGTH(CAST($7 AS TEXT))) = $7
        ";
        let own = own.map(CustomerId::as_str).unwrap_or_default();
        let spellings = other_spellings.iter().map(String::as_str);
        let spellings = keys(spellings.chain([external_id]));
        let (bare, prefixed) = Meant::by(external_id);
        let (id, tail) = (bare.id, bare.tail);
        let Meant {
            id: with,
            keys: of,
            tail: end,
        } = prefixed;
        let binds = binds![app, spellings, id, tail, with, of, end, own];
        self.customer_best(found, binds).await
    }

    /// Finds the customer with an e-mail address, in any spelling: one that an admin gave it, else
    /// one with a billing account whose first address it is, before all the one that shows it. An
    /// address that an account changed to is never looked at: its owner may be somebody else.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_find_by_email(
        &mut self,
        app: &AppSlug,
        email: &str,
    ) -> Result<Option<Customer>, StoreError> {
        let Some(email) = fold_email(email) else {
            return Ok(None);
        };
        let found = r"
            SELECT id, 0 AS rank FROM customers
            WHERE app = $1 AND admin_email = $2
            UNION ALL
            SELECT accounts.customer_id, CASE WHEN customers.email = $2 THEN 1 ELSE 2 END
            FROM accounts
            JOIN customers ON customers.id = accounts.customer_id
            WHERE accounts.app = $1 AND accounts.linking_email = $2
        ";
        self.customer_best(found, binds![app, email]).await
    }

    /// Finds the customer to whom an admin gave an e-mail address, in any spelling.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_given_email(
        &mut self,
        app: &AppSlug,
        email: &str,
        own: Option<&CustomerId>,
    ) -> Result<Option<Customer>, StoreError> {
        let Some(email) = fold_email(email) else {
            return Ok(None);
        };
        let found = r"
            SELECT id, 0 AS rank FROM customers
            WHERE app = $1 AND admin_email = $2 AND COALESCE(merged_into, id) <> $3
        ";
        let own = own.map(CustomerId::as_str).unwrap_or_default();
        self.customer_best(found, binds![app, email, own]).await
    }

    /// Returns the customer shown for the best of some rows: the lowest rank, then the first made.
    async fn customer_best(
        &mut self,
        found: &str,
        binds: Binds,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = format!(
            r"
            SELECT shown.kept
            FROM ({found}) AS found
            JOIN customers AS held ON held.id = found.id
            JOIN customers AS shown ON shown.id = COALESCE(held.merged_into, held.id)
            WHERE held.deleted_at IS NULL AND shown.deleted_at IS NULL
            ORDER BY found.rank, shown.id
            LIMIT 1
            "
        );
        let best: Option<CustomerRow> = self.fetch_opt(&sql, binds).await?;
        Ok(best.map(Customer::from))
    }

    /// Lists customers of an app, newest first, without merged rows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_list(
        &mut self,
        app: &AppSlug,
        wanted: &CustomerFilter,
        window: &Window,
    ) -> Result<Listed<Customer>, StoreError> {
        let filter = filter_of(app, wanted);
        let list = self.list(LIST, filter, Key::Id("id"), window, cursor_of);
        Ok(list.await?.map(Customer::from))
    }

    /// Lists customers whose due time has come, the longest overdue first. Those of apps that are paused
    /// wait.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_due(
        &mut self,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<(AppSlug, CustomerId)>, StoreError> {
        let sql = r"
            SELECT app, id
            FROM customers
            WHERE due_at <= $1
                AND app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
                AND app NOT IN (SELECT slug FROM apps WHERE deleting IS NOT NULL)
            ORDER BY due_at
            LIMIT $2
        ";
        let rows: Vec<DueRow> = self.fetch(sql, binds![Nanos(now), most]).await?;
        Ok(rows.into_iter().map(|row| (row.app, row.id)).collect())
    }

    /// Lists the ids of customers in their order, deleted and hidden ones too, behind an id.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_after(
        &mut self,
        app: &AppSlug,
        after: &str,
        most: i64,
    ) -> Result<Vec<CustomerId>, StoreError> {
        let sql = r"
            SELECT id
            FROM customers
            WHERE app = $1 AND id > $2 AND (merged_into IS NULL OR merged_into = id)
            ORDER BY id
            LIMIT $3
        ";
        self.fetch_values("customers", sql, binds![app, after, most])
            .await
    }
}

/// The cursor of a list of customers.
pub(super) fn cursor_of(row: &CustomerRow) -> String {
    row.kept.id.to_string()
}

fn filter_of(app: &AppSlug, wanted: &CustomerFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app);
    filter.and_plain("merged_into IS NULL");
    if !wanted.include_deleted {
        filter.and_plain("deleted_at IS NULL");
    }
    if let Some(email) = &wanted.email {
        filter.and(r"email LIKE ? ESCAPE '\'", part(&address(email)));
    }
    if let Some(external_id) = &wanted.external_id {
        let found = meant_by(&mut filter, external_id, &wanted.other_spellings);
        let deleted = if wanted.include_deleted {
            ""
        } else {
            "AND held.deleted_at IS NULL"
        };
        // Of several whom the id can mean, those who are found by it elsewhere.
        filter.and_plain(&format!(
            r"id IN (
                WITH claims AS (
                    SELECT COALESCE(held.merged_into, held.id) AS id, found.rank
                    FROM ({found}) AS found
                    JOIN customers AS held ON held.id = found.id {deleted}
                )
                SELECT id FROM claims WHERE rank = (SELECT MIN(rank) FROM claims)
            )"
        ));
    }
    if let Some(user_id) = &wanted.user_id {
        filter.and("user_id = ?", user_id);
    }
    if let Some(status) = &wanted.status {
        filter.and("status = ?", status);
    }
    if let Some(text) = &wanted.text {
        let email = filter.place(part(&address(text)));
        let name = filter.place(part(&name(text)));
        let condition = format!(
            r"(
            email LIKE {email} ESCAPE '\'
            OR name LIKE {name} ESCAPE '\'
            OR LOWER(external_id) LIKE ? ESCAPE '\'
            OR id LIKE ? ESCAPE '\'
        )"
        );
        // The engines fold the letters of ASCII alone.
        filter.and(&condition, part(&text.to_ascii_lowercase()));
    }
    if let Some(after) = wanted.created_after {
        // As it is shown: a time that an answer had leaves out what was created then.
        filter.and("made_at > ?", after.last_shown_alike());
    }
    // `|| ''` makes an expression of the column, which SQLite asks for before it looks into an
    // index of expressions.
    let holds_token = r"EXISTS (
        SELECT 1
        FROM customers AS held
        JOIN tokens ON tokens.customer_id = held.id
        WHERE held.app = customers.app
            AND COALESCE(held.merged_into, held.id) = customers.id || ''
    )";
    match wanted.has_token {
        Some(true) => filter.and_plain(holds_token),
        Some(false) => filter.and_plain(&format!("NOT {holds_token}")),
        None => {}
    }
    filter
}

/// A part of an address as it is stored. A `+` that was not encoded arrives as a blank, and no
/// address has one.
fn address(part: &str) -> String {
    let part = part.trim().replace(' ', "+");
    match fold_email_part(&part) {
        Some(folded) => folded,
        None if part.is_empty() => "+".to_owned(),
        None => part,
    }
}

/// A part of a name as it is stored. Of one that shows nothing nothing is left, which is no search.
fn name(part: &str) -> String {
    match spelling::fold(part) {
        folded if folded.is_empty() => part.to_owned(),
        folded => folded,
    }
}

/// A `LIKE` pattern for texts that contain this one.
pub(super) fn part(text: &str) -> String {
    format!("%{}%", literal(text))
}

/// The part of a `LIKE` pattern that stands for exactly this text.
pub(super) fn literal(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_are_plain_characters() {
        assert_eq!(part("50%_\\"), "%50\\%\\_\\\\%");
    }
}
