//! What can be done with a licence after it was issued.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{LicenseView, OrderedLicenseView, license_id, tagged};
use crate::domain::access::activation::check_limit;
use crate::domain::customer::profile::{Given, given};
use crate::domain::precondition::Precondition;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::field_errors::{FieldErrors, checked, end};
use crate::http::precondition::Tagged;
use crate::http::reason::Reasoned;
use crate::http::{ApiError, AppState};
use crate::pipeline::licenses::change::{self, LicenseChange, Renewal};
use crate::pipeline::order::Order;

/// Most days of one renewal: a century.
const MAX_DAYS: u32 = 36_500;

/// What to change of a licence. Missing fields stay as they are, `null` clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LicenseChange)]
pub(in crate::http) struct LicenseChangeBody {
    /// The end of its life; null: it never ends.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Given<String>,
    /// How many activations it may have at once; null: as its plan says, else as many as are wanted.
    /// Those that there are stay; with a lower limit no more are added until enough are removed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    activations_limit: Given<i64>,
    /// Anything, as an object of at most 16 KiB of JSON. Replaced as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    metadata: Given<Value>,
}

/// The same, and why.
pub(in crate::http) type LicenseChangeWithReason = Reasoned<LicenseChangeBody>;

impl LicenseChangeBody {
    fn check(self, now: Timestamp) -> Result<LicenseChange, ApiError> {
        let mut errors = FieldErrors::default();
        let expires_at = self.expires_at.map(|text| {
            errors
                .note(end("expires_at", text.as_deref(), now))
                .flatten()
        });
        let activations_limit = self.activations_limit.map(|given| {
            given.and_then(|it| errors.note(checked("activations_limit", check_limit(it))))
        });
        let metadata = self.metadata.map(|given| {
            given.and_then(|it| errors.note(checked("metadata", validate::metadata(&it))))
        });
        errors.finish(Some(LicenseChange {
            expires_at,
            activations_limit,
            metadata,
        }))
    }
}

/// For how long to renew a licence: either of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LicenseRenewal)]
pub(in crate::http) struct RenewalBody {
    /// The new end, no earlier than the present one.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// So many days from the present end on, or from now on if that is past.
    #[schema(minimum = 1, maximum = 36_500, examples(365))]
    days: Option<u32>,
}

/// The same, and why.
pub(in crate::http) type RenewalWithReason = Reasoned<RenewalBody>;

impl RenewalBody {
    fn check(self, now: Timestamp) -> Result<Renewal, ApiError> {
        let mut errors = FieldErrors::default();
        let until = errors.note(end("expires_at", self.expires_at.as_deref(), now));
        let renewal = match (until.flatten(), self.days) {
            (Some(until), None) => Some(Renewal::Until(until)),
            (None, Some(days)) if (1..=MAX_DAYS).contains(&days) && errors.count() == 0 => {
                Some(Renewal::Days(days))
            }
            (None, Some(_)) if errors.count() == 0 => {
                errors.add("days", format!("must be 1 to {MAX_DAYS}"));
                None
            }
            (None, None) if errors.count() == 0 => {
                errors.add("expires_at", "or `days` must be given");
                None
            }
            (Some(_), Some(_)) => {
                errors.add("days", "must not be given beside `expires_at`");
                None
            }
            _ => None,
        };
        errors.finish(renewal)
    }
}

/// Changes a licence.
pub(in crate::http) async fn change_in(
    state: &AppState,
    order: &Order,
    id: &str,
    body: LicenseChangeBody,
    only_if: &Precondition,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let (id, wanted) = (license_id(id)?, body.check(order.now)?);
    let changed = change::change(&state.store, order, &id, wanted, only_if).await?;
    Ok(OrderedLicenseView::tagged(state, order, changed))
}

/// Renews a licence.
pub(in crate::http) async fn renew_in(
    state: &AppState,
    order: &Order,
    id: &str,
    body: RenewalBody,
    only_if: &Precondition,
) -> Result<Tagged<OrderedLicenseView>, ApiError> {
    let (id, renewal) = (license_id(id)?, body.check(order.now)?);
    let changed = change::renew(&state.store, order, &id, renewal, only_if).await?;
    Ok(OrderedLicenseView::tagged(state, order, changed))
}

/// Gives a licence another key.
pub(in crate::http) async fn reissue_in(
    state: &AppState,
    order: &Order,
    id: &str,
    only_if: &Precondition,
) -> Result<Tagged<LicenseView>, ApiError> {
    let id = license_id(id)?;
    let owned = change::reissue(&state.store, &state.vault, order, &id, only_if).await?;
    Ok(tagged(state, &order.app, owned, order.now))
}

/// Removes a licence.
pub(in crate::http) async fn delete_in(
    state: &AppState,
    order: &Order,
    id: &str,
    only_if: &Precondition,
) -> Result<(), ApiError> {
    change::delete(&state.store, order, &license_id(id)?, only_if).await?;
    Ok(())
}
