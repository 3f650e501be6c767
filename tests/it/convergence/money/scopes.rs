//! Connected accounts, test and live mode, and what is only simulated.

use std::collections::BTreeSet;

use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::id::ObjectKey;

use super::{LATE, assert_active, day, end_at, gives};
use crate::convergence::History;
use crate::convergence::rig::{End, at, contact, paddle, pay, policy, stripe, sub_of};
use crate::convergence::store::MemoryStore;

/// An object of a connected account.
fn at_account(account: &str, key: &ObjectKey) -> ObjectKey {
    let mut key = key.clone();
    key.scope.connected = Some(account.to_owned());
    key
}

/// The same object in test mode.
fn in_test(key: &ObjectKey) -> ObjectKey {
    let mut key = key.clone();
    key.scope.livemode = false;
    key
}

/// Something bought once, at some second, and what the buyer is.
fn purchase(scoped: impl Fn(&ObjectKey) -> ObjectKey, id: u8, second: i64) -> Occurrence {
    let document = scoped(&stripe(&format!("in_{id}")));
    let account = scoped(&stripe(&format!("cus_{id}")));
    pay(&document, &account).once("P", 300).paid(second)
}

/// The end of events at endpoints whose secrets are of any mode.
fn end_in_any_mode(events: &[Occurrence]) -> End {
    History {
        policy: policy(),
        now: LATE,
        before: Vec::new(),
        act: &MemoryStore::opens_to_any_mode,
        after: events.to_vec(),
    }
    .end()
}

/// The flags of what has no customer, each with its subject.
fn nobodys(end: &End) -> BTreeSet<(FlagKind, &str)> {
    let flags = end.nobodys.iter();
    flags
        .map(|held| (held.flag.kind, held.flag.subject.as_str()))
        .collect()
}

fn customers(end: &End) -> usize {
    end.customers.len()
}

#[test]
fn connected_account() {
    let evil = |key: &ObjectKey| at_account("acct_evil", key);
    let end = end_at(
        LATE,
        &[
            sub_of(&evil(&stripe("sub_1")), &evil(&stripe("cus_1")), "active").at(10),
            purchase(evil, 1, 20),
        ],
    );
    assert_eq!(customers(&end), 0);
    assert!(end.accounts.is_empty() && end.kept.is_empty() && end.payments.is_empty());
    let one = BTreeSet::from([(FlagKind::UnknownConnectedAccount, "acct_evil")]);
    assert_eq!(nobodys(&end), one);
    let flag = end.nobodys.first().unwrap();
    assert_eq!(flag.flag.at, Some(at(20)), "the newest of its events");
}

