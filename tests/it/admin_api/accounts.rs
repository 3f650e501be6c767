//! Billing accounts of customers: how they are linked, linking and parting by hand, the seller's own
//! id, and what a deletion leaves open.

use serde_json::{Value, json};

use super::rig::{Answer, NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const X: &str = "x@example.com";
const Y: &str = "y@example.com";

impl Rig {
    /// A customer at Stripe, and a subscription to a package.
    async fn buys(&self, account: &str, email: &str, ago: i64) {
        let contact = stripe_customer(account, email);
        let bought = stripe_subscription(&format!("sub_{account}"), account, "active");
        self.happen(&[
            stripe_event(
                &format!("evt_c_{account}"),
                "customer.created",
                NOW - ago,
                contact,
            ),
            stripe_event(
                &format!("evt_s_{account}"),
                "customer.subscription.created",
                NOW - ago + 1,
                bought,
            ),
        ])
        .await;
    }

    async fn buyer(&self, account: &str) -> Value {
        let path = format!("/customers/by-external/stripe_{account}");
        self.get(&path).await.expect(200)
    }

    /// The accounts of a customer, each with the word that says how it was linked.
    async fn linked(&self, customer: &Value) -> Vec<(String, String)> {
        let path = format!("{}/accounts", path_of(customer));
        let listed = self.get(&path).await.expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = listed["data"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["account"]), text(&row["linked_by"])))
            .collect()
    }

    async fn link(&self, customer: &Value, account: &str) -> Answer {
        let path = format!("{}/accounts", path_of(customer));
        let body = json!({"provider": "stripe", "account": account});
        self.post(&path, body).await
    }

    async fn part(&self, customer: &Value, account: &str) -> Answer {
        let path = format!("{}/accounts/{account}", path_of(customer));
        self.delete(&path).await
    }

    async fn may(&self, token: &str) -> bool {
        self.may_have(token, "acme/tool").await
    }

    async fn may_have(&self, token: &str, package: &str) -> bool {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/access?package={package}&version=1.0.0");
        self.send("GET", &path, &headers, None).await.status == 200
    }

    async fn token_for(&self, customer: &Value) -> String {
        let path = format!("{}/tokens", path_of(customer));
        let made = self.post(&path, json!({"name": "ci"})).await.expect(201);
        made["token"].as_str().unwrap().to_owned()
    }

    async fn shop(engine: Engine) -> Self {
        let rig = Self::start(engine).await;
        rig.restarts_with_plan(&["acme/tool"]).await;
        rig
    }
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

async fn two_accounts_become_one_customer_and_two_again(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let company = rig
        .customer(json!({"name": "Acme", "email": "it@acme.com", "external_id": "erp_1"}))
        .await;
    rig.buys("cus_1", X, 100).await;
    rig.buys("cus_2", Y, 90).await;
    let first = rig.token_for(&company).await;
    assert!(!rig.may(&first).await, "it has bought nothing");
    let second_customer = rig.buyer("cus_2").await;
    let second = rig.token_for(&second_customer).await;
    let license = json!({"customer_id": second_customer["id"], "product": "app"});
    let license = rig.post("/licenses", license).await.expect(201);

    let linked = rig.link(&company, "cus_2").await.expect(200);
    assert_eq!(linked["id"], company["id"]);
    rig.link(&company, "cus_1").await.expect(200);
    assert_eq!(
        rig.linked(&company).await,
        own(&[("cus_1", "admin"), ("cus_2", "admin")])
    );
    assert!(rig.may(&first).await && rig.may(&second).await);
    let merged = rig.get(&path_of(&second_customer)).await;
    let merged = merged.refused(404, "customer_merged");
    assert!(
        merged["detail"]
            .as_str()
            .unwrap()
            .contains(&id_of(&company))
    );
    let key = json!({"key": license["key"]});
    let valid = rig
        .post("/licenses/validate", key.clone())
        .await
        .expect(200);
    assert_eq!(valid["valid"], true);
    let audit = rig.get("/audit?operation=pin_account").await.expect(200);
    assert_eq!(audit["meta"]["total"], 2, "{audit}");
    let explained = rig
        .get(&format!("{}/explain", path_of(&company)))
        .await
        .expect(200);
    assert!(
        explained["summary"]
            .to_string()
            .contains("was linked to the customer by an admin")
    );

    let left = rig.part(&company, "cus_2").await.expect(200);
    assert_eq!(left["id"], company["id"]);
    assert_eq!(rig.linked(&company).await, own(&[("cus_1", "admin")]));
    let again = rig.get(&path_of(&second_customer)).await.expect(200);
    assert_eq!(again["id"], second_customer["id"], "it has its row back");
    assert_eq!(rig.linked(&again).await, own(&[("cus_2", "own")]));
    assert!(rig.may(&first).await && rig.may(&second).await);
    let valid = rig.post("/licenses/validate", key).await.expect(200);
    assert_eq!(valid["valid"], true);
    rig.part(&company, "cus_2")
        .await
        .refused(404, "account_not_found");
}

