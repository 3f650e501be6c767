//! Plans: what a provider's price or product buys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::{StoreError, Tx, document};
use crate::domain::access::plan::{PackageGrant, Plans};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// Where a plan comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanSource {
    /// An admin set it.
    Api,
    /// The settings say it, at each start anew; the API may not change it.
    Environment,
}

words!(PlanSource, or PlanSourceError {
    Api = "api",
    Environment = "environment",
});

/// A word that names no [`PlanSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a source of plans: `api` or `environment`")]
pub struct PlanSourceError;

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whose price.
    pub provider: Provider,
    /// The provider's id of a price or product.
    pub price_id: String,
    /// What it buys. Empty: the price is known and buys nothing.
    pub packages: Vec<PackageGrant>,
    /// Where it comes from.
    pub source: PlanSource,
    /// When it was set, by the local clock.
    pub updated_at: Timestamp,
}

const COLUMNS: &str =
    "plans.provider, plans.price_id, plans.packages, plans.source, plans.updated_at";

impl Tx {
    /// A plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_find(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<Option<Plan>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM plans WHERE app = $1 AND provider = $2 AND price_id = $3"
        );
        let binds = binds![app.as_str(), provider.as_str(), price_id];
        self.fetch_opt(&sql, binds)
            .await?
            .as_ref()
            .map(plan_of)
            .transpose()
    }

    /// The plans of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_list(&mut self, app: &AppSlug) -> Result<Vec<Plan>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM plans WHERE app = $1 \
             ORDER BY updated_at DESC, provider, price_id"
        );
        self.fetch(&sql, binds![app.as_str()])
            .await?
            .iter()
            .map(plan_of)
            .collect()
    }

    /// All plans of an app, as the derivation reads them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_all(&mut self, app: &AppSlug) -> Result<Plans, StoreError> {
        Ok(map_of(self.plan_list(app).await?))
    }

    /// The plans of these price and product ids, where they have one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plans_for(
        &mut self,
        app: &AppSlug,
        ids: &BTreeSet<(Provider, String)>,
    ) -> Result<Plans, StoreError> {
        if ids.is_empty() {
            return Ok(Plans::new());
        }
        let mut wanted = Batch::new(&[("provider", Kind::Text), ("price_id", Kind::Text)]);
        for (provider, id) in ids {
            wanted.row([json!(provider), json!(id)]);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM plans WHERE app = $2 AND (provider, price_id) IN \
             (SELECT provider, price_id FROM {{rows}} AS wanted)"
        );
        let rows = self.fetch(&sql, binds![wanted, app.as_str()]).await?;
        Ok(map_of(rows.iter().map(plan_of).collect::<Result<_, _>>()?))
    }

    /// Sets plans, whether they are there or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_put(&mut self, app: &AppSlug, plans: &[Plan]) -> Result<(), StoreError> {
        if plans.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("provider", Kind::Text),
            ("price_id", Kind::Text),
            ("packages", Kind::Json),
            ("source", Kind::Text),
            ("updated_at", Kind::Time),
        ]);
        // One row for each price, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<(Provider, &str), &Plan> = plans
            .iter()
            .map(|it| ((it.provider, it.price_id.as_str()), it))
            .collect();
        for plan in last.values() {
            rows.row([
                json!(plan.provider),
                json!(plan.price_id),
                json!(document(&plan.packages)?),
                json!(plan.source.as_str()),
                json!(plan.updated_at),
            ]);
        }
        let sql = "INSERT INTO plans (app, provider, price_id, packages, source, updated_at) \
                   SELECT $2, provider, price_id, packages, source, updated_at \
                   FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, provider, price_id) DO UPDATE SET \
                   packages = excluded.packages, source = excluded.source, \
                   updated_at = excluded.updated_at";
        self.execute(sql, binds![rows, app.as_str()]).await?;
        self.plan_put_packages(app, last.into_values().collect())
            .await
    }

    /// Writes the packages of some plans, one row each, in place of those that were there.
    async fn plan_put_packages(
        &mut self,
        app: &AppSlug,
        plans: Vec<&Plan>,
    ) -> Result<(), StoreError> {
        let mut ids = Batch::new(&[("provider", Kind::Text), ("price_id", Kind::Text)]);
        for plan in &plans {
            ids.row([json!(plan.provider), json!(plan.price_id)]);
        }
        let sql = "DELETE FROM plan_packages WHERE app = $2 AND (provider, price_id) IN \
                   (SELECT provider, price_id FROM {rows} AS old)";
        self.execute(sql, binds![ids, app.as_str()]).await?;
        let mut rows = Batch::new(&[
            ("provider", Kind::Text),
            ("price_id", Kind::Text),
            ("package", Kind::Text),
        ]);
        for plan in plans {
            let packages: BTreeSet<&str> = plan.packages.iter().map(|it| &*it.package).collect();
            for package in packages {
                rows.row([json!(plan.provider), json!(plan.price_id), json!(package)]);
            }
        }
        let sql = "INSERT INTO plan_packages (app, provider, price_id, package) \
                   SELECT $2, provider, price_id, package FROM {rows} AS new";
        self.write(sql, rows, app).await
    }

    /// Removes a plan; whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_delete(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM plans WHERE app = $1 AND provider = $2 AND price_id = $3";
        Ok(self
            .execute(sql, binds![app.as_str(), provider.as_str(), price_id])
            .await?
            > 0)
    }

    /// Makes the plans of the settings what the settings say now: others of that source go. A
    /// plan of an admin for the same price gives way, because the settings are what the operator
    /// reads.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_replace_environment(
        &mut self,
        app: &AppSlug,
        plans: &[(Provider, String, Vec<PackageGrant>)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = PlanSource::Environment;
        let present = self.plan_list(app).await?;
        let same = |plan: &&Plan| {
            plan.source == source
                && plans.iter().any(|(provider, price_id, packages)| {
                    plan.provider == *provider
                        && plan.price_id == *price_id
                        && plan.packages == *packages
                })
        };
        let same: BTreeSet<(Provider, String)> = present
            .iter()
            .filter(same)
            .map(|plan| (plan.provider, plan.price_id.clone()))
            .collect();
        for plan in present.iter().filter(|plan| plan.source == source) {
            if !same.contains(&(plan.provider, plan.price_id.clone())) {
                self.plan_delete(app, plan.provider, &plan.price_id).await?;
            }
        }
        let changed: Vec<Plan> = plans
            .iter()
            .filter(|(provider, price_id, _)| !same.contains(&(*provider, price_id.clone())))
            .map(|(provider, price_id, packages)| Plan {
                provider: *provider,
                price_id: price_id.clone(),
                packages: packages.clone(),
                source,
                updated_at: now,
            })
            .collect();
        self.plan_put(app, &changed).await
    }
}

fn map_of(plans: Vec<Plan>) -> Plans {
    plans
        .into_iter()
        .map(|plan| ((plan.provider, plan.price_id), plan.packages))
        .collect()
}

fn plan_of(row: &Row) -> Result<Plan, StoreError> {
    Ok(Plan {
        provider: row.parsed("provider")?,
        price_id: row.text("price_id")?,
        packages: row.json("packages")?,
        source: row.parsed("source")?,
        updated_at: row.time("updated_at")?,
    })
}
