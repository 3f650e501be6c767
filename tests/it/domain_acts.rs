//! What admins do, on a working set in memory.

use std::collections::BTreeSet;

use tollgate::domain::apply::change::{Change, Effect, IgnoreCode, Outcome};
use tollgate::domain::apply::working_set::WorkingSet;
use tollgate::domain::billing::fact::{DisputeStage, Occurrence, RefundStage};
use tollgate::domain::customer::act::{ActError, FreezeOrder};
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::{Customer, Derived, Hold, PackageVersion, Profile, Status};
use tollgate::domain::id::{CustomerId, Kind, ObjectKey, Scope};
use tollgate::domain::policy::{OnFullRefund, Policy};
use tollgate::domain::time::Timestamp;
use tollgate::provider::STRIPE;
use uuid::Uuid;

use crate::convergence::rig::{
    at, contact, disputed, invoice, paddle, pay, plans, policy, refund, stripe, sub, sub_of,
};

const X: &str = "x@example.com";
const Y: &str = "y@example.com";
const Z: &str = "z@example.com";

/// A working set, and a hand that posts events to it.
pub(crate) struct Desk {
    pub(crate) working_set: WorkingSet,
    made: u128,
}

impl Desk {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            working_set: WorkingSet::new(policy, plans()),
            made: 0,
        }
    }

    pub(crate) fn with(events: &[Occurrence]) -> Self {
        let mut desk = Self::new(policy());
        for event in events {
            desk.post(event);
        }
        desk
    }

    pub(crate) fn post(&mut self, event: &Occurrence) -> Effect {
        self.post_at(event, at(800))
    }

    pub(crate) fn post_at(&mut self, event: &Occurrence, now: Timestamp) -> Effect {
        let made = &mut self.made;
        self.working_set.apply(event, now, &mut || {
            *made += 1;
            CustomerId::from_uuid(Uuid::from_u128(*made))
        })
    }

    pub(crate) fn make(&mut self, email: &str) -> CustomerId {
        self.made += 1;
        let id = CustomerId::from_uuid(Uuid::from_u128(self.made));
        let profile = Profile {
            email: Some(email.to_owned()),
            ..Profile::default()
        };
        self.working_set.create_customer(id.clone(), profile, at(1));
        id
    }

    pub(crate) fn id(&self, account: &str) -> CustomerId {
        self.row(&stripe(account)).id.clone()
    }

    pub(crate) fn shown(&self, account: &str) -> &Derived {
        &self.row(&stripe(account)).derived
    }

    pub(crate) fn row(&self, account: &ObjectKey) -> &Customer {
        self.working_set.customer_of(account).unwrap()
    }

    pub(crate) fn flags(&self, account: &str) -> Vec<FlagKind> {
        self.shown(account)
            .flags
            .iter()
            .map(|flag| flag.kind)
            .collect()
    }
}

pub(crate) fn names(changes: &[Change]) -> Vec<String> {
    let name = |change: &Change| {
        let document = serde_json::to_value(change).unwrap();
        document["operation"].as_str().unwrap().to_owned()
    };
    changes.iter().map(name).collect()
}

// Holds.

#[test]
pub(crate) fn what_an_admin_suspended_no_payment_lifts() {
    let mut desk = Desk::with(&[sub("past_due").latest("in_1").at(10)]);
    let id = desk.id("cus_1");
    let changes = desk
        .working_set
        .suspend(&id, Some("abuse".to_owned()), at(700))
        .unwrap();
    assert_eq!(names(&changes), ["update_holds"]);
    desk.post(&invoice("in_1").paid(20));
    desk.post(&sub("active").at(30));
    assert_eq!(desk.shown("cus_1").status, Status::Suspended);
    assert_eq!(desk.shown("cus_1").reason.as_deref(), Some("abuse"));
    assert_eq!(desk.shown("cus_1").holds, BTreeSet::from([Hold::Manual]));
    let changes = desk.working_set.reactivate(&id, at(701)).unwrap();
    assert_eq!(names(&changes), ["grant", "reactivate"]);
    assert!(
        !desk.shown("cus_1").courtesy,
        "billing finds the customer good"
    );
}