/// Also if both were made by admins: the row of the one that has no account left comes along.
async fn rows_of_admins_are_merged_and_parted_too(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let one = rig
        .customer(json!({"name": "One", "external_id": "stripe_cus_1"}))
        .await;
    let other = rig
        .customer(json!({"name": "Other", "external_id": "cus_2"}))
        .await;
    let (first, second) = (rig.token_for(&one).await, rig.token_for(&other).await);
    rig.buys("cus_1", X, 100).await;
    rig.buys("cus_2", Y, 90).await;
    assert_eq!(rig.linked(&other).await, own(&[("cus_2", "external_id")]));
    rig.link(&one, "cus_2").await.expect(200);
    rig.get(&path_of(&other))
        .await
        .refused(404, "customer_merged");
    assert!(rig.may(&first).await && rig.may(&second).await);
    // What happens to one subscription alone takes nothing of the other.
    let ended = stripe_subscription("sub_cus_1", "cus_1", "canceled");
    rig.happens(&stripe_event(
        "evt_end",
        "customer.subscription.deleted",
        NOW - 10,
        ended,
    ))
    .await;
    assert!(rig.may(&first).await && rig.may(&second).await);
    rig.part(&one, "cus_2").await.expect(200);
    let back = rig.get(&path_of(&other)).await.expect(200);
    assert_eq!(
        (&back["name"], &back["status"]),
        (&json!("Other"), &json!("active"))
    );
    assert!(rig.may(&second).await && !rig.may(&first).await);
}

/// What an admin gave a row counts for the customer that it was merged into, for all of its tokens.
async fn packages_given_to_a_merged_row_are_the_shown_ones(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let one = rig
        .customer(json!({"name": "One", "external_id": "stripe_cus_1"}))
        .await;
    let other = rig
        .customer(json!({"name": "Other", "external_id": "cus_2"}))
        .await;
    let (first, second) = (rig.token_for(&one).await, rig.token_for(&other).await);
    rig.buys("cus_1", X, 100).await;
    rig.buys("cus_2", Y, 90).await;
    let package = format!("{}/packages", path_of(&other));
    rig.post(&package, json!({"package": "acme/given"}))
        .await
        .expect(201);
    assert!(!rig.may_have(&first, "acme/given").await);
    rig.link(&one, "cus_2").await.expect(200);
    // The second is the row's own.
    for token in [&first, &second] {
        assert!(rig.may_have(token, "acme/given").await);
    }
    // An event that touches the customer reads what was given, too.
    let ended = stripe_subscription("sub_cus_1", "cus_1", "canceled");
    let kind = "customer.subscription.deleted";
    rig.happens(&stripe_event("evt_end", kind, NOW - 10, ended))
        .await;
    for token in [&first, &second] {
        assert!(rig.may_have(token, "acme/given").await);
    }
}

