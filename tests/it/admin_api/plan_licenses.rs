//! Licences for what was bought: a plan names their products.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::provider::{PADDLE, STRIPE};

use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::fixtures::{NEW, load};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, stripe_customer, stripe_event, stripe_subscription};

const PLAN: &str = "/plans/stripe/price_basic";

fn licensed(products: &[&str]) -> Value {
    let licenses = products.iter().map(|product| json!({"product": product}));
    json!({"packages": [], "licenses": licenses.collect::<Vec<_>>()})
}

/// An event that shows the subscription `sub_1` of `cus_1`.
fn event(number: i64, event_type: &str, status: &str) -> Value {
    let subscription = stripe_subscription("sub_1", "cus_1", status);
    let event_type = format!("customer.subscription.{event_type}");
    stripe_event(
        &format!("evt_{number}"),
        &event_type,
        NOW + number,
        subscription,
    )
}

/// Product and code of each licence of a list.
fn told(list: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| (text(&row["product"]), text(&row["code"])))
        .collect()
}

fn all(products: &[&str], code: &str) -> BTreeSet<(String, String)> {
    let products = products.iter();
    products
        .map(|product| ((*product).to_owned(), code.to_owned()))
        .collect()
}

impl Rig {
    async fn licenses(&self) -> Value {
        self.get("/licenses").await.expect(200)
    }

    async fn puts_licenses(&self, products: &[&str]) -> Value {
        let put = self.put(PLAN, licensed(products)).await;
        assert!(put.status == 200 || put.status == 201, "{}", put.body);
        put.body
    }

    async fn suspends_at_once(&self) {
        self.put("/policy", json!({"suspend_after": "0d"}))
            .await
            .expect(200);
    }
}

async fn signed_webhooks_make_them_once(engine: Engine) {
    let server = TestServer::start_with(engine, |environment| {
        for mapping in ["STRIPE_PRICE_MAPPING", "PADDLE_PRICE_MAPPING"] {
            environment.remove(OsStr::new(mapping));
        }
    })
    .await;
    let put = |path: &'static str, body| server.call("PUT", path, Some(body));
    let both = licensed(&["Forms Pro", "Forms Cloud"]);
    let (status, plan) = put("/api/v1/plans/stripe/price_basic", both.clone()).await;
    assert_eq!(
        (status, &plan["licenses"]),
        (201, &both["licenses"]),
        "{plan}"
    );
    let shown = server.get("/api/v1/plans/stripe/price_basic").await.1;
    assert_eq!(shown["licenses"], both["licenses"]);
    let handbook = "/api/v1/plans/stripe/price_1TgHandbook00000000000001";
    assert_eq!(put(handbook, licensed(&["Handbook"])).await.0, 201);
    let paddle = "/api/v1/plans/paddle/pri_01ktteam000000000000000001";
    assert_eq!(put(paddle, licensed(&["Team"])).await.0, 201);

    // The newest first, and each of them again.
    let events = [event(2, "updated", "active"), event(1, "created", "active")];
    for event in events.iter().chain(&events) {
        server.deliver(STRIPE.name, event).await;
    }
    for _ in 0..2 {
        let mut bought = load(&format!("stripe/invoice.paid--purchase{NEW}"));
        // The endpoint has seen live events.
        bought["livemode"] = json!(true);
        server.deliver(STRIPE.name, &bought).await;
        let subscribed = load("paddle/subscription.created--active.json");
        server.deliver(PADDLE.name, &subscribed).await;
    }
    let list = server.get("/api/v1/licenses").await.1;
    let products = ["Forms Pro", "Forms Cloud", "Handbook", "Team"];
    assert_eq!(list["meta"]["total"], 4, "{list}");
    assert_eq!(told(&list), all(&products, "ok"));
    for license in list["data"].as_array().unwrap() {
        let source = &license["source"];
        let expected = match license["product"].as_str().unwrap() {
            "Handbook" => ("purchase", "price_1TgHandbook00000000000001"),
            "Team" => ("subscription", "pri_01ktteam000000000000000001"),
            _ => {
                assert_eq!(source["id"], "sub_1");
                ("subscription", "price_basic")
            }
        };
        assert_eq!(
            (&source["kind"], &source["plan"]),
            (&json!(expected.0), &json!(expected.1))
        );
        let body = json!({"key": license["key"].as_str().unwrap().to_lowercase()});
        let asked = server.call("POST", "/api/v1/licenses/validate", Some(body));
        let (status, verdict) = asked.await;
        assert_eq!((status, &verdict["code"]), (200, &json!("ok")), "{verdict}");
        assert_eq!(&verdict["source"], source);
        let path = format!("/api/v1/licenses/{}", id_of(license));
        assert_eq!(&server.get(&path).await.1, license);
    }
    server.stop_and_give_back().await;
}

