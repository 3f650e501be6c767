//! Features that the subscriptions of a billing account include (Stripe's entitlements).
//!
//! The provider lists them for the account as a whole, without saying which subscription includes
//! which: so they count through each subscription of the account, as its prices do.
//! <https://docs.stripe.com/billing/entitlements>

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::id::ObjectKey;

/// A feature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Feature {
    /// The provider's id (`feat_…`).
    pub id: String,
    /// The seller's own name of it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_key: Option<String>,
}

/// The features that an account has at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeatureList {
    /// The features, as far as they are known.
    pub features: BTreeSet<Feature>,
    /// True if there are more than are listed (Stripe's `has_more`; its lists end at ten), or so many
    /// that not all are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// The features of an account as one event showed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeaturesFact {
    /// The account.
    pub account: ObjectKey,
    /// The features.
    pub list: FeatureList,
    /// The features before the change; `None` where the event does not say.
    pub before: Option<FeatureList>,
    /// Stripe's `request.id`, which tells two events of one change from two changes.
    pub request: Option<String>,
}
