//! Licences for what was bought: the same are made in any order of events, and each once.

use std::collections::BTreeMap;

use tollgate::domain::access::license::{License, LicenseSource};
use tollgate::domain::apply::owed_licenses::OwedLicense;
use tollgate::domain::apply::working_set::WorkingSet;
use tollgate::domain::id::{LicenseId, ObjectKey};
use tollgate::domain::time::Timestamp;
use uuid::Uuid;

use super::rig::{End, SeenLicense, contact, counted, invoice, paddle, pair, pay, stripe, sub};
use super::{end_of, prices};

/// The licences of a store in memory, by source and product.
#[derive(Clone, Debug, Default)]
pub(crate) struct Licenses(BTreeMap<(ObjectKey, String), OwedLicense>);

impl Licenses {
    /// Makes those that are owed, as a store does.
    pub(crate) fn make_owed(&mut self, working_set: &WorkingSet) {
        let owed = working_set.owed_licenses();
        let off = working_set.sources_turned_off(&owed);
        self.0.retain(|(source, _), _| !off.contains(source));
        for owed in owed {
            let key = |source: &ObjectKey| (source.clone(), owed.product.clone());
            for document in &owed.documents {
                self.0.remove(&key(document));
            }
            self.0.insert(key(&owed.source), owed);
        }
    }

    /// What is shown of them; nothing of those whose customer was erased, nor of what proved to be paid
    /// by the account of a deleted customer, or by nobody known: whether it was known as somebody else's
    /// before, and a licence was made for them then, tells the path. Such a licence is not granted.
    pub(crate) fn seen(
        self,
        working_set: &WorkingSet,
        now: Timestamp,
    ) -> BTreeMap<(ObjectKey, String), SeenLicense> {
        let seen = self.0.into_iter().filter_map(|(key, owed)| {
            if is_of_nobody(working_set, &owed.source) {
                return None;
            }
            let row = working_set.customers.get(&owed.customer)?;
            let shown = row.merged_into.as_ref().unwrap_or(&row.id);
            let customer = working_set.customers.get(shown)?;
            let license = License {
                id: LicenseId::from_uuid(Uuid::nil()),
                customer: owed.customer,
                product: owed.product,
                metadata: serde_json::Map::new(),
                created_at: now,
                expires_at: None,
                activations_limit: None,
                revoked: None,
                source: Some(LicenseSource {
                    object: owed.source,
                    plan: owed.plan.clone(),
                }),
            };
            let accounts = working_set.accounts.values();
            let accounts = accounts.filter(|it| it.customer.as_ref() == Some(shown));
            let seen = SeenLicense {
                plan: owed.plan,
                accounts: accounts.map(|it| it.key.clone()).collect(),
                code: license.judge(customer, &working_set.plans, now),
            };
            Some((key, seen))
        });
        seen.collect()
    }
}

fn is_of_nobody(working_set: &WorkingSet, source: &ObjectKey) -> bool {
    let payment = working_set.payments.get(source);
    if payment.is_some_and(|it| it.account.is_none()) {
        return true;
    }
    let paid_by = payment.and_then(|it| it.history.account.as_ref());
    let subscription = working_set.subscriptions.get(source);
    let payer = subscription.and_then(|it| it.account.as_ref());
    let payer = payer.or(paid_by.map(|(_, account)| account));
    let payer = payer.and_then(|key| working_set.accounts.get(key));
    payer.is_some_and(|it| it.history.ignored_at.is_some())
}

fn assert_licenses(end: &End, expected: &[(&str, &str, &str)]) {
    assert_eq!(end.licenses(), expected);
}

#[test]
fn a_subscription_has_one_of_each_product() {
    let end = end_of(&[
        contact("cus_1", "x@example.com", 1),
        sub("active").created().at(10),
        sub("active").at(20),
    ]);
    assert_licenses(&end, &[("sub_1", "A", "ok"), ("sub_1", "suite", "ok")]);
}

#[test]
fn a_product_taken_out_of_the_cart_before_it_was_paid_has_none() {
    let cart = || pay(&paddle("txn_1"), &paddle("ctm_1")).once("P", 100);
    let end = end_of(&[
        cart().once("B", 100).known(10),
        cart().known(20),
        cart().paid(30),
    ]);
    assert_licenses(&end, &[("txn_1", "P", "ok"), ("txn_1", "suite", "ok")]);
    assert_eq!(prices(end.of("ctm_1")), ["P"]);
}

