//! Live or test: which deliveries a webhook secret is meant for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which deliveries a secret is meant for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Both; Paddle's payloads, which do not say, count as live.
    #[default]
    Any,
    /// Live money only.
    Live,
    /// Test mode or sandbox only.
    Test,
}

impl Mode {
    /// The word in settings, columns and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Whether its deliveries are live; `None` if it does not say.
    pub const fn livemode(self) -> Option<bool> {
        match self {
            Self::Any => None,
            Self::Live => Some(true),
            Self::Test => Some(false),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = ModeError;
    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "any" => Ok(Self::Any),
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(ModeError(text.chars().take(80).collect())),
        }
    }
}

/// A word that is no [`Mode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode (`any`, `live` or `test`)")]
pub struct ModeError(String);
