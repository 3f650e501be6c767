//! Activations of licences as the admin API and the dialect of apps show them. What they mean is in
//! [`domain::access::activation`](crate::domain::access::activation).

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::license_id;
use crate::domain::access::activation::Activation;
use crate::domain::access::license_key::TypedKey;
use crate::domain::id::{ActivationId, AppSlug};
use crate::domain::validate;
use crate::http::api::list;
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses::LicenseError;
use crate::pipeline::licenses::activations::{
    self, Activated, ActivationOrder, Deactivated, Places,
};
use crate::pipeline::order::Order;
use crate::store::{Listed, Window};

/// A place of a licence that is in use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Activation)]
pub(in crate::http) struct ActivationView {
    #[schema(examples("act_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("lic_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    license_id: String,
    /// What the program knows the machine by.
    #[schema(examples("9f86d081884c7d65"))]
    fingerprint: String,
    /// A name for people; null if it has none.
    #[schema(examples("Ada's laptop"))]
    name: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Activation> for ActivationView {
    fn from(activation: Activation) -> Self {
        Self {
            id: activation.id.into(),
            license_id: activation.license.into(),
            fingerprint: activation.fingerprint,
            name: activation.name,
            created_at: activation.created_at.to_string(),
        }
    }
}

/// A place that was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivatedLicense)]
pub(in crate::http) struct ActivatedView {
    #[serde(flatten)]
    activation: ActivationView,
    /// The product that the key is for.
    #[schema(examples("acme-desktop"))]
    product: String,
    /// How many activations the licence may have at once; null: as many as are wanted.
    activations_limit: Option<u32>,
    /// How many it has now.
    activations: u64,
    /// False if the fingerprint was active already.
    changed: bool,
}

impl From<Activated> for ActivatedView {
    fn from(activated: Activated) -> Self {
        Self {
            activation: activated.activation.into(),
            product: activated.product,
            activations_limit: activated.places.limit,
            activations: activated.places.taken,
            changed: activated.changed,
        }
    }
}

/// A licence after a place was given back.
#[derive(Serialize, ToSchema)]
#[schema(as = DeactivatedLicense)]
pub(in crate::http) struct DeactivatedView {
    license_id: String,
    /// How many activations the licence may have at once; null: as many as are wanted.
    activations_limit: Option<u32>,
    /// How many it has now.
    activations: u64,
    /// False if the fingerprint was not active.
    changed: bool,
}

impl From<Deactivated> for DeactivatedView {
    fn from(Deactivated { places, changed }: Deactivated) -> Self {
        let Places {
            license,
            taken,
            limit,
        } = places;
        Self {
            license_id: license.into(),
            activations_limit: limit,
            activations: taken,
            changed,
        }
    }
}

/// Where a licence is to be used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ActivationOrder)]
pub(in crate::http) struct ActivateBody {
    /// As the customer typed it, as in `POST /licenses/validate`.
    #[schema(examples("0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8"))]
    key: String,
    /// What the program knows the machine by. It is compared to the byte. One line.
    #[schema(min_length = 1, max_length = 255, examples("9f86d081884c7d65"))]
    fingerprint: String,
    /// A name for people, such as the machine's. One line; none by default.
    #[schema(min_length = 1, max_length = 255, examples("Ada's laptop"))]
    name: Option<String>,
    /// The product that is activated. With it, a key of another product is unknown (404
    /// `license_not_found`); without it, the key of any product takes a place.
    #[schema(min_length = 1, max_length = 255, examples("acme-desktop"))]
    product: Option<String>,
}

impl ActivateBody {
    fn check(self) -> Result<ActivationOrder, ApiError> {
        let mut errors = FieldErrors::default();
        let fingerprint = checked("fingerprint", validate::line(&self.fingerprint));
        let fingerprint = errors.note(fingerprint);
        let name = self.name.as_deref().map(validate::line).transpose();
        let name = errors.note(checked("name", name));
        errors.finish(
            fingerprint
                .zip(name)
                .map(|(fingerprint, name)| ActivationOrder {
                    key: TypedKey::read(&self.key),
                    product: self.product,
                    fingerprint,
                    name,
                }),
        )
    }
}

/// Where a licence is used no more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeactivationOrder)]
pub(in crate::http) struct DeactivateBody {
    /// As the customer typed it, as in `POST /licenses/validate`.
    #[schema(examples("0BP1C-Q2DR3-ES4FT-5GV6H-W7JX8"))]
    key: String,
    /// What the program knows the machine by. One line.
    #[schema(min_length = 1, max_length = 255, examples("9f86d081884c7d65"))]
    fingerprint: String,
}

/// Takes a place. What comes back besides the view are the status, 201 or 200, and for 201 the id of the
/// licence, for the path.
pub(in crate::http) async fn activate_in(
    state: &AppState,
    order: &Order,
    body: ActivateBody,
) -> Result<(StatusCode, Option<String>, Json<ActivatedView>), ApiError> {
    let done = activations::activate(&state.store, order, body.check()?).await?;
    let (status, license) = if done.changed {
        (
            StatusCode::CREATED,
            Some(done.activation.license.to_string()),
        )
    } else {
        (StatusCode::OK, None)
    };
    Ok((status, license, Json(done.into())))
}

/// Gives a place back.
pub(in crate::http) async fn deactivate_in(
    state: &AppState,
    order: &Order,
    body: DeactivateBody,
) -> Result<Json<DeactivatedView>, ApiError> {
    let fingerprint = validate::line(&body.fingerprint);
    let fingerprint = fingerprint.map_err(|error| ApiError::invalid_field("fingerprint", error))?;
    let key = TypedKey::read(&body.key);
    let done = activations::deactivate(&state.store, order, &key, &fingerprint).await?;
    Ok(Json(done.into()))
}

/// Lists part of a licence's activations.
pub(in crate::http) async fn list_in(
    state: &AppState,
    app: &AppSlug,
    license: &str,
    window: &Window,
) -> Result<Listed<ActivationView>, ApiError> {
    let license = license_id(license)?;
    let part = activations::list(&state.store, app, &license, window).await?;
    Ok(list::map(part, ActivationView::from))
}

/// Gives a place back, by the id of its activation.
pub(in crate::http) async fn delete_in(
    state: &AppState,
    order: &Order,
    (license, id): (&str, &str),
) -> Result<(), ApiError> {
    let license = license_id(license)?;
    // A text that is no id names no activation.
    let id: ActivationId = id.parse().map_err(|_| LicenseError::NotActive)?;
    Ok(activations::delete(&state.store, order, &license, &id).await?)
}
