//! The providers that the simulator can play.

use std::fmt;

use crate::provider::{PADDLE, STRIPE, Spec};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Provider {
    Stripe,
    Paddle,
}

impl Provider {
    pub(super) const ALL: [Self; 2] = [Self::Stripe, Self::Paddle];

    /// How its webhooks are signed.
    pub(super) const fn spec(self) -> &'static Spec {
        match self {
            Self::Stripe => STRIPE,
            Self::Paddle => PADDLE,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec().name.fmt(f)
    }
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The seller's own customer.
    Own,
    /// At a connected account that the app names (Stripe).
    Connected,
    /// At one that it does not, whose owner sends what he likes.
    Stranger,
    /// Made in test mode, at the endpoint of live events (Stripe).
    Test,
}

impl Side {
    pub(super) const fn connected(self) -> Option<&'static str> {
        match self {
            Self::Connected => Some("acct_1SimConnected"),
            Self::Stranger => Some("acct_1SimStranger"),
            Self::Own | Self::Test => None,
        }
    }

    /// True if what is bought there means anything.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Own | Self::Connected)
    }
}
