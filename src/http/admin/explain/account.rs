//! The billing accounts of an explanation, with the features that their subscriptions include.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::customer::explain::{AccountCause, FeatureCause};
use crate::domain::id::Provider;
use crate::domain::identity::register::Tie;
use crate::http::api::{cut, is_whole, time};
use crate::http::openapi::words;

/// A billing account and how it was linked.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountCause)]
pub(super) struct AccountView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    id: String,
    livemode: bool,
    #[schema(schema_with = words::linked_by)]
    linked_by: &'static str,
    /// The seller's own id of the account, if that linked it.
    seller_id: Option<String>,
    /// The first e-mail address that the account held, if that linked it.
    email: Option<String>,
    /// The account that had the seller's id or the address before it; null if an admin gave it to the
    /// customer.
    follows: Option<String>,
    /// The time at which the provider deleted it.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
    /// The features that its subscriptions include by the newest list (Stripe's entitlements), at most
    /// 100.
    features: Vec<FeatureView>,
    /// There are more, or the provider listed only some of them. Missing otherwise.
    #[serde(skip_serializing_if = "is_whole")]
    features_truncated: bool,
}

/// A feature of a billing account.
#[derive(Serialize, ToSchema)]
#[schema(as = FeatureCause)]
struct FeatureView {
    /// The provider's id of it.
    id: String,
    /// The seller's own name of it.
    lookup_key: Option<String>,
    /// The id of the plan that says what it gives: its `lookup_key`, or its own id. Null where it has
    /// none: then it gives nothing here, which is no mistake.
    plan: Option<String>,
}

impl From<AccountCause> for AccountView {
    fn from(it: AccountCause) -> Self {
        let linked_by = it.tie.as_str();
        let (features, features_truncated) = cut(it.features);
        let (seller_id, email, follows) = match it.tie {
            Tie::SellerId { id, follows } => (Some(id), None, follows),
            Tie::Email { email, follows } => (None, Some(email), follows),
            Tie::Admin | Tie::ExternalId | Tie::Own => (None, None, None),
        };
        Self {
            provider: it.provider,
            id: it.id,
            livemode: it.livemode,
            linked_by,
            seller_id,
            email,
            follows,
            removed_at: time(it.removed_at),
            features: features.into_iter().map(FeatureView::from).collect(),
            features_truncated: features_truncated || it.features_incomplete,
        }
    }
}

impl From<FeatureCause> for FeatureView {
    fn from(it: FeatureCause) -> Self {
        Self {
            id: it.id,
            lookup_key: it.lookup_key,
            plan: it.plan,
        }
    }
}