async fn an_account_is_named_in_any_spelling_or_not_at_all(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let path = format!("{}/accounts", path_of(&customer));
    for (body, status, code) in [
        (
            json!({"provider": "stripe", "account": "nobody"}),
            404,
            "account_not_found",
        ),
        (
            json!({"provider": "paddle", "account": "cus_1"}),
            404,
            "account_not_found",
        ),
        (
            json!({"provider": "gumroad", "account": "cus_1"}),
            422,
            "body_invalid",
        ),
        (json!({"account": ""}), 422, "body_invalid"),
        (json!({}), 422, "body_invalid"),
        (
            json!({"account": "cus_1", "connected_account": "cus_2"}),
            422,
            "body_invalid",
        ),
    ] {
        rig.post(&path, body).await.refused(status, code);
    }
    // Before any webhook: it waits for the first.
    rig.post(&path, json!({"account": "stripe_cus_7"}))
        .await
        .expect(200);
    assert_eq!(rig.linked(&customer).await, own(&[("cus_7", "admin")]));
    let listed = rig.get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["first_seen_at"], Value::Null);
    rig.buys("cus_7", X, 50).await;
    let shown = rig.get(&path_of(&customer)).await.expect(200);
    assert_eq!(shown["email"], X);
    rig.delete(&format!("{path}/stripe_cus_7"))
        .await
        .expect(200);
    let parted = rig.buyer("cus_7").await;
    assert_ne!(parted["id"], customer["id"]);
    // One id in both modes.
    let mut test = stripe_event(
        "evt_t",
        "customer.created",
        NOW - 40,
        stripe_customer("cus_7", X),
    );
    test["livemode"] = json!(false);
    rig.happens(&test).await;
    rig.post(&path, json!({"account": "cus_7"}))
        .await
        .refused(409, "account_ambiguous");
    let live = json!({"account": "cus_7", "livemode": true});
    rig.post(&path, live).await.expect(200);
    rig.get(&format!(
        "{}/accounts",
        "/customers/cust_0123456789abcdef0123456789abcdef"
    ))
    .await
    .refused(404, "customer_not_found");
}

async fn a_shared_address_is_flagged_and_one_call_links(engine: Engine) {
    let rig = Rig::shop(engine).await;
    rig.buys("cus_1", X, 100).await;
    rig.buys("cus_2", "X@example.com", 90).await;
    let (one, two) = (rig.buyer("cus_1").await, rig.buyer("cus_2").await);
    assert_ne!(one["id"], two["id"]);
    assert_eq!((&one["email"], &two["email"]), (&json!(X), &Value::Null));
    let found = rig
        .get(&format!("/customers/by-email?email={X}"))
        .await
        .expect(200);
    assert_eq!(found["id"], one["id"], "whoever held it first");
    let same = json!({"email": X, "name": "Ada"});
    let got = rig.post("/customers/get-or-create", same).await.expect(200);
    assert_eq!(got["id"], one["id"]);
    let listed = rig.get("/flags?kind=same_email").await.expect(200);
    let flags = listed["data"].as_array().unwrap();
    assert_eq!(flags.len(), 2, "{listed}");
    for flag in flags {
        assert_eq!(flag["subject"], "stripe_cus_2");
        assert_eq!(flag["at"], "2026-01-05T11:58:30.000Z");
        let link = &flag["link"];
        let path = format!("/api/v1/customers/{}/accounts", id_of(&one));
        assert_eq!(
            (&link["method"], &link["path"], &link["body"]),
            (
                &json!("POST"),
                &json!(path),
                &json!({"provider": "stripe", "account": "cus_2"})
            )
        );
    }
    // The customer's own flags name it too, wherever they are shown.
    let link = &flags[0]["link"];
    let explained = format!("{}/explain", path_of(&two));
    let explained = rig.get(&explained).await.expect(200);
    let list = rig.get("/customers").await.expect(200);
    let named = json!({"name": "Ada"});
    let changed = rig.put(&path_of(&two), named).await.expect(200);
    let listed = list["data"].as_array().unwrap().iter();
    for customer in listed.chain([&one, &two, &explained, &changed]) {
        assert_eq!(customer["flags"][0]["link"], *link, "{customer}");
    }
    // The call that the flag names.
    let body = flags[0]["link"]["body"].clone();
    rig.post(&format!("{}/accounts", path_of(&one)), body)
        .await
        .expect(200);
    let left = rig.get("/flags?kind=same_email").await.expect(200);
    assert_eq!(left["meta"]["total"], 0, "{left}");
    assert_eq!(rig.buyer("cus_2").await["id"], one["id"]);
    // Parted again, they stay apart, and an admin has said so.
    rig.part(&one, "cus_2").await.expect(200);
    assert_ne!(rig.buyer("cus_2").await["id"], one["id"]);
    let left = rig.get("/flags?kind=same_email").await.expect(200);
    assert_eq!(left["meta"]["total"], 0, "{left}");
}

