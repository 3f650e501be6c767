//! Any order and any duplication of the same payloads ends in the same state: payloads of one
//! life, recorded ones and our own.

use std::path::Path;

use serde_json::Value;
use tollgate::domain::access::plan::{Plan, Plans};
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::{Fact, Occurrence};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::id::Provider;
use tollgate::domain::policy::Policy;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Meaning, Mode};

use crate::convergence::orders::{Shuffle, orders};
use crate::convergence::rig::{End, license};
use crate::convergence::store::MemoryStore;
use crate::support::fixtures::{NEW, OLD, files, own, provider_of, recorded};
use crate::support::spec::read;

/// Chains up to this long come in every order; each of their events twice, too, in random orders.
const ALL_ORDERS_UP_TO: usize = 6;

/// How many events, taken together, come in random orders with every event twice.
const RANDOM_EVENTS: usize = 2_400;

/// What a payload says; nothing if it is ignored.
pub(crate) fn occurrence(provider: Provider, payload: &Value) -> Option<Occurrence> {
    let body = payload.to_string();
    let reading = read(provider, body.as_bytes(), Mode::Any);
    match reading
        .unwrap_or_else(|error| panic!("{error}: {payload}"))
        .meaning
    {
        Meaning::Facts(occurrence) => Some(occurrence),
        Meaning::Ignored(_) => None,
    }
}

/// The end of events that come in batches.
pub(crate) fn end_of(
    new: impl Fn() -> MemoryStore,
    batches: impl IntoIterator<Item = Vec<Occurrence>>,
    now: Timestamp,
) -> End {
    let mut store = new();
    for batch in batches {
        store.batch(&batch, now);
    }
    store.end(now)
}

/// The one end of a chain: in every order if there are not too many, in random orders with every
/// event twice, each cut into batches in its own way.
fn one_end(name: &str, chain: &[Occurrence]) -> End {
    let now = chain.iter().map(|event| event.at).max().unwrap();
    // Long enough that what fails in a chain is still failing at its end.
    let policy = Policy {
        suspend_after: "0d".parse().unwrap(),
        end_after: "60d".parse().unwrap(),
        ..Policy::default()
    };
    let plans = everything_buys(chain);
    let new = |documents| MemoryStore::with_plans(policy.clone(), plans.clone(), documents);
    let alone = chain.iter().map(|event| vec![event.clone()]);
    let end = end_of(|| new(true), alone, now);
    let mut shuffle = Shuffle(9);
    let mut check = |order: &[usize]| {
        let events = order.iter().map(|event| chain[*event].clone()).collect();
        let this = end_of(|| new(false), shuffle.cut(events), now);
        assert_eq!(end, this, "{name} in the order {order:?}");
    };
    if chain.len() <= ALL_ORDERS_UP_TO {
        for order in orders(chain.len(), 1) {
            check(&order);
        }
    }
    let mut twice: Vec<usize> = (0..chain.len()).chain(0..chain.len()).collect();
    let mut mixer = Shuffle(7);
    for _ in 0..(RANDOM_EVENTS / chain.len()).clamp(20, 300) {
        mixer.mix(&mut twice);
        check(&twice);
    }
    end
}

/// A plan for every price that a subscription of the chain has: what buys nothing counts nowhere.
fn everything_buys(chain: &[Occurrence]) -> Plans {
    let mut plans = Plans::new();
    for fact in chain.iter().flat_map(|event| &event.facts) {
        let Fact::Subscription(fact) = fact else {
            continue;
        };
        for item in &fact.state.items {
            let key = (fact.subscription.scope.provider, item.price.clone());
            let plan = Plan {
                name: None,
                licenses: vec![license(&item.price)],
                counts: true,
                ..Plan::default()
            };
            plans.insert(key, plan);
        }
    }
    plans
}

fn load(folder: &Path, file: &str) -> Option<Occurrence> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    occurrence(provider_of(file), &serde_json::from_str(&text).unwrap())
}

