//! Registries: the Composer repositories of apps, and what held customers are told.

use std::collections::BTreeMap;

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::refusal::HeldMessage;
use crate::domain::id::AppSlug;

/// The Composer repository of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Where it is; `None`: the app has none.
    pub url: Option<String>,
    /// What opens it, as the vault sealed it.
    pub sealed: Option<Vec<u8>>,
    /// What customers are told who are held.
    pub held_text: Option<String>,
    /// Where they find more.
    pub held_url: Option<String>,
}

impl Registry {
    /// What customers are told who are held.
    pub fn held_message(&self) -> HeldMessage<'_> {
        HeldMessage {
            text: self.held_text.as_deref(),
            url: self.held_url.as_deref(),
        }
    }
}

record! {
    impl Registry from "registries" { url, sealed, held_text, held_url }
}

record! {
    struct OfApp from "registries" {
        app: AppSlug,
    }
}

impl Tx {
    /// Returns the registry of an app; an empty one if nobody has set it up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn registry_find(&mut self, app: &AppSlug) -> Result<Registry, StoreError> {
        let sql = r"
            SELECT url, sealed, held_text, held_url
            FROM registries
            WHERE app = $1
        ";
        Ok(self.fetch_opt(sql, binds![app]).await?.unwrap_or_default())
    }

    /// Lists the registries of all apps that have one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn registry_list(&mut self) -> Result<BTreeMap<AppSlug, Registry>, StoreError> {
        let sql = r"
            SELECT app, url, sealed, held_text, held_url
            FROM registries
            ORDER BY app
        ";
        let rows: Vec<(OfApp, Registry)> = self.fetch(sql, binds![]).await?;
        Ok(rows.into_iter().map(|(of, it)| (of.app, it)).collect())
    }

    /// Puts a newly sealed token in the place of another one of the same app; `false` if it is no
    /// longer there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn registry_reseal(
        &mut self,
        app: &AppSlug,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE registries SET sealed = $3 WHERE app = $1 AND sealed = $2";
        Ok(self.execute(sql, binds![app, from, to]).await? > 0)
    }

    /// Sets the registry of an app, which must exist.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn registry_put(
        &mut self,
        app: &AppSlug,
        registry: &Registry,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO registries (app, url, sealed, held_text, held_url)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (app) DO UPDATE SET
                url = excluded.url,
                sealed = excluded.sealed,
                held_text = excluded.held_text,
                held_url = excluded.held_url
        ";
        let binds = binds![
            app,
            &registry.url,
            registry.sealed.clone(),
            &registry.held_text,
            &registry.held_url,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }
}
