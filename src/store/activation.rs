//! Activations of licences.

use std::collections::BTreeMap;

use super::customer_rows::rows_of;
use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::activation::Activation;
use crate::domain::id::{ActivationId, AppSlug, CustomerId, LicenseId};

record! {
    impl Activation from "activations" { id, license, fingerprint, name, created_at }
}

record! {
    struct CountRow from "activations" {
        license: LicenseId,
        activations: u64,
    }
}

const SELECT: &str = r"
    SELECT id, license_id AS license, fingerprint, name, created_at
    FROM activations
";

impl Tx {
    /// Counts the activations of some licences. One that has none is left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_count<'a>(
        &mut self,
        licenses: impl IntoIterator<Item = &'a LicenseId> + Send,
    ) -> Result<BTreeMap<LicenseId, u64>, StoreError> {
        let sql = r"
            SELECT license_id AS license, COUNT(*) AS activations
            FROM activations
            WHERE license_id IN (SELECT key FROM {rows} AS wanted)
            GROUP BY license_id
        ";
        let found: Vec<CountRow> = self.fetch(sql, binds![keys(licenses)]).await?;
        let counts = found.into_iter().map(|row| (row.license, row.activations));
        Ok(counts.collect())
    }

    /// Finds the activation of a licence by its fingerprint.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_find(
        &mut self,
        license: &LicenseId,
        fingerprint: &str,
    ) -> Result<Option<Activation>, StoreError> {
        let sql = format!("{SELECT} WHERE license_id = $1 AND fingerprint = $2");
        self.fetch_opt(&sql, binds![license, fingerprint]).await
    }

    /// Finds an activation of a licence by its id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_show(
        &mut self,
        license: &LicenseId,
        id: &ActivationId,
    ) -> Result<Option<Activation>, StoreError> {
        let sql = format!("{SELECT} WHERE license_id = $1 AND id = $2");
        self.fetch_opt(&sql, binds![license, id]).await
    }

    /// Lists the activations of a licence, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_list(
        &mut self,
        license: &LicenseId,
        window: &Window,
    ) -> Result<Listed<Activation>, StoreError> {
        self.activations(Filter::new("license_id = ?", license), window)
            .await
    }

    /// Lists the activations of all licences of a customer, those of the rows that were merged into its
    /// row included, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_list_of(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        window: &Window,
    ) -> Result<Listed<Activation>, StoreError> {
        let mut filter = Filter::all();
        let (app, rows) = (filter.place(app), rows_of("?"));
        let licenses =
            format!("SELECT id FROM licenses WHERE app = {app} AND customer_id IN ({rows})");
        filter.and(&format!("license_id IN ({licenses})"), customer);
        self.activations(filter, window).await
    }

    async fn activations(
        &mut self,
        filter: Filter,
        window: &Window,
    ) -> Result<Listed<Activation>, StoreError> {
        let id = |row: &Activation| row.id.to_string();
        self.list(SELECT, filter, Key::Id("id"), window, id).await
    }

    /// Adds an activation; `false` if its fingerprint is active already.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such licence.
    pub async fn activation_add(&mut self, activation: &Activation) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO activations (id, license_id, fingerprint, name, created_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (license_id, fingerprint) DO NOTHING
        ";
        let binds = binds![
            &activation.id,
            &activation.license,
            &activation.fingerprint,
            activation.name.as_ref(),
            activation.created_at,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Removes an activation of a licence; `false` if there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_delete(
        &mut self,
        license: &LicenseId,
        id: &ActivationId,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM activations WHERE license_id = $1 AND id = $2";
        Ok(self.execute(sql, binds![license, id]).await? > 0)
    }

    /// Removes all activations of a licence; returns how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activation_clear(&mut self, license: &LicenseId) -> Result<u64, StoreError> {
        let sql = "DELETE FROM activations WHERE license_id = $1";
        self.execute(sql, binds![license]).await
    }
}
