//! Links that change with what others say, and those that must not. Each case was wrong once, and
//! found by the random stories of who is who.

use tollgate::domain::billing::fact::{Fact, Occurrence};
use tollgate::domain::customer::row::Profile;
use tollgate::domain::id::ObjectKey;
use tollgate::domain::policy::{OnSameEmail, Policy};

use super::{
    X, Y, accounts_of, contact, end_with, event, flagging, links_by_seller_id, make, paddle,
    policy, seller_id, stripe,
};
use crate::convergence::rig::{End, at};
use crate::convergence::store::MemoryStore;

fn joining() -> Policy {
    Policy {
        on_same_email: OnSameEmail::Join,
        ..policy()
    }
}

/// The same event, of test mode.
fn in_test(mut event: Occurrence) -> Occurrence {
    for fact in &mut event.facts {
        match fact {
            Fact::Contact(fact) => fact.account.scope.livemode = false,
            Fact::SellerId(fact) => fact.account.scope.livemode = false,
            _ => {}
        }
    }
    event
}

fn test_account(id: &str) -> ObjectKey {
    let mut account = stripe(id);
    account.scope.livemode = false;
    account
}

fn external_id_of(end: &End, account: &ObjectKey) -> Option<String> {
    let mut all = end.customers.iter();
    let seen = all.find(|seen| seen.accounts.contains(account)).unwrap();
    seen.derived.external_id.clone()
}

/// Whose row was made first here must not decide who is moved by a policy.
#[test]
fn a_policy_that_joins_moves_none_of_those_who_are_there() {
    let events = vec![
        contact("cus_1", X, 10),
        contact("cus_2", X, 20),
        contact("cus_3", X, 30),
    ];
    let end = end_with(
        flagging(),
        events,
        &|store| store.act(|all| drop(all.set_policy(joining(), at(600)))),
        Vec::new(),
    );
    for account in ["cus_1", "cus_2", "cus_3"] {
        assert_eq!(accounts_of(&end, account), [account]);
    }
}

/// Of two accounts with one seller's id the first gets another one: the second joins by its address,
/// with an account that has nothing to do with that id.
#[test]
fn who_loses_the_leader_of_his_sellers_id_follows_his_address() {
    let events = vec![
        seller_id("cus_1", "user_1", 10),
        contact("cus_2", X, 20),
        contact("cus_3", X, 30),
        seller_id("cus_3", "user_1", 30),
        seller_id("cus_1", "user_2", 40),
    ];
    let end = end_with(joining(), Vec::new(), &links_by_seller_id, events);
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1"]);
    assert_eq!(accounts_of(&end, "cus_3"), ["cus_2", "cus_3"]);
}

/// A link by hand means the same before and after the first event of the account.
#[test]
fn the_customer_who_waits_for_an_account_comes_along_with_it() {
    let link = |store: &mut MemoryStore| {
        let waiting = make(store, Y, Some("cus_2"));
        let other = store.customer(&stripe("cus_1"));
        let linked = store.act(|all| all.link_account(&stripe("cus_2"), &other, at(601)));
        linked.unwrap();
        let row = &store.all.customers[&other];
        assert_eq!(
            row.merged_into.as_ref(),
            Some(&waiting),
            "the admin's is shown"
        );
    };
    let named = event(
        20,
        Fact::AccountNamed {
            account: stripe("cus_2"),
        },
    );
    let first = contact("cus_1", X, 10);
    let early = end_with(flagging(), vec![first.clone()], &link, vec![named.clone()]);
    let late = end_with(flagging(), vec![first, named], &link, Vec::new());
    for end in [early, late] {
        assert_eq!(end.customers.len(), 1);
        assert_eq!(accounts_of(&end, "cus_1"), ["cus_1", "cus_2"]);
        assert_eq!(end.of("cus_1").external_id.as_deref(), Some("cus_2"));
    }
}

/// A live account has the seller's id too, so an admin's customer of that id is not the test
/// account's: that one stays where it is, and shows the id no longer.
#[test]
fn a_claim_leaves_a_test_account_with_its_customer() {
    let act = |store: &mut MemoryStore| {
        links_by_seller_id(store);
        store.batch(&[in_test(seller_id("cus_t", "user_1", 10))], at(590));
        store.batch(&[seller_id("cus_1", "user_1", 20)], at(590));
        let id = store.customer(&test_account("cus_t"));
        let linked = store.act(|all| all.link_account(&stripe("cus_2"), &id, at(600)));
        linked.unwrap();
        let new = store.new_id();
        let profile = Profile {
            external_id: Some("user_1".to_owned()),
            ..Profile::default()
        };
        store.act(|all| all.create_customer(new.clone(), profile, at(601)));
        assert_eq!(store.customer(&stripe("cus_1")), new);
        assert_eq!(store.customer(&test_account("cus_t")), id);
    };
    let end = end_with(flagging(), Vec::new(), &act, Vec::new());
    let mut all = end.customers.iter();
    let seen = all.find(|it| it.accounts.contains(&test_account("cus_t")));
    assert!(seen.unwrap().accounts.contains(&stripe("cus_2")));
    let shown = external_id_of(&end, &test_account("cus_t"));
    assert_eq!(
        shown.as_deref(),
        Some("stripe_cus_t"),
        "user_1 is another's"
    );
}

/// Test mode counts nowhere once there was a live event: not even in how an address is written.
#[test]
fn an_address_is_written_as_live_accounts_write_it() {
    let to_test = contact("cus_t", "X@Example.com", 10);
    let link = |store: &mut MemoryStore| {
        let id = store.customer(&test_account("cus_t"));
        let linked = store.act(|all| all.link_account(&stripe("cus_1"), &id, at(600)));
        linked.unwrap();
    };
    let open = |store: &mut MemoryStore| {
        store.opens_to_any_mode();
        store.batch(&[in_test(to_test.clone())], at(599));
        link(store);
    };
    let end = end_with(flagging(), Vec::new(), &open, vec![contact("cus_1", X, 20)]);
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(X));
}

/// Who follows a customer of an admin no longer, and counts nowhere, has no customer: the other
/// accounts are moved as if it had never been there.
#[test]
fn what_does_not_count_is_no_reason_to_leave_a_row_behind() {
    let events = vec![
        in_test(contact("cus_t", Y, 10)),
        paddle_contact("ctm_1", Y, 20),
    ];
    let act = |store: &mut MemoryStore| {
        store.opens_to_any_mode();
        store.batch(&[contact("cus_1", X, 5)], at(590));
        let made = make(store, Y, None);
        for event in &events {
            store.batch(std::slice::from_ref(event), at(605));
        }
        assert_eq!(store.customer(&paddle("ctm_1")), made);
        let other = store.customer(&stripe("cus_1"));
        let linked = store.act(|all| all.link_account(&paddle("ctm_1"), &other, at(610)));
        linked.unwrap();
    };
    let end = end_with(joining(), Vec::new(), &act, Vec::new());
    assert_eq!(end.customers.len(), 1, "the row of the admin came along");
}

fn paddle_contact(account: &str, email: &str, second: i64) -> Occurrence {
    let mut event = contact("cus_1", email, second);
    for fact in &mut event.facts {
        if let Fact::Contact(fact) = fact {
            fact.account = paddle(account);
        }
    }
    event
}
