//! Who is who: the seller's own id, shared addresses, links by hand. The named cases.
//!
//! Each runs in every permutation of its events, also with each event twice.

mod kept_links;

use std::collections::BTreeMap;

use tollgate::domain::access::hand_grant::GrantBilling;
use tollgate::domain::billing::fact::{DisputeStage, Fact, Occurrence};
use tollgate::domain::customer::flag::{Flag, FlagKind};
use tollgate::domain::customer::row::{Profile, Status};
use tollgate::domain::id::CustomerId;
use tollgate::domain::identity::seller_id::{Identity, SellerIdFact};
use tollgate::domain::policy::{OnSameEmail, Policy};

use super::money::by_hand;
use super::rig::{
    End, NOW, at, contact, disputed, event, invoice, paddle, pair, policy, stripe, sub, sub_of,
};
use super::store::MemoryStore;
use super::{History, kinds};

const X: &str = "x@example.com";
const Y: &str = "y@example.com";

fn flagging() -> Policy {
    Policy {
        on_same_email: OnSameEmail::Flag,
        ..policy()
    }
}

fn end_with(
    policy: Policy,
    before: Vec<Occurrence>,
    act: &dyn Fn(&mut MemoryStore),
    after: Vec<Occurrence>,
) -> End {
    History {
        policy,
        now: NOW,
        before,
        act,
        after,
    }
    .end()
}

/// An event that shows the seller's id of an account under `user_id`.
fn seller_id(account: &str, id: &str, second: i64) -> Occurrence {
    let fact = SellerIdFact {
        account: stripe(account),
        subscription: None,
        metadata: BTreeMap::from([("user_id".to_owned(), id.to_owned())]),
        imported_as: None,
        client_reference: None,
    };
    event(second, Fact::SellerId(fact))
}

fn links_by_seller_id(store: &mut MemoryStore) {
    store.all.settings.identity = Identity {
        metadata_key: Some("user_id".to_owned()),
        client_reference_id: false,
    };
}

fn make(store: &mut MemoryStore, email: &str, external_id: Option<&str>) -> CustomerId {
    let id = store.new_id();
    let profile = Profile {
        email: Some(email.to_owned()),
        external_id: external_id.map(str::to_owned),
        ..Profile::default()
    };
    store.act(|working_set| working_set.create_customer(id.clone(), profile, at(600)));
    id
}

fn accounts_of<'e>(end: &'e End, account: &str) -> Vec<&'e str> {
    let has = |ids: &Vec<&str>| ids.contains(&account);
    let all = end.customers.iter();
    let mut all = all.map(|seen| seen.accounts.iter().map(|key| key.id.as_str()).collect());
    all.find(has).unwrap()
}

fn shares(end: &End, account: &str) -> Vec<(String, i64)> {
    let flags = end.flags(account).iter();
    let flags = flags.filter(|flag| flag.kind == FlagKind::SameEmail);
    let at = |flag: &Flag| flag.at.unwrap().nanos() / 1_000_000_000;
    flags.map(|flag| (flag.subject.clone(), at(flag))).collect()
}

// The seller's own id.

#[test]
fn seller_id_later() {
    let events = vec![contact("cus_1", X, 10), seller_id("cus_1", "user_42", 20)];
    let first = end_with(
        flagging(),
        Vec::new(),
        &|store| {
            links_by_seller_id(store);
            make(store, Y, Some("user_42"));
        },
        events.clone(),
    );
    assert_eq!(first.customers.len(), 1);
    assert_eq!(first.of("cus_1").contact.email.as_deref(), Some(Y));
    for cut in 0..=2 {
        let last = end_with(
            flagging(),
            Vec::new(),
            &|store| {
                links_by_seller_id(store);
                store.batch(&events[..cut], at(NOW));
                make(store, Y, Some("user_42"));
            },
            events[cut..].to_vec(),
        );
        assert_eq!(last.customers.len(), 1, "after {cut} events");
        assert_eq!(last.of("cus_1").external_id.as_deref(), Some("user_42"));
    }
}

