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
