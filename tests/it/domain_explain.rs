//! Why a customer's status is what it is, for every cause of a status.

use std::collections::BTreeSet;

use tollgate::domain::access::hand_grant::{GrantBilling, HandGrant};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::billing::assessment::Verdict;
use tollgate::domain::billing::fact::{DisputeStage, Occurrence};
use tollgate::domain::customer::act::FreezeOrder;
use tollgate::domain::customer::explain::{Explanation, Step, Uncounted, explain};
use tollgate::domain::customer::row::{Hold, PackageVersion, Profile};
use tollgate::domain::customer::source::SourceKind;
use tollgate::domain::identity::links::stored_groups;
use tollgate::domain::policy::{
    EarlyEnd, OnCollectionPause, OnDisputeOpened, OnEnd, OnEndUnpaid, OnFullRefund, OnPause,
    OnPaymentFailed, OnSilence, Policy,
};
use tollgate::domain::span::Span;

use crate::convergence::rig::{
    self, NOW, at, contact, counted, disputed, invoice, pair, pay, removed, stripe, sub, sub_of,
};
use crate::domain_acts::Desk;

const X: &str = "x@example.com";

/// A day in seconds.
const DAY: i64 = 86_400;

fn explained_at(desk: &Desk, account: &str, second: i64) -> Explanation {
    let shown = BTreeSet::from([desk.id(account)]);
    let group = stored_groups(&desk.working_set, &shown).pop().unwrap();
    explain(&desk.working_set, &group, at(second))
}

fn explained(desk: &Desk, account: &str) -> Explanation {
    explained_at(desk, account, NOW)
}

/// A hold, what it makes of the status by itself, and whether the status is its own.
type Held<'a> = (Hold, &'a str, bool);

/// A case: the policy, what happened, what admins did, and what is told.
struct Case<'a> {
    name: &'a str,
    policy: Policy,
    events: Vec<Occurrence>,
    acts: &'a dyn Fn(&mut Desk),
    status: &'a str,
    holds: &'a [Held<'a>],
    told: &'a [&'a str],
}

fn check(cases: Vec<Case<'_>>) {
    for case in cases {
        let mut desk = Desk::new(case.policy);
        for event in &case.events {
            desk.post(event);
        }
        (case.acts)(&mut desk);
        let explanation = explained(&desk, "cus_1");
        let holds: Vec<Held> = explanation
            .holds
            .iter()
            .map(|it| (it.hold, it.status, it.decides))
            .collect();
        let name = case.name;
        assert_eq!(explanation.status, case.status, "{name}");
        assert_eq!(
            explanation.status,
            desk.shown("cus_1").status.as_str(),
            "{name}"
        );
        assert_eq!(holds, case.holds, "{name}");
        assert_eq!(explanation.summary, case.told, "{name}");
    }
}

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = rig::policy();
    change(&mut policy);
    policy
}

/// The account of all cases, which has no address.
const OWN: &str = "Account cus_1 is the customer's own: it follows no other.";

