//! What payments, ends, refunds, purchases and disputes mean: the named cases.
//!
//! Each runs in every permutation of its events, also with each event twice. Prices A and B buy a
//! package, P is bought once, U is bought once with a year of updates, F has a plan that buys
//! nothing, C one that only counts, X none.

mod features;
mod grants;
mod holds;
mod leaves;
mod moves;
mod purchases;
mod quantities;
mod scopes;
mod standing;

use tollgate::domain::access::hand_grant::{GrantBilling, HandGrant};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::row::Status;
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;

use crate::convergence::History;
use crate::convergence::rig::{End, Pay, Sub, at, contact, paddle, pay, policy, stripe, sub_of};

const DAY: i64 = 86_400;

/// Two years of days, long after everything.
const LATE: i64 = 700 * DAY;

fn day(n: i64) -> i64 {
    n * DAY
}

fn end_at(now: i64, events: &[Occurrence]) -> End {
    end_in(policy(), now, events)
}

fn end_in(policy: Policy, now: i64, events: &[Occurrence]) -> End {
    History {
        policy,
        now,
        before: Vec::new(),
        act: &|_| {},
        after: events.to_vec(),
    }
    .end()
}

pub(super) fn by_hand(billing: GrantBilling, expires_at: Option<Timestamp>) -> HandGrant {
    HandGrant {
        grant: PackageGrant {
            package: "acme/hand".to_owned(),
            constraint: "*".to_owned(),
        },
        billing,
        expires_at,
    }
}

/// The end of events of a customer who has a grant by hand.
fn end_with_grant(billing: GrantBilling, now: i64, events: &[Occurrence]) -> End {
    History {
        policy: policy(),
        now,
        before: vec![contact("cus_1", "x@example.com", 1)],
        act: &|store| store.grant(&stripe("cus_1"), by_hand(billing, None), at(2)),
        after: events.to_vec(),
    }
    .end()
}

/// The prices that give something, each with its date.
fn gives<'e>(end: &'e End, account: &str) -> Vec<(&'e str, Option<Timestamp>)> {
    let entitlements = end.of(account).entitlements.iter();
    let mapped = entitlements.filter(|it| it.plan.is_some());
    mapped.map(|it| (it.price.as_str(), it.until)).collect()
}

fn assert_gives(end: &End, account: &str, status: Status, wanted: &[(&str, Option<i64>)]) {
    let shown = end.of(account);
    assert_eq!(shown.status, status, "{:?}", shown.reason);
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(price, until)| (*price, until.map(at)))
        .collect();
    assert_eq!(gives(end, account), wanted);
}

fn assert_active(end: &End, prices: &[&str]) {
    let wanted: Vec<_> = prices.iter().map(|price| (*price, None)).collect();
    assert_gives(end, "cus_1", Status::Active, &wanted);
}

fn assert_frozen(end: &End, wanted: &[(&str, i64)]) {
    let latest = wanted.iter().map(|(_, until)| *until).max().unwrap();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(price, until)| (*price, Some(*until)))
        .collect();
    assert_gives(end, "cus_1", Status::Frozen { at: at(latest) }, &wanted);
    assert_eq!(end.of("cus_1").frozen_at, Some(at(latest)));
}

fn assert_nothing(end: &End, status: Status) {
    assert_gives(end, "cus_1", status, &[]);
}

fn of_paddle(status: &str) -> Sub {
    sub_of(&paddle("sub_1"), &paddle("ctm_1"), status)
}

fn transaction(id: &str) -> Pay {
    pay(&paddle(id), &paddle("ctm_1")).of(&paddle("sub_1"))
}

fn lifetime() -> Occurrence {
    pay(&stripe("in_9"), &stripe("cus_1"))
        .once("P", 300)
        .paid(day(1))
}
