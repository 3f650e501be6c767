//! Plans of admins that wait behind those of the settings for the same prices, and count as soon as
//! the settings do not name the prices any more.

use super::plan::StoredPlan;
use super::record::binds;
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider};

impl Tx {
    /// Finds the plan that waits behind that of the settings for a price.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_plan_find(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<Option<StoredPlan>, StoreError> {
        let sql = r"
            SELECT
                provider, price_id, name, packages, licenses, counts, updates, 'api' AS source,
                updated_at
            FROM waiting_plans
            WHERE app = $1 AND provider = $2 AND price_id = $3
        ";
        self.fetch_opt(sql, binds![app, provider, price_id]).await
    }

    /// Lists the plans of an app that wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_plan_list(
        &mut self,
        app: &AppSlug,
    ) -> Result<Vec<StoredPlan>, StoreError> {
        let sql = r"
            SELECT
                provider, price_id, name, packages, licenses, counts, updates, 'api' AS source,
                updated_at
            FROM waiting_plans
            WHERE app = $1
            ORDER BY provider, price_id
        ";
        self.fetch(sql, binds![app]).await
    }

    /// Lets a plan wait, in place of one that waits already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_plan_put(
        &mut self,
        app: &AppSlug,
        plan: &StoredPlan,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO waiting_plans (
                app, provider, price_id, name, packages, licenses, counts, updates, updated_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (app, provider, price_id) DO UPDATE SET
                name = excluded.name,
                packages = excluded.packages,
                licenses = excluded.licenses,
                counts = excluded.counts,
                updates = excluded.updates,
                updated_at = excluded.updated_at
        ";
        let binds = binds![
            app,
            plan.provider,
            &plan.price_id,
            &plan.name,
            &plan.packages,
            &plan.licenses,
            plan.counts,
            plan.updates,
            plan.updated_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a plan that waits; `false` if there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_plan_delete(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM waiting_plans WHERE app = $1 AND provider = $2 AND price_id = $3";
        let removed = self.execute(sql, binds![app, provider, price_id]).await?;
        Ok(removed > 0)
    }
}
