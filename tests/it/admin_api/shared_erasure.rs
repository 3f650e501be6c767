//! A customer is erased whose billing account was somebody else's for a time: what that row showed
//! meanwhile goes too, and what is about the other one stays.

use serde_json::{Value, json};

use super::export::{ADA, BOB, account_of, life_of};
use super::rig::{NOW, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// What is known of Bob.
const WORDS: [&str; 7] = [
    "bob.m@example.com",
    "old-bob.m@example.com",
    "bob.m the customer",
    "tel-bob.m",
    "bob.m street",
    "bob.m's other phone",
    "bob.m's last phone",
];

/// An account without a contact of its own, so that its customer shows that of another account.
fn bare(id: &str) -> Value {
    json!({
        "id": id, "object": "customer", "email": null, "name": null, "phone": null, "address": null,
    })
}

fn updated(event: &str, at: i64, account: Value) -> Value {
    stripe_event(event, "customer.updated", at, account)
}

fn with_phone(mut account: Value, phone: &str) -> Value {
    account["phone"] = json!(phone);
    account
}

impl Rig {
    async fn links(&self, customer: &str, account: &str) {
        let path = format!("/customers/{customer}/accounts");
        self.post(&path, json!({"account": account}))
            .await
            .expect(200);
        self.pass(1);
    }

    async fn parts(&self, customer: &str, account: &str) {
        let path = format!("/customers/{customer}/accounts/{account}");
        self.delete(&path).await.expect(200);
        self.pass(1);
    }

    async fn has_each_word(&self, words: &[&str]) {
        for word in words {
            let found = self.finds(&[word]).await;
            assert!(!found.is_empty(), "{word} is looked for in vain");
        }
    }

    async fn erases_customer(&self, id: &str) {
        self.delete(&format!("/customers/{id}")).await.expect(204);
        self.erases().await;
    }

    /// The details of the entries of one operation on a customer, the oldest first.
    async fn details_of(&self, customer: &str, operation: &str) -> Vec<Value> {
        let path = format!("/audit?customer_id={customer}&operation={operation}&page_size=100");
        let list = self.get(&path).await.expect(200);
        let entries = list["data"].as_array().unwrap().iter().rev();
        entries.map(|it| it["details"].clone()).collect()
    }
}

async fn what_another_row_showed_of_the_erased_one_goes(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happen(&life_of("cus_1", ADA, NOW - 100)).await;
    let ada = rig.found("cus_1").await;
    rig.happens(&updated("evt_bare", NOW - 90, bare("cus_1")))
        .await;
    rig.pass(1);
    rig.happen(&life_of("cus_2", BOB, NOW - 80)).await;
    rig.pass(1);
    // By hand, and so the audit tells of what no event changed.
    rig.links(&ada, "cus_2").await;
    let shown = rig.get(&format!("/customers/{ada}")).await.expect(200);
    assert_eq!(shown["email"], WORDS[0]);
    let phones = [("evt_moved", WORDS[5]), ("evt_moved_2", WORDS[6])];
    for (n, (event, phone)) in (0..).zip(phones) {
        let account = with_phone(account_of("cus_2", BOB), phone);
        rig.happens(&updated(event, NOW - 20 + n, account)).await;
        rig.pass(1);
    }
    // By an event of hers, and by an act of an admin, while she showed his.
    let back = account_of("cus_1", ADA);
    rig.happens(&updated("evt_back", NOW - 10, back)).await;
    rig.pass(1);
    let path = format!("/customers/{ada}");
    rig.post(&format!("{path}/suspend"), json!({"reason": "of ada.l's"}))
        .await
        .expect(200);
    rig.pass(1);
    rig.parts(&ada, "cus_2").await;
    let later = with_phone(account_of("cus_1", ADA), "ada.l's later phone");
    rig.happens(&updated("evt_later", NOW, later)).await;
    rig.has_each_word(&WORDS).await;
    let before = rig.details_of(&ada, "update_contact").await;

    let bob = rig.found("cus_2").await;
    assert_ne!(ada, bob);
    rig.erases_customer(&bob).await;
    assert_eq!(rig.finds(&WORDS).await, Vec::<String>::new());

    // From before and from after.
    let after = rig.details_of(&ada, "update_contact").await;
    assert_eq!(after.len(), before.len(), "{after:?}");
    assert_eq!(after[..2], before[..2], "before they were one");
    assert_eq!(after.last(), before.last(), "after they were one");
    assert_eq!(
        after[2],
        json!({"operation": "update_contact", "erased": true})
    );
    let create = rig.details_of(&ada, "create").await;
    assert_eq!(create[0]["contact"]["email"], "old-ada.l@example.com");
    let suspended = rig.details_of(&ada, "suspend").await;
    assert_eq!(suspended[0]["reason"], "of ada.l's");
    let first = format!("/events/evt_cus_1_{}_1", NOW - 100);
    let first = rig.get(&first).await.expect(200);
    assert_eq!(
        first["payload"]["data"]["object"]["name"],
        "ada.l the customer"
    );
    assert_eq!(first["changes"][0]["contact"]["name"], "ada.l the customer");
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(shown["phone"], "ada.l's later phone");
}

async fn what_a_row_showed_from_its_start_goes(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happen(&life_of("cus_1", BOB, NOW - 100)).await;
    let ada = rig.found("cus_1").await;
    rig.pass(1);
    rig.happens(&updated("evt_ada", NOW - 80, account_of("cus_2", ADA)))
        .await;
    rig.pass(1);
    rig.links(&ada, "cus_2").await;
    let carol = account_of("cus_3", "carol");
    rig.happens(&updated("evt_carol", NOW - 70, carol)).await;
    let between = rig.found("cus_3").await;
    rig.pass(1);
    rig.links(&between, "cus_1").await;
    let bob = id_of(&rig.customer(json!({"name": "bob.m the customer"})).await);
    rig.links(&bob, "cus_1").await;
    rig.has_each_word(&WORDS[..5]).await;

    rig.erases_customer(&bob).await;
    assert_eq!(rig.finds(&WORDS).await, Vec::<String>::new());
    let create = rig.details_of(&ada, "create").await;
    assert_eq!(create[0], json!({"operation": "create", "erased": true}));
    assert_eq!(create[1]["contact"]["name"], "ada.l the customer");
    let create = rig.details_of(&between, "create").await;
    assert_eq!(create.len(), 1);
    assert_eq!(create[0]["contact"]["name"], "carol the customer");
    assert!(!rig.finds(&["ada.l the customer"]).await.is_empty());
}

async fn what_is_from_another_time_stays(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut bobs = account_of("cus_2", BOB);
    bobs["email"] = json!("shared@example.com");
    rig.happens(&updated("evt_bob", NOW - 100, bobs)).await;
    let bob = rig.found("cus_2").await;
    rig.pass(1);
    // By this both are flagged.
    let mut hers = account_of("cus_1", ADA);
    hers["email"] = json!("shared@example.com");
    rig.happens(&updated("evt_ada", NOW - 90, hers)).await;
    let ada = rig.found("cus_1").await;
    rig.pass(1);
    let flags = rig.details_of(&bob, "flag").await;
    assert!(!flags.is_empty(), "her event changed his row");
    rig.links(&ada, "cus_2").await;
    rig.parts(&ada, "cus_2").await;

    rig.erases_customer(&bob).await;
    let event = rig.get("/events/evt_ada").await.expect(200);
    let mut changes = event["changes"].as_array().unwrap().iter();
    let create = changes.rfind(|it| it["operation"] == "create");
    assert_eq!(
        create.unwrap()["contact"]["name"],
        "ada.l the customer",
        "{event}"
    );
    assert_eq!(
        event["payload"]["data"]["object"]["name"],
        "ada.l the customer"
    );
    assert_eq!(rig.finds(&WORDS[2..]).await, Vec::<String>::new());
}

async fn an_account_that_joined_by_its_address_leaves_nothing(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    let mut hers = bare("cus_1");
    hers["email"] = json!("shared@example.com");
    rig.happens(&updated("evt_ada", NOW - 100, hers)).await;
    let ada = rig.found("cus_1").await;
    rig.pass(1);
    // Named before its address is known, and so with a row of its own at first.
    let named = stripe_subscription("sub_2", "cus_2", "active");
    let kind = "customer.subscription.created";
    rig.happens(&stripe_event("evt_named", kind, NOW - 90, named))
        .await;
    rig.pass(1);
    for (event, at, phone) in [
        ("evt_same", NOW - 80, WORDS[5]),
        ("evt_other", NOW - 70, WORDS[6]),
    ] {
        let mut same = with_phone(account_of("cus_2", BOB), phone);
        same["email"] = json!("shared@example.com");
        rig.happens(&updated(event, at, same)).await;
        rig.pass(1);
    }
    assert_eq!(rig.found("cus_2").await, ada);
    // A change of hers that the audit tells of with his phone.
    let path = format!("/customers/{ada}");
    rig.put(&path, json!({"phone": "ada.l's phone"}))
        .await
        .expect(200);
    rig.pass(1);
    rig.parts(&ada, "cus_2").await;
    let bob = rig.found("cus_2").await;
    assert_ne!(ada, bob);
    let words = [WORDS[2], WORDS[4], WORDS[5], WORDS[6]];
    rig.has_each_word(&words).await;
    let contacts = rig.details_of(&ada, "update_contact").await;
    rig.erases_customer(&bob).await;
    assert_eq!(rig.finds(&words).await, Vec::<String>::new());
    let after = rig.details_of(&ada, "update_contact").await;
    assert_eq!(after.len(), contacts.len());
    assert!(after.len() >= 3, "{after:?}");
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(shown["phone"], "ada.l's phone");
}

on_both_stores!(
    an_account_that_joined_by_its_address_leaves_nothing,
    what_a_row_showed_from_its_start_goes,
    what_another_row_showed_of_the_erased_one_goes,
    what_is_from_another_time_stays,
);
