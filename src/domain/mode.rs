//! Live and test mode of webhook secrets.

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

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

words!(Mode, or "a mode (`any`, `live` or `test`)" {
    Any = "any",
    Live = "live",
    Test = "test",
});

impl Mode {
    /// Returns true for live deliveries and false for test ones; `None` if it can be both.
    pub const fn livemode(self) -> Option<bool> {
        match self {
            Self::Any => None,
            Self::Live => Some(true),
            Self::Test => Some(false),
        }
    }
}
