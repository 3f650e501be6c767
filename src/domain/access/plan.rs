//! Plans: what a provider's price buys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{ObjectKey, Provider};

/// A package and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageGrant {
    /// `vendor/name`.
    pub package: String,
    /// A Composer constraint; `*` is every version.
    pub constraint: String,
}

/// All plans of one app, by provider and price or product id. Ids of both kinds share the map:
/// their prefixes keep them apart.
pub type Plans = BTreeMap<(Provider, String), Vec<PackageGrant>>;

/// What an entitlement buys: the plan of its price, else of its product; `None` where neither
/// has a plan, which is a mistake of set-up and gets a flag.
pub fn grants<'a>(plans: &'a Plans, entitlement: &Entitlement) -> Option<&'a [PackageGrant]> {
    let plan = |id: &String| plans.get(&(entitlement.provider, id.clone()));
    plan(&entitlement.price)
        .or_else(|| entitlement.product.as_ref().and_then(plan))
        .map(Vec::as_slice)
}

/// A price that counts for a customer now. What it buys is looked up when it is read, so that a
/// changed plan counts at once for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entitlement {
    /// Who bills.
    pub provider: Provider,
    /// Price id.
    pub price: String,
    /// Product id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The subscription that has it.
    pub subscription: ObjectKey,
}
