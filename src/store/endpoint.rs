//! What is remembered of the endpoints of providers, beside their secrets, and what a batch of
//! events has to know of its apps.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::app_settings::{AppSettings, KeptSettings};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

/// What decides which events of an app count.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppTerms {
    /// The app's settings.
    pub(crate) settings: AppSettings,
    /// The providers whose endpoints are live although their secrets are of any mode.
    pub(crate) live: BTreeSet<Provider>,
    /// The providers that can be asked, because there is a key.
    pub(crate) asks: BTreeSet<Provider>,
    /// What workers do for it waits.
    pub(crate) paused: bool,
}

record! {
    struct TermsRow from "apps, live_endpoints, api_keys, pauses" {
        slug: AppSlug,
        settings: Option<KeptSettings>,
        provider: Option<Provider>,
        asked: Option<Provider>,
        paused: Option<AppSlug>,
    }
}

impl Tx {
    /// Returns those of these apps that exist.
    pub(crate) async fn app_terms(
        &mut self,
        slugs: impl IntoIterator<Item = &AppSlug> + Send,
    ) -> Result<BTreeMap<AppSlug, AppTerms>, StoreError> {
        let sql = r"
            WITH wanted AS (SELECT key FROM {rows} AS given)
            SELECT slug, settings, NULL AS provider, NULL AS asked, NULL AS paused
            FROM apps
            WHERE slug IN (SELECT key FROM wanted) AND deleting IS NULL
            UNION ALL
            SELECT app, NULL, provider, NULL, NULL
            FROM live_endpoints
            WHERE app IN (SELECT key FROM wanted)
            UNION ALL
            SELECT app, NULL, NULL, provider, NULL
            FROM api_keys
            WHERE app IN (SELECT key FROM wanted)
            UNION ALL
            SELECT app, NULL, NULL, NULL, app
            FROM pauses
            WHERE app IN (SELECT key FROM wanted) AND ended_at IS NULL
        ";
        let rows: Vec<TermsRow> = self.fetch(sql, binds![keys(slugs)]).await?;
        let mut all: BTreeMap<AppSlug, AppTerms> = BTreeMap::new();
        for row in rows {
            let terms = all.entry(row.slug).or_default();
            if let Some(settings) = row.settings {
                terms.settings = settings.in_force();
            }
            terms.live.extend(row.provider);
            terms.asks.extend(row.asked);
            terms.paused |= row.paused.is_some();
        }
        Ok(all)
    }

    /// Remembers that an endpoint is live, from the time of its first live event on.
    pub(crate) async fn endpoint_mark_live(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO live_endpoints (app, provider, since)
            VALUES ($1, $2, $3)
            ON CONFLICT (app, provider) DO NOTHING
        ";
        self.execute(sql, binds![app, provider, since]).await?;
        Ok(())
    }

    /// Returns the time since which an endpoint is live although its secrets are of any mode.
    pub(crate) async fn endpoint_live_since(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT since FROM live_endpoints WHERE app = $1 AND provider = $2";
        self.fetch_value("live_endpoints", sql, binds![app, provider])
            .await
    }

    /// Reports whether an app has billing accounts in a provider's test mode.
    pub(crate) async fn endpoint_has_test_accounts(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<bool, StoreError> {
        // Keys are compared byte by byte, and `;` comes after `:`.
        let sql = r"
            SELECT key
            FROM accounts
            WHERE app = $1 AND key > $2 AND key < $3
            LIMIT 1
        ";
        let (from, to) = (
            format!("account:{provider}:test:"),
            format!("account:{provider}:test;"),
        );
        let found: Option<String> = self
            .fetch_value("accounts", sql, binds![app, from, to])
            .await?;
        Ok(found.is_some())
    }
}