#[test]
fn accounts_of_one_seller_id_are_one_customer() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &links_by_seller_id,
        vec![
            contact("cus_1", X, 10),
            seller_id("cus_1", "user_42", 20),
            contact("cus_2", Y, 12),
            seller_id("cus_2", "user_42", 30),
        ],
    );
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1", "cus_2"]);
    assert_eq!(end.of("cus_1").external_id.as_deref(), Some("user_42"));
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(X));
}

#[test]
fn the_newest_seller_id_counts_and_of_one_instant_the_greatest() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &links_by_seller_id,
        vec![
            seller_id("cus_1", "user_1", 10),
            seller_id("cus_1", "user_7", 20),
            seller_id("cus_1", "user_2", 20),
            seller_id("cus_2", "user_7", 5),
            seller_id("cus_3", "user_1", 5),
        ],
    );
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1", "cus_2"]);
    assert_eq!(accounts_of(&end, "cus_3"), ["cus_3"]);
}

#[test]
fn two_buyers_of_one_account_are_flagged() {
    let of = |subscription: &str, status: &str, user: &str, second: i64| {
        let subscription = stripe(subscription);
        let mut event = sub_of(&subscription, &stripe("cus_1"), status).at(second);
        event.facts.push(Fact::SellerId(SellerIdFact {
            account: stripe("cus_1"),
            subscription: Some(subscription),
            metadata: BTreeMap::from([("user_id".to_owned(), user.to_owned())]),
            imported_as: None,
            client_reference: None,
        }));
        event
    };
    let flags = |act: &dyn Fn(&mut MemoryStore), events: &[Occurrence]| {
        let end = end_with(flagging(), Vec::new(), act, events.to_vec());
        let flags = end.flags("cus_1").iter();
        let flags = flags.filter(|it| it.kind == FlagKind::SellerIdsDiffer);
        flags
            .map(|it| (it.subject.clone(), it.at))
            .collect::<Vec<_>>()
    };
    let mut events = vec![
        of("sub_1", "active", "u1", 10),
        of("sub_2", "active", "u2", 20),
        of("sub_1", "active", "u1", 30),
    ];
    // Decided when the second one began: a renewal raises it not again.
    let flag = ("cus_1".to_owned(), Some(at(20)));
    assert_eq!(flags(&links_by_seller_id, &events), [flag]);
    assert_eq!(flags(&|_| {}, &events), []);
    events.push(of("sub_2", "canceled", "u2", 40));
    assert_eq!(flags(&links_by_seller_id, &events), []);
    let corrected = [
        of("sub_1", "active", "u1", 10),
        of("sub_2", "active", "u2", 20),
        of("sub_2", "active", "u1", 30),
    ];
    assert_eq!(flags(&links_by_seller_id, &corrected), []);
}

#[test]
fn a_seller_id_comes_before_an_address() {
    let end = end_with(
        policy(),
        Vec::new(),
        &|store| {
            links_by_seller_id(store);
            make(store, X, None);
            make(store, Y, Some("user_42"));
        },
        vec![contact("cus_1", X, 10), seller_id("cus_1", "user_42", 20)],
    );
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(Y));
}

#[test]
fn without_the_setting_no_seller_id_links() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &|_| {},
        vec![
            seller_id("cus_1", "user_42", 20),
            seller_id("cus_2", "user_42", 30),
        ],
    );
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1"]);
    assert_eq!(end.of("cus_1").external_id.as_deref(), Some("stripe_cus_1"));
}

// One address.

#[test]
fn two_accounts_of_one_address_are_two_customers_and_both_are_flagged() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &|_| {},
        vec![contact("cus_1", X, 10), contact("cus_2", X, 20)],
    );
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1"]);
    for account in ["cus_1", "cus_2"] {
        let wanted = [("stripe_cus_2".to_owned(), 20)];
        assert_eq!(shares(&end, account), wanted, "{account}");
    }
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(X));
    assert_eq!(end.of("cus_2").contact.email, None, "it is the first one's");
}

#[test]
fn under_ignore_nobody_is_flagged_or_joined() {
    let ignoring = Policy {
        on_same_email: OnSameEmail::Ignore,
        ..policy()
    };
    let events = vec![contact("cus_1", X, 10), contact("cus_2", X, 20)];
    let end = end_with(ignoring, Vec::new(), &|_| {}, events);
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1"]);
    assert_eq!(
        (kinds(&end, "cus_1"), kinds(&end, "cus_2")),
        (vec![], vec![])
    );
}