fn chain(folder: &Path, files: &[&str]) -> Vec<Occurrence> {
    let read = |file: &&str| load(folder, file).unwrap_or_else(|| panic!("{file} says nothing"));
    files.iter().map(read).collect()
}

const CLOVER: &str = "--2025-10-29.clover.json";

/// Recorded payloads of Stripe's version of October 2025.
fn clover(folder: &Path, stems: &[&str]) -> Vec<Occurrence> {
    let files: Vec<String> = stems
        .iter()
        .map(|stem| format!("stripe/{stem}{CLOVER}"))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    chain(folder, &files)
}

fn kinds(end: &End, account: &str) -> Vec<FlagKind> {
    end.flags(account).iter().map(|flag| flag.kind).collect()
}

#[test]
#[ignore = "reads recorded payloads: TOLLGATE_RECORDED_FIXTURES, and --include-ignored"]
fn a_sign_up_renewal_and_failure_end_the_same_in_any_order() {
    let test = "a_sign_up_renewal_and_failure_end_the_same_in_any_order";
    let Some(folder) = recorded(test) else { return };
    let begin = [
        "customer.created--real-chain",
        "customer.updated--real-chain",
        "customer.subscription.created--active",
        "invoice.paid--subscription-create",
        "customer.subscription.updated--renewed-period",
        "customer.subscription.updated--active-to-past-due",
    ];
    let account = "cus_TOnRzwk3w8KAot";
    let rows: [(&[&str], Standing, Status); 4] = [
        (&begin[..5], Standing::Good, Status::Active),
        (&begin, Standing::Failing, Status::Suspended),
        (
            &[
                &begin[..],
                &["customer.subscription.updated--past-due-to-active"],
            ]
            .concat(),
            Standing::Good,
            Status::Active,
        ),
        (
            &[
                &begin[..],
                &["customer.subscription.updated--past-due-to-unpaid"],
            ]
            .concat(),
            Standing::Failing,
            Status::Suspended,
        ),
    ];
    for (stems, class, status) in rows {
        let last = stems.last().unwrap();
        let end = one_end(last, &clover(&folder, stems));
        let subscription = end.assessment("sub_1SRzqCKXBGcbgpbZ9C2XUF1a");
        assert_eq!(subscription.standing, class, "after {last}");
        assert_eq!(end.of(account).status, status, "after {last}");
        assert!(
            !kinds(&end, account).contains(&FlagKind::Ambiguous),
            "after {last}"
        );
    }
}

#[test]
#[ignore = "reads recorded payloads: TOLLGATE_RECORDED_FIXTURES, and --include-ignored"]
fn a_cancellation_undone_in_one_second_ends_the_same_in_any_order() {
    let test = "a_cancellation_undone_in_one_second_ends_the_same_in_any_order";
    let Some(folder) = recorded(test) else { return };
    let pair = [
        "customer.subscription.updated--cancel-at-period-end",
        "customer.subscription.updated--uncancel",
    ];
    let (account, subscription) = ("cus_TOnOrXxXvu7bAg", "sub_1SRznJKXBGcbgpbZTYwc12pA");
    let end = one_end("the pair", &clover(&folder, &pair));
    let state = end.assessment(subscription).state.clone().unwrap();
    assert!(state.cancel_at.is_some(), "alone, the one with less access");
    assert!(kinds(&end, account).contains(&FlagKind::Ambiguous));

    let deleted = ["customer.subscription.deleted--at-period-end"];
    let ended = one_end(
        "and its end",
        &clover(&folder, &[&pair[..], &deleted].concat()),
    );
    assert_eq!(ended.assessment(subscription).standing, Standing::Ended);
    assert!(!kinds(&ended, account).contains(&FlagKind::Ambiguous));

    // The state before the second tells which of the two came last.
    let mut events = clover(&folder, &pair);
    let mut older = events[1].clone();
    older.at = Timestamp::from_seconds(older.at.seconds() - 60).unwrap();
    events.push(older);
    let end = one_end("with what was before", &events);
    assert_eq!(
        end.assessment(subscription)
            .state
            .clone()
            .unwrap()
            .cancel_at,
        None
    );
    assert!(!kinds(&end, account).contains(&FlagKind::Ambiguous));
}

