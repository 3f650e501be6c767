//! The licences of plans.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::activation::check_limit;
use crate::domain::access::plan::PlanLicense;
use crate::domain::validate;
use crate::http::ApiError;
use crate::http::field_errors::{FieldErrors, checked};

/// Most licences of a plan: each purchase makes that many.
const MAX_LICENSES: usize = 20;

/// A licence that comes with a price.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanLicense)]
#[serde(deny_unknown_fields, expecting = "an object with `product`")]
pub(super) struct PlanLicenseBody {
    /// The product that it is for. One line.
    #[schema(min_length = 1, max_length = 255, examples("acme-desktop"))]
    product: String,
    /// How many activations each of the licences may have at once; as many as are wanted by default. A
    /// change counts at once for those that there are, unless an admin has given one a limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    activations_limit: Option<i64>,
}

impl From<PlanLicense> for PlanLicenseBody {
    fn from(license: PlanLicense) -> Self {
        Self {
            product: license.product,
            activations_limit: license.activations_limit.map(i64::from),
        }
    }
}

/// Returns the licences of a plan as they are shown.
pub(super) fn shown(licenses: Vec<PlanLicense>) -> Vec<PlanLicenseBody> {
    licenses.into_iter().map(PlanLicenseBody::from).collect()
}

/// Reads the licences of a plan; 422 with every fault.
pub(super) fn licenses_of(
    bodies: Option<Vec<PlanLicenseBody>>,
) -> Result<Vec<PlanLicense>, ApiError> {
    let bodies = bodies.unwrap_or_default();
    if bodies.len() > MAX_LICENSES {
        let message = format!("must be at most {MAX_LICENSES} licences");
        return Err(ApiError::invalid_field("licenses", message));
    }
    let mut field_errors = FieldErrors::default();
    let mut seen = BTreeSet::new();
    let mut licenses = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let product = validate::line(&body.product).and_then(|product| {
            if seen.insert(product.clone()) {
                Ok(product)
            } else {
                Err("is there twice".to_owned())
            }
        });
        let at = format!("licenses[{index}].product");
        let product = field_errors.note(checked(&at, product));
        let at = format!("licenses[{index}].activations_limit");
        let limit = body.activations_limit.map(check_limit).transpose();
        let limit = field_errors.note(checked(&at, limit));
        let license = product.zip(limit);
        licenses.extend(license.map(|(product, activations_limit)| PlanLicense {
            product,
            activations_limit,
        }));
    }
    field_errors.finish(Some(licenses))
}
