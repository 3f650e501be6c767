//! Deleting an app: at once if it is small, otherwise a part at a time.
//!
//! One statement would take a large app away with everything in it, but for minutes, and a database
//! ends statements long before that. So a large app is marked, which hides it, and its rows are deleted
//! table by table.

use super::record::{binds, keys, record};
use super::{LockMode, StoreError, Tx};
use crate::domain::id::AppSlug;

/// A table that grows with an app.
struct Table {
    name: &'static str,
    /// What of its key is not the app. An index has the app and this, in their order.
    key: &'static str,
    /// How many rows one step deletes: what takes some tenths of a second at most.
    most: u32,
    /// The condition of that index, if it has one. The few rows that do not meet it go at the end.
    only: &'static str,
}

const fn table(name: &'static str, key: &'static str, most: u32) -> Table {
    let only = "";
    Table {
        name,
        key,
        most,
        only,
    }
}

/// The tables that grow with an app, in the order in which they are emptied. The rows of others go with
/// a row of these, or with the app at the end.
const TABLES: [Table; 20] = [
    // With their payloads.
    table("events", "seq", 2_000),
    table("event_objects", "hash, seq", 5_000),
    table("audit", "seq", 5_000),
    table("hook_deliveries", "seq", 5_000),
    Table {
        only: "AND customer_id IS NOT NULL",
        ..table("changes", "customer_id", 5_000)
    },
    table("payments", "key", 2_000),
    table("refunds", "key", 2_000),
    table("disputes", "key", 2_000),
    table("subscriptions", "key", 2_000),
    table("accounts", "key", 2_000),
    table("pairs", "key, other", 5_000),
    table("flags", "holder, place", 2_000),
    table("grants", "customer_id, package", 2_000),
    // With their activations.
    table("licenses", "id", 200),
    table("tokens", "id", 2_000),
    // With their entitlements.
    table("customers", "id", 500),
    table("erasures", "customer_id", 2_000),
    table("erased_objects", "hash, account", 5_000),
    table("retired_token_hashes", "hash", 5_000),
    table("releases", "package, normalized", 5_000),
];

/// An app with more rows than this in one of its large tables is deleted a part at a time.
const MOST_AT_ONCE: u32 = 5_000;

record! {
    struct DeletingRow from "apps" {
        slug: AppSlug,
        deleting: String,
    }
}

