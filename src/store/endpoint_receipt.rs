//! When webhooks last came to the endpoints of providers, and whether operators were told of a silence.
//!
//! Receivers write it, with the uses of secrets, every ten seconds: so it says what came, whether it was
//! processed or waits, and a batch of events does not pay for it.

use std::collections::BTreeMap;

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

/// The endpoint of an app for a provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The app.
    pub app: AppSlug,
    /// The provider.
    pub provider: Provider,
}

/// The last webhook of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    /// When it came, by the receiver's clock.
    pub at: Timestamp,
    /// True if it was signed with a secret of the settings, which the store does not have.
    pub of_settings: bool,
}

record! {
    /// An endpoint to which nothing has come for some time.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct QuietEndpoint from "endpoint_receipts" {
        /// The app.
        pub app: AppSlug,
        /// The provider.
        pub provider: Provider,
        /// When the last webhook came.
        pub last_at: Timestamp,
        /// The last webhook after which operators were told that nothing comes.
        pub told_of: Option<Timestamp>,
    }
}

record! {
    /// The last webhook of an endpoint, as it is shown.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LastWebhook from "endpoint_receipts" {
        /// The app.
        pub app: AppSlug,
        /// The provider.
        pub provider: Provider,
        /// When it came.
        pub last_at: Timestamp,
        /// The same, if operators were told that nothing has come since; `None` if it came lately, or
        /// nobody would miss another.
        pub told_of: Option<Timestamp>,
    }
}

impl LastWebhook {
    /// True if operators were told that nothing comes any more.
    pub fn is_silent(&self) -> bool {
        self.told_of.is_some()
    }
}

/// The most endpoints of which the last webhook is shown at once.
const MOST_SHOWN: i64 = 1_000;

record! {
    struct ReceiptRow<'a> {
        app: &'a AppSlug,
        provider: Provider,
        last_at: Timestamp,
        of_settings: bool,
    }
}

record! {
    struct SilentCount from "endpoint_receipts" {
        provider: Provider,
        endpoints: u64,
    }
}

/// An endpoint that somebody would miss: it still has a secret, and not one for tests alone. `$1`: now.
const IS_MISSED: &str = r"
    (
        of_settings
        OR EXISTS (
            SELECT 1
            FROM endpoint_secrets
            WHERE endpoint_secrets.app = endpoint_receipts.app
                AND endpoint_secrets.provider = endpoint_receipts.provider
                AND mode <> 'test'
                AND (expires_at IS NULL OR expires_at > $1)
        )
    )
";

impl Tx {
    /// Notes the last webhooks of endpoints. Those of an app that is gone are passed over, and no time
    /// goes back.
    pub(super) async fn receipt_add(
        &mut self,
        receipts: &BTreeMap<Endpoint, Receipt>,
    ) -> Result<(), StoreError> {
        let rows = receipts.iter().map(|(endpoint, last)| ReceiptRow {
            app: &endpoint.app,
            provider: endpoint.provider,
            last_at: last.at,
            of_settings: last.of_settings,
        });
        let rows: Rows<ReceiptRow<'_>> = rows.collect();
        // In one order, so that two receivers cannot wait for each other.
        let sql = r"
            INSERT INTO endpoint_receipts (app, provider, last_at, of_settings)
            SELECT app, provider, last_at, of_settings
            FROM {rows} AS new
            WHERE app IN (SELECT slug FROM apps)
            ORDER BY app, provider
            ON CONFLICT (app, provider) DO UPDATE SET
                last_at = excluded.last_at,
                of_settings = excluded.of_settings
            WHERE endpoint_receipts.last_at < excluded.last_at
        ";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }

    /// Forgets that endpoints of an app have a secret in the settings.
    pub(crate) async fn receipt_without_settings(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE endpoint_receipts
            SET of_settings = false
            WHERE app = $1 AND provider = $2 AND of_settings
        ";
        self.execute(sql, binds![app, provider]).await?;
        Ok(())
    }

    /// Lists the endpoints that somebody would miss and to which nothing came after an instant.
    pub(crate) async fn receipt_list_quiet(
        &mut self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<QuietEndpoint>, StoreError> {
        let sql = format!(
            r"
            SELECT app, provider, last_at, told_of
            FROM endpoint_receipts
            WHERE last_at <= $2 AND {IS_MISSED}
            ORDER BY app, provider
            "
        );
        self.fetch(&sql, binds![now, since]).await
    }

    /// Lists the last webhooks of the endpoints of an app, or of all apps, which are cut after a thousand.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn receipt_list(
        &mut self,
        app: Option<&AppSlug>,
        now: Timestamp,
    ) -> Result<Vec<LastWebhook>, StoreError> {
        let sql = format!(
            r"
            SELECT
                app, provider, last_at,
                CASE WHEN told_of = last_at AND {IS_MISSED} THEN told_of END AS told_of
            FROM endpoint_receipts
            WHERE $2 IS NULL OR app = $2
            ORDER BY app, provider
            LIMIT $3
            "
        );
        self.fetch(&sql, binds![now, app, MOST_SHOWN]).await
    }

    /// Notes that operators are told of a silence; `false` if they were already, or something has come.
    pub(crate) async fn receipt_tell(
        &mut self,
        endpoint: &QuietEndpoint,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE endpoint_receipts
            SET told_of = last_at
            WHERE app = $1 AND provider = $2 AND last_at = $3
                AND (told_of IS NULL OR told_of < last_at)
        ";
        let binds = binds![&endpoint.app, endpoint.provider, endpoint.last_at];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Forgets that operators were told of silences.
    pub(crate) async fn receipt_forget_told(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE endpoint_receipts SET told_of = NULL WHERE told_of IS NOT NULL";
        self.execute(sql, binds![]).await?;
        Ok(())
    }

    /// Counts the endpoints of all apps that are silent, by provider, as operators were told.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn receipt_count_silent(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<(Provider, u64)>, StoreError> {
        let sql = format!(
            r"
            SELECT provider, COUNT(*) AS endpoints
            FROM endpoint_receipts
            WHERE told_of = last_at AND {IS_MISSED}
            GROUP BY provider
            "
        );
        let counts: Vec<SilentCount> = self.fetch(&sql, binds![now]).await?;
        Ok(counts
            .into_iter()
            .map(|it| (it.provider, it.endpoints))
            .collect())
    }
}
