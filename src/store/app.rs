//! Apps, their policies and settings. An app that is being deleted is not found.

use std::collections::BTreeSet;

use super::filter::Filter;
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::app_settings::KeptSettings;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name in URLs.
    pub slug: AppSlug,
    /// Its name for people.
    pub name: String,
    /// How billing events affect its customers' access.
    pub policy: Policy,
    /// Its settings.
    pub settings: KeptSettings,
    /// Time of its creation, by the local clock.
    pub created_at: Timestamp,
}

record! {
    impl App from "apps" { slug, name, policy, settings, created_at }
}

record! {
    struct PolicyRow from "apps" {
        policy: Policy,
    }
}

impl Tx {
    /// Makes the app `default` if it is missing. Returns true if it was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_ensure_default(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let app = App {
            slug: AppSlug::default_app(),
            name: "Default".to_owned(),
            policy: Policy::default(),
            settings: KeptSettings::default(),
            created_at: now,
        };
        self.app_add(&app).await
    }

    /// Adds an app; `false` if its slug is taken.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_add(&mut self, app: &App) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO apps (slug, name, policy, settings, created_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (slug) DO NOTHING
        ";
        let binds = binds![
            &app.slug,
            &app.name,
            &app.policy,
            &app.settings,
            app.created_at,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Finds an app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_find(&mut self, slug: &AppSlug) -> Result<Option<App>, StoreError> {
        let sql = r"
            SELECT slug, name, policy, settings, created_at
            FROM apps
            WHERE slug = $1 AND deleting IS NULL
        ";
        self.fetch_opt(sql, binds![slug]).await
    }

    /// Returns those of these apps that exist.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_existing(
        &mut self,
        slugs: impl IntoIterator<Item = &AppSlug> + Send,
    ) -> Result<BTreeSet<AppSlug>, StoreError> {
        let sql = r"
            SELECT slug
            FROM apps
            WHERE slug IN (SELECT key FROM {rows} AS wanted) AND deleting IS NULL
        ";
        self.fetch_values("apps", sql, binds![keys(slugs)]).await
    }

    /// Counts all apps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_count(&mut self) -> Result<u64, StoreError> {
        self.count_all("SELECT slug FROM apps", Filter::all()).await
    }

    /// Lists all apps, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_list(&mut self) -> Result<Vec<App>, StoreError> {
        let sql = r"
            SELECT slug, name, policy, settings, created_at
            FROM apps
            WHERE deleting IS NULL
            ORDER BY created_at DESC, slug
        ";
        self.fetch(sql, binds![]).await
    }

    /// Gives an app another name; `false` if there is no such app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_rename(&mut self, slug: &AppSlug, name: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE apps SET name = $2 WHERE slug = $1";
        Ok(self.execute(sql, binds![slug, name]).await? > 0)
    }

    /// Sets an app's settings; `false` if there is no such app. Begins the walk that derives its
    /// customers anew; see [`app_walk`](Self::app_walk).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_settings_put(
        &mut self,
        slug: &AppSlug,
        settings: &KeptSettings,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE apps SET settings = $2, derive_after = '' WHERE slug = $1";
        Ok(self.execute(sql, binds![slug, settings]).await? > 0)
    }

    /// Returns an app's policy.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_policy(&mut self, slug: &AppSlug) -> Result<Option<Policy>, StoreError> {
        let sql = "SELECT policy FROM apps WHERE slug = $1 AND deleting IS NULL";
        let found: Option<PolicyRow> = self.fetch_opt(sql, binds![slug]).await?;
        Ok(found.map(|row| row.policy))
    }

    /// Sets an app's policy; `false` if there is no such app. Begins the walk that derives its
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
        Ok(self.execute(sql, binds![slug, policy]).await? > 0)
    }

    /// Has all customers of an app derived anew, as after a change of its policy.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walk_begin(&mut self, slug: &AppSlug) -> Result<(), StoreError> {
        let sql = "UPDATE apps SET derive_after = '' WHERE slug = $1";
        self.execute(sql, binds![slug]).await?;
        Ok(())
    }

    /// Lists the apps that have customers who are still shown as the previous policy says.
    /// Those that are paused wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walks(&mut self) -> Result<Vec<AppSlug>, StoreError> {
        let sql = r"
            SELECT slug
            FROM apps
            WHERE derive_after IS NOT NULL
                AND slug NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
            ORDER BY slug
        ";
        self.fetch_values("apps", sql, binds![]).await
    }

    /// Tells how far the customers of an app are shown as its policy says: the id of the last
    /// one, empty before the first; `None` when all are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn app_walk(&mut self, slug: &AppSlug) -> Result<Option<String>, StoreError> {
        let sql = "SELECT derive_after FROM apps WHERE slug = $1";
        let found: Option<Option<String>> = self.fetch_value("apps", sql, binds![slug]).await?;
        Ok(found.flatten())
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
        self.execute(sql, binds![slug, to]).await?;
        Ok(())
    }
}
