//! Plans: the packages that a provider's price buys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{Item, Line};
use crate::domain::id::{ObjectKey, Provider};
use crate::domain::policy::Span;
use crate::domain::time::Timestamp;

/// A package and a constraint on its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageGrant {
    /// `vendor/name`.
    pub package: String,
    /// A Composer constraint; `*` is every version.
    pub constraint: String,
}

/// What a price buys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The packages. Empty: the price is known and buys nothing here.
    pub packages: Vec<PackageGrant>,
    /// True if the price counts for the customer's status even if it buys no package: for sellers
    /// who grant packages by hand and let billing decide.
    pub counts: bool,
    /// Of something bought once: how long new versions are included. `None`: for ever.
    pub updates: Option<Span>,
}

impl Plan {
    /// True if the price has any effect here.
    pub const fn buys(&self) -> bool {
        self.counts || !self.packages.is_empty()
    }
}

/// All plans of one app, by provider and the id of a price or product, a payment link, or the
/// seller's own name of a price. All of these share the map: their prefixes keep them apart.
pub type Plans = BTreeMap<(Provider, String), Plan>;

/// A price, with everything by which its plan can be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Price id.
    pub price: String,
    /// Product id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The seller's own name of the price (Stripe's `lookup_key`), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
}

impl Price {
    /// Returns the plan and its id: that of the price, else of the product, else of the lookup key. `None` if
    /// none of them has one, which is a set-up mistake and raises a flag.
    pub fn plan<'a>(&self, provider: Provider, plans: &'a Plans) -> Option<(&'a String, &'a Plan)> {
        let ids = [
            Some(&self.price),
            self.product.as_ref(),
            self.lookup_key.as_ref(),
        ];
        let mut ids = ids.into_iter().flatten();
        let ((_, id), plan) = ids.find_map(|id| plans.get_key_value(&(provider, id.clone())))?;
        Some((id, plan))
    }

    /// True if the price has a plan that has any effect here.
    pub fn buys(&self, provider: Provider, plans: &Plans) -> bool {
        let plan = self.plan(provider, plans);
        plan.is_some_and(|(_, plan)| plan.buys())
    }
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
    /// Price id.
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

/// Returns the packages that an entitlement buys; `None` if its price has no plan.
pub fn grants<'a>(plans: &'a Plans, entitlement: &Entitlement) -> Option<&'a [PackageGrant]> {
    let id = entitlement.plan.clone()?;
    let plan = plans.get(&(entitlement.provider, id))?;
    Some(&plan.packages)
}
