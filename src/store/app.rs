//! Apps, and their policies.

use std::collections::BTreeSet;

use super::driver::{Batch, Row, Value, binds};
use super::{LockMode, StoreError, Tx, document};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in URLs.
    pub slug: AppSlug,
    /// What people call it.
    pub name: String,
    /// What it wants to happen when billing says something.
    pub policy: Policy,
    /// When it was made, by the local clock.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "slug, name, policy, created_at";

impl Tx {
    /// Makes the app `default` if it is missing; whether it was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_ensure_default(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let app = App {
            slug: AppSlug::default_app(),
            name: "Default".to_owned(),
            policy: Policy::default(),
            created_at: now,
        };
        self.app_add(&app).await
    }

    /// Adds an app; `false` if its slug is taken.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_add(&mut self, app: &App) -> Result<bool, StoreError> {
        let sql = "INSERT INTO apps (slug, name, policy, created_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (slug) DO NOTHING";
        let policy = Value::Json(document(&app.policy)?);
        let binds = binds![app.slug.as_str(), app.name.as_str(), policy, app.created_at];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// An app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_find(&mut self, slug: &AppSlug) -> Result<Option<App>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM apps WHERE slug = $1");
        let row = self.fetch_opt(&sql, binds![slug.as_str()]).await?;
        row.as_ref().map(app_of).transpose()
    }

    /// Which of these apps there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_existing(
        &mut self,
        slugs: impl IntoIterator<Item = &AppSlug> + Send,
    ) -> Result<BTreeSet<AppSlug>, StoreError> {
        let sql = "SELECT slug FROM apps WHERE slug IN (SELECT key FROM {rows} AS wanted)";
        let rows = self.fetch(sql, binds![Batch::keys(slugs)]).await?;
        rows.iter().map(|row| row.parsed("slug")).collect()
    }

    /// All apps, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_list(&mut self) -> Result<Vec<App>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM apps ORDER BY created_at DESC, slug");
        self.fetch(&sql, binds![])
            .await?
            .iter()
            .map(app_of)
            .collect()
    }

    /// Gives an app another name; whether there is such an app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_rename(&mut self, slug: &AppSlug, name: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE apps SET name = $2 WHERE slug = $1";
        Ok(self.execute(sql, binds![slug.as_str(), name]).await? > 0)
    }

    /// Removes an app with all that belongs to it; whether there was one. Its messages in the
    /// built-in queue go too: an app made later under the same slug is another tenant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_delete(&mut self, slug: &AppSlug) -> Result<bool, StoreError> {
        self.lock_apps([slug], LockMode::Exclusive).await?;
        let sql = "DELETE FROM messages WHERE headers ->> 'app' = $1";
        self.execute(sql, binds![slug.as_str()]).await?;
        let sql = "DELETE FROM apps WHERE slug = $1";
        Ok(self.execute(sql, binds![slug.as_str()]).await? > 0)
    }

    /// An app's policy.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_policy(&mut self, slug: &AppSlug) -> Result<Option<Policy>, StoreError> {
        let sql = "SELECT policy FROM apps WHERE slug = $1";
        let row = self.fetch_opt(sql, binds![slug.as_str()]).await?;
        row.map(|row| row.json("policy")).transpose()
    }

    /// Sets an app's policy; whether there is such an app. Begins the walk that derives its
    /// customers anew; see [`app_walk`](Self::app_walk).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_policy_put(
        &mut self,
        slug: &AppSlug,
        policy: &Policy,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE apps SET policy = $2, derive_after = '' WHERE slug = $1";
        let binds = binds![slug.as_str(), Value::Json(document(policy)?)];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// The apps with customers who are still shown as the policy before says.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walks(&mut self) -> Result<Vec<AppSlug>, StoreError> {
        let sql = "SELECT slug FROM apps WHERE derive_after IS NOT NULL ORDER BY slug";
        let rows = self.fetch(sql, binds![]).await?;
        rows.iter().map(|row| row.parsed("slug")).collect()
    }

    /// How far the customers of an app are shown as its policy says: the id of the last one, empty
    /// before the first; `None` when all are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walk(&mut self, slug: &AppSlug) -> Result<Option<String>, StoreError> {
        let sql = "SELECT derive_after FROM apps WHERE slug = $1";
        let row = self.fetch_opt(sql, binds![slug.as_str()]).await?;
        row.map_or(Ok(None), |row| row.text_opt("derive_after"))
    }

    /// Notes how far the customers of an app are shown as its policy says; `None` for all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walked(
        &mut self,
        slug: &AppSlug,
        to: Option<&CustomerId>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE apps SET derive_after = $2 WHERE slug = $1";
        let binds = binds![slug.as_str(), to.map(CustomerId::as_str)];
        self.execute(sql, binds).await?;
        Ok(())
    }
}

fn app_of(row: &Row) -> Result<App, StoreError> {
    Ok(App {
        slug: row.parsed("slug")?,
        name: row.text("name")?,
        policy: row.json("policy")?,
        created_at: row.time("created_at")?,
    })
}
