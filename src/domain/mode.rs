//! Live or test: which deliveries a webhook secret is meant for.

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

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

words!(Mode, or "a mode (`any`, `live` or `test`)" {
    Any = "any",
    Live = "live",
    Test = "test",
});

impl Mode {
    /// Whether its deliveries are live; `None` if it does not say.
    pub const fn livemode(self) -> Option<bool> {
        match self {
            Self::Any => None,
            Self::Live => Some(true),
            Self::Test => Some(false),
        }
    }
}
