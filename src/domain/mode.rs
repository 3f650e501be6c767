//! Live and test mode of webhook secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The deliveries that a webhook secret is meant for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Both. Paddle's payloads, which do not tell their mode, count as live.
    #[default]
    Any,
    /// Live money only.
    Live,
    /// Test mode or sandbox only.
    Test,
}

impl Mode {
    /// Returns the word in settings, columns and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Returns true for live deliveries and false for test ones; `None` if it can be both.
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

/// A word that is not a [`Mode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mode (`any`, `live` or `test`)")]
pub struct ModeError(String);