async fn only_an_address_that_an_admin_gave_is_taken(engine: Engine) {
    let rig = Rig::shop(engine).await;
    rig.buys("cus_1", X, 100).await;
    let made = rig.customer(json!({"name": "Ada", "email": X})).await;
    assert_ne!(made["id"], rig.buyer("cus_1").await["id"]);
    assert_eq!(
        rig.buyer("cus_1").await["email"],
        Value::Null,
        "it is the admin's now"
    );
    let flagged = rig.get("/flags?kind=same_email").await.expect(200);
    assert_eq!(flagged["meta"]["total"], 2, "{flagged}");
    let twice = rig.post("/customers", json!({"email": X})).await;
    twice.refused(409, "email_taken");
    let found = rig
        .get(&format!("/customers/by-email?email={X}"))
        .await
        .expect(200);
    assert_eq!(found["id"], made["id"]);
    // Given back, it is shown of the account that held it.
    rig.put(&path_of(&made), json!({"email": null}))
        .await
        .expect(200);
    assert_eq!(rig.buyer("cus_1").await["email"], X);
    let flagged = rig.get("/flags?kind=same_email").await.expect(200);
    assert_eq!(flagged["meta"]["total"], 0, "{flagged}");
    // An address that an account changed to is nobody's name.
    let changed = stripe_event(
        "evt_ch",
        "customer.updated",
        NOW - 5,
        stripe_customer("cus_1", Y),
    );
    rig.happens(&changed).await;
    assert_eq!(rig.buyer("cus_1").await["email"], Y);
    rig.get(&format!("/customers/by-email?email={Y}"))
        .await
        .refused(404, "customer_not_found");
    let new = json!({"email": Y});
    rig.post("/customers/get-or-create", new).await.expect(201);
    assert_eq!(rig.buyer("cus_1").await["email"], Value::Null);
}

async fn where_a_shared_address_joins_it_is_taken_by_webhooks_too(engine: Engine) {
    let rig = Rig::shop(engine).await;
    rig.put("/policy", json!({"on_same_email": "join"}))
        .await
        .expect(200);
    rig.buys("cus_1", X, 100).await;
    rig.post("/customers", json!({"email": X}))
        .await
        .refused(409, "email_taken");
    rig.buys("cus_2", X, 90).await;
    let one = rig.buyer("cus_1").await;
    assert_eq!(
        rig.linked(&one).await,
        own(&[("cus_1", "own"), ("cus_2", "email")])
    );
    let listed = rig
        .get(&format!("{}/accounts", path_of(&one)))
        .await
        .expect(200);
    assert_eq!(listed["data"][1]["follows"], "cus_1");
}

