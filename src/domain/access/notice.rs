//! Whether a change of what was derived of a customer is one that it would notice.

use std::collections::BTreeSet;

use super::live_grant::LiveGrant;
use super::plan::{PackageGrant, Plans, licenses};
use crate::domain::customer::row::Derived;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// Returns whether a customer would notice a change. Flags and due times are for admins and timers, and what
/// gives a package twice gives it all the same.
pub fn is_noticed(before: &Derived, after: &Derived, plans: &Plans) -> bool {
    before.status != after.status
        || before.reason != after.reason
        || before.holds != after.holds
        || before.entitlements != after.entitlements
            && bought(before, plans) != bought(after, plans)
}

/// What a customer has of packages, each with the end of its versions, and of licences, each with what it
/// came with.
type Bought<'a> = (
    BTreeSet<(PackageGrant, Option<Timestamp>)>,
    BTreeSet<(&'a str, &'a ObjectKey)>,
);

fn bought<'a>(derived: &'a Derived, plans: &'a Plans) -> Bought<'a> {
    let prices = derived.entitlements.iter();
    let grants = prices.clone();
    let grants = grants.flat_map(|price| LiveGrant::of_price(price, plans, derived));
    let licenses = prices.flat_map(|price| {
        let bought = licenses(plans, price).iter();
        bought.map(|it| (it.product.as_str(), &price.source))
    });
    (
        grants.map(|it| (it.grant, it.until)).collect(),
        licenses.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::plan::{Entitlement, Plan, PlanLicense};
    use crate::domain::id::{Kind, Scope};

    fn with(prices: &[(&str, &str)]) -> Derived {
        let provider = "stripe".parse().unwrap();
        let scope = Scope {
            provider,
            livemode: true,
            connected: None,
        };
        let entitlements = prices.iter().map(|(price, source)| Entitlement {
            provider,
            price: (*price).to_owned(),
            plan: (*price != "unmapped").then(|| (*price).to_owned()),
            source: scope.key(Kind::Subscription, source),
            until: None,
        });
        Derived {
            entitlements: entitlements.collect(),
            ..Derived::default()
        }
    }

    #[test]
    fn only_what_a_customer_would_notice_counts() {
        let provider = "stripe".parse().unwrap();
        let plan = |packages: &[&str], products: &[&str]| Plan {
            packages: packages
                .iter()
                .map(|it| PackageGrant {
                    package: (*it).to_owned(),
                    constraint: "*".to_owned(),
                })
                .collect(),
            licenses: products
                .iter()
                .map(|it| PlanLicense {
                    product: (*it).to_owned(),
                    activations_limit: None,
                })
                .collect(),
            ..Plan::default()
        };
        let plans: Plans = [
            ((provider, "a".to_owned()), plan(&["acme/a"], &[])),
            ((provider, "also_a".to_owned()), plan(&["acme/a"], &[])),
            ((provider, "desk".to_owned()), plan(&[], &["desk"])),
        ]
        .into();
        let a = with(&[("a", "sub_1")]);
        let is_other = |other: &Derived| is_noticed(&a, other, &plans);
        assert!(!is_other(&with(&[("a", "sub_1"), ("unmapped", "sub_2")])));
        assert!(!is_other(&with(&[("a", "sub_1"), ("also_a", "sub_2")])));
        assert!(!is_other(&with(&[("also_a", "sub_2")])));
        assert!(is_other(&with(&[])));
        assert!(is_other(&with(&[("a", "sub_1"), ("desk", "sub_2")])));
    }
}
