//! What an access check reads.

use std::collections::{BTreeMap, BTreeSet};

use super::driver::binds;
use super::grant::HandGrant;
use super::token::{COLUMNS, token_of};
use super::{StoreError, Tx};
use crate::domain::access::plan::{PackageGrant, Plans, grants};
use crate::domain::access::release::Release;
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, Provider};

/// Who shows a token.
#[derive(Clone, Debug)]
pub struct TokenHolder {
    /// Whose customer it is.
    pub app: AppSlug,
    /// The token, run out or not.
    pub token: CustomerToken,
    /// The customer that it counts for now: of a merged row the one that is shown.
    pub customer: Customer,
}

/// What is granted to some customers, and what has been released of it.
#[derive(Clone, Debug, Default)]
pub struct Granted {
    /// Grants by hand, by customer.
    pub by_hand: BTreeMap<CustomerId, Vec<HandGrant>>,
    /// The plans of the prices that they pay for.
    pub plans: Plans,
    /// Releases of the packages of those who are frozen without a list of versions.
    pub releases: Vec<Release>,
}

impl Granted {
    /// Everything that grants packages to a customer: by hand, and by plans.
    pub fn of(&self, customer: &Customer) -> Vec<PackageGrant> {
        let by_hand = self.by_hand.get(&customer.id).into_iter().flatten();
        let by_plans = customer.derived.entitlements.iter();
        by_hand
            .map(|it| it.grant.clone())
            .chain(by_plans.flat_map(|it| grants(&self.plans, it).unwrap_or_default().to_vec()))
            .collect()
    }
}

impl Tx {
    /// Who shows the token of this hash; `None` also when its customer was deleted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_find(
        &mut self,
        hash: &TokenHash,
    ) -> Result<Option<TokenHolder>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, tokens.app, shown.kept FROM tokens \
             JOIN customers AS given ON given.id = tokens.customer_id \
             JOIN customers AS shown ON shown.id = COALESCE(given.merged_into, given.id) \
             WHERE tokens.hash = $1 AND given.deleted_at IS NULL AND shown.deleted_at IS NULL"
        );
        let Some(row) = self
            .fetch_opt(&sql, binds![hash.as_bytes().to_vec()])
            .await?
        else {
            return Ok(None);
        };
        let holder = TokenHolder {
            app: row.parsed("app")?,
            token: token_of(&row)?,
            customer: row.json("kept")?,
        };
        Ok(Some(holder))
    }

    /// What is granted to some customers. The number of statements does not depend on theirs.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_granted(
        &mut self,
        app: &AppSlug,
        customers: &[Customer],
    ) -> Result<Granted, StoreError> {
        let by_hand = self
            .grant_list(app, customers.iter().map(|it| &it.id))
            .await?;
        let paid = customers.iter().flat_map(|it| &it.derived.entitlements);
        let ids: BTreeSet<(Provider, String)> = paid
            .flat_map(|it| {
                let ids = [Some(it.price.clone()), it.product.clone()];
                ids.into_iter().flatten().map(|id| (it.provider, id))
            })
            .collect();
        let plans = self.plans_for(app, &ids).await?;
        let mut granted = Granted {
            by_hand,
            plans,
            releases: Vec::new(),
        };
        let packages: BTreeSet<String> = customers
            .iter()
            .filter(|customer| customer.derived.is_frozen_by_time())
            .flat_map(|customer| granted.of(customer))
            .map(|grant| grant.package)
            .collect();
        granted.releases = self.release_list(app, &packages).await?;
        Ok(granted)
    }
}
