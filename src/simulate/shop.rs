//! The catalogue: the same prices at both providers.

use super::provider::{Provider, Side};

/// A price and the packages it buys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) id: &'static str,
    pub(super) product: &'static str,
    pub(super) name: &'static str,
    /// The price of a month, or of what is bought once, in cents.
    pub(super) amount: i64,
    pub(super) plan: Plan,
}

/// What a price buys here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Packages and constraints, for a month.
    Month(&'static [(&'static str, &'static str)]),
    /// Packages and constraints, bought once, with new versions for so many days, or for ever.
    Once(&'static [(&'static str, &'static str)], Option<i64>),
    /// Nothing here, and that is said so: the empty list.
    Nothing,
    /// Nobody has said what it buys.
    Unmapped,
}

impl Price {
    pub(super) const fn packages(&self) -> &'static [(&'static str, &'static str)] {
        match self.plan {
            Plan::Month(packages) | Plan::Once(packages, _) => packages,
            Plan::Nothing | Plan::Unmapped => &[],
        }
    }

    /// True if it buys anything here.
    pub(super) const fn buys(&self) -> bool {
        !self.packages().is_empty()
    }
}

const SOLO: Plan = Plan::Month(&[("simulation/forms", "^1.0")]);
const TEAM: Plan = Plan::Month(&[("simulation/forms", "*"), ("simulation/charts", "^2.0")]);
const STUDIO: Plan = Plan::Month(&[
    ("simulation/forms", "*"),
    ("simulation/charts", "*"),
    ("simulation/reports", ">=1.0 <3.0"),
]);
const SUPPORT: Plan = Plan::Month(&[("simulation/support", "*")]);
const LIFETIME: Plan = Plan::Once(&[("simulation/icons", "*")], None);
const EDITION: Plan = Plan::Once(&[("simulation/maps", "*")], Some(90));

/// Places in the list of prices: three plans, the add-on, and what is sold beside them.
pub(super) const BESIDE: usize = 3;
pub(super) const LETTER: usize = 4;
pub(super) const NEW: usize = 5;
pub(super) const FOREVER: usize = 6;
pub(super) const MAPS: usize = 7;
pub(super) const COURSE: usize = 8;
pub(super) const SURPRISE: usize = 9;

static STRIPE: [Price; 10] = [
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
    price(
        "price_1SimLetter",
        "prod_SimLetter",
        "Letter",
        400,
        Plan::Nothing,
    ),
    price("price_1SimNew", "prod_SimNew", "New", 1_900, Plan::Unmapped),
    price(
        "price_1SimForever",
        "prod_SimForever",
        "Forever",
        29_900,
        LIFETIME,
    ),
    price(
        "price_1SimEdition",
        "prod_SimEdition",
        "Edition",
        4_900,
        EDITION,
    ),
    price(
        "price_1SimCourse",
        "prod_SimCourse",
        "Course",
        12_000,
        Plan::Nothing,
    ),
    price(
        "price_1SimSurprise",
        "prod_SimSurprise",
        "Surprise",
        700,
        Plan::Unmapped,
    ),
];

static PADDLE: [Price; 10] = [
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
    price(
        "pri_01simletter",
        "pro_01simletter",
        "Letter",
        400,
        Plan::Nothing,
    ),
    price("pri_01simnew", "pro_01simnew", "New", 1_900, Plan::Unmapped),
    price(
        "pri_01simforever",
        "pro_01simforever",
        "Forever",
        29_900,
        LIFETIME,
    ),
    price(
        "pri_01simedition",
        "pro_01simedition",
        "Edition",
        4_900,
        EDITION,
    ),
    price(
        "pri_01simcourse",
        "pro_01simcourse",
        "Course",
        12_000,
        Plan::Nothing,
    ),
    price(
        "pri_01simsurprise",
        "pro_01simsurprise",
        "Surprise",
        700,
        Plan::Unmapped,
    ),
];

/// Stripe's payment link, which stands for the price of the sessions that came by it.
pub(super) const LINK: Price = price("plink_1SimForever", "", "Forever", 29_900, LIFETIME);

const fn price(
    id: &'static str,
    product: &'static str,
    name: &'static str,
    amount: i64,
    plan: Plan,
) -> Price {
    Price {
        id,
        product,
        name,
        amount,
        plan,
    }
}

/// The key under which the shop writes its own ids of customers.
pub(super) const SELLER_ID_KEY: &str = "shop_user";

/// What somebody wrote into the address of a payment link, which is no proof.
pub(super) const FORGED: &str = "shop-0";

/// The plan of a price at the connected account, where it buys something else.
pub(super) const CONNECTED_SOLO: &str = "acct_1SimConnected/price_1SimSolo";
static CONNECTED: Price = price("price_1SimSolo", "prod_SimSolo", "Solo", 900, SUPPORT);

/// Returns what a price is at an account.
pub(super) fn at(side: Side, price: &'static Price) -> &'static Price {
    if side == Side::Connected && price.id == CONNECTED.id {
        &CONNECTED
    } else {
        price
    }
}

/// Returns the prices of a provider, by their places.
pub(super) fn prices(provider: Provider) -> &'static [Price; 10] {
    match provider {
        Provider::Stripe => &STRIPE,
        Provider::Paddle => &PADDLE,
    }
}

/// Returns everything that has a plan at a provider, each with the id of the plan.
pub(super) fn plans(provider: Provider) -> impl Iterator<Item = (&'static str, &'static Price)> {
    let elsewhere = (provider == Provider::Stripe).then_some((CONNECTED_SOLO, &CONNECTED));
    let links: &[Price] = match provider {
        Provider::Stripe => &LINKS,
        Provider::Paddle => &[],
    };
    let all = prices(provider).iter().chain(links);
    let all = all.filter(|price| price.plan != Plan::Unmapped);
    all.map(|price| (price.id, price)).chain(elsewhere)
}

static LINKS: [Price; 1] = [LINK];

/// Returns the price that a payment link stands for.
pub(super) fn link() -> &'static Price {
    &LINKS[0]
}

/// Releases of the packages, so that frozen customers have something to be frozen to.
pub(super) const RELEASES: [(&str, &str); 6] = [
    ("simulation/forms", "1.0.0"),
    ("simulation/charts", "2.0.0"),
    ("simulation/reports", "1.5.0"),
    ("simulation/support", "1.0.0"),
    ("simulation/icons", "1.0.0"),
    ("simulation/maps", "1.0.0"),
];