async fn they_are_valid_while_the_subscription_is(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.suspends_at_once().await;
    rig.puts_licenses(&["Tool"]).await;
    let code = async |rig: &Rig| rig.licenses().await["data"][0]["code"].clone();
    let steps = [
        ("created", "active", "ok"),
        ("updated", "past_due", "customer_suspended"),
        ("updated", "active", "ok"),
        ("paused", "paused", "customer_suspended"),
        ("resumed", "active", "ok"),
        ("updated", "unpaid", "customer_suspended"),
    ];
    for (number, (event_type, status, expected)) in (1..).zip(steps) {
        rig.happens(&event(number, event_type, status)).await;
        assert_eq!(code(&rig).await, expected, "{number}: {status}");
    }
    rig.happens(&event(7, "updated", "active")).await;

    let path = format!("/licenses/{}", id_of(&rig.licenses().await["data"][0]));
    rig.post(&format!("{path}/revoke"), json!({"reason": "resold"}))
        .await
        .expect(200);
    rig.happens(&event(8, "updated", "active")).await;
    assert_eq!(code(&rig).await, "license_revoked", "though it is paid");
    rig.post(&format!("{path}/reinstate"), json!({}))
        .await
        .expect(200);
    assert_eq!(code(&rig).await, "ok");

    // It would be made again at the next look.
    rig.delete(&path).await.refused(409, "license_bought");

    // It leaves what was paid for.
    rig.happens(&event(9, "deleted", "canceled")).await;
    let shown = rig.get(&path).await.expect(200);
    assert_eq!(shown["code"], "ok", "{shown}");
    assert!(shown["source"]["until"].is_string(), "{shown}");
    rig.put("/policy", json!({"on_end": "expire"}))
        .await
        .expect(200);
    assert_eq!(code(&rig).await, "customer_expired");
    assert_eq!(rig.licenses().await["meta"]["total"], 1);

    let audit = rig.get("/audit?operation=license_create").await.expect(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1, "{audit}");
    let entry = &audit["data"][0];
    assert_eq!(entry["actor"], "event:stripe:evt_1");
    let details = (&entry["details"]["plan"], &entry["details"]["source"]);
    assert_eq!(details, (&json!("price_basic"), &json!("sub_1")));
}

/// Tests leave the same behind whether they came before the first live event or after it.
async fn those_of_tests_go_when_live_events_come(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.puts_licenses(&["Tool"]).await;
    let body = json!({"name": "Ada", "external_id": "cus_1"});
    let ada = rig.customer(body).await;
    let mut test = event(1, "created", "active");
    test["livemode"] = json!(false);
    rig.happens(&test).await;
    let list = rig.licenses().await;
    assert_eq!(told(&list), all(&["Tool"], "ok"), "until then it counts");
    assert_eq!(list["data"][0]["customer_id"], ada["id"]);

    let somebody = stripe_customer("cus_2", "bob@x.com");
    let mut live = stripe_event("evt_2", "customer.created", NOW + 2, somebody);
    live["livemode"] = json!(true);
    rig.happens(&live).await;
    assert_eq!(rig.licenses().await["meta"]["total"], 0);
    rig.get(&path_of(&ada)).await.expect(200);
}

async fn one_source_is_not_another(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.suspends_at_once().await;
    rig.puts_licenses(&["Tool"]).await;
    rig.happens(&event(1, "created", "active")).await;
    let mut other = event(2, "created", "active");
    other["data"]["object"]["id"] = json!("sub_2");
    rig.happens(&other).await;
    let list = rig.licenses().await;
    assert_eq!(list["meta"]["total"], 2, "one for each subscription");
    rig.happens(&event(3, "updated", "past_due")).await;
    let customer = list["data"][0]["customer_id"].as_str().unwrap();
    let list = rig
        .get(&format!("/customers/{customer}/licenses"))
        .await
        .expect(200);
    for license in list["data"].as_array().unwrap() {
        let expected = match license["source"]["id"].as_str() {
            Some("sub_2") => "ok",
            _ => "license_not_granted",
        };
        assert_eq!(license["code"], expected, "{license}");
    }
    let explained = rig
        .get(&format!("/customers/{customer}/explain"))
        .await
        .expect(200);
    for source in explained["billing"]["sources"].as_array().unwrap() {
        let given = if source["id"] == "sub_2" {
            json!(["Tool"])
        } else {
            json!([])
        };
        assert_eq!(source["licenses"], given, "{source}");
    }
}

