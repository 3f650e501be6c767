//! Plans: the packages and licences that a provider's price buys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{Item, Line};
use crate::domain::billing::feature::Feature;
use crate::domain::connected_account::ConnectedAccount;
use crate::domain::id::{ObjectKey, Provider, Scope};
use crate::domain::span::Span;
use crate::domain::time::Timestamp;

/// The longest id of a plan, in bytes: a connected account and a price. Stripe's own limit for ids is
/// 255.
/// <https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backward-compatible>
const MAX_PLAN_ID: usize = 255;

/// Longest constraint that is granted, in bytes: each access check of its customer reads it.
pub const MAX_CONSTRAINT: usize = 1_024;

/// A package and a constraint on its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageGrant {
    /// Its name.
    pub package: String,
    /// A constraint in the scheme of the package; `*` is every version, in SemVer's all but
    /// pre-releases.
    pub constraint: String,
}

/// A licence that comes with a price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanLicense {
    /// The product that it is for, in the seller's words.
    pub product: String,
    /// How many activations it may have at once; `None`: as many as are wanted. It is looked up on
    /// reading, so a change counts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations_limit: Option<u32>,
}

/// What a price buys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// A name for people, which decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The packages. Empty: the price is known and buys nothing here.
    pub packages: Vec<PackageGrant>,
    /// The licences, one a product.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<PlanLicense>,
    /// True if the price counts for the customer's status even if it buys nothing: for sellers
    /// who grant packages by hand and let billing decide.
    pub counts: bool,
    /// Of something bought once: how long new versions are included. `None`: for ever.
    pub updates: Option<Span>,
}

impl Plan {
    /// True if the price has any effect here.
    pub const fn buys(&self) -> bool {
        self.counts || !self.packages.is_empty() || !self.licenses.is_empty()
    }
}

/// All plans of one app, by provider and the id of a price, product or feature, a payment link, or
/// the seller's own name of a price or feature; of a connected account, behind its id and a slash. All
/// of these share the map: their prefixes keep them apart. A price and a feature of one name share a
/// plan.
pub type Plans = BTreeMap<(Provider, String), Plan>;

/// A price, or a feature that counts like one, with everything by which its plan can be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Price id; of a feature its own.
    pub price: String,
    /// Product id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The seller's own name of the price or feature (Stripe's `lookup_key`), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
}

impl Price {
    /// Returns the plan and its id: that of the price, else of the product, else of the lookup key.
    /// `None` if none of them has one, which is a set-up mistake and raises a flag.
    ///
    /// At a connected account the plans that name the account come first, then that of the bare
    /// price id, so that sellers who name accounts need no plan for each. The bare ids of products
    /// and lookup keys stand for the platform's own alone: an account's owner chooses them. That of
    /// a price he can choose only through Stripe's older plans; a seller who does not trust him with
    /// that must not name the account.
    pub fn plan<'a>(&self, scope: &Scope, plans: &'a Plans) -> Option<(&'a String, &'a Plan)> {
        let own = [
            Some(&self.price),
            self.product.as_ref(),
            self.lookup_key.as_ref(),
        ];
        let own = own.into_iter().flatten();
        let ids: Vec<String> = match &scope.connected {
            None => own.cloned().collect(),
            Some(account) => own
                .map(|id| id_at(account, id))
                .chain([self.price.clone()])
                .collect(),
        };
        let find = |id: String| plans.get_key_value(&(scope.provider, id));
        let ((_, id), plan) = ids.into_iter().find_map(find)?;
        Some((id, plan))
    }

    /// True if the price has a plan that has any effect here.
    pub fn buys(&self, scope: &Scope, plans: &Plans) -> bool {
        let plan = self.plan(scope, plans);
        plan.is_some_and(|(_, plan)| plan.buys())
    }
}

/// The id of the plan of a price, product or lookup key of a connected account.
fn id_at(account: &str, id: &str) -> String {
    format!("{account}/{id}")
}

/// Checks the id of a plan: that of a price, a product, a feature or a payment link, or a lookup key,
/// of a connected account behind `acct_…/`.
///
/// # Errors
/// A sentence on what it must be.
pub fn check_plan_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > MAX_PLAN_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "must be printable ASCII of at most {MAX_PLAN_ID} characters"
        ));
    }
    let Some((account, rest)) = id.split_once('/') else {
        return Ok(());
    };
    // In any other case it would be taken for a lookup key, and never found.
    let is_meant = account.to_ascii_lowercase().starts_with("acct");
    if is_meant && (account.parse::<ConnectedAccount>().is_err() || rest.is_empty()) {
        return Err(
            "must be `acct_…/price_…`: a connected account, `acct_` in lower case, then one of its \
             prices"
                .to_owned(),
        );
    }
    Ok(())
}