#[test]
fn repeating_an_act_changes_nothing() {
    type Act = fn(&mut WorkingSet, &CustomerId) -> Result<Vec<Change>, ActError>;
    let exactly = || FreezeOrder {
        at: None,
        versions: Some(vec![PackageVersion {
            package: "acme/a".to_owned(),
            version: "1.2.0".to_owned(),
        }]),
    };
    let acts: [(&str, Act); 5] = [
        ("suspend", |working_set, id| {
            working_set.suspend(id, None, at(700))
        }),
        ("expire", |working_set, id| {
            working_set.expire(id, Some("over".to_owned()), at(700))
        }),
        ("freeze", |working_set, id| {
            working_set.freeze(id, FreezeOrder::default(), at(700))
        }),
        ("reactivate", |working_set, id| {
            working_set.reactivate(id, at(700))
        }),
        ("profile", |working_set, id| {
            let name = Some("Ann".to_owned());
            working_set.update_profile(
                id,
                Profile {
                    name,
                    ..Profile::default()
                },
                at(700),
            )
        }),
    ];
    for (name, act) in acts {
        let mut desk = Desk::with(&[sub("past_due").at(10)]);
        let id = desk.id("cus_1");
        assert_ne!(
            act(&mut desk.working_set, &id).unwrap(),
            [],
            "{name}, first"
        );
        assert_eq!(
            act(&mut desk.working_set, &id).unwrap(),
            [],
            "{name}, again"
        );
    }
    let mut desk = Desk::with(&[sub("active").at(10)]);
    let id = desk.id("cus_1");
    desk.working_set.freeze(&id, exactly(), at(700)).unwrap();
    assert_eq!(desk.shown("cus_1").frozen_versions, exactly().versions);
    assert_eq!(
        desk.working_set.freeze(&id, exactly(), at(701)).unwrap(),
        []
    );
}

#[test]
fn the_last_act_wins() {
    let mut desk = Desk::with(&[sub("active").at(10)]);
    let id = desk.id("cus_1");
    desk.working_set.suspend(&id, None, at(700)).unwrap();
    desk.working_set.expire(&id, None, at(701)).unwrap();
    assert_eq!(desk.shown("cus_1").status, Status::Expired);
    let until = FreezeOrder {
        at: Some(at(600)),
        versions: None,
    };
    desk.working_set.freeze(&id, until, at(702)).unwrap();
    assert_eq!(desk.shown("cus_1").status, Status::Frozen { at: at(600) });
    assert_eq!(
        desk.shown("cus_1").entitlements.len(),
        1,
        "a frozen customer has its price"
    );
}

#[test]
fn a_freeze_by_hand_keeps_the_moment_at_which_billing_ended() {
    let mut desk = Desk::with(&[sub("active").at(10), sub("canceled").at(20)]);
    let id = desk.id("cus_1");
    desk.working_set.suspend(&id, None, at(700)).unwrap();
    desk.working_set
        .freeze(&id, FreezeOrder::default(), at(701))
        .unwrap();
    assert_eq!(desk.shown("cus_1").frozen_at, Some(at(20)));
}

#[test]
fn a_reactivation_waives_the_disputes_of_that_moment() {
    let lost = |id: &str| disputed(&stripe(id), DisputeStage::Lost, &[stripe("cus_1")], 20);
    let mut desk = Desk::with(&[sub("active").at(10), lost("dp_1")]);
    assert_eq!(desk.shown("cus_1").holds, BTreeSet::from([Hold::Dispute]));
    let id = desk.id("cus_1");
    desk.working_set.reactivate(&id, at(700)).unwrap();
    desk.post(&lost("dp_1"));
    assert_eq!(desk.shown("cus_1").status, Status::Active);
    desk.post(&lost("dp_2"));
    assert_eq!(desk.shown("cus_1").status, Status::Suspended);
}

#[test]
fn a_waived_refund_hides_no_dispute_of_the_same_transaction() {
    let policy = Policy {
        on_full_refund: OnFullRefund::Expire,
        ..policy()
    };
    let (account, transaction) = (paddle("ctm_1"), paddle("txn_1"));
    let subscription = paddle("sub_1");
    let tied = [transaction.clone(), account.clone()];
    let refunded = refund(&paddle("adj_1"), RefundStage::Succeeded, 100, &tied, 20);
    let lost = disputed(&transaction, DisputeStage::Lost, &tied, 30);
    let mut desk = Desk::new(policy);
    desk.post(&sub_of(&subscription, &account, "active").at(10));
    desk.post(&pay(&transaction, &account).of(&subscription).paid(10));
    desk.post(&refunded);
    let holds = |desk: &Desk| desk.row(&account).derived.holds.clone();
    assert_eq!(holds(&desk), BTreeSet::from([Hold::Refund]));
    let id = desk.row(&account).id.clone();
    desk.working_set.reactivate(&id, at(700)).unwrap();
    desk.post(&refunded);
    assert_eq!(holds(&desk), BTreeSet::new());
    desk.post(&lost);
    assert_eq!(holds(&desk), BTreeSet::from([Hold::Dispute]));
}

