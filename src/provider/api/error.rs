//! What goes wrong between us and a provider's API.

use std::fmt::Display;
use std::time::Duration;

use stripe_client_core::StripeClientErr;

/// The provider did not answer what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The key is wrong, or may not read this.
    #[error("the API key was refused with {status}: {detail}")]
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
    #[error("the provider did not answer: {detail}")]
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
