//! Refusals that several resources share, with their stable codes.

use crate::causes::chain;
use crate::domain::customer::act::ActError;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::validate::FieldError;
use crate::http::ApiError;
use crate::http::field_errors::FieldErrors;
use crate::pipeline::access::AccessError;
use crate::pipeline::apps::AppError;
use crate::pipeline::composer::ComposerError;
use crate::pipeline::customers::{CustomerError, FindError};
use crate::pipeline::dismissal::DismissError;
use crate::pipeline::package_texts::PackageTextError;
use crate::pipeline::reconcile::ReconcileError;
use crate::pipeline::replay::ReplayError;
use crate::random::RandomError;
use crate::vault::VaultError;

pub(in crate::http) fn app_not_found() -> ApiError {
    ApiError::not_found("app_not_found", "there is no such app")
}

/// The same with the name that the request gave it. What is no slug is not repeated.
pub(in crate::http) fn named_app_not_found(slug: &AppSlug) -> ApiError {
    let detail = format!("there is no app `{slug}`, or this token may not see it");
    ApiError::not_found("app_not_found", detail)
}

pub(in crate::http) fn customer_not_found() -> ApiError {
    ApiError::not_found("customer_not_found", "there is no such customer")
}

pub(in crate::http) fn customer_merged(into: &CustomerId) -> ApiError {
    let detail = format!("this customer turned out to be the same as {into}, which is shown now");
    ApiError::not_found("customer_merged", detail)
}

pub(in crate::http) fn customer_deleted() -> ApiError {
    ApiError::conflict(
        "customer_deleted",
        "the customer was deleted and takes no changes",
    )
}

impl From<ActError> for ApiError {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Unknown => customer_not_found(),
            ActError::Deleted => customer_deleted(),
            ActError::Merged { into } => customer_merged(&into),
            ActError::UnknownAccount => {
                Self::not_found("account_not_found", "there is no such billing account")
            }
        }
    }
}

impl From<PackageTextError> for ApiError {
    fn from(error: PackageTextError) -> Self {
        match error {
            PackageTextError::Invalid { errors } => invalid(errors),
            PackageTextError::Store(error) => error.into(),
        }
    }
}

/// 422 for faults that were found field by field, as many as one answer names.
pub(in crate::http) fn invalid(errors: Vec<FieldError>) -> ApiError {
    let mut field_errors = FieldErrors::default();
    field_errors.extend(errors);
    ApiError::invalid(field_errors.into_errors())
}

impl From<CustomerError> for ApiError {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::Invalid { errors } => invalid(errors),
            CustomerError::EmailTaken { by } => {
                let detail = format!("the e-mail address belongs to customer {by}");
                Self::conflict("email_taken", detail)
            }
            CustomerError::ExternalIdTaken { by } => {
                let detail = format!("the external id belongs to customer {by}");
                Self::conflict("external_id_taken", detail)
            }
            CustomerError::IdentityConflict { of_id, of_email } => {
                let detail = match of_id {
                    Some(of_id) => format!(
                        "the external id belongs to customer {of_id}, the e-mail address to \
                         customer {of_email}"
                    ),
                    None => format!(
                        "the e-mail address belongs to customer {of_email}, who has another \
                         external id"
                    ),
                };
                Self::conflict("identity_conflict", detail)
            }
            CustomerError::NoAccount { detail } => Self::not_found("account_not_found", detail),
            CustomerError::AccountAmbiguous => Self::conflict(
                "account_ambiguous",
                "several billing accounts have this id: name `livemode` or `connected_account` too",
            ),
            CustomerError::Act(error) => error.into(),
            CustomerError::Stale(error) => error.into(),
            CustomerError::Store(error) => error.into(),
            CustomerError::Random(error) => error.into(),
        }
    }
}

impl From<FindError> for ApiError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Act(error) => error.into(),
            FindError::Store(error) => error.into(),
        }
    }
}

/// What is said of an app that a request names.
pub(in crate::http) fn of_named_app(error: AppError, slug: &AppSlug) -> ApiError {
    match error {
        AppError::NotFound => named_app_not_found(slug),
        other => other.into(),
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::NotFound => app_not_found(),
            AppError::Exists => Self::conflict("app_exists", "there is an app of this slug"),
            AppError::BeingDeleted => Self::conflict("app_being_deleted", error.to_string()),
            AppError::ReadOnly(_) => Self::conflict("setting_read_only", error.to_string()),
            AppError::Default => Self::conflict("app_default", "the app `default` always exists"),
            AppError::TooMany => Self::conflict("apps_too_many", error.to_string()),
            AppError::Store(error) => error.into(),
            AppError::Vault(error) => error.into(),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NoPackage => {
                Self::invalid_query(vec![FieldError::new("package", "is missing")])
            }
            AccessError::Customer(error) => error.into(),
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<ComposerError> for ApiError {
    fn from(error: ComposerError) -> Self {
        match error {
            ComposerError::NoRepository => Self::not_found(
                "repository_missing",
                "the app has no Composer repository: TOLLGATE_REPOSITORY or the API names one",
            ),
            ComposerError::Repository { .. } => {
                // Somebody must see to it: it does not pass by itself.
                tracing::error!(
                    error = chain(&error),
                    "a Composer repository cannot be used"
                );
                repository_unavailable()
            }
            ComposerError::Upstream { .. } => {
                tracing::warn!(
                    error = chain(&error),
                    "a Composer repository does not answer"
                );
                repository_unavailable()
            }
            ComposerError::Store(error) => error.into(),
        }
    }
}

/// The refusal while an app's Composer repository gives nothing.
pub(in crate::http) fn repository_unavailable() -> ApiError {
    ApiError::NotReady {
        code: "repository_unavailable",
        detail: "the app's Composer repository does not give what is needed; the log knows why"
            .into(),
    }
}

impl From<RandomError> for ApiError {
    fn from(error: RandomError) -> Self {
        Self::internal(error)
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

impl From<ReconcileError> for ApiError {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::KeyNeeded { .. } => Self::conflict("api_key_needed", error.to_string()),
            ReconcileError::Open { .. } => Self::conflict("reconcile_open", error.to_string()),
            ReconcileError::AppNotFound => app_not_found(),
            ReconcileError::NotFound => {
                Self::not_found("reconcile_not_found", "there is no such reconciliation")
            }
            ReconcileError::Api(error) => Self::conflict("api_key_unusable", error.to_string()),
            ReconcileError::Store(error) => error.into(),
            ReconcileError::Random(error) => error.into(),
        }
    }
}

impl From<DismissError> for ApiError {
    fn from(error: DismissError) -> Self {
        match error {
            DismissError::NotFound => event_not_found(),
            DismissError::NotFailed(_) => Self::conflict("not_failed", error.to_string()),
            DismissError::Waiting => Self::conflict("still_waiting", error.to_string()),
            DismissError::Store(error) => error.into(),
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NotFound => event_not_found(),
            ReplayError::AlreadyApplied { .. } => {
                Self::conflict("already_applied", error.to_string())
            }
            ReplayError::PayloadRemoved { .. } => {
                Self::conflict("payload_removed", error.to_string())
            }
            ReplayError::Open { .. } => Self::conflict("replay_open", error.to_string()),
            ReplayError::ReplayNotFound => {
                Self::not_found("replay_not_found", "there is no such replay")
            }
            ReplayError::Store(error) => error.into(),
            ReplayError::Queue(error) => error.into(),
            ReplayError::Random(error) => error.into(),
        }
    }
}

pub(in crate::http) fn event_not_found() -> ApiError {
    ApiError::not_found("event_not_found", "there is no such event")
}