impl Tx {
    /// Tells whether an app is small enough to be deleted at once.
    pub(crate) async fn app_is_small(&mut self, slug: &AppSlug) -> Result<bool, StoreError> {
        for Table { name, only, .. } in TABLES {
            let sql = format!(
                r"
                SELECT COUNT(*) AS n
                FROM (SELECT 1 FROM {name} WHERE app = $1 {only} LIMIT $2) AS first
                "
            );
            let binds = binds![slug, MOST_AT_ONCE + 1];
            let rows: Option<u64> = self.fetch_value(name, &sql, binds).await?;
            if rows.is_some_and(|rows| rows > u64::from(MOST_AT_ONCE)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes an app with all that belongs to it; `false` if there was none. Its messages in the
    /// built-in queue go too: an app made later under the same slug is another tenant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_delete(&mut self, slug: &AppSlug) -> Result<bool, StoreError> {
        self.lock_apps([slug], LockMode::Exclusive).await?;
        self.app_messages_delete(slug).await?;
        let sql = "DELETE FROM apps WHERE slug = $1";
        Ok(self.execute(sql, binds![slug]).await? > 0)
    }

    /// Hides an app that is to be deleted a part at a time. From the commit on it is not there for
    /// anybody: no webhook is taken, no token opens anything, nothing is told to its hooks, and workers
    /// do nothing for it but empty its tables. The caller holds its exclusive lock.
    pub(crate) async fn app_delete_begin(&mut self, slug: &AppSlug) -> Result<(), StoreError> {
        let sql = "UPDATE apps SET deleting = '', derive_after = NULL WHERE slug = $1";
        self.execute(sql, binds![slug]).await?;
        self.app_close(slug).await
    }

    /// Deletes what opens an app, and what is under way in it.
    async fn app_close(&mut self, slug: &AppSlug) -> Result<(), StoreError> {
        self.app_messages_delete(slug).await?;
        for sql in [
            r"
            DELETE FROM token_hashes
            WHERE token_id IN (SELECT id FROM tokens WHERE app = $1)
            ",
            "DELETE FROM admin_tokens WHERE app = $1",
            "DELETE FROM endpoint_secrets WHERE app = $1",
            "DELETE FROM api_keys WHERE app = $1",
            "DELETE FROM refetches WHERE app = $1",
            "DELETE FROM replays WHERE app = $1",
            "DELETE FROM reconciles WHERE app = $1",
            "DELETE FROM pauses WHERE app = $1",
            "DELETE FROM acknowledged WHERE app = $1",
            // As an admin would, so that nobody is told of it. Their deliveries may be many.
            r"
            UPDATE hooks SET status = 'disabled', reason = 'admin'
            WHERE app = $1 AND (status <> 'disabled' OR reason <> 'admin')
            ",
            // Those that others were told of go at the end.
            "DELETE FROM changes WHERE app = $1 AND published_at IS NULL",
        ] {
            self.execute(sql, binds![slug]).await?;
        }
        Ok(())
    }

    /// Tells whether an app is being deleted.
    pub(crate) async fn app_is_being_deleted(
        &mut self,
        slug: &AppSlug,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT slug FROM apps WHERE slug = $1 AND deleting IS NOT NULL";
        let found: Option<AppSlug> = self.fetch_value("apps", sql, binds![slug]).await?;
        Ok(found.is_some())
    }

    /// Finds an app that is being deleted, and the place of the table that is being emptied.
    pub(crate) async fn app_delete_next(&mut self) -> Result<Option<(AppSlug, usize)>, StoreError> {
        let sql = r"
            SELECT slug, deleting
            FROM apps
            WHERE deleting IS NOT NULL
            ORDER BY slug
            LIMIT 1
        ";
        let row: Option<DeletingRow> = self.fetch_opt(sql, binds![]).await?;
        Ok(row.map(|row| {
            // A name that is not known, as that of no table at first, begins anew.
            let place = TABLES.iter().position(|it| it.name == row.deleting);
            (row.slug, place.unwrap_or_default())
        }))
    }

    /// Deletes some rows of an app that is being deleted, from the table at a place. Returns whether
    /// there may be more than a deletion at once can take.
    pub(crate) async fn app_delete_step(
        &mut self,
        slug: &AppSlug,
        place: usize,
    ) -> Result<bool, StoreError> {
        let Some(table) = TABLES.get(place) else {
            return Ok(false);
        };
        let sql = self.app_rows_delete(table);
        let binds = binds![slug, table.most];
        let gone = if table.name == "events" {
            // The payloads by the very events that went.
            let sql = format!("{sql} RETURNING seq");
            let gone: Vec<i64> = self.fetch_values("events", &sql, binds).await?;
            let sql = "DELETE FROM payloads WHERE seq IN (SELECT key FROM {rows} AS gone)";
            self.execute(sql, binds![keys(gone.iter().copied())])
                .await?;
            u64::try_from(gone.len()).unwrap_or(u64::MAX)
        } else {
            self.execute(&sql, binds).await?
        };
        if gone >= u64::from(table.most) {
            return Ok(true);
        }
        let Some(next) = TABLES.get(place + 1) else {
            return Ok(false);
        };
        let sql = "UPDATE apps SET deleting = $2 WHERE slug = $1";
        self.execute(sql, binds![slug, next.name]).await?;
        if place == 0 {
            // Once more: what was under way when the app was hidden has ended since.
            self.app_close(slug).await?;
        }
        Ok(true)
    }

    /// The statement that deletes the next rows of an app from a table.
    fn app_rows_delete(&self, table: &Table) -> String {
        let Table {
            name, key, only, ..
        } = table;
        let next = |column: &str| {
            format!("SELECT {column} FROM {name} WHERE app = $1 {only} ORDER BY {key} LIMIT $2")
        };
        // What is estimated of a table that is being emptied is wrong, and a join by its key may then
        // read all of it for each row.
        if let Some(address) = self.session.row_address() {
            let next = next(address);
            format!("DELETE FROM {name} WHERE {address} = ANY (ARRAY({next}))")
        } else {
            let next = next(key);
            format!("DELETE FROM {name} WHERE app = $1 AND ({key}) IN ({next})")
        }
    }

    async fn app_messages_delete(&mut self, slug: &AppSlug) -> Result<(), StoreError> {
        let sql = "DELETE FROM messages WHERE headers ->> 'app' = $1";
        self.execute(sql, binds![slug]).await?;
        Ok(())
    }
}
