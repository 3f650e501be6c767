//! Plans: the packages that a provider's price or product buys.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::texts;
use super::filter::Filter;
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::access::plan::{PackageGrant, Plan, PlanLicense, Plans};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::span::Span;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The source of a plan.
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

texts!(PlanSource);

/// A plan as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPlan {
    /// The provider of the price.
    pub provider: Provider,
    /// The provider's id of a price, a product, a feature or a payment link, or a lookup key.
    pub price_id: String,
    /// A name for people.
    pub name: Option<String>,
    /// The packages that it buys. Empty: the price is known and buys nothing.
    pub packages: Vec<PackageGrant>,
    /// The licences that it buys.
    pub licenses: Vec<PlanLicense>,
    /// True if it counts even if it buys no package.
    pub counts: bool,
    /// Of something bought once: how long new versions are included.
    pub updates: Option<Span>,
    /// Its source.
    pub source: PlanSource,
    /// Time at which it was set, by the local clock.
    pub updated_at: Timestamp,
}

impl StoredPlan {
    /// Returns what the price buys.
    pub fn plan(&self) -> Plan {
        Plan {
            name: self.name.clone(),
            packages: self.packages.clone(),
            licenses: self.licenses.clone(),
            counts: self.counts,
            updates: self.updates,
        }
    }
}

record! {
    impl StoredPlan from "plans" {
        provider, price_id, name, packages, licenses, counts, updates, source, updated_at
    }
}

record! {
    struct PlanId<'a> {
        provider: Provider,
        price_id: &'a str,
    }
}

record! {
    struct NewPlan<'a> {
        provider: Provider,
        price_id: &'a str,
        name: Option<&'a String>,
        packages: &'a Vec<PackageGrant>,
        licenses: &'a Vec<PlanLicense>,
        counts: bool,
        updates: Option<Span>,
        source: PlanSource,
        updated_at: Timestamp,
    }
}

record! {
    struct PlanPackage<'a> {
        provider: Provider,
        price_id: &'a str,
        package: &'a str,
    }
}

