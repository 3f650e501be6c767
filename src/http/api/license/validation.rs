//! Validating keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::license::LicenseCode;
use crate::domain::access::license_key::TypedKey;
use crate::domain::id::AppSlug;
use crate::domain::validate;
use crate::http::api::license_source::LicenseSourceView;
use crate::http::openapi::words;
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses::validate::{Judged, KeyQuestion};
use crate::pipeline::licenses::{self, OwnedLicense};

/// A key to validate, and where it is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct KeyBody {
    /// As the customer typed it. Of a key that was made here, case, blanks and hyphens do not count, `O`
    /// is `0`, and `I` and `L` are `1`. One from elsewhere must be right to the byte, but for blanks
    /// around it.
    #[schema(examples("0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8"))]
    key: String,
    /// What the program knows the machine by. With it, a licence whose activations are limited must be
    /// active there (else `activation_missing`); without it, the licence is judged by itself. One line.
    #[schema(min_length = 1, max_length = 255, examples("9f86d081884c7d65"))]
    fingerprint: Option<String>,
    /// The product that the key is for. With it, a key of another product is unknown (`license_unknown`);
    /// without it, the key of any product is judged.
    #[schema(min_length = 1, max_length = 255, examples("acme-desktop"))]
    product: Option<String>,
}

/// The verdict on a key, and what the key is for.
#[derive(Serialize, ToSchema)]
#[schema(as = LicenseValidation)]
pub(in crate::http) struct ValidationView {
    valid: bool,
    #[schema(schema_with = words::license_code)]
    code: LicenseCode,
    license_id: Option<String>,
    product: Option<String>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    customer_id: Option<String>,
    customer_status: Option<&'static str>,
    /// The time up to which releases stay available, if the customer is frozen or what this licence was
    /// bought with has ended.
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
    /// How many activations it may have at once; null: as many as are wanted.
    activations_limit: Option<u32>,
    /// How many it has.
    activations: Option<u64>,
    /// That of the fingerprint; null if none was given, or it is not active.
    activation_id: Option<String>,
    /// What it was bought with; null for one that an admin issued.
    source: Option<LicenseSourceView>,
}

impl From<Judged> for ValidationView {
    fn from(judged: Judged) -> Self {
        let code = judged.code;
        let source = judged.owned.as_ref();
        let source =
            source.and_then(|it| LicenseSourceView::of(&it.license, &it.customer, &it.plans));
        let limit = judged
            .owned
            .as_ref()
            .and_then(OwnedLicense::activations_allowed);
        let activations = judged.owned.as_ref().map(|it| it.activations);
        let (license, customer) = judged.owned.map(|it| (it.license, it.customer)).unzip();
        let shown = customer.as_ref().map(|it| &it.derived);
        let expires_at = license.as_ref().and_then(|it| it.expires_at);
        let ended_at = source.as_ref().and_then(|it| it.until.clone());
        let frozen_at = shown.and_then(|it| it.frozen_at).map(|at| at.to_string());
        Self {
            valid: code.is_valid(),
            code,
            expires_at: expires_at.map(|at| at.to_string()),
            customer_status: shown.map(|it| it.status.as_str()),
            frozen_at: ended_at.or(frozen_at),
            customer_id: customer.map(|it| it.id.into()),
            license_id: license.as_ref().map(|it| it.id.to_string()),
            product: license.map(|it| it.product),
            activations_limit: limit,
            activations,
            activation_id: judged.activation.map(|it| it.id.to_string()),
            source,
        }
    }
}

/// Validates a key.
pub(in crate::http) async fn validate_in(
    state: &AppState,
    app: &AppSlug,
    body: KeyBody,
) -> Result<ValidationView, ApiError> {
    let fingerprint = body.fingerprint.as_deref().map(validate::line).transpose();
    let fingerprint = fingerprint.map_err(|error| ApiError::invalid_field("fingerprint", error))?;
    let question = KeyQuestion {
        key: TypedKey::read(&body.key),
        fingerprint,
        product: body.product,
    };
    let now = state.clock.now();
    let judged = licenses::validate::validate(&state.store, app, &question, now).await?;
    Ok(judged.into())
}
