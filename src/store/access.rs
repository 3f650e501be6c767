//! Reading for an access check.

use std::collections::{BTreeMap, BTreeSet};

use super::flag_link::FlagLink;
use super::grant::GivenGrant;
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::check;
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::plan::{self, Plans};
use crate::domain::access::release::Release;
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::access::versions::Schemes;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, Provider};
use crate::domain::time::Timestamp;

/// The customer behind an access token.
#[derive(Clone, Debug)]
pub struct TokenHolder {
    /// The app of the customer.
    pub app: AppSlug,
    /// The token, expired or not; presented by a previous text, it expires with that.
    pub token: CustomerToken,
    /// The customer that the token counts for now: for a merged row, the row shown instead.
    pub customer: Customer,
}

record! {
    struct HolderRow from "customers" {
        app: AppSlug,
        until: Option<Timestamp>,
        kept: Customer,
    }
}

/// Everything that is granted to some customers, and the releases it covers.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Grants by hand, by customer.
    pub by_hand: BTreeMap<CustomerId, Vec<GivenGrant>>,
    /// The plans of the prices that they pay for.
    pub plans: Plans,
    /// Releases of the packages that are granted to a date.
    pub releases: Vec<Release>,
    /// How the versions of the packages are read that are granted or frozen.
    pub schemes: Schemes,
    /// The codes with which events of a customer's accounts failed, where they were asked for.
    pub failures: BTreeMap<CustomerId, BTreeSet<String>>,
    /// The links that flags of theirs about a shared address ask for, by subject. Access has no use
    /// for them, so they are read apart.
    pub links: BTreeMap<String, FlagLink>,
    /// The local clock at that time: grants by hand can run out.
    pub now: Timestamp,
}

impl Granted {
    /// Everything that gives a customer packages now: by hand, and by plans.
    pub fn of(&self, customer: &Customer) -> Vec<LiveGrant> {
        let derived = &customer.derived;
        let by_hand = self.by_hand.get(&customer.id).into_iter().flatten();
        let by_hand = by_hand
            .filter_map(|it| LiveGrant::of_hand(&it.grant, it.created_at, derived, self.now));
        let by_plans = derived.entitlements.iter();
        let by_plans = by_plans.flat_map(|it| LiveGrant::of_price(it, &self.plans, derived));
        by_hand.chain(by_plans).collect()
    }

    /// Returns about how many comparisons of versions it takes to see what customers may have.
    pub fn comparisons<'a>(&self, customers: impl IntoIterator<Item = &'a Customer>) -> usize {
        let of_customer = |customer: &Customer| {
            let by_hand = self.by_hand.get(&customer.id).into_iter().flatten();
            let by_hand = by_hand.map(|it| &it.grant.grant);
            let by_plans = customer.derived.entitlements.iter();
            let by_plans = by_plans
                .filter_map(|it| plan::grants(&self.plans, it))
                .flatten();
            check::comparisons(by_hand.chain(by_plans), self.releases.len())
        };
        customers.into_iter().map(of_customer).sum()
    }
}

impl Tx {
    /// Finds the holder of the token with this hash; `None` also when the customer was deleted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_find(
        &mut self,
        hash: &TokenHash,
    ) -> Result<Option<TokenHolder>, StoreError> {
        let sql = r"
            SELECT
                tokens.id, tokens.customer_id AS customer, tokens.name, tokens.scope,
                tokens.packages, tokens.prefix, tokens.created_at, tokens.expires_at,
                tokens.last_used_at, tokens.previous_until,
                tokens.app, presented.until, shown.kept
            FROM token_hashes AS presented
            JOIN tokens ON tokens.id = presented.token_id
            JOIN customers AS given ON given.id = tokens.customer_id
            JOIN customers AS shown ON shown.id = COALESCE(given.merged_into, given.id)
            WHERE presented.hash = $1 AND given.deleted_at IS NULL AND shown.deleted_at IS NULL
        ";
        let found: Option<(CustomerToken, HolderRow)> = self.fetch_opt(sql, binds![hash]).await?;
        Ok(found.map(|(token, row)| TokenHolder {
            app: row.app,
            token: token.until(row.until),
            customer: row.kept,
        }))
    }

    /// Reads everything that is granted to some customers. The number of statements does not
    /// depend on how many they are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_granted(
        &mut self,
        app: &AppSlug,
        customers: &[Customer],
        now: Timestamp,
    ) -> Result<Granted, StoreError> {
        self.granted_where(app, customers, |_| true, now).await
    }

    /// Reads everything that is granted to a customer, but releases of this package alone, or of none:
    /// others' can be thousands that a question about one package has no use for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_granted_of(
        &mut self,
        app: &AppSlug,
        customer: &Customer,
        package: Option<&str>,
        now: Timestamp,
    ) -> Result<Granted, StoreError> {
        let only = std::slice::from_ref(customer);
        let is_wanted = |named: &str| package == Some(named);
        self.granted_where(app, only, is_wanted, now).await
    }

    async fn granted_where(
        &mut self,
        app: &AppSlug,
        customers: &[Customer],
        is_wanted: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<Granted, StoreError> {
        let by_hand = self
            .grant_list(app, customers.iter().map(|it| &it.id))
            .await?;
        let paid = customers.iter().flat_map(|it| &it.derived.entitlements);
        let ids: BTreeSet<(Provider, String)> = paid
            .filter_map(|it| Some((it.provider, it.plan.clone()?)))
            .collect();
        let plans = self.plans_for(app, &ids).await?;
        let mut granted = Granted {
            by_hand,
            plans,
            releases: Vec::new(),
            schemes: Schemes::default(),
            failures: BTreeMap::new(),
            links: BTreeMap::new(),
            now,
        };
        self.versions_where(app, customers, &mut granted, is_wanted)
            .await?;
        Ok(granted)
    }

    /// Reads how the versions of the packages are read that some customers are granted, and the
    /// releases that they cover.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn granted_versions(
        &mut self,
        app: &AppSlug,
        customers: &[Customer],
        granted: &mut Granted,
    ) -> Result<(), StoreError> {
        self.versions_where(app, customers, granted, |_| true).await
    }

    async fn versions_where(
        &mut self,
        app: &AppSlug,
        customers: &[Customer],
        granted: &mut Granted,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let (mut dated, mut named) = (BTreeSet::new(), BTreeSet::new());
        for customer in customers {
            let derived = &customer.derived;
            for live in granted.of(customer) {
                let package = live.grant.package;
                if derived.needs_releases() && live.until.is_some() && is_wanted(&package) {
                    dated.insert(package.clone());
                }
                named.insert(package);
            }
            let frozen = derived.frozen_versions.iter().flatten();
            named.extend(frozen.map(|version| version.package.clone()));
        }
        if !dated.is_empty() {
            granted.releases = self.release_list(app, &dated).await?;
        }
        if !named.is_empty() {
            granted.schemes = self.package_schemes(app, &named).await?;
        }
        Ok(())
    }
}