/// True if a plan of this id may be of a feature: of one that a name of the seller's own means, or its id.
/// <https://docs.stripe.com/api/entitlements/feature/object>
pub fn may_be_of_feature(id: &str) -> bool {
    let of_others = ["price_", "prod_", "plan_", "plink_"];
    !id.contains('/') && !of_others.iter().any(|prefix| id.starts_with(prefix))
}

impl From<&Item> for Price {
    fn from(item: &Item) -> Self {
        Self {
            price: item.price.clone(),
            product: item.product.clone(),
            lookup_key: item.lookup_key.clone(),
        }
    }
}

/// A feature has an id and the seller's own name for it, as a price has, and its plan is found in the
/// same way.
impl From<&Feature> for Price {
    fn from(feature: &Feature) -> Self {
        Self {
            price: feature.id.clone(),
            product: None,
            lookup_key: feature.lookup_key.clone(),
        }
    }
}

impl From<&Line> for Price {
    fn from(line: &Line) -> Self {
        Self {
            price: line.price.clone(),
            product: line.product.clone(),
            lookup_key: line.lookup_key.clone(),
        }
    }
}

/// A price that gives a customer something now. The packages of its plan are looked up on reading,
/// so that they change at once for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entitlement {
    /// The provider that bills.
    pub provider: Provider,
    /// Price id, or that of a feature.
    pub price: String,
    /// The id of its plan, which is that of the price, the product or the lookup key. `None`: it has
    /// no plan and grants nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The source: the subscription that includes the price, or the document of the payment by
    /// which it was bought once.
    pub source: ObjectKey,
    /// Only what was released until then is included; `None`: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Entitlement {
    /// The name of its price: the id by which it gets a plan of its own.
    pub fn price_name(&self) -> String {
        match &self.source.scope.connected {
            None => self.price.clone(),
            Some(account) => id_at(account, &self.price),
        }
    }
}

/// Returns the packages that an entitlement buys; `None` if its price has no plan.
pub fn grants<'a>(plans: &'a Plans, entitlement: &Entitlement) -> Option<&'a [PackageGrant]> {
    Some(&plan_of(plans, entitlement)?.packages)
}

/// Returns the licence of a product that a plan names.
pub fn license_of<'a>(
    plans: &'a Plans,
    provider: Provider,
    plan: &str,
    product: &str,
) -> Option<&'a PlanLicense> {
    let plan = plans.get(&(provider, plan.to_owned()))?;
    plan.licenses.iter().find(|it| it.product == product)
}

/// Returns the licences that an entitlement buys.
pub fn licenses<'a>(plans: &'a Plans, entitlement: &Entitlement) -> &'a [PlanLicense] {
    plan_of(plans, entitlement).map_or(&[], |plan| &plan.licenses)
}

fn plan_of<'a>(plans: &'a Plans, entitlement: &Entitlement) -> Option<&'a Plan> {
    let id = entitlement.plan.clone()?;
    plans.get(&(entitlement.provider, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(account: Option<&str>, price: &Price, plans: &[&str]) -> Option<String> {
        let provider = Provider::named("stripe");
        let scope = Scope {
            provider,
            livemode: true,
            connected: account.map(str::to_owned),
        };
        let plans: Plans = plans
            .iter()
            .map(|id| ((provider, (*id).to_owned()), Plan::default()))
            .collect();
        price.plan(&scope, &plans).map(|(id, _)| id.clone())
    }

    #[test]
    fn a_plan_may_name_a_connected_account() {
        let price = Price {
            price: "price_1".to_owned(),
            product: Some("prod_1".to_owned()),
            lookup_key: Some("pro".to_owned()),
        };
        let all = ["pro", "prod_1", "price_1", "acct_1/pro", "acct_1/price_1"];
        for (account, plans, expected) in [
            (None, &all[..], Some("price_1")),
            (None, &["acct_1/price_1"], None),
            (Some("acct_1"), &all, Some("acct_1/price_1")),
            (
                Some("acct_1"),
                &["price_1", "acct_1/pro"],
                Some("acct_1/pro"),
            ),
            (Some("acct_2"), &all, Some("price_1")),
            // Whoever has the account chooses these.
            (Some("acct_2"), &["prod_1", "pro"], None),
            (Some("acct_2"), &["acct_1/price_1"], None),
        ] {
            let found = found(account, &price, plans);
            assert_eq!(found.as_deref(), expected, "{account:?} {plans:?}");
        }
    }

    #[test]
    fn the_account_of_a_plan_is_spelt_as_accounts_are() {
        let long = "x".repeat(256);
        for good in ["price_1", "acct_1/price_1", "our/key", "plink_1", "acct_1"] {
            assert_eq!(check_plan_id(good), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "ACCT_1/price_1",
            "acct_/price_1",
            "acct_1/",
            "acct/x",
            "a b",
            &long,
        ] {
            assert!(check_plan_id(wrong).is_err(), "{wrong}");
        }
    }
}