async fn the_sellers_own_id_links_whichever_came_first(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let settings = json!({"identity": {"metadata_key": "user_id"}});
    let shown = rig.put("/apps/default", settings).await.expect(200);
    let wanted = json!({"metadata_key": "user_id", "client_reference_id": false});
    assert_eq!(shown["identity"], wanted);
    let says = |account: &str, user: &str, ago: i64| {
        let mut object = stripe_customer(account, X);
        object["metadata"] = json!({"user_id": user, "plan": "pro"});
        stripe_event(
            &format!("evt_m_{account}"),
            "customer.updated",
            NOW - ago,
            object,
        )
    };
    let before = rig
        .customer(json!({"email": Y, "external_id": "user_1"}))
        .await;
    rig.happens(&says("cus_1", "user_1", 50)).await;
    assert_eq!(rig.linked(&before).await, own(&[("cus_1", "seller_id")]));

    rig.happens(&says("cus_2", "user_2", 40)).await;
    let made_by_webhook = rig.buyer("cus_2").await;
    assert_eq!(made_by_webhook["external_id"], "user_2");
    let token = rig.token_for(&made_by_webhook).await;
    rig.buys("cus_2", X, 30).await;
    let after = rig
        .customer(json!({"email": "z@example.com", "external_id": "user_2"}))
        .await;
    assert_eq!(rig.linked(&after).await, own(&[("cus_2", "seller_id")]));
    assert!(
        rig.may(&token).await,
        "the token of the row before goes on working"
    );
    let found = rig.get("/customers/by-external/user_2").await.expect(200);
    assert_eq!(found["id"], after["id"]);
    // By `user_id` too, and two accounts of one id.
    let third = rig
        .customer(json!({"name": "Third", "user_id": "user_3"}))
        .await;
    rig.happen(&[says("cus_3", "user_3", 20), says("cus_4", "user_3", 19)])
        .await;
    let both = own(&[("cus_3", "seller_id"), ("cus_4", "seller_id")]);
    assert_eq!(rig.linked(&third).await, both);
    // Turned off, everybody stays; later ids mean nothing.
    rig.put("/apps/default", json!({"identity": null}))
        .await
        .expect(200);
    assert_eq!(rig.linked(&after).await, own(&[("cus_2", "admin")]));
    rig.happens(&says("cus_5", "user_1", 10)).await;
    assert_ne!(rig.buyer("cus_5").await["id"], before["id"]);
    for (identity, field) in [
        (json!({"metadata_key": ""}), "identity.metadata_key"),
        (json!({"metadata_key": 7}), "identity.metadata_key"),
        (json!({"key": "user_id"}), "identity.key"),
    ] {
        let refused = rig
            .put("/apps/default", json!({"identity": identity}))
            .await;
        let refused = refused.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
}

/// Two accounts said the same id, and an admin knows better.
async fn whom_an_admin_parted_is_not_the_sellers_customer(engine: Engine) {
    let rig = Rig::shop(engine).await;
    let settings = json!({"identity": {"metadata_key": "user_id"}});
    rig.put("/apps/default", settings).await.expect(200);
    for account in ["cus_1", "cus_2"] {
        let mut object = stripe_customer(account, &format!("{account}@example.com"));
        object["metadata"] = json!({"user_id": "user_1"});
        let event = format!("evt_{account}");
        let event = stripe_event(&event, "customer.created", NOW - 50, object);
        rig.happens(&event).await;
    }
    let both = rig.get("/customers/by-external/user_1").await.expect(200);
    rig.part(&both, "cus_2").await.expect(200);
    let parted = rig.buyer("cus_2").await;
    assert_ne!(parted["id"], both["id"]);
    assert_eq!(parted["external_id"], "stripe_cus_2");
    let found = rig.get("/customers/by-external/user_1").await.expect(200);
    assert_eq!(found["id"], both["id"]);
    // Nobody is left who has that id, and the parted one is not found by it.
    rig.delete(&path_of(&both)).await.expect(204);
    rig.get("/customers/by-external/user_1")
        .await
        .refused(404, "customer_not_found");
    let asked = json!({"external_id": "user_1", "name": "Ada"});
    let made = rig.post("/customers/get-or-create", asked).await;
    assert_ne!(made.expect(201)["id"], parted["id"]);
}

async fn a_deleted_customer_is_no_dead_end(engine: Engine) {
    let rig = Rig::shop(engine).await;
    for permanent in [false, true] {
        let account = format!("cus_{permanent}");
        rig.buys(&account, &format!("{permanent}@example.com"), 100)
            .await;
        let customer = rig.buyer(&account).await;
        let soft = if permanent { "" } else { "?soft=true" };
        rig.delete(&format!("{}{soft}", path_of(&customer)))
            .await
            .expect(204);
        // It goes on paying.
        let renewed = stripe_subscription(&format!("sub_{account}"), &account, "active");
        let event = format!("evt_r_{account}");
        let event = stripe_event(&event, "customer.subscription.updated", NOW - 50, renewed);
        rig.happens(&event).await;
        let flagged = rig.get("/flags?kind=account_deleted").await.expect(200);
        let flag = &flagged["data"][0];
        assert_eq!(flag["subject"], account, "{flagged}");
        let holder = if permanent {
            Value::Null
        } else {
            customer["id"].clone()
        };
        assert_eq!(flag["customer_id"], holder);
        // Claimed by its id.
        let made = json!({"name": "Again", "external_id": format!("stripe_{account}")});
        let made = rig.customer(made).await;
        let token = rig.token_for(&made).await;
        assert_eq!(rig.linked(&made).await, own(&[(account.as_str(), "admin")]));
        assert!(rig.may(&token).await, "permanent: {permanent}");
        let left = rig.get("/flags?kind=account_deleted").await.expect(200);
        assert_eq!(left["meta"]["total"], 0, "{left}");
        rig.delete(&path_of(&made)).await.expect(204);
    }
    // The flag of somebody who is gone for good can be cleared, and a newer event raises it again.
    let again = |n: i64| {
        let object = stripe_subscription("sub_cus_true", "cus_true", "active");
        stripe_event(
            &format!("evt_n_{n}"),
            "customer.subscription.updated",
            NOW - 40 + n,
            object,
        )
    };
    rig.happens(&again(0)).await;
    let flagged = rig.get("/flags?kind=account_deleted").await.expect(200);
    let flag = flagged["data"][0].clone();
    rig.delete(&format!("/flags/{}", id_of(&flag)))
        .await
        .expect(204);
    rig.happens(&again(0)).await;
    let left = rig.get("/flags?kind=account_deleted").await.expect(200);
    assert_eq!(left["meta"]["total"], 0, "{left}");
    rig.happens(&again(1)).await;
    let raised = rig.get("/flags?kind=account_deleted").await.expect(200);
    assert_eq!(raised["meta"]["total"], 1, "{raised}");
    // A link by hand is a claim as well.
    let other = rig.customer(json!({"name": "Other"})).await;
    rig.link(&other, "cus_true").await.expect(200);
    let left = rig.get("/flags?kind=account_deleted").await.expect(200);
    assert_eq!(left["meta"]["total"], 0, "{left}");
}

async fn an_external_id_is_cleared_or_refused_and_claimed_once(engine: Engine) {
    let rig = Rig::shop(engine).await;
    rig.buys("cus_1", X, 100).await;
    let customer = rig.buyer("cus_1").await;
    let refused = rig
        .put(&path_of(&customer), json!({"external_id": null}))
        .await;
    let refused = refused.refused(422, "body_invalid");
    assert_eq!(refused["errors"][0]["field"], "external_id", "{refused}");
    let named = json!({"external_id": "erp_1"});
    rig.put(&path_of(&customer), named).await.expect(200);
    let cleared = rig
        .put(&path_of(&customer), json!({"external_id": null}))
        .await;
    assert_eq!(cleared.expect(200)["external_id"], "stripe_cus_1");
    // One account, two spellings, two customers: no.
    rig.customer(json!({"name": "A", "external_id": "cus_9"}))
        .await;
    for spelling in ["cus_9", "stripe_cus_9"] {
        let twice = json!({"name": "B", "external_id": spelling});
        rig.post("/customers", twice)
            .await
            .refused(409, "external_id_taken");
    }
    rig.customer(json!({"name": "C", "external_id": "stripe_cus_8"}))
        .await;
    let twice = json!({"name": "D", "external_id": "cus_8"});
    rig.post("/customers", twice)
        .await
        .refused(409, "external_id_taken");
    // And one that belongs to a customer of its own is linked, not claimed.
    let twice = json!({"name": "E", "external_id": "stripe_cus_1"});
    rig.post("/customers", twice)
        .await
        .refused(409, "external_id_taken");
}

on_both_stores!(
    two_accounts_become_one_customer_and_two_again,
    rows_of_admins_are_merged_and_parted_too,
    packages_given_to_a_merged_row_are_the_shown_ones,
    an_account_is_named_in_any_spelling_or_not_at_all,
    a_shared_address_is_flagged_and_one_call_links,
    only_an_address_that_an_admin_gave_is_taken,
    where_a_shared_address_joins_it_is_taken_by_webhooks_too,
    the_sellers_own_id_links_whichever_came_first,
    whom_an_admin_parted_is_not_the_sellers_customer,
    a_deleted_customer_is_no_dead_end,
    an_external_id_is_cleared_or_refused_and_claimed_once,
);