const BILLING: &[Held] = &[(Hold::Billing, "suspended", true)];

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_standing_of_a_subscription_is_explained_with_its_reason() {
    let none = rig::policy;
    let nothing: &dyn Fn(&mut Desk) = &|_| {};
    let case = |name, policy, events, status, holds, told| Case {
        name,
        policy,
        events,
        acts: nothing,
        status,
        holds,
        told,
    };
    let uncollected = || {
        let mut uncollected = sub("active");
        uncollected.0.state.collection_paused = true;
        vec![uncollected.at(10)]
    };
    check(vec![
        case(
            "no subscription",
            none(),
            vec![contact("cus_1", X, 10)],
            "active",
            &[],
            &[
                "The customer is active: nothing was bought, and nothing holds it.",
                OWN,
            ],
        ),
        case(
            "good",
            none(),
            vec![sub("active").at(10)],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "scheduled",
            none(),
            vec![sub("active").cancel_at(900).at(10)],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (active) is good; it is scheduled to end on 1970-01-01T00:15:00.000Z.",
                OWN,
                "On 1970-01-01T00:15:00.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "caught up",
            none(),
            vec![
                sub("past_due").latest("in_1").at(10),
                invoice("in_1").paid(20),
            ],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (past_due) is good: it was paid after it fell behind.",
                OWN,
            ],
        ),
        case(
            "failing",
            none(),
            vec![sub("past_due").at(10)],
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best has a failed payment. That ends when one counts as good.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:10.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:10.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-15T00:00:10.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "grace",
            policy(|p| p.suspend_after = Span::days(3)),
            vec![sub("active").at(5), sub("past_due").at(10)],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:10.000Z, counts as good until 1970-01-04T00:00:10.000Z (suspend_after: 3d), and ends on 1970-01-15T00:00:10.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-04T00:00:10.000Z the customer becomes suspended (payment_failed), unless billing says something else before.",
                "On 1970-01-15T00:00:10.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "kept",
            policy(|p| p.on_payment_failed = OnPaymentFailed::Keep),
            vec![sub("past_due").at(10)],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:10.000Z, counts as good all the same (on_payment_failed: keep), and ends on 1970-01-15T00:00:10.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-15T00:00:10.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "given up",
            policy(|p| p.suspend_after = Span::days(3)),
            vec![sub("unpaid").at(10)],
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best has a failed payment. That ends when one counts as good.",
                "Subscription sub_1 (unpaid) has been failing since 1970-01-01T00:00:10.000Z, has no grace, for the provider has given up collecting, and ends on 1970-01-15T00:00:10.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-15T00:00:10.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "too long",
            policy(|p| p.end_after = "10s".parse().unwrap()),
            vec![sub("past_due").at(10)],
            "frozen",
            &[(Hold::Billing, "frozen", true)],
            &[
                "The customer is frozen by billing: no source of access counts as good, and the best leaves what was paid for. That ends when one counts as good.",
                "It keeps what was released until 1970-01-01T00:00:10.000Z.",
                "Subscription sub_1 (past_due) ended on 1970-01-01T00:00:20.000Z, having been failing since 1970-01-01T00:00:10.000Z (end_after: 10s), and what was paid for stays: A until 1970-01-01T00:00:10.000Z.",
                OWN,
            ],
        ),
        case(
            "paused",
            none(),
            vec![sub("paused").at(10)],
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best is paused. That ends when one counts as good.",
                "Subscription sub_1 (paused) has been paused since 1970-01-01T00:00:10.000Z.",
                OWN,
            ],
        ),
        case(
            "paused, frozen",
            policy(|p| p.on_pause = OnPause::Freeze),
            vec![sub("paused").at(10)],
            "frozen",
            &[(Hold::Billing, "frozen", true)],
            &[
                "The customer is frozen by billing: no source of access counts as good, and the best leaves what was paid for. That ends when one counts as good.",
                "It keeps what was released until 1970-01-01T00:00:10.000Z.",
                "Subscription sub_1 (paused) has been paused since 1970-01-01T00:00:10.000Z, and what was paid for stays: A until 1970-01-01T00:00:10.000Z (on_pause: freeze).",
                OWN,
            ],
        ),
        case(
            "paused, kept",
            policy(|p| p.on_pause = OnPause::Keep),
            vec![sub("paused").at(10)],
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (paused) has been paused since 1970-01-01T00:00:10.000Z, and counts as good (on_pause: keep).",
                OWN,
            ],
        ),
        case(
            "not collected",
            none(),
            uncollected(),
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "Subscription sub_1 (active) is good; that its collection is paused changes nothing (on_collection_pause: keep).",
                OWN,
            ],
        ),
        case(
            "not collected, suspended",
            policy(|p| p.on_collection_pause = OnCollectionPause::Suspend),
            uncollected(),
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best is not collected. That ends when one counts as good.",
                "Subscription sub_1 (active) gives nothing while its collection is paused (on_collection_pause: suspend).",
                OWN,
            ],
        ),
        case(
            "pending",
            none(),
            vec![sub("incomplete").at(10)],
            "active",
            &[],
            &[
                "The customer is active: nothing that was bought counts, and nothing holds it.",
                "Subscription sub_1 (incomplete) waits for its first payment: it grants nothing and takes nothing away.",
                OWN,
            ],
        ),
        case(
            "ended",
            none(),
            vec![sub("canceled").at(10)],
            "frozen",
            &[(Hold::Billing, "frozen", true)],
            &[
                "The customer is frozen by billing: no source of access counts as good, and the best leaves what was paid for. That ends when one counts as good.",
                "It keeps what was released until 1970-01-01T00:00:10.000Z.",
                "Subscription sub_1 (canceled) ended on 1970-01-01T00:00:10.000Z, and what was paid for stays: A until 1970-01-01T00:00:10.000Z.",
                OWN,
            ],
        ),
        case(
            "ended, expired",
            policy(|p| p.on_end = OnEnd::Expire),
            vec![sub("canceled").at(10)],
            "expired",
            &[(Hold::Billing, "expired", true)],
            &[
                "The customer is expired by billing: no source of access counts as good, and the best leaves nothing. That ends when one counts as good.",
                "Subscription sub_1 (canceled) ended on 1970-01-01T00:00:10.000Z, and leaves nothing (on_end: expire).",
                OWN,
            ],
        ),
        case(
            "ended on its date",
            none(),
            vec![sub("active").cancel_at(700).at(10)],
            "frozen",
            &[(Hold::Billing, "frozen", true)],
            &[
                "The customer is frozen by billing: no source of access counts as good, and the best leaves what was paid for. That ends when one counts as good.",
                "It keeps what was released until 1970-01-01T00:11:40.000Z.",
                "Subscription sub_1 (active) ended on 1970-01-01T00:11:40.000Z as it was scheduled to, and what was paid for stays: A until 1970-01-01T00:11:40.000Z.",
                OWN,
            ],
        ),
        case(
            "its account was deleted",
            none(),
            vec![sub("active").at(10), removed("cus_1", 20)],
            "frozen",
            &[(Hold::Billing, "frozen", true)],
            &[
                "The customer is frozen by billing: no source of access counts as good, and the best leaves what was paid for. That ends when one counts as good.",
                "It keeps what was released until 1970-01-01T00:00:20.000Z.",
                "Subscription sub_1 (active) ended on 1970-01-01T00:00:20.000Z, when the provider deleted its account, and what was paid for stays: A until 1970-01-01T00:00:20.000Z.",
                "Account cus_1 is the customer's own: it follows no other; the provider deleted it on 1970-01-01T00:00:20.000Z.",
            ],
        ),
        case(
            "never began",
            none(),
            vec![sub("incomplete").at(10), sub("incomplete_expired").at(20)],
            "active",
            &[],
            &[
                "The customer is active: nothing that was bought counts, and nothing holds it.",
                "Subscription sub_1 (incomplete_expired) ended on 1970-01-01T00:00:20.000Z without ever having begun: it takes nothing away.",
                OWN,
            ],
        ),
        case(
            "unknown",
            none(),
            vec![sub("hologram").at(10)],
            "active",
            &[],
            &[
                "The customer is active: nothing that was bought counts, and nothing holds it.",
                "Subscription sub_1 has no status that is known here: it grants nothing and takes nothing away.",
                OWN,
            ],
        ),
        case(
            "in doubt",
            none(),
            vec![sub("active").at(10), sub("past_due").at(10)],
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best has a failed payment. That ends when one counts as good.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:10.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:10.000Z unless it recovers (end_after: 14d). Its events do not say which status came last; the one with least access was taken.",
                OWN,
                "On 1970-01-15T00:00:10.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "several, one good",
            none(),
            vec![
                sub("canceled").at(10),
                sub_of(&stripe("sub_2"), &stripe("cus_1"), "past_due").at(20),
                sub_of(&stripe("sub_3"), &stripe("cus_1"), "active").at(30),
            ],
            "active",
            &[],
            &[
                "The customer is active, because sub_3 counts as good.",
                "Subscription sub_1 (canceled) ended on 1970-01-01T00:00:10.000Z, and what was paid for stays: A until 1970-01-01T00:00:10.000Z.",
                "Subscription sub_2 (past_due) has been failing since 1970-01-01T00:00:20.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:20.000Z unless it recovers (end_after: 14d).",
                "Subscription sub_3 (active) is good.",
                OWN,
                "On 1970-01-15T00:00:20.000Z sub_2 will stand otherwise, and the customer stays active.",
            ],
        ),
    ]);
}

