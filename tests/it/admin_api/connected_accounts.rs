//! Connected accounts: strangers are ignored and flagged, named ones count, and plans may name them.

use serde_json::{Value, json};
use tollgate::pipeline::process::process;

use super::rig::{NOW, ROOT, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

/// An event of a subscription to `price_basic` at a connected account.
fn subscribed(event: &str, account: &str, created: i64) -> Value {
    let object = stripe_subscription("sub_1", "cus_1", "active");
    let mut event = stripe_event(event, "customer.subscription.created", created, object);
    event["account"] = json!(account);
    event
}

impl Rig {
    async fn names(&self, app: &str, accounts: &[&str]) {
        let body = json!({"connected_accounts": accounts});
        let path = format!("/apps/{app}");
        self.as_admin(ROOT, "PATCH", &path, Some(body))
            .await
            .expect(200);
    }

    async fn sells(&self, plan: &str, package: &str) {
        let body = json!({"packages": [{"package": package}]});
        self.put(&format!("/plans/stripe/{plan}"), body)
            .await
            .expect(201);
    }

    async fn total(&self, path: &str) -> Value {
        self.get(path).await.expect(200)["meta"]["total"].clone()
    }

    async fn outcome(&self, event: &str) -> (Value, Value) {
        let event = self.get(&format!("/events/{event}")).await.expect(200);
        (event["outcome"].clone(), event["error"]["code"].clone())
    }

    /// Orders a replay and lets the worker process it.
    async fn replays(&self, event: &str) {
        self.post(&format!("/events/{event}/replay"), json!({}))
            .await
            .expect(202);
        for message in self.published() {
            process(&self.store, &[&message], self.now()).await.unwrap();
        }
    }

    /// The packages of the only customer.
    async fn packages(&self) -> Vec<String> {
        let list = self.get("/customers").await.expect(200);
        assert_eq!(list["meta"]["total"], 1, "{list}");
        let id = id_of(&list["data"][0]);
        let shown = self.get(&format!("/customers/{id}/packages")).await;
        let shown = shown.expect(200);
        let rows = shown["data"].as_array().unwrap().iter();
        rows.map(|row| row["package"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn a_stranger_is_ignored_and_flagged_until_he_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sells("price_basic", "acme/basic").await;
    rig.happens(&subscribed("evt_1", "acct_evil", NOW - 90))
        .await;
    rig.happens(&subscribed("evt_1", "acct_evil", NOW - 90))
        .await;
    rig.happens(&subscribed("evt_2", "acct_evil", NOW - 80))
        .await;
    let code = json!("unknown_connected_account");
    assert_eq!(rig.outcome("evt_1").await, (json!("ignored"), code.clone()));
    let event = rig.get("/events/evt_1").await.expect(200);
    assert_eq!(event["account"], "acct_evil");
    assert_eq!(event["duplicates"], 1);
    assert_eq!(event["customer_id"], Value::Null);
    assert_eq!(rig.total("/customers?include_deleted=true").await, 0);
    let flags = rig.get("/flags?kind=unknown_connected_account").await;
    let flags = flags.expect(200);
    assert_eq!(flags["meta"]["total"], 1, "{flags}");
    let flag = flags["data"][0].clone();
    assert_eq!(flag["subject"], "acct_evil");
    assert_eq!(flag["customer_id"], Value::Null);

    // It is cleared for good, and raised again by a newer event alone.
    rig.delete(&format!("/flags/{}", id_of(&flag)))
        .await
        .expect(204);
    rig.replays("evt_1").await;
    let flags = rig.get("/flags").await.expect(200);
    assert_eq!(flags["meta"]["total"], 0, "{flags}");
    rig.happens(&subscribed("evt_3", "acct_evil", NOW - 70))
        .await;
    assert_eq!(rig.total("/flags").await, 1);

    // The platform's own events always count.
    let object = stripe_subscription("sub_1", "cus_1", "active");
    let own = stripe_event("evt_own", "customer.subscription.created", NOW - 60, object);
    rig.happens(&own).await;
    assert_eq!(rig.packages().await, ["acme/basic"]);

    rig.names("default", &["acct_evil"]).await;
    assert_eq!(rig.total("/flags").await, 0);
    assert_eq!(
        rig.total("/customers").await,
        1,
        "what was ignored is not kept"
    );
    rig.replays("evt_2").await;
    assert_eq!(rig.outcome("evt_2").await, (json!("applied"), Value::Null));
    assert_eq!(rig.total("/customers").await, 2);
}

async fn each_app_has_accounts_of_its_own(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.post("/apps", json!({"slug": "acme", "name": "Acme"}))
        .await
        .expect(201);
    rig.names("default", &["acct_1"]).await;
    rig.names("acme", &["acct_2"]).await;
    for (app, account) in [("default", "acct_1"), ("acme", "acct_2")] {
        for other in ["acct_1", "acct_2"] {
            let event = subscribed(&format!("evt_{other}"), other, NOW - 90);
            rig.happens_in(app, &event).await;
        }
        let found = rig.get(&format!("/apps/{app}/customers")).await.expect(200);
        assert_eq!(found["meta"]["total"], 1, "{app} {account}: {found}");
    }
    let flags = rig.get("/flags").await.expect(200);
    let strangers: Vec<_> = flags["data"].as_array().unwrap().iter().collect();
    let subjects: Vec<_> = strangers
        .iter()
        .filter(|it| it["kind"] == "unknown_connected_account")
        .map(|it| it["subject"].clone())
        .collect();
    assert_eq!(subjects, ["acct_2"]);
}

async fn an_organisation_names_the_account_in_the_context(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut event = subscribed("evt_1", "acct_1", NOW - 90);
    event["account"] = Value::Null;
    event["context"] = json!("org_1/acct_1");
    rig.happens(&event).await;
    let thin = json!({
        "id": "evt_2", "object": "v2.core.event", "type": "v1.customer.subscription.updated",
        "livemode": true, "created": "2026-01-05T11:00:00Z", "context": "acct_2",
        "related_object": {"id": "sub_9", "type": "subscription", "url": "/v1/x"},
    });
    rig.happens(&thin).await;
    for event in ["evt_1", "evt_2"] {
        let code = json!("unknown_connected_account");
        assert_eq!(rig.outcome(event).await, (json!("ignored"), code));
    }
    assert_eq!(rig.total("/flags?kind=unknown_connected_account").await, 2);
    rig.names("default", &["acct_1", "acct_2"]).await;
    rig.replays("evt_1").await;
    rig.replays("evt_2").await;
    assert_eq!(rig.outcome("evt_1").await.0, "applied");
    let thin = (json!("ignored"), json!("api_key_needed"));
    assert_eq!(rig.outcome("evt_2").await, thin);
}

async fn a_plan_may_name_an_account(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.names("default", &["acct_1"]).await;
    rig.happens(&subscribed("evt_1", "acct_1", NOW - 90)).await;
    let flag = rig.get("/flags?kind=unmapped_price").await.expect(200);
    assert_eq!(flag["data"][0]["subject"], "acct_1/price_basic", "{flag}");
    // A product's id is the account's own choice.
    rig.sells("prod_basic", "acme/product").await;
    assert_eq!(rig.packages().await, Vec::<String>::new());
    rig.sells("price_basic", "acme/platform").await;
    assert_eq!(rig.packages().await, ["acme/platform"]);
    assert_eq!(rig.total("/flags").await, 0);
    rig.sells("acct_1/price_basic", "acme/connected").await;
    assert_eq!(rig.packages().await, ["acme/connected"]);
    let path = "/plans/stripe/acct_1%2Fprice_basic";
    let plan = rig.get(path).await.expect(200);
    assert_eq!(plan["price_id"], "acct_1/price_basic");
    let buyers = rig.get("/packages/acme/connected/customers").await;
    assert_eq!(buyers.expect(200)["meta"]["total"], 1);
    rig.delete("/plans/stripe/acct_1/price_basic")
        .await
        .expect(204);
    rig.get(path).await.refused(404, "plan_not_found");
    assert_eq!(rig.packages().await, ["acme/platform"]);
    for wrong in [
        "ACCT_1/price_basic",
        "acct_/price_basic",
        "acct-1%2Fprice_basic",
    ] {
        let body = json!({"packages": []});
        let answer = rig.put(&format!("/plans/stripe/{wrong}"), body).await;
        let refused = answer.refused(422, "body_invalid").clone();
        assert_eq!(refused["errors"][0]["field"], "price_id", "{wrong}");
    }
}

async fn taking_a_name_back_hides_what_came_of_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.sells("price_basic", "acme/basic").await;
    rig.names("default", &["acct_1"]).await;
    rig.happens(&subscribed("evt_1", "acct_1", NOW - 90)).await;
    let customer = id_of(&rig.get("/customers").await.expect(200)["data"][0]);
    let path = format!("/customers/{customer}");
    rig.names("default", &[]).await;
    rig.get(&path).await.refused(404, "customer_not_found");
    assert_eq!(rig.total("/customers?include_deleted=true").await, 0);
    assert_eq!(rig.total("/packages/acme/basic/customers").await, 0);
    rig.names("default", &["acct_1"]).await;
    assert_eq!(rig.get(&path).await.expect(200)["status"], "active");
    assert_eq!(rig.packages().await, ["acme/basic"]);
    let audit = rig.get(&format!("/audit?customer_id={customer}")).await;
    let audit = audit.expect(200);
    let operations: Vec<_> = audit["data"].as_array().unwrap().iter().collect();
    for operation in ["hide", "show"] {
        assert!(
            operations.iter().any(|it| it["operation"] == operation),
            "{audit}"
        );
    }
}

/// Ids are unique only within an account, and its owner chooses them.
async fn an_id_of_an_account_is_written_behind_its_own(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.names("default", &["acct_1", "acct_2"]).await;
    let victim = json!({"name": "Victim", "external_id": "stripe_cus_1"});
    let victim = rig.post("/customers", victim).await.expect(201);
    for account in ["acct_1", "acct_2"] {
        let event = subscribed(&format!("evt_{account}"), account, NOW - 90);
        rig.happens(&event).await;
    }
    let by_external = async |id: &str| {
        let path = format!("/customers/by-external-id?external_id={id}");
        rig.get(&path).await.expect(200)
    };
    assert_eq!(by_external("stripe_cus_1").await["id"], victim["id"]);
    let accounts = format!("/customers/{}/accounts", id_of(&victim));
    assert_eq!(rig.total(&accounts).await, 0, "it is another's cus_1");
    let theirs = by_external("acct_1/cus_1").await;
    assert_eq!(theirs["external_id"], "stripe_acct_1/cus_1");
    assert_ne!(theirs["id"], by_external("stripe_acct_2/cus_1").await["id"]);
    for taken in ["acct_1/cus_1", "stripe_acct_1/cus_1"] {
        let twice = json!({"name": "B", "external_id": taken});
        rig.post("/customers", twice)
            .await
            .refused(409, "external_id_taken");
    }
    // Also as the name of an account.
    let link = json!({"account": "stripe_acct_1/cus_1"});
    rig.post(&accounts, link).await.expect(200);
    let linked = rig.get(&accounts).await.expect(200);
    assert_eq!(linked["data"][0]["connected_account"], "acct_1");
    assert_eq!(by_external("acct_1/cus_1").await["id"], victim["id"]);
    let one = format!("{accounts}/acct_1%2Fcus_1");
    rig.delete(&one).await.expect(200);
    assert_eq!(rig.total(&accounts).await, 0);
    // After a deletion a customer made with the id has it, as with any other account.
    let other = by_external("acct_2/cus_1").await;
    rig.delete(&format!("/customers/{}", id_of(&other)))
        .await
        .expect(204);
    let again = json!({"name": "Again", "external_id": "acct_2/cus_1"});
    let again = rig.post("/customers", again).await.expect(201);
    let accounts = format!("/customers/{}/accounts", id_of(&again));
    let linked = rig.get(&accounts).await.expect(200);
    assert_eq!(linked["data"][0]["connected_account"], "acct_2");
}

/// The call in the flag names the account in whole.
async fn a_shared_address_at_an_account_is_linked_there(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.names("default", &["acct_1"]).await;
    for (n, account) in [None, Some("acct_1")]
        .into_iter()
        .cycle()
        .take(4)
        .enumerate()
    {
        let object = stripe_customer(&format!("cus_{}", n / 2), "x@example.com");
        let created = NOW - 90 + i64::try_from(n).unwrap();
        let mut event = stripe_event(&format!("evt_{n}"), "customer.created", created, object);
        event["account"] = json!(account);
        rig.happens(&event).await;
    }
    let path = "/customers/by-external-id?external_id=acct_1/cus_1";
    let later = rig.get(path).await.expect(200);
    let link = &later["flags"][0]["link"];
    assert_eq!(later["flags"][0]["subject"], "stripe_acct_1/cus_1");
    let body = json!({"provider": "stripe", "account": "cus_1", "connected_account": "acct_1"});
    assert_eq!(link["body"], body);
    let path = link["path"].as_str().unwrap().trim_start_matches("/api/v1");
    let one = rig.post(path, link["body"].clone()).await.expect(200);
    assert_eq!(one["external_id"], "stripe_acct_1/cus_0");
}

on_both_stores! {
    an_id_of_an_account_is_written_behind_its_own,
    a_shared_address_at_an_account_is_linked_there,
    a_stranger_is_ignored_and_flagged_until_he_is_named,
    each_app_has_accounts_of_its_own,
    an_organisation_names_the_account_in_the_context,
    a_plan_may_name_an_account,
    taking_a_name_back_hides_what_came_of_it,
}
