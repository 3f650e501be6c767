//! The effect of an act, shown before it is done.

use std::collections::BTreeSet;

use super::words::Badge;
use crate::domain::customer::row::Customer;
use crate::pipeline::customers::{Acted, CustomerDetails};
use crate::store::Granted;

/// What a customer may have at one moment.
pub(super) struct Standing {
    status: &'static str,
    packages: BTreeSet<String>,
}

impl Standing {
    fn of(customer: &Customer, granted: &Granted) -> Self {
        let status = customer.derived.status.as_str();
        let may_install = matches!(status, "active" | "frozen");
        let live = granted.of(customer).into_iter().map(|live| {
            let until = live.until.map(|at| format!(", released by {at}"));
            let grant = live.grant;
            let until = until.unwrap_or_default();
            format!("{} {}{until}", grant.package, grant.constraint)
        });
        Self {
            status,
            packages: live.filter(|_| may_install).collect(),
        }
    }
}

impl From<&CustomerDetails> for Standing {
    fn from(details: &CustomerDetails) -> Self {
        Self::of(&details.customer, &details.granted)
    }
}

impl From<&Acted> for Standing {
    fn from(acted: &Acted) -> Self {
        Self::of(&acted.customer, &acted.granted)
    }
}

/// The difference that an act makes.
pub(super) struct Effect {
    pub(super) from: Badge,
    pub(super) to: Badge,
    pub(super) lost: Vec<String>,
    pub(super) gained: Vec<String>,
    pub(super) kept: usize,
    /// Nothing that is shown changes.
    pub(super) is_nothing: bool,
}

impl Effect {
    pub(super) fn between(before: impl Into<Standing>, after: impl Into<Standing>) -> Self {
        let (before, after): (Standing, Standing) = (before.into(), after.into());
        let difference = |one: &Standing, other: &Standing| -> Vec<String> {
            one.packages.difference(&other.packages).cloned().collect()
        };
        let (lost, gained) = (difference(&before, &after), difference(&after, &before));
        Self {
            from: Badge::status(before.status),
            to: Badge::status(after.status),
            kept: before.packages.intersection(&after.packages).count(),
            is_nothing: before.status == after.status && lost.is_empty() && gained.is_empty(),
            lost,
            gained,
        }
    }
}