/// Paddle's dispute has the id of the transaction, so its waiver could be taken for one of the payment.
#[test]
fn a_waived_dispute_hides_no_refund_of_the_same_transaction() {
    let policy = Policy {
        on_full_refund: OnFullRefund::Expire,
        ..policy()
    };
    let (account, transaction) = (paddle("ctm_1"), paddle("txn_1"));
    let tied = [transaction.clone(), account.clone()];
    let mut desk = Desk::new(policy);
    desk.post(&sub_of(&paddle("sub_1"), &account, "active").at(10));
    desk.post(&pay(&transaction, &account).of(&paddle("sub_1")).paid(10));
    desk.post(&disputed(&transaction, DisputeStage::Lost, &tied, 20));
    let holds = |desk: &Desk| desk.row(&account).derived.holds.clone();
    assert_eq!(holds(&desk), BTreeSet::from([Hold::Dispute]));
    let id = desk.row(&account).id.clone();
    desk.working_set.reactivate(&id, at(700)).unwrap();
    assert_eq!(holds(&desk), BTreeSet::new());
    let refunded = refund(&paddle("adj_1"), RefundStage::Succeeded, 100, &tied, 30);
    desk.post(&refunded);
    assert_eq!(holds(&desk), BTreeSet::from([Hold::Refund]));
}

#[test]
fn a_cleared_flag_comes_back_only_by_a_newer_fact() {
    let warning = |second| {
        disputed(
            &stripe("dp_1"),
            DisputeStage::Warning,
            &[stripe("cus_1")],
            second,
        )
    };
    let mut desk = Desk::with(&[sub("active").at(10), warning(20)]);
    let id = desk.id("cus_1");
    let flag = desk.shown("cus_1").flags.first().unwrap().clone();
    let changes = desk.working_set.clear_flag(&id, &flag, at(700)).unwrap();
    assert_eq!(names(&changes), ["unflag"]);
    desk.post(&warning(20));
    assert_eq!(desk.flags("cus_1"), []);
    desk.post(&warning(21));
    assert_eq!(desk.flags("cus_1"), [FlagKind::OpenDispute]);
}

// Rows and links.

#[test]
fn a_hold_counts_for_the_customer_and_stays_with_its_row() {
    let mut desk = Desk::with(&[contact("cus_1", X, 10), contact("cus_2", Y, 20)]);
    let (first, second) = (desk.id("cus_1"), desk.id("cus_2"));
    desk.working_set.suspend(&second, None, at(700)).unwrap();
    // A late fact: the second account had the first one's address when the first had left none.
    let merged = desk.post(&contact("cus_2", X, 15));
    assert_eq!(desk.id("cus_2"), first);
    assert!(names(&merged.changes).contains(&"merge".to_owned()));
    assert_eq!(desk.shown("cus_1").status, Status::Suspended);
    let refused = desk.working_set.suspend(&second, None, at(701));
    assert_eq!(
        refused,
        Err(ActError::Merged {
            into: first.clone()
        })
    );
    // A still older fact parts them again.
    let split = desk.post(&contact("cus_2", Z, 12));
    assert!(names(&split.changes).contains(&"split".to_owned()));
    assert_eq!(desk.id("cus_2"), second);
    assert_eq!(desk.shown("cus_1").status, Status::Active);
    assert_eq!(desk.shown("cus_2").status, Status::Suspended);
}

#[test]
fn a_reactivation_lifts_the_holds_of_merged_rows_too() {
    let mut desk = Desk::with(&[contact("cus_1", X, 10), contact("cus_2", Y, 20)]);
    let (first, second) = (desk.id("cus_1"), desk.id("cus_2"));
    desk.working_set.expire(&second, None, at(700)).unwrap();
    desk.post(&contact("cus_2", X, 15));
    desk.working_set.reactivate(&first, at(701)).unwrap();
    assert_eq!(desk.shown("cus_2").status, Status::Active);
}

#[test]
fn an_admin_made_customer_is_found_by_address_and_by_id() {
    let mut desk = Desk::new(policy());
    let by_email = desk.make("X@Example.com");
    let by_id = desk.make(Y);
    let external_id = Some("stripe_cus_2".to_owned());
    let profile = Profile {
        external_id,
        ..Profile::default()
    };
    desk.working_set
        .update_profile(&by_id, profile, at(2))
        .unwrap();
    desk.post(&contact("cus_1", X, 10));
    desk.post(&contact("cus_2", X, 10));
    assert_eq!((desk.id("cus_1"), desk.id("cus_2")), (by_email, by_id));
}

