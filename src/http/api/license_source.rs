//! What licences were bought with, as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::access::license::License;
use crate::domain::access::live_grant::earlier;
use crate::domain::access::plan::Plans;
use crate::domain::customer::row::Customer;
use crate::domain::customer::source::SourceKind;
use crate::domain::id::{Kind, Provider};
use crate::http::openapi::words;

/// What a licence was bought with: it is valid while that gives it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LicenseSource)]
pub(super) struct LicenseSourceView {
    /// `subscription` or `purchase`.
    #[schema(schema_with = words::license_source_kind)]
    kind: &'static str,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// The id of the subscription, or of the document by which it was bought once (invoice, payment
    /// intent, Checkout session or transaction).
    id: String,
    livemode: bool,
    /// The id of the plan that names the product; of several the first.
    #[schema(examples("price_1Q2w3e4R5t6Y7u8I"))]
    plan: String,
    /// Only what was released until then is included; null for everything.
    #[schema(format = DateTime)]
    pub(super) until: Option<String>,
}

impl LicenseSourceView {
    /// What a licence of a customer was bought with; `None` if an admin issued it.
    pub(super) fn of(license: &License, customer: &Customer, plans: &Plans) -> Option<Self> {
        let source = license.source.as_ref()?;
        let kind = match source.object.kind {
            Kind::Subscription => SourceKind::Subscription,
            _ => SourceKind::Purchase,
        };
        let given = license.given(customer, plans);
        let until = given.and_then(|it| earlier(it.until, &customer.derived));
        Some(Self {
            kind: kind.as_str(),
            provider: source.object.scope.provider,
            id: source.object.id.clone(),
            livemode: source.object.scope.livemode,
            plan: source.plan.clone(),
            until: until.map(|at| at.to_string()),
        })
    }
}
