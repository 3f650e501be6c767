//! What is remembered of an account in test mode, beside its facts: whether they count.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// How an event came here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// By a secret that is meant for live events, or for both.
    #[default]
    Plain,
    /// By a secret that is meant for test events alone.
    TestSecret,
    /// The provider only simulated it.
    Simulation,
}

/// The trace of an account in test mode: a join, like its history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestTrace {
    /// The newest instant of any fact that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// True if a fact came by a secret for test events: it is meant to count, in test mode.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_test_secret: bool,
    /// True if the provider simulated a fact. What is simulated is no sign of a mistake.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// Admin act: the newest of these instants whose flag was cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

impl TestTrace {
    /// True for accounts in live mode, which leave none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Merges an event that names the account.
    pub fn join(&mut self, at: Timestamp, origin: Origin) {
        self.newest = self.newest.max(Some(at));
        self.by_test_secret |= origin == Origin::TestSecret;
        self.simulated |= origin == Origin::Simulation;
    }
}