#[test]
fn an_address_that_was_left_or_is_taken_by_a_change_flags_nobody() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &|_| {},
        vec![
            contact("cus_1", X, 10),
            contact("cus_1", Y, 20),
            contact("cus_2", X, 30),
            contact("cus_3", "z@example.com", 5),
            contact("cus_3", X, 40),
        ],
    );
    for account in ["cus_1", "cus_2", "cus_3"] {
        assert_eq!(kinds(&end, account), [], "{account}");
    }
    assert_eq!(end.of("cus_2").contact.email.as_deref(), Some(X));
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(Y));
    assert_eq!(
        end.of("cus_3").contact.email,
        None,
        "it is another's first address"
    );
}

#[test]
fn an_address_that_an_admin_gives_is_his_customers() {
    let events = vec![contact("cus_1", X, 10)];
    let make_x = |store: &mut MemoryStore| {
        make(store, X, None);
    };
    let end = end_with(flagging(), events, &make_x, vec![contact("cus_2", Y, 20)]);
    assert_eq!(end.of("cus_1").contact.email, None);
    assert_eq!(shares(&end, "cus_1"), [("stripe_cus_1".to_owned(), 10)]);
    let mut others = end.customers.iter();
    let made = others.find(|seen| seen.accounts.is_empty()).unwrap();
    assert_eq!(made.derived.contact.email.as_deref(), Some(X));
    assert_eq!(made.flags.len(), 1);
}

#[test]
fn stranger_fails() {
    let end = end_with(
        flagging(),
        Vec::new(),
        &|store| {
            let id = make(store, X, None);
            store.grant_row(&id, by_hand(GrantBilling::Follow, None), at(601));
        },
        vec![
            contact("cus_1", X, 10),
            sub("past_due").at(20),
            sub("canceled").at(30),
        ],
    );
    let victim = end.customers.iter().find(|seen| seen.accounts.is_empty());
    let victim = victim.unwrap();
    assert_eq!(victim.derived.status, Status::Active);
    assert!(victim.derived.holds.is_empty());
    assert_eq!(victim.flags.len(), 1);
    assert_eq!(shares(&end, "cus_1"), [("stripe_cus_1".to_owned(), 10)]);
}

#[test]
fn a_strangers_dispute_reaches_nobody_else() {
    let end = end_with(
        flagging(),
        vec![contact("cus_1", X, 5), sub("active").at(6)],
        &|_| {},
        vec![
            contact("cus_2", X, 10),
            sub_of(&stripe("sub_2"), &stripe("cus_2"), "active").at(11),
            disputed(&stripe("dp_1"), DisputeStage::Lost, &[stripe("ch_1")], 20),
            pair("ch_1", "cus_2", 12),
        ],
    );
    assert_eq!(end.of("cus_1").status, Status::Active);
    assert!(end.of("cus_1").holds.is_empty());
    assert_eq!(end.of("cus_2").status, Status::Suspended);
}

// Links by hand.

#[test]
fn a_link_by_hand_moves_an_account_with_its_customers_rows() {
    let both = vec![
        contact("cus_1", X, 10),
        sub("active").at(11),
        contact("cus_2", Y, 12),
        sub_of(&stripe("sub_2"), &stripe("cus_2"), "active")
            .price("B")
            .at(13),
    ];
    let link = |store: &mut MemoryStore| {
        let id = store.customer(&stripe("cus_1"));
        store
            .act(|working_set| working_set.link_account(&stripe("cus_2"), &id, at(600)))
            .unwrap();
    };
    let later = vec![
        sub_of(&stripe("sub_2"), &stripe("cus_2"), "past_due")
            .price("B")
            .at(50),
    ];
    let end = end_with(flagging(), both.clone(), &link, later.clone());
    assert_eq!(end.customers.len(), 1, "one is shown");
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1", "cus_2"]);
    assert_eq!(end.of("cus_1").status, Status::Active);

    let part = |store: &mut MemoryStore| {
        link(store);
        let id = store.customer(&stripe("cus_1"));
        let fresh = store.new_id();
        let parted = store.act(|working_set| {
            working_set.part_account(&stripe("cus_2"), &id, at(601), &mut || fresh.clone())
        });
        parted.unwrap();
    };
    let end = end_with(flagging(), both, &part, later);
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1"]);
    assert_eq!(end.of("cus_1").status, Status::Active);
    assert_eq!(end.of("cus_2").status, Status::Suspended);
}

