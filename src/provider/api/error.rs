//! What goes wrong between us and a provider's API.

use std::fmt::Display;
use std::time::Duration;

use stripe_client_core::StripeClientErr;

/// The provider did not answer what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The key is wrong, or may not read this.
    #[error("the API key was refused with {status}: {detail}; {}", advice(*status, detail))]
    KeyRefused {
        /// 401 or 403.
        status: u16,
        /// What the provider says.
        detail: String,
    },
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// The provider limits the rate, has a fault, or cannot be reached. It may answer later.
    #[error("the provider gave nothing to work with: {detail}")]
    Away {
        /// What happened at last.
        detail: String,
        /// When it asks to be asked again.
        retry_after: Option<Duration>,
    },
    /// It answered what nobody here understands.
    #[error("the answer was not understood: {detail}")]
    NotUnderstood {
        /// What is wrong with it.
        detail: String,
    },
}

impl ApiError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyRefused { .. } => "api_key_refused",
            Self::NotFound => "object_gone",
            Self::Away { .. } => "provider_away",
            Self::NotUnderstood { .. } => "answer_not_understood",
        }
    }

    /// True if the same question may be answered later without anybody changing anything.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    pub(super) fn not_understood(detail: impl Display) -> Self {
        Self::NotUnderstood {
            detail: detail.to_string(),
        }
    }
}

impl StripeClientErr for ApiError {
    fn deserialize_err(message: impl Display) -> Self {
        Self::not_understood(message)
    }
}

/// What is wrong with a key, and what would be right, by the words of
/// <https://docs.stripe.com/error-codes> and <https://developer.paddle.com/errors/overview>.
fn advice(status: u16, said: &str) -> &'static str {
    match said.split(',').next().unwrap_or_default() {
        "api_key_expired" | "platform_api_key_expired" => "it has expired: make another one",
        "more_permissions_required" => "give it that permission in the provider's dashboard",
        "secret_key_required" => {
            "it is a publishable key: give a secret (sk_…) or a restricted (rk_…) one"
        }
        "invalid_token" => "the provider does not know it: it was revoked, or is of the sandbox",
        "authentication_malformed" => "it has not the form of a key: copy it once more, whole",
        "forbidden" => {
            "it lacks a permission, or was revoked: look at it in the provider's dashboard"
        }
        "testmode_charges_only" | "livemode_mismatch" => {
            "it is of the other mode: give the key of the mode that is sold in"
        }
        _ if status == 401 => {
            "the provider does not know it: it was revoked, or is of another account, or of the sandbox"
        }
        _ => "look at it in the provider's dashboard",
    }
}