#[test]
fn a_test_account_never_joins_a_live_one_by_its_address() {
    let test = Scope {
        provider: STRIPE.name,
        livemode: false,
        connected: None,
    };
    let mut in_test = contact("cus_2", X, 5);
    for fact in &mut in_test.facts {
        if let tollgate::domain::billing::fact::Fact::Contact(contact) = fact {
            contact.account = test.key(Kind::Account, "cus_2");
        }
    }
    for admin_made in [false, true] {
        let mut desk = Desk::new(policy());
        if admin_made {
            desk.make(X);
        }
        desk.post(&in_test);
        desk.post(&contact("cus_1", X, 10));
        let (live, test) = (
            desk.id("cus_1"),
            &desk.row(&test.key(Kind::Account, "cus_2")).id,
        );
        assert_ne!(
            live, *test,
            "with a customer made by an admin: {admin_made}"
        );
    }
}

#[test]
fn a_changed_profile_leaves_accounts_where_they_are() {
    let mut desk = Desk::new(policy());
    let id = desk.make(X);
    desk.post(&contact("cus_1", X, 10));
    desk.post(&contact("cus_2", Z, 10));
    let other = desk.id("cus_2");
    let profile = Profile {
        email: Some(Z.to_owned()),
        ..Profile::default()
    };
    let changes = desk
        .working_set
        .update_profile(&id, profile, at(700))
        .unwrap();
    assert_eq!(
        names(&changes),
        [
            "update_profile",
            "pin_account",
            "pin_account",
            "update_contact",
            // The other's address is this customer's now.
            "update_contact"
        ]
    );
    assert_eq!((desk.id("cus_1"), desk.id("cus_2")), (id.clone(), other));
    desk.post(&contact("cus_3", X, 20));
    assert_eq!(
        desk.id("cus_3"),
        id,
        "it follows the account that held the address"
    );
}

#[test]
fn a_linked_account_moves_and_the_row_stays_with_those_left() {
    let mut desk = Desk::with(&[contact("cus_2", X, 20), contact("cus_1", X, 10)]);
    let (old, new) = (desk.id("cus_1"), desk.make(Y));
    let account = stripe("cus_2");
    let changes = desk.working_set.link_account(&account, &new, at(700));
    assert_eq!(
        names(&changes.unwrap()),
        ["pin_account", "update_external_id", "link_account"]
    );
    assert_eq!((desk.id("cus_1"), desk.id("cus_2")), (old, new.clone()));
    let again = desk.working_set.link_account(&account, &new, at(701));
    assert_eq!(again, Ok(Vec::new()));
}

// Deletion.

#[test]
fn events_of_a_deleted_customer_are_flagged_and_change_nothing() {
    let mut desk = Desk::with(&[contact("cus_1", X, 10), sub("active").at(10)]);
    let id = desk.id("cus_1");
    assert_eq!(
        names(&desk.working_set.delete(&id, at(700)).unwrap()),
        ["delete"]
    );
    assert_eq!(
        desk.working_set.delete(&id, at(700)),
        Err(ActError::Deleted)
    );
    let kept = desk.working_set.subscriptions.clone();
    let paid = invoice("in_1").paid(20);
    for event in [sub("canceled").at(20), paid, contact("cus_1", Y, 20)] {
        let effect = desk.post(&event);
        assert_eq!(
            effect.outcome,
            Outcome::Ignored(IgnoreCode::CustomerDeleted),
            "{event:?}"
        );
        assert_eq!(effect.customer.as_ref(), Some(&id));
    }
    // It is kept for whoever links the account again.
    assert_ne!(desk.working_set.subscriptions, kept);
    let row = &desk.working_set.customers[&id];
    let kinds: Vec<_> = row.derived.flags.iter().map(|flag| flag.kind).collect();
    assert_eq!(
        (row.derived.status, kinds),
        (Status::Active, vec![FlagKind::AccountDeleted])
    );
    // The address is free again.
    desk.post(&contact("cus_2", X, 30));
    assert_ne!(desk.id("cus_2"), id);
}

#[test]
fn a_row_that_is_gone_for_good_is_not_made_anew() {
    let mut desk = Desk::with(&[contact("cus_1", X, 10)]);
    let id = desk.id("cus_1");
    desk.working_set.delete(&id, at(700)).unwrap();
    desk.working_set.customers.remove(&id);
    let effect = desk.post(&sub("active").at(20));
    assert_eq!(
        effect.outcome,
        Outcome::Ignored(IgnoreCode::CustomerDeleted)
    );
    assert!(desk.working_set.customers.is_empty());
}