#[test]
#[ignore = "reads recorded payloads: TOLLGATE_RECORDED_FIXTURES, and --include-ignored"]
fn other_recorded_chains_end_the_same_in_any_order() {
    let Some(folder) = recorded("other_recorded_chains_end_the_same_in_any_order") else {
        return;
    };
    let sub = "stripe/customer.subscription";
    let incomplete = [
        format!("{sub}.created--incomplete--2019-12-03.json"),
        format!("{sub}.updated--incomplete-to-active--2019-12-03.json"),
    ];
    let expired = [
        format!("{sub}.created--incomplete--2026-03-25.dahlia.json"),
        format!("{sub}.updated--incomplete-to-expired--2026-03-25.dahlia.json"),
    ];
    let trial = [
        format!("{sub}.created--trialing--2026-03-25.dahlia.json"),
        format!("{sub}.paused--trial-end-no-payment-method--2026-03-25.dahlia.json"),
        format!("{sub}.resumed--after-trial-pause--2026-03-25.dahlia.json"),
    ];
    let collection = [
        format!("{sub}.updated--pause-collection{CLOVER}"),
        format!("{sub}.updated--resume-collection{CLOVER}"),
    ];
    let renewal = [
        "paddle/subscription.updated--renewal-1-past-due.json".to_owned(),
        "paddle/transaction.created--renewal-2-created-billed.json".to_owned(),
        "paddle/transaction.billed--renewal-3-billed.json".to_owned(),
    ];
    let paddles = [
        "created",
        "activated",
        "updated",
        "past_due",
        "paused",
        "resumed",
        "canceled",
    ];
    let paddles = paddles.map(|kind| format!("paddle/subscription.{kind}--sample.json"));
    let rows: [(&[String], &str, Standing); 7] = [
        (&incomplete, "sub_GiX3TpyO37x5BW", Standing::Good),
        (&expired, "sub_1TGnF3KXBGcbgpbZ9Jnx79C5", Standing::Ended),
        (&trial, "sub_1TGnFJKXBGcbgpbZqZC2HAM0", Standing::Good),
        (&collection, "sub_1SRzqaKXBGcbgpbZayOL8079", Standing::Good),
        (
            &renewal,
            "sub_01gyssnczp81czs49zcprm6hfv",
            Standing::Failing,
        ),
        (
            &paddles[..6],
            "sub_01h7ht5z5wdg9pz18jx1fagp8k",
            Standing::Good,
        ),
        (&paddles, "sub_01h7ht5z5wdg9pz18jx1fagp8k", Standing::Ended),
    ];
    for (files, subscription, class) in rows {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let end = one_end(files[0], &chain(&folder, &files));
        assert_eq!(end.assessment(subscription).standing, class, "{files:?}");
    }
}

#[test]
#[ignore = "reads recorded payloads: TOLLGATE_RECORDED_FIXTURES, and --include-ignored"]
fn all_recorded_payloads_together_end_the_same_in_any_order() {
    let test = "all_recorded_payloads_together_end_the_same_in_any_order";
    let Some(folder) = recorded(test) else { return };
    let all: Vec<Occurrence> = files(&folder)
        .iter()
        .filter_map(|file| load(&folder, file))
        .collect();
    assert!(all.len() > 50, "only {} payloads say something", all.len());
    one_end("all recorded payloads", &all);
}

#[test]
fn all_own_payloads_of_each_version_end_the_same_in_any_order() {
    // Events of connected accounts are among those of the new shape only.
    let rows = [("the old shape", NEW, 17), ("the new shape", OLD, 18)];
    for (version, left_out, customers) in rows {
        let files = files(&own());
        let files = files.iter().filter(|file| !file.ends_with(left_out));
        let all: Vec<Occurrence> = files.filter_map(|file| load(&own(), file)).collect();
        assert!(all.len() > 80, "only {} payloads of {version}", all.len());
        let end = one_end(version, &all);
        assert_eq!(end.customers.len(), customers, "{version}");
    }
}