#[test]
fn a_failure_suspends_them() {
    let end = end_of(&[sub("active").created().at(10), sub("past_due").at(20)]);
    let suspended = "customer_suspended";
    assert_licenses(
        &end,
        &[("sub_1", "A", suspended), ("sub_1", "suite", suspended)],
    );
}

#[test]
fn an_end_leaves_those_that_were_paid_for() {
    let end = end_of(&[
        sub("active").created().at(10),
        sub("past_due").at(20),
        sub("canceled").at(30),
    ]);
    assert_licenses(&end, &[("sub_1", "A", "ok"), ("sub_1", "suite", "ok")]);
}

#[test]
fn another_price_takes_over_the_product_that_both_buy() {
    let end = end_of(&[
        sub("active").created().at(10),
        sub("active").price("B").at(20),
        sub("active").price("P").at(30),
        sub("active").price("B").at(40),
    ]);
    let gone = "license_not_granted";
    assert_licenses(
        &end,
        &[
            ("sub_1", "A", gone),
            ("sub_1", "B", "ok"),
            ("sub_1", "P", gone),
            ("sub_1", "suite", "ok"),
        ],
    );
}

#[test]
fn nothing_is_owed_before_the_first_payment() {
    let end = end_of(&[
        sub("incomplete").created().at(10),
        sub("incomplete_expired").at(20),
    ]);
    assert_licenses(&end, &[]);
}

#[test]
fn a_refund_takes_those_of_a_purchase() {
    let bought = || {
        let bought = pay(&stripe("in_9"), &stripe("cus_1"));
        bought.once("P", 300).paid(10)
    };
    let end = end_of(&[bought(), sub("active").created().at(20)]);
    assert_licenses(
        &end,
        &[
            ("sub_1", "A", "ok"),
            ("sub_1", "suite", "ok"),
            ("in_9", "P", "ok"),
            ("in_9", "suite", "ok"),
        ],
    );
    let end = end_of(&[
        bought(),
        pair("ch_9", "in_9", 10),
        counted("ch_9", 300, 30),
        sub("active").created().at(20),
    ]);
    let gone = "license_not_granted";
    assert_licenses(
        &end,
        &[
            ("sub_1", "A", "ok"),
            ("sub_1", "suite", "ok"),
            ("in_9", "P", gone),
            ("in_9", "suite", gone),
        ],
    );
}

#[test]
fn one_payment_has_one_of_each_whatever_document_came_first() {
    let by = |document: &str| pay(&stripe(document), &stripe("cus_1")).once("P", 300);
    let end = end_of(&[
        by("pi_9").paid(10),
        by("in_9").paid(11),
        pair("pi_9", "in_9", 10),
    ]);
    assert_licenses(&end, &[("in_9", "P", "ok"), ("in_9", "suite", "ok")]);
    let end = end_of(&[
        pay(&stripe("pi_9"), &stripe("cus_1")).paid(10),
        by("in_9").paid(11),
        pair("pi_9", "in_9", 10),
        invoice("in_1").line("A", 100, 10, 500).paid(12),
        sub("active").created().at(9),
    ]);
    assert_licenses(
        &end,
        &[
            ("sub_1", "A", "ok"),
            ("sub_1", "suite", "ok"),
            ("in_9", "P", "ok"),
            ("in_9", "suite", "ok"),
        ],
    );
}

/// Documents of one payment that name accounts of different customers: whoever the purchase counts for has
/// its licences, also if the other one was deleted.
#[test]
fn the_customer_whose_purchase_it_is_has_them_whoever_else_the_payment_names() {
    let end = end_of(&[
        pay(&stripe("pi_9"), &stripe("cus_1")).known(13),
        pay(&stripe("in_9"), &stripe("cus_2"))
            .once("P", 300)
            .paid(10),
        pair("pi_9", "in_9", 10),
    ]);
    assert_licenses(&end, &[("in_9", "P", "ok"), ("in_9", "suite", "ok")]);
    let customer = end.of("cus_2");
    assert_eq!(prices(customer), ["P"]);
    for license in end.licenses.values() {
        assert_eq!(license.accounts, [stripe("cus_2")]);
    }
}
