//! Grants by hand: packages that an admin gave a customer.

use serde::{Deserialize, Serialize};

use super::plan::PackageGrant;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// A grant by hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HandGrant {
    /// The package and its versions.
    #[serde(flatten)]
    pub grant: PackageGrant,
    /// What billing means for it.
    pub billing: GrantBilling,
    /// The time at which it runs out, by the local clock; `None`: never.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::domain::time::rfc3339::option"
    )]
    pub expires_at: Option<Timestamp>,
}

/// The effect of billing on a grant by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantBilling {
    /// It counts while the customer is active or frozen: billing decides.
    #[default]
    Follow,
    /// It counts whatever billing says, as if it were paid for.
    Ignore,
}

words!(GrantBilling, or "an effect of billing on a grant" {
    Follow = "follow",
    Ignore = "ignore",
});

impl HandGrant {
    /// True if it has not run out.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}