const GOOD: fn() -> Occurrence = || sub("active").at(10);

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_hold_is_explained_alone_and_beside_others() {
    let none = rig::policy;
    let with = |standing| {
        let tied = [stripe("cus_1")];
        vec![GOOD(), disputed(&stripe("dp_1"), standing, &tied, 20)]
    };
    let refund = || {
        let paid = invoice("in_1").paid(10);
        vec![
            GOOD(),
            paid,
            pair("ch_1", "in_1", 1),
            counted("ch_1", 100, 20),
        ]
    };
    let suspend: &dyn Fn(&mut Desk) = &|desk| {
        let id = desk.id("cus_1");
        let reason = Some("abuse".to_owned());
        desk.working_set.suspend(&id, reason, at(700)).unwrap();
    };
    let expire: &dyn Fn(&mut Desk) = &|desk| {
        let id = desk.id("cus_1");
        desk.working_set.expire(&id, None, at(700)).unwrap();
    };
    let reactivate: &dyn Fn(&mut Desk) = &|desk| {
        let id = desk.id("cus_1");
        desk.working_set.reactivate(&id, at(700)).unwrap();
    };
    let by_date: &dyn Fn(&mut Desk) = &|desk| {
        let order = FreezeOrder {
            at: Some(at(600)),
            versions: None,
        };
        let id = desk.id("cus_1");
        desk.working_set.freeze(&id, order, at(700)).unwrap();
    };
    let by_list: &dyn Fn(&mut Desk) = &|desk| {
        let version = PackageVersion {
            package: "acme/a".to_owned(),
            version: "1.0.0".to_owned(),
        };
        let order = FreezeOrder {
            at: None,
            versions: Some(vec![version]),
        };
        let id = desk.id("cus_1");
        desk.working_set.freeze(&id, order, at(700)).unwrap();
    };
    let nothing: &dyn Fn(&mut Desk) = &|_| {};
    let case = |name, policy, events, acts, status, holds, told| Case {
        name,
        policy,
        events,
        acts,
        status,
        holds,
        told,
    };
    let lost_too = || {
        let mut events = with(DisputeStage::Lost);
        events.push(sub("past_due").at(30));
        events
    };
    check(vec![
        case(
            "suspended by hand",
            none(),
            vec![GOOD()],
            suspend,
            "suspended",
            &[(Hold::Manual, "suspended", true)],
            &[
                "An admin made the customer suspended on 1970-01-01T00:11:40.000Z: \u{201c}abuse\u{201d}. Only an admin lifts this.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "expired by hand",
            none(),
            vec![GOOD()],
            expire,
            "expired",
            &[(Hold::Manual, "expired", true)],
            &[
                "An admin made the customer expired on 1970-01-01T00:11:40.000Z. Only an admin lifts this.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "frozen by date",
            none(),
            vec![GOOD()],
            by_date,
            "frozen",
            &[(Hold::Manual, "frozen", true)],
            &[
                "An admin made the customer frozen on 1970-01-01T00:11:40.000Z. Only an admin lifts this.",
                "It keeps what was released until 1970-01-01T00:10:00.000Z.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "frozen by list",
            none(),
            vec![GOOD()],
            by_list,
            "frozen",
            &[(Hold::Manual, "frozen", true)],
            &[
                "An admin made the customer frozen on 1970-01-01T00:11:40.000Z. Only an admin lifts this.",
                "It keeps exactly the versions that the admin listed.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "open",
            policy(|p| p.on_dispute_opened = OnDisputeOpened::Suspend),
            with(DisputeStage::Open),
            nothing,
            "suspended",
            &[(Hold::Dispute, "suspended", true)],
            &[
                "The customer is suspended, because dispute dp_1 is open since 1970-01-01T00:00:20.000Z. That ends when an admin waives it, when the dispute is won, or, of a subscription, when a later payment of it counts.",
                "Subscription sub_1 (active) is good. Dispute dp_1 was opened on 1970-01-01T00:00:20.000Z, which holds it.",
                OWN,
            ],
        ),
        case(
            "lost",
            none(),
            with(DisputeStage::Lost),
            nothing,
            "suspended",
            &[(Hold::Dispute, "suspended", true)],
            &[
                "The customer is suspended, because dispute dp_1 was lost on 1970-01-01T00:00:20.000Z. That ends when an admin waives it, when the dispute is won, or, of a subscription, when a later payment of it counts.",
                "Subscription sub_1 (active) is good. Dispute dp_1 was lost on 1970-01-01T00:00:20.000Z, which holds it.",
                OWN,
            ],
        ),
        case(
            "waived",
            none(),
            with(DisputeStage::Lost),
            reactivate,
            "active",
            &[],
            &[
                "The customer is active, because sub_1 counts as good.",
                "An admin waived dp_1, which no longer holds the customer.",
                "Subscription sub_1 (active) is good.",
                OWN,
            ],
        ),
        case(
            "refunded",
            policy(|p| p.on_full_refund = OnFullRefund::Expire),
            refund(),
            nothing,
            "expired",
            &[(Hold::Refund, "expired", true)],
            &[
                "The customer is expired, because all of in_1 was refunded on 1970-01-01T00:00:20.000Z. That ends when an admin waives it, or when a later payment of the subscription counts.",
                "Subscription sub_1 (active) is good. All of in_1 was refunded on 1970-01-01T00:00:20.000Z, so it leaves nothing.",
                OWN,
            ],
        ),
        case(
            "all at once",
            none(),
            lost_too(),
            suspend,
            "suspended",
            &[
                (Hold::Manual, "suspended", true),
                (Hold::Billing, "suspended", false),
                (Hold::Dispute, "suspended", false),
            ],
            &[
                "An admin made the customer suspended on 1970-01-01T00:11:40.000Z: \u{201c}abuse\u{201d}. Only an admin lifts this.",
                "Billing by itself would make it suspended since 1970-01-01T00:00:30.000Z.",
                "It would be suspended also because dispute dp_1 was lost on 1970-01-01T00:00:20.000Z.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:30.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:30.000Z unless it recovers (end_after: 14d). Dispute dp_1 was lost on 1970-01-01T00:00:20.000Z, which holds it.",
                OWN,
                "On 1970-01-15T00:00:30.000Z sub_1 will stand otherwise, and the customer stays suspended.",
            ],
        ),
        case(
            "lost, but nothing is left to hold",
            policy(|p| p.on_end = OnEnd::Expire),
            {
                let mut events = with(DisputeStage::Lost);
                events.push(sub("canceled").at(30));
                events
            },
            nothing,
            "expired",
            &[(Hold::Billing, "expired", true)],
            &[
                "The customer is expired by billing: no source of access counts as good, and the best leaves nothing. That ends when one counts as good.",
                "Subscription sub_1 (canceled) ended on 1970-01-01T00:00:30.000Z, and leaves nothing (on_end: expire).",
                OWN,
            ],
        ),
        case(
            "courtesy",
            none(),
            vec![GOOD(), sub("past_due").at(20)],
            reactivate,
            "active",
            &[],
            &[
                "An admin reactivated the customer on 1970-01-01T00:11:40.000Z, although no source of access counts as good, and the best has a failed payment. That lasts until billing says something else.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:20.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:20.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-15T00:00:20.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
        case(
            "courtesy over",
            none(),
            vec![GOOD(), sub("past_due").at(20)],
            &|desk| {
                reactivate(desk);
                desk.post(&sub("active").at(30));
                desk.post(&sub("past_due").at(40));
            },
            "suspended",
            BILLING,
            &[
                "The customer is suspended by billing: no source of access counts as good, and the best has a failed payment. That ends when one counts as good.",
                "Subscription sub_1 (past_due) has been failing since 1970-01-01T00:00:40.000Z, has no grace left (suspend_after: 0d), and ends on 1970-01-15T00:00:40.000Z unless it recovers (end_after: 14d).",
                OWN,
                "On 1970-01-15T00:00:40.000Z the customer becomes frozen (subscription_ended), unless billing says something else before.",
            ],
        ),
    ]);
}

#[test]
fn each_account_is_explained_with_how_it_was_linked() {
    let events = || {
        vec![
            contact("cus_1", X, 10),
            contact("cus_2", "X@example.com", 20),
        ]
    };
    let mut followed = Desk::with(&events());
    let mut named = Desk::new(rig::policy());
    let profile = Profile {
        external_id: Some("stripe_cus_1".to_owned()),
        ..Profile::default()
    };
    let id = named.make(X);
    named
        .working_set
        .update_profile(&id, profile, at(2))
        .unwrap();
    let mut addressed = Desk::new(rig::policy());
    addressed.make(X);
    for event in &events() {
        named.post(event);
        addressed.post(event);
    }
    let told = |desk: &Desk| explained(desk, "cus_1").summary[1..].to_vec();
    let second = "Account cus_2 belongs to the customer by the address that it first had, \
                  x@example.com, which cus_1 had before it.";
    assert_eq!(told(&followed), [OWN, second]);
    let by_id = "Account cus_1 belongs to the customer by its external id.";
    assert_eq!(told(&named), [by_id, second]);
    let by_address = |id: &str| {
        format!("Account {id} belongs to the customer by the address that it first had, {X}.")
    };
    assert_eq!(told(&addressed), [by_address("cus_1"), by_address("cus_2")]);

    followed.post(&contact("cus_3", "y@example.com", 30));
    let (one, three) = (followed.id("cus_1"), stripe("cus_3"));
    let linked = followed.working_set.link_account(&three, &one, at(700));
    linked.unwrap();
    let pinned = "Account cus_3 was linked to the customer by an admin.";
    assert_eq!(told(&followed), [OWN, second, pinned]);
}

#[test]
fn the_steps_of_timers_are_predicted_in_order() {
    let mut desk = Desk::new(policy(|p| p.suspend_after = Span::days(3)));
    desk.post(&sub("active").at(5));
    desk.post(&sub("past_due").at(10));
    let steps = |desk: &Desk| {
        let next = explained(desk, "cus_1").next;
        let told = |step: Step| (step.at, step.status, step.subscriptions.join(" "));
        next.into_iter().map(told).collect::<Vec<_>>()
    };
    let grace = (at(10 + 3 * DAY), "suspended", "sub_1".to_owned());
    let end = (at(10 + 14 * DAY), "frozen", "sub_1".to_owned());
    assert_eq!(steps(&desk), [grace, end.clone()]);

    // Another one that is good for longer takes the place, until it ends as scheduled.
    let other = sub_of(&stripe("sub_2"), &stripe("cus_1"), "active").cancel_at(5 * DAY);
    desk.post(&other.at(20));
    let unseen = (at(10 + 3 * DAY), "active", "sub_1".to_owned());
    let other_end = (at(5 * DAY), "frozen", "sub_2".to_owned());
    assert_eq!(steps(&desk), [unseen, other_end, end]);
    let told = explained(&desk, "cus_1").summary;
    let stays =
        "On 1970-01-04T00:00:10.000Z sub_1 will stand otherwise, and the customer stays active.";
    assert!(told.contains(&stays.to_owned()), "{told:#?}");

    // What was foretold is what comes.
    for (at, status, _) in steps(&desk) {
        desk.working_set.tick(at);
        assert_eq!(desk.shown("cus_1").status.as_str(), status, "at {at}");
    }
    assert_eq!(explained_at(&desk, "cus_1", 20 * DAY).next, []);
}

#[test]
fn long_lists_are_complete_as_data_and_shortened_in_sentences() {
    let mut desk = Desk::new(rig::policy());
    for n in 1..=30 {
        let subscription = stripe(&format!("sub_{n:02}"));
        let paused = sub_of(&subscription, &stripe("cus_1"), "paused");
        desk.post(&paused.at(n));
    }
    let explanation = explained(&desk, "cus_1");
    assert_eq!(explanation.subscriptions.len(), 30);
    assert_eq!(explanation.holds[0].subscriptions.len(), 30);
    assert_eq!(explanation.summary.len(), 1 + 10 + 1 + 1);
    assert_eq!(explanation.summary[11], "There are 20 more subscriptions.");
}

/// The one purchase, grant or subscription of a customer, as it is told.
fn told_of(events: &[Occurrence], policy: Policy, second: i64) -> Explanation {
    let mut desk = Desk::new(policy);
    for event in events {
        desk.post_at(event, at(second));
    }
    explained_at(&desk, "cus_1", second)
}

fn because(explanation: &Explanation) -> Vec<&str> {
    let sources = explanation.sources.iter();
    sources.map(|it| it.because.as_str()).collect()
}

#[test]
fn what_was_paid_for_is_told_price_by_price() {
    let paid = invoice("in_1").line("A", 100, 0, 30 * DAY);
    let events = [
        sub("active").created().at(0),
        paid.line("B", 100, 0, 20 * DAY).paid(0),
        sub("canceled").at(25 * DAY),
    ];
    let told = told_of(&events, rig::policy(), 100 * DAY);
    let sentence = "Subscription sub_1 (canceled) ended on 1970-01-26T00:00:00.000Z, and what was paid \
                    for stays: A until 1970-01-26T00:00:00.000Z and B until 1970-01-21T00:00:00.000Z.";
    assert_eq!(because(&told), [sentence]);
    let source = &told.sources[0];
    let gives: Vec<_> = source
        .gives
        .iter()
        .map(|it| (it.grant.package.as_str(), it.price.as_deref(), it.until))
        .collect();
    let wanted = [
        ("acme/a", Some("A"), Some(at(25 * DAY))),
        ("acme/b", Some("B"), Some(at(20 * DAY))),
    ];
    assert_eq!(gives, wanted);
    let paid_until: Vec<_> = source
        .paid_until
        .iter()
        .map(|it| (it.price.as_str(), it.until))
        .collect();
    assert_eq!(paid_until, [("A", at(30 * DAY)), ("B", at(20 * DAY))]);
    assert_eq!(told.subscriptions[0].because, sentence);

    let early = policy(|p| p.early_end = EarlyEnd::PaidUntil);
    let told = told_of(&events, early, 26 * DAY);
    let sentence = "Subscription sub_1 (canceled) was ended before what was paid for has run out, \
                    and counts as good until 1970-01-31T00:00:00.000Z (early_end: paid_until).";
    assert_eq!(because(&told), [sentence]);

    let long = policy(|p| p.freeze_after = Span::days(60));
    let told = told_of(&events, long, 100 * DAY);
    let sentence = "Subscription sub_1 (canceled) ended on 1970-01-26T00:00:00.000Z, and leaves \
                    nothing, because less was paid for than freeze_after: 60d.";
    assert_eq!(because(&told), [sentence]);
}

#[test]
fn what_nobody_paid_for_is_told() {
    let events = [
        sub("trialing").created().at(0),
        invoice("in_1").paid_with(0, 0, 0),
        sub("canceled").at(14 * DAY),
    ];
    let told = told_of(&events, rig::policy(), 20 * DAY);
    let sentence = "Subscription sub_1 (canceled) ended on 1970-01-15T00:00:00.000Z, and leaves \
                    nothing, because nobody ever paid for it (on_end_unpaid: expire).";
    assert_eq!(because(&told), [sentence]);
    assert!(told.sources[0].never_paid);
    let keeps = policy(|p| p.on_end_unpaid = OnEndUnpaid::Freeze);
    let told = told_of(&events, keeps, 20 * DAY);
    let sentence = "Subscription sub_1 (canceled) ended on 1970-01-15T00:00:00.000Z; nobody ever paid \
                    for it, and what it had stays: A until 1970-01-15T00:00:00.000Z (on_end_unpaid: \
                    freeze).";
    assert_eq!(because(&told), [sentence]);

    let mut trial = sub("paused");
    trial.0.state.pause_reason = Some("trial_end_without_payment_method".to_owned());
    let told = told_of(&[trial.at(DAY)], rig::policy(), 2 * DAY);
    let sentence = "Subscription sub_1 (paused) has been paused since 1970-01-02T00:00:00.000Z, when \
                    its trial ended without a payment method: it gives nothing until it is resumed.";
    assert_eq!(because(&told), [sentence]);
    let unpaid = sub("paused").pause_reason("final_payment_failure");
    let told = told_of(&[unpaid.at(DAY)], rig::policy(), 2 * DAY);
    let sentence = "Subscription sub_1 (paused) has been failing since 1970-01-02T00:00:00.000Z, has no \
                    grace, for nobody paid and the provider has paused it, and ends on \
                    1970-01-16T00:00:00.000Z unless it recovers (end_after: 14d).";
    assert_eq!(because(&told), [sentence]);
}

#[test]
fn what_counts_nowhere_is_told_with_the_reason() {
    let told = told_of(&[sub("past_due").price("F").at(10)], rig::policy(), NOW);
    assert_eq!(told.status, "active");
    assert_eq!(
        told.summary[0],
        "The customer is active: nothing that was bought counts, and nothing holds it."
    );
    assert_eq!(told.sources[0].uncounted, Some(Uncounted::Foreign));
    let foreign = "It does not count: nothing here is bought by its prices.";
    assert!(told.sources[0].because.ends_with(foreign));
    let told = told_of(&[sub("active").price("X").at(10)], rig::policy(), NOW);
    assert_eq!(told.sources[0].uncounted, Some(Uncounted::UnmappedPrice));
    let sentence = "Subscription sub_1 (active) is good. It does not count until there is a plan \
                    for X.";
    assert_eq!(because(&told), [sentence]);
}

#[test]
fn failures_and_silence_are_told_with_what_the_policy_does() {
    let freezes = policy(|p| p.on_payment_failed = OnPaymentFailed::Freeze);
    let events = [
        sub("active").created().latest("in_1").at(0),
        invoice("in_1").line("A", 100, 0, 365 * DAY).paid(0),
        sub("past_due").latest("in_2").at(100 * DAY),
    ];
    let told = told_of(&events, freezes, 101 * DAY);
    assert_eq!(told.status, "frozen");
    let sentence = "Subscription sub_1 (past_due) has been failing since 1970-04-11T00:00:00.000Z, has \
                    no grace left (suspend_after: 0d), keeps what was paid for: A until \
                    1970-04-11T00:00:00.000Z (on_payment_failed: freeze), and ends on \
                    1970-04-25T00:00:00.000Z unless it recovers (end_after: 14d).";
    assert_eq!(because(&told), [sentence]);

    let silent = [sub("active").period_end(30 * DAY).at(0)];
    let told = told_of(&silent, rig::policy(), 10 * DAY);
    assert_eq!(told.next[0].overdue, ["sub_1"]);
    let foretold = "On 1970-02-03T00:00:00.000Z sub_1 will be overdue if nothing has been heard of it \
                    by then, and the customer stays active.";
    assert_eq!(told.summary.last().unwrap(), foretold);
    let told = told_of(&silent, rig::policy(), 40 * DAY);
    let sentence = "Subscription sub_1 (active) is good; its period ended on 1970-01-31T00:00:00.000Z, \
                    and nothing has been heard of it since (overdue).";
    assert_eq!(because(&told), [sentence]);
    let suspends = policy(|p| p.on_silence = OnSilence::Suspend);
    let told = told_of(&silent, suspends, 40 * DAY);
    let sentence = "Subscription sub_1 (active) gives nothing: its period ended on \
                    1970-01-31T00:00:00.000Z, and nothing has been heard of it since (silence_after: \
                    3d, on_silence: suspend).";
    assert_eq!(because(&told), [sentence]);
    let best = "no source of access counts as good, and the best is overdue.";
    assert!(told.summary[0].contains(best), "{}", told.summary[0]);
}

#[test]
fn purchases_are_told() {
    let bought = |price| {
        pay(&stripe("in_9"), &stripe("cus_1"))
            .once(price, 300)
            .paid(DAY)
    };
    let told = told_of(&[bought("P")], rig::policy(), 2 * DAY);
    assert_eq!(
        told.summary[..2],
        [
            "The customer is active, because purchase in_9 counts as good.",
            "Purchase in_9 (P) was paid on 1970-01-02T00:00:00.000Z and is for ever.",
        ]
    );
    let source = &told.sources[0];
    assert_eq!((source.kind, source.gives.len()), (SourceKind::Purchase, 1));
    assert_eq!(source.gives[0].until, None);
    let told = told_of(&[bought("U")], rig::policy(), 2 * DAY);
    let sentence = "Purchase in_9 (U) was paid on 1970-01-02T00:00:00.000Z and is good, with new \
                    versions until 1971-01-02T00:00:00.000Z.";
    assert_eq!(because(&told), [sentence]);
    assert_eq!(told.next[0].sources, ["in_9"]);
    let told = told_of(&[bought("U")], rig::policy(), 400 * DAY);
    let sentence = "Purchase in_9 (U) was paid on 1970-01-02T00:00:00.000Z; its new versions ended on \
                    1971-01-02T00:00:00.000Z, and what was released until then stays.";
    assert_eq!(because(&told), [sentence]);
    assert_eq!(told.status, "frozen");
    let events = [
        bought("P"),
        pair("ch_9", "in_9", DAY),
        counted("ch_9", 300, 2 * DAY),
    ];
    let told = told_of(&events, rig::policy(), 3 * DAY);
    let sentence = "Purchase in_9 (P) was paid on 1970-01-02T00:00:00.000Z, was refunded in full on \
                    1970-01-03T00:00:00.000Z and leaves nothing.";
    assert_eq!(because(&told), [sentence]);
    assert_eq!(told.sources[0].reason, Some("full_refund"));
}

#[test]
fn a_dispute_is_told_of_its_source_alone() {
    let lost = disputed(
        &stripe("dp_1"),
        DisputeStage::Lost,
        &[stripe("ch_1")],
        20 * DAY,
    );
    let mut events = vec![
        sub("active").created().at(0),
        invoice("in_1").line("A", 100, 0, 30 * DAY).paid(0),
        pair("ch_1", "in_1", 0),
        lost,
        sub_of(&stripe("sub_2"), &stripe("cus_1"), "active").at(DAY),
    ];
    let told = told_of(&events, rig::policy(), 25 * DAY);
    assert_eq!(told.status, "active");
    let [held, free] = told.sources.as_slice() else {
        panic!("{:#?}", told.sources)
    };
    assert_eq!(held.verdict, Some(Verdict::Held));
    assert_eq!(
        (held.reason, held.since),
        (Some("dispute_lost"), Some(at(20 * DAY)))
    );
    assert_eq!(held.held_by, ["dp_1"]);
    assert_eq!(held.gives, []);
    assert_eq!((free.verdict, free.held_by.len()), (Some(Verdict::Good), 0));
    assert_eq!(told.subscriptions[0].verdict, Some(Verdict::Held));
    events.pop();
    let told = told_of(&events, rig::policy(), 25 * DAY);
    let dispute = &told.holds[0];
    assert_eq!(
        (&dispute.subject, &dispute.sources),
        (&Some("dp_1".to_owned()), &vec!["sub_1".to_owned()])
    );
    events.push(
        invoice("in_2")
            .line("A", 100, 30 * DAY, 60 * DAY)
            .paid(30 * DAY),
    );
    let told = told_of(&events, rig::policy(), 31 * DAY);
    assert_eq!(told.paid_though_held, ["dp_1"]);
    let sentence = "Nothing is held because of dp_1: the subscription was paid again later \
                    (paid_though_held).";
    assert!(
        told.summary.contains(&sentence.to_owned()),
        "{:#?}",
        told.summary
    );
}

#[test]
fn grants_by_hand_are_told() {
    let grant = |name: &str, billing, expires_at| HandGrant {
        grant: PackageGrant {
            package: format!("acme/{name}"),
            constraint: "*".to_owned(),
        },
        billing,
        expires_at,
    };
    let told = |grants: Vec<HandGrant>, events: &[Occurrence]| {
        let mut desk = Desk::with(&[contact("cus_1", X, 1)]);
        let id = desk.id("cus_1");
        desk.working_set.hand_grants.insert(id, grants);
        for event in events {
            desk.post(event);
        }
        explained(&desk, "cus_1")
    };
    let follows = || grant("follows", GrantBilling::Follow, None);
    let ignores = |expires_at| grant("ignores", GrantBilling::Ignore, expires_at);
    let explanation = told(
        vec![follows(), ignores(Some(at(900)))],
        &[sub("past_due").at(10)],
    );
    assert_eq!(explanation.status, "active");
    assert_eq!(
        because(&explanation)[1..],
        [
            "The grant of acme/follows by hand follows billing.",
            "The grant of acme/ignores by hand counts whatever billing says (billing: ignore), and \
             runs out on 1970-01-01T00:15:00.000Z.",
        ]
    );
    let headline = "The customer is active, because the grant of acme/ignores counts as good.";
    assert_eq!(explanation.summary[0], headline);
    assert_eq!(explanation.next[0].sources, ["acme/ignores"]);
    assert_eq!(explanation.next[0].status, "suspended");
    let gives: Vec<_> = explanation
        .sources
        .iter()
        .map(|it| it.gives.len())
        .collect();
    assert_eq!(gives, [0, 1, 1]);

    let never = [
        sub("trialing").created().at(10),
        invoice("in_1").paid_with(0, 0, 10),
        sub("canceled").at(20),
    ];
    let explanation = told(vec![follows(), ignores(Some(at(30)))], &never);
    assert_eq!(explanation.status, "active");
    assert_eq!(explanation.sources[0].uncounted, Some(Uncounted::NeverPaid));
    let beside = "It does not count: nobody ever paid for it, and the customer has packages that \
                  were granted by hand.";
    assert!(explanation.sources[0].because.ends_with(beside));
    assert_eq!(
        explanation.sources[1].uncounted,
        Some(Uncounted::FollowsBilling)
    );
    assert_eq!(explanation.sources[2].uncounted, Some(Uncounted::RanOut));
    let ran_out = "The grant of acme/ignores by hand ran out on 1970-01-01T00:00:30.000Z.";
    assert_eq!(explanation.sources[2].because, ran_out);
    let frozen = told(vec![follows()], &[sub("canceled").at(20)]);
    let reaches = "The grant of acme/follows by hand follows billing: it reaches to \
                   1970-01-01T00:00:20.000Z.";
    assert_eq!(because(&frozen)[1], reaches);
}
