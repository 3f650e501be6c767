//! The catalogue: the same four plans at both providers.

use super::provider::Provider;

/// A price and the packages it buys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) id: &'static str,
    pub(super) product: &'static str,
    pub(super) name: &'static str,
    /// The price of a month, in cents.
    pub(super) amount: i64,
    /// Packages and constraints.
    pub(super) packages: &'static [(&'static str, &'static str)],
}

const SOLO: &[(&str, &str)] = &[("simulation/forms", "^1.0")];
const TEAM: &[(&str, &str)] = &[("simulation/forms", "*"), ("simulation/charts", "^2.0")];
const STUDIO: &[(&str, &str)] = &[
    ("simulation/forms", "*"),
    ("simulation/charts", "*"),
    ("simulation/reports", ">=1.0 <3.0"),
];
const SUPPORT: &[(&str, &str)] = &[("simulation/support", "*")];

const STRIPE: [Price; 4] = [
    price("price_1SimSolo", "prod_SimSolo", "Solo", 900, SOLO),
    price("price_1SimTeam", "prod_SimTeam", "Team", 2_900, TEAM),
    price(
        "price_1SimStudio",
        "prod_SimStudio",
        "Studio",
        9_900,
        STUDIO,
    ),
    price(
        "price_1SimSupport",
        "prod_SimSupport",
        "Support",
        5_000,
        SUPPORT,
    ),
];

const PADDLE: [Price; 4] = [
    price("pri_01simsolo", "pro_01simsolo", "Solo", 900, SOLO),
    price("pri_01simteam", "pro_01simteam", "Team", 2_900, TEAM),
    price(
        "pri_01simstudio",
        "pro_01simstudio",
        "Studio",
        9_900,
        STUDIO,
    ),
    price(
        "pri_01simsupport",
        "pro_01simsupport",
        "Support",
        5_000,
        SUPPORT,
    ),
];

const fn price(
    id: &'static str,
    product: &'static str,
    name: &'static str,
    amount: i64,
    packages: &'static [(&'static str, &'static str)],
) -> Price {
    Price {
        id,
        product,
        name,
        amount,
        packages,
    }
}

/// Returns the prices of a provider: three plans, then the add-on.
pub(super) fn prices(provider: Provider) -> &'static [Price; 4] {
    match provider {
        Provider::Stripe => &STRIPE,
        Provider::Paddle => &PADDLE,
    }
}

/// Releases of the packages, so that frozen customers have something to be frozen to.
pub(super) const RELEASES: [(&str, &str); 4] = [
    ("simulation/forms", "1.0.0"),
    ("simulation/charts", "2.0.0"),
    ("simulation/reports", "1.5.0"),
    ("simulation/support", "1.0.0"),
];
