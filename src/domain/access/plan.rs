//! Plans: the packages that a provider's price buys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{ObjectKey, Provider};

/// A package and a constraint on its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageGrant {
    /// `vendor/name`.
    pub package: String,
    /// A Composer constraint; `*` is every version.
    pub constraint: String,
}

/// All plans of one app, by provider and price or product id. Both kinds of ids share the map:
/// their prefixes keep them apart.
pub type Plans = BTreeMap<(Provider, String), Vec<PackageGrant>>;

/// Returns the packages that an entitlement buys: the plan of its price, else of its product.
/// `None` if neither has a plan, which is a set-up mistake and raises a flag.
pub fn grants<'a>(plans: &'a Plans, entitlement: &Entitlement) -> Option<&'a [PackageGrant]> {
    let plan = |id: &String| plans.get(&(entitlement.provider, id.clone()));
    plan(&entitlement.price)
        .or_else(|| entitlement.product.as_ref().and_then(plan))
        .map(Vec::as_slice)
}

/// A price that counts for a customer now. Its packages are looked up on reading, so that a changed
/// plan takes effect at once for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entitlement {
    /// The provider that bills.
    pub provider: Provider,
    /// Price id.
    pub price: String,
    /// Product id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The subscription that includes the price.
    pub subscription: ObjectKey,
}