#[test]
fn a_parted_account_keeps_no_link() {
    // By address, by the seller's id, and by the own id: none brings it back.
    let before = vec![contact("cus_1", X, 10), contact("cus_2", X, 20)];
    let part = |store: &mut MemoryStore| {
        links_by_seller_id(store);
        make(store, X, Some("stripe_cus_2"));
        let id = store.customer(&stripe("cus_2"));
        let fresh = store.new_id();
        let parted = store.act(|working_set| {
            working_set.part_account(&stripe("cus_2"), &id, at(601), &mut || fresh.clone())
        });
        parted.unwrap();
    };
    let later = vec![
        seller_id("cus_1", "user_42", 30),
        seller_id("cus_2", "user_42", 31),
        contact("cus_3", X, 40),
        seller_id("cus_3", "user_42", 41),
    ];
    let end = end_with(policy(), before, &part, later);
    assert_eq!(accounts_of(&end, "cus_2"), ["cus_2"]);
    let shown = end.of("cus_2").contact.email.as_deref();
    assert_eq!(shown, None, "the address is that of the customer it left");
    assert!(
        accounts_of(&end, "cus_3").contains(&"cus_1"),
        "it leads nobody"
    );
}

#[test]
fn an_account_that_was_parted_from_others_of_its_seller_id_stays_apart() {
    let both = [
        seller_id("cus_1", "user_42", 10),
        seller_id("cus_2", "user_42", 11),
    ];
    let part = |store: &mut MemoryStore| {
        links_by_seller_id(store);
        store.batch(&both, at(NOW));
        let id = store.customer(&stripe("cus_2"));
        assert_eq!(id, store.customer(&stripe("cus_1")));
        let fresh = store.new_id();
        let parted = store.act(|working_set| {
            working_set.part_account(&stripe("cus_2"), &id, at(601), &mut || fresh.clone())
        });
        parted.unwrap();
    };
    let later = vec![
        seller_id("cus_2", "user_42", 20),
        seller_id("cus_3", "user_42", 21),
        contact("cus_1", X, 22),
    ];
    let end = end_with(flagging(), Vec::new(), &part, later);
    assert_eq!(accounts_of(&end, "cus_2"), ["cus_2"]);
    assert_eq!(accounts_of(&end, "cus_1"), ["cus_1", "cus_3"]);
}

#[test]
fn whom_an_admin_parted_shows_the_sellers_id_no_longer() {
    let both = vec![
        seller_id("cus_1", "user_42", 10),
        seller_id("cus_2", "user_42", 11),
    ];
    let part = |store: &mut MemoryStore| {
        links_by_seller_id(store);
        store.batch(&both, at(NOW));
        let id = store.customer(&stripe("cus_2"));
        let fresh = store.new_id();
        let parted = store.act(|working_set| {
            working_set.part_account(&stripe("cus_2"), &id, at(601), &mut || fresh.clone())
        });
        parted.unwrap();
    };
    let later = vec![seller_id("cus_2", "user_42", 20), contact("cus_1", X, 22)];
    let end = end_with(flagging(), Vec::new(), &part, later);
    assert_eq!(end.of("cus_1").external_id.as_deref(), Some("user_42"));
    assert_eq!(end.of("cus_2").external_id.as_deref(), Some("stripe_cus_2"));
}

/// An external id that an admin gave to one customer is shown of no other.
#[test]
fn what_an_admin_gave_to_another_is_not_shown_of_a_parted_account() {
    let part = |store: &mut MemoryStore| {
        let id = make(store, Y, Some("cus_1"));
        store.batch(&[contact("cus_1", X, 10)], at(NOW));
        let fresh = store.new_id();
        let parted = store.act(|working_set| {
            working_set.part_account(&stripe("cus_1"), &id, at(601), &mut || fresh.clone())
        });
        parted.unwrap();
    };
    let end = end_with(flagging(), Vec::new(), &part, Vec::new());
    assert_eq!(end.of("cus_1").external_id, None);
    let and_delete = |store: &mut MemoryStore| {
        part(store);
        let mut rows = store.all.customers.values();
        let made = rows.find(|row| row.is_admin_made()).unwrap().id.clone();
        store
            .act(|working_set| working_set.delete(&made, at(602)))
            .unwrap();
    };
    let end = end_with(flagging(), Vec::new(), &and_delete, Vec::new());
    assert_eq!(end.of("cus_1").external_id.as_deref(), Some("stripe_cus_1"));
}