impl Tx {
    /// Counts the plans of one source.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_count(
        &mut self,
        app: &AppSlug,
        source: PlanSource,
    ) -> Result<u64, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        filter.and("source = ?", source);
        self.count_all("SELECT price_id FROM plans", filter).await
    }

    /// Finds a plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_find(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<Option<StoredPlan>, StoreError> {
        let sql = r"
            SELECT provider, price_id, name, packages, licenses, counts, updates, source, updated_at
            FROM plans
            WHERE app = $1 AND provider = $2 AND price_id = $3
        ";
        self.fetch_opt(sql, binds![app, provider, price_id]).await
    }

    /// Lists the plans of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_list(&mut self, app: &AppSlug) -> Result<Vec<StoredPlan>, StoreError> {
        let sql = r"
            SELECT provider, price_id, name, packages, licenses, counts, updates, source, updated_at
            FROM plans
            WHERE app = $1
            ORDER BY updated_at DESC, provider, price_id
        ";
        self.fetch(sql, binds![app]).await
    }

    /// Reads all plans of an app, as the derivation wants them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_all(&mut self, app: &AppSlug) -> Result<Plans, StoreError> {
        Ok(map_of(self.plan_list(app).await?))
    }

    /// Reads the plans of these price and product ids, where they have one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plans_for(
        &mut self,
        app: &AppSlug,
        ids: &BTreeSet<(Provider, String)>,
    ) -> Result<Plans, StoreError> {
        let wanted = ids.iter().map(|(provider, price_id)| PlanId {
            provider: *provider,
            price_id,
        });
        let wanted: Rows<PlanId<'_>> = wanted.collect();
        let sql = r"
            SELECT provider, price_id, name, packages, licenses, counts, updates, source, updated_at
            FROM plans
            WHERE app = $2
                AND (provider, price_id) IN (SELECT provider, price_id FROM {rows} AS wanted)
        ";
        Ok(map_of(self.fetch(sql, binds![wanted, app]).await?))
    }

    /// Sets plans, new or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_put(
        &mut self,
        app: &AppSlug,
        plans: &[StoredPlan],
    ) -> Result<(), StoreError> {
        // One row for each price, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<(Provider, &str), &StoredPlan> = plans
            .iter()
            .map(|it| ((it.provider, it.price_id.as_str()), it))
            .collect();
        let rows = last.values().map(|plan| NewPlan {
            provider: plan.provider,
            price_id: &plan.price_id,
            name: plan.name.as_ref(),
            packages: &plan.packages,
            licenses: &plan.licenses,
            counts: plan.counts,
            updates: plan.updates,
            source: plan.source,
            updated_at: plan.updated_at,
        });
        let rows: Rows<NewPlan<'_>> = rows.collect();
        let sql = r"
            INSERT INTO plans (
                app, provider, price_id, name, packages, licenses, counts, updates, source, updated_at
            )
            SELECT $2, provider, price_id, name, packages, licenses, counts, updates, source, updated_at
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, provider, price_id) DO UPDATE SET
                name = excluded.name,
                packages = excluded.packages,
                licenses = excluded.licenses,
                counts = excluded.counts,
                updates = excluded.updates,
                source = excluded.source,
                updated_at = excluded.updated_at
        ";
        self.execute(sql, binds![rows, app]).await?;
        self.plan_put_packages(app, last.into_values().collect())
            .await
    }

    /// Writes the packages of some plans, one row each, in place of those that were there.
    async fn plan_put_packages(
        &mut self,
        app: &AppSlug,
        plans: Vec<&StoredPlan>,
    ) -> Result<(), StoreError> {
        let ids = plans.iter().map(|plan| PlanId {
            provider: plan.provider,
            price_id: &plan.price_id,
        });
        let ids: Rows<PlanId<'_>> = ids.collect();
        let sql = r"
            DELETE FROM plan_packages
            WHERE app = $2
                AND (provider, price_id) IN (SELECT provider, price_id FROM {rows} AS old)
        ";
        self.execute(sql, binds![ids, app]).await?;
        let packages = plans.into_iter().flat_map(|plan| {
            let packages: BTreeSet<&str> = plan.packages.iter().map(|it| &*it.package).collect();
            packages.into_iter().map(move |package| PlanPackage {
                provider: plan.provider,
                price_id: &plan.price_id,
                package,
            })
        });
        let packages: Rows<PlanPackage<'_>> = packages.collect();
        let sql = r"
            INSERT INTO plan_packages (app, provider, price_id, package)
            SELECT $2, provider, price_id, package
            FROM {rows} AS new
        ";
        self.execute(sql, binds![packages, app]).await?;
        Ok(())
    }

    /// Counts the customers who have something now by a plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_count_customers(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        price_id: &str,
    ) -> Result<i64, StoreError> {
        // `plan <> ''` is what the index is made for, and true of every plan.
        let sql = r"
            SELECT COUNT(DISTINCT customer_id) AS customers
            FROM entitlements
            WHERE app = $1 AND provider = $2 AND plan = $3 AND plan <> ''
        ";
        let binds = binds![app, provider, price_id];
        let found: Option<i64> = self.fetch_value("entitlements", sql, binds).await?;
        Ok(found.unwrap_or_default())
    }

    /// Removes a plan; `false` if there was none.
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
        let removed = self.execute(sql, binds![app, provider, price_id]).await?;
        Ok(removed > 0)
    }

    /// Brings the plans of the settings in line with the settings: others of that source go. A
    /// plan of an admin for the same price gives way, because the settings are what the operator
    /// reads; it waits, and counts again once the settings do not name the price any more.
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
        let same = |plan: &&StoredPlan| {
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
        let named: BTreeSet<(Provider, &str)> = plans
            .iter()
            .map(|(provider, price_id, _)| (*provider, price_id.as_str()))
            .collect();
        let is_named = |plan: &&StoredPlan| named.contains(&(plan.provider, &*plan.price_id));
        let of_admins = present.iter().filter(|plan| plan.source != source);
        for plan in of_admins.filter(is_named) {
            self.waiting_plan_put(app, plan).await?;
        }
        let waiting = self.waiting_plan_list(app).await?;
        let back: Vec<StoredPlan> = waiting.into_iter().filter(|it| !is_named(&it)).collect();
        for plan in &back {
            self.waiting_plan_delete(app, plan.provider, &plan.price_id)
                .await?;
        }
        self.plan_put(app, &back).await?;
        let changed: Vec<StoredPlan> = plans
            .iter()
            .filter(|(provider, price_id, _)| !same.contains(&(*provider, price_id.clone())))
            .map(|(provider, price_id, packages)| StoredPlan {
                provider: *provider,
                price_id: price_id.clone(),
                name: None,
                packages: packages.clone(),
                licenses: Vec::new(),
                counts: false,
                updates: None,
                source,
                updated_at: now,
            })
            .collect();
        self.plan_put(app, &changed).await
    }
}

fn map_of(plans: Vec<StoredPlan>) -> Plans {
    plans
        .into_iter()
        .map(|it| ((it.provider, it.price_id.clone()), it.plan()))
        .collect()
}