async fn a_plan_that_changes_counts_for_those_who_have_bought(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.happens(&event(1, "created", "active")).await;
    assert_eq!(rig.licenses().await["meta"]["total"], 0);
    rig.puts_licenses(&["Tool"]).await;
    let first = rig.licenses().await;
    assert_eq!(told(&first), all(&["Tool"], "ok"), "made with the plan");
    assert_eq!(rig.puts_licenses(&["Tool"]).await["changed"], false);

    let none = rig.put(PLAN, json!({"packages": [], "counts": true})).await;
    none.expect(200);
    assert_eq!(
        told(&rig.licenses().await),
        all(&["Tool"], "license_not_granted")
    );
    rig.puts_licenses(&["Tool", "Other"]).await;
    let again = rig.licenses().await;
    assert_eq!(told(&again), all(&["Tool", "Other"], "ok"));
    let kept = again["data"].as_array().unwrap();
    assert!(kept.contains(&first["data"][0]), "{again}");

    // One that waits behind the settings counts when they do not name the price any more.
    rig.restarts_with_plan(&["acme/tool"]).await;
    let shown = rig.get(PLAN).await.expect(200);
    assert_eq!(shown["licenses"], json!([]));
    assert_eq!(shown["waiting"]["licenses"].as_array().unwrap().len(), 2);
    assert_eq!(
        told(&rig.licenses().await),
        all(&["Tool", "Other"], "license_not_granted")
    );
    rig.put(PLAN, licensed(&["Third"])).await.expect(200);
    assert_eq!(rig.licenses().await["meta"]["total"], 2, "it waits");
    rig.restarts_without_plans().await;
    let list = rig.licenses().await;
    assert_eq!(list["meta"]["total"], 3);
    let mut expected = all(&["Tool", "Other"], "license_not_granted");
    expected.extend(all(&["Third"], "ok"));
    assert_eq!(told(&list), expected);
}

async fn many_at_once_make_one(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.puts_licenses(&["Tool", "Other"]).await;
    let events: Vec<Value> = (1..=8).map(|it| event(it, "updated", "active")).collect();
    join_all(events.iter().map(|event| rig.happens(event))).await;
    assert_eq!(rig.licenses().await["meta"]["total"], 2);
    rig.post("/events/evt_1/replay", json!({"force": true}))
        .await
        .expect(202);
    assert_eq!(rig.licenses().await["meta"]["total"], 2);
}

async fn they_go_along_with_the_account_that_pays(engine: Engine) {
    let rig = Rig::selling(engine).await;
    rig.puts_licenses(&["Tool"]).await;
    let person = stripe_customer("cus_1", "ada@example.com");
    rig.happens(&stripe_event("evt_0", "customer.created", NOW, person))
        .await;
    rig.happens(&event(1, "created", "active")).await;
    let first = rig.licenses().await["data"][0].clone();
    let other = rig.customer(json!({"name": "Acme"})).await;
    let accounts = format!("{}/accounts", path_of(&other));
    let body = json!({"provider": "stripe", "account": "cus_1"});
    let linked = rig.post(&accounts, body).await;
    assert!((200..300).contains(&linked.status), "{}", linked.body);
    let moved = rig.licenses().await["data"][0].clone();
    assert_eq!((&moved["id"], &moved["code"]), (&first["id"], &json!("ok")));
    assert_eq!(moved["customer_id"], other["id"]);
    rig.delete(&format!("{accounts}/cus_1")).await.expect(200);
    let back = rig.licenses().await["data"][0].clone();
    assert_eq!((&back["id"], &back["code"]), (&first["id"], &json!("ok")));
    assert_ne!(back["customer_id"], other["id"]);

    let export = format!(
        "/customers/{}/export",
        back["customer_id"].as_str().unwrap()
    );
    let exported = rig.get(&export).await.expect(200);
    assert_eq!(exported["licenses"], json!([back]));

    // They go with the customer, and no event brings them back.
    let gone = format!("/customers/{}", back["customer_id"].as_str().unwrap());
    rig.delete(&gone).await.expect(204);
    rig.happens(&event(2, "updated", "active")).await;
    assert_eq!(rig.licenses().await["meta"]["total"], 0);
}

async fn bad_licenses_of_plans_are_refused_by_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let many: Vec<Value> = (0..21)
        .map(|it| json!({"product": it.to_string()}))
        .collect();
    let long = "x".repeat(256);
    let cases = [
        (json!([{"product": ""}]), "licenses[0].product"),
        (json!([{"product": "a\nb"}]), "licenses[0].product"),
        (json!([{"product": long}]), "licenses[0].product"),
        (
            json!([{"product": "a"}, {"product": "a"}]),
            "licenses[1].product",
        ),
        (
            json!([{"product": "a", "activations_limit": 0}]),
            "licenses[0].activations_limit",
        ),
        (
            json!([{"product": "a", "activations_limit": 10_001}]),
            "licenses[0].activations_limit",
        ),
        (json!(many), "licenses"),
    ];
    for (licenses, field) in cases {
        let body = json!({"packages": [], "licenses": licenses});
        let refused = rig.put(PLAN, body).await.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    for licenses in [
        json!("a"),
        json!(["a"]),
        json!([{}]),
        json!([{"product": 1}]),
    ] {
        let body = json!({"packages": [], "licenses": licenses});
        rig.put(PLAN, body).await.refused(422, "body_invalid");
    }
    let body = json!({"packages": [], "licenses": [{"product": "a", "key": "b"}]});
    rig.put(PLAN, body).await.refused(422, "body_invalid");
    rig.get(PLAN).await.refused(404, "plan_not_found");
}

on_both_stores! {
    signed_webhooks_make_them_once,
    they_are_valid_while_the_subscription_is,
    those_of_tests_go_when_live_events_come,
    one_source_is_not_another,
    a_plan_that_changes_counts_for_those_who_have_bought,
    many_at_once_make_one,
    they_go_along_with_the_account_that_pays,
    bad_licenses_of_plans_are_refused_by_field,
}