/// Ids are unique only within an account: the platform's is not that of a connected account.
#[test]
fn an_external_id_means_the_account_in_whose_scope_it_is_written() {
    for (external_id, wanted) in [
        ("cus_1", None),
        ("stripe_cus_1", None),
        ("acct_1/cus_1", Some("acct_1")),
        ("stripe_acct_2/cus_1", Some("acct_2")),
    ] {
        let events = [None, Some("acct_1"), Some("acct_2")].map(|connected| {
            let mut account = stripe("cus_1");
            account.scope.connected = connected.map(str::to_owned);
            event(10, Fact::AccountNamed { account })
        });
        let make_it = |store: &mut MemoryStore| {
            make(store, Y, Some(external_id));
        };
        let end = end_with(flagging(), Vec::new(), &make_it, events.to_vec());
        assert_eq!(end.customers.len(), 3, "{external_id}");
        let mut all = end.customers.iter();
        let made = all.find(|seen| seen.derived.contact.email.is_some());
        let accounts = &made.unwrap().accounts;
        let accounts: Vec<_> = accounts.iter().map(|it| &it.scope.connected).collect();
        assert_eq!(accounts, [&wanted.map(str::to_owned)], "{external_id}");
    }
}

#[test]
fn an_account_that_no_event_has_named_waits_for_its_first() {
    let link = |store: &mut MemoryStore| {
        let id = make(store, Y, None);
        store
            .act(|working_set| working_set.link_account(&stripe("cus_1"), &id, at(600)))
            .unwrap();
    };
    let later = vec![contact("cus_1", X, 10), sub("active").at(11)];
    let end = end_with(flagging(), Vec::new(), &link, later);
    assert_eq!(end.customers.len(), 1);
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(Y));
    assert_eq!(end.of("cus_1").entitlements.len(), 1);
}

// Deletion is no dead end.

#[test]
fn an_account_of_a_deleted_customer_is_claimed_with_what_came_meanwhile() {
    let paid = invoice("in_1")
        .of(&stripe("sub_1"))
        .line("A", 100, 10, 2_000_000);
    let end = end_with(
        flagging(),
        vec![contact("cus_1", X, 10), sub("active").created().at(11)],
        &|store| {
            let id = store.customer(&stripe("cus_1"));
            store
                .act(|working_set| working_set.delete(&id, at(600)))
                .unwrap();
            store.batch(&[sub("past_due").at(30)], at(NOW));
            make(store, Y, Some("stripe_cus_1"));
        },
        vec![paid.paid(12)],
    );
    let shown = end
        .customers
        .iter()
        .filter(|seen| !seen.accounts.is_empty());
    assert_eq!(shown.count(), 1);
    assert_eq!(end.of("cus_1").contact.email.as_deref(), Some(Y));
    assert_eq!(
        end.of("cus_1").status,
        Status::Suspended,
        "it fails since 30"
    );
}

/// Whether a subscription is known when its payment comes depends on the order.
#[test]
fn events_of_a_deleted_customer_are_those_that_name_its_account() {
    let Fact::Payment(mut paid) = invoice("in_1").paid(40).facts.remove(0) else {
        unreachable!("an invoice is a payment");
    };
    paid.account = None;
    let end = end_with(
        flagging(),
        vec![contact("cus_1", X, 10)],
        &|store| {
            let id = store.customer(&stripe("cus_1"));
            store
                .act(|working_set| working_set.delete(&id, at(600)))
                .unwrap();
        },
        vec![event(40, Fact::Payment(paid)), sub("active").at(30)],
    );
    let flags = end.flags("cus_1").iter();
    let noticed: Vec<Option<_>> = flags
        .filter(|flag| flag.kind == FlagKind::AccountDeleted)
        .map(|flag| flag.at)
        .collect();
    assert_eq!(noticed, [Some(at(30))]);
}