#[test]
fn a_strangers_account_takes_nothing_from_a_customer_of_the_same_ids() {
    let evil = |key: &ObjectKey| at_account("acct_evil", key);
    let ours = (stripe("sub_1"), stripe("cus_1"));
    let theirs = (evil(&ours.0), evil(&ours.1));
    let end = end_at(
        500,
        &[
            sub_of(&ours.0, &ours.1, "active").at(10),
            sub_of(&theirs.0, &theirs.1, "past_due").at(20),
            sub_of(&theirs.0, &theirs.1, "canceled").at(30),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(customers(&end), 1);
}

#[test]
fn a_named_account_counts_in_a_scope_of_its_own() {
    let ours = (stripe("sub_1"), stripe("cus_1"));
    let named = |key: &ObjectKey| at_account("acct_1", key);
    let theirs = (named(&ours.0), named(&ours.1));
    let end = end_at(
        500,
        &[
            contact("cus_1", "x@example.com", 5),
            sub_of(&ours.0, &ours.1, "active").at(10),
            sub_of(&theirs.0, &theirs.1, "past_due").at(20),
        ],
    );
    assert_eq!(customers(&end), 2);
    let statuses: BTreeSet<_> = end
        .customers
        .iter()
        .map(|seen| {
            (
                seen.accounts.first().unwrap().clone(),
                seen.derived.status.as_str(),
            )
        })
        .collect();
    assert_eq!(
        statuses,
        BTreeSet::from([(ours.1, "active"), (theirs.1, "suspended")])
    );
    assert!(end.nobodys.is_empty());
}

#[test]
fn an_account_that_is_no_longer_named_counts_nowhere_until_it_is_again() {
    let named = |key: &ObjectKey| at_account("acct_1", key);
    let events = || vec![purchase(named, 1, 20)];
    let unnamed = |store: &mut MemoryStore| store.names(&[], at(LATE));
    let again = |store: &mut MemoryStore| {
        unnamed(store);
        store.names(&["acct_1"], at(LATE));
    };
    let end = |act: &dyn Fn(&mut MemoryStore), after: Vec<Occurrence>| {
        History {
            policy: policy(),
            now: LATE,
            before: events(),
            act,
            after,
        }
        .end()
    };
    let gone = end(&unnamed, Vec::new());
    assert_eq!(customers(&gone), 0);
    assert!(gone.nobodys.is_empty(), "nothing came since");
    let flagged = end(&unnamed, events());
    let one = BTreeSet::from([(FlagKind::UnknownConnectedAccount, "acct_1")]);
    assert_eq!((customers(&flagged), nobodys(&flagged)), (0, one));
    let back = end(&again, Vec::new());
    assert_eq!(gives(&back, "cus_1"), [("P", None)]);
    let replayed = end(
        &|store| {
            unnamed(store);
            store.batch(&events(), at(LATE));
            store.names(&["acct_1"], at(LATE));
        },
        events(),
    );
    assert_eq!(gives(&replayed, "cus_1"), [("P", None)]);
    assert!(replayed.nobodys.is_empty(), "named again");
}

#[test]
fn test_before_live() {
    let live = purchase(ObjectKey::clone, 2, 20);
    for test_at in [10, 30] {
        let end = end_in_any_mode(&[purchase(in_test, 1, test_at), live.clone()]);
        assert_eq!(customers(&end), 1);
        assert_eq!(gives(&end, "cus_2"), [("P", None)]);
        let one = BTreeSet::from([(FlagKind::WrongMode, "cus_1")]);
        assert_eq!(nobodys(&end), one);
        let held = &end.nobodys.first().unwrap().holder;
        assert_eq!(held.to_string(), "account:stripe:test::cus_1");
    }
}

#[test]
fn test_facts_count_until_a_live_event() {
    let end = end_in_any_mode(&[purchase(in_test, 1, 10), purchase(in_test, 2, 20)]);
    assert_eq!(customers(&end), 2);
    assert_eq!(gives(&end, "cus_1"), [("P", None)]);
    assert!(end.nobodys.is_empty());
}

#[test]
fn an_account_of_both_modes_has_only_what_is_live() {
    let (subscription, account) = (stripe("sub_1"), stripe("cus_1"));
    let end = end_in_any_mode(&[
        sub_of(&subscription, &account, "active").at(10),
        sub_of(&in_test(&subscription), &in_test(&account), "canceled").at(20),
        purchase(in_test, 1, 30),
    ]);
    assert_active(&end, &["A"]);
    assert_eq!(customers(&end), 1);
}

#[test]
fn a_customer_made_by_an_admin_stays_without_the_test_facts() {
    let made = |store: &mut MemoryStore| {
        store.opens_to_any_mode();
        let id = store.new_id();
        let profile = serde_json::from_value(serde_json::json!({"external_id": "cus_1"}));
        store.act(|working_set| working_set.create_customer(id, profile.unwrap(), at(1)));
    };
    let test = sub_of(
        &in_test(&stripe("sub_1")),
        &in_test(&stripe("cus_1")),
        "past_due",
    );
    let end = |after: Vec<Occurrence>| {
        History {
            policy: policy(),
            now: 500,
            before: Vec::new(),
            act: &made,
            after,
        }
        .end()
    };
    let before = end(vec![test.clone().at(10)]);
    assert_eq!(before.of("cus_1").status, Status::Suspended);
    let after = end(vec![test.at(10), purchase(ObjectKey::clone, 2, 20)]);
    assert_eq!(customers(&after), 2);
    assert_eq!(after.of("cus_1").status, Status::Active);
    assert!(after.of("cus_1").entitlements.is_empty());
}

#[test]
fn simulated_cancel() {
    let (subscription, account) = (paddle("sub_1"), paddle("ctm_1"));
    let simulated = sub_of(&in_test(&subscription), &in_test(&account), "canceled").at(20);
    let end = end_in_any_mode(&[
        sub_of(&subscription, &account, "active").at(10),
        simulated.clone(),
    ]);
    let shown = end.of("ctm_1");
    assert_eq!(shown.status, Status::Active);
    assert_eq!(gives(&end, "ctm_1"), [("A", None)]);
    assert_eq!(customers(&end), 1);
    assert!(end.nobodys.is_empty(), "a simulation is no mistake");
    let alone = end_in_any_mode(&[simulated]);
    assert_eq!(customers(&alone), 1, "until then it counts");
}

#[test]
fn modes_of_two_providers_are_apart() {
    let paid = pay(&in_test(&paddle("txn_1")), &in_test(&paddle("ctm_1")));
    let end = end_in_any_mode(&[
        purchase(ObjectKey::clone, 1, 10),
        paid.once("P", 300).paid(day(1)),
    ]);
    assert_eq!(customers(&end), 2);
}
