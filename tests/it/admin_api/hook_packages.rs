//! What hooks are told of packages that customers get and lose.

use serde_json::{Value, json};
use tollgate::pipeline::timers::run_due;

use super::hooks::Receiver;
use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

on_both_stores! {
    a_grant_by_hand_that_runs_out_is_told,
    an_end_is_told_once_whatever_becomes_of_the_customer,
    of_grants_that_are_set_as_a_whole_each_package_is_told,
    a_plan_that_gives_something_else_is_told_once,
}

/// What was told since, as kind and package.
async fn told(rig: &Rig, receiver: &Receiver) -> Vec<(String, Value)> {
    rig.delivers_all().await;
    let taken = receiver.taken().into_iter();
    taken
        .map(|(_, body)| {
            let kind = body["type"].as_str().unwrap().to_owned();
            (kind, body["data"]["package"].clone())
        })
        .collect()
}

fn of(kind: &str, package: &str) -> (String, Value) {
    (kind.to_owned(), json!(package))
}

async fn a_grant_by_hand_that_runs_out_is_told(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let packages = format!("{}/packages", path_of(&ada));
    for (package, end) in [
        ("a/one", json!("2026-01-05T12:01:00.000Z")),
        ("a/two", json!("2026-01-05T12:02:00.000Z")),
        ("a/ever", Value::Null),
    ] {
        let body = json!({"package": package, "expires_at": end});
        rig.post(&packages, body).await.expect(201);
    }
    rig.hook(&receiver.url, &["customer.*"]).await;
    rig.pass(59);
    assert_eq!(run_due(&rig.store, rig.now()).await.unwrap(), 0);
    rig.pass(1);
    assert_eq!(run_due(&rig.store, rig.now()).await.unwrap(), 1);
    assert_eq!(run_due(&rig.store, rig.now()).await.unwrap(), 0);
    let expected = [of("customer.revoked", "a/one")];
    assert_eq!(told(&rig, &receiver).await, expected);
    // What derives the customer between the end and the timer tells it too, once.
    rig.pass(60);
    let act = format!("{}/packages/a/ever", path_of(&ada));
    rig.delete(&act).await.expect(204);
    run_due(&rig.store, rig.now()).await.unwrap();
    let mut seen = told(&rig, &receiver).await;
    seen.sort_by_key(|(_, package)| package.to_string());
    let expected = [
        of("customer.revoked", "a/ever"),
        of("customer.revoked", "a/two"),
    ];
    assert_eq!(seen, expected);

    let timeline = format!("{}/timeline", path_of(&ada));
    let timeline = rig.get(&timeline).await.expect(200);
    let entries = timeline["data"].as_array().unwrap();
    let by_timer = entries.iter().filter(|it| it["kind"] == "timer");
    let ended: Vec<_> = by_timer
        .map(|it| (&it["title"], &it["details"]["package"]))
        .collect();
    let title = json!("grant_expire");
    assert_eq!(
        ended,
        [(&title, &json!("a/two")), (&title, &json!("a/one"))]
    );
}

async fn an_end_is_told_once_whatever_becomes_of_the_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let [ada, bob] = [("ada", "cus_1"), ("bob", "cus_2")]
        .map(|(name, account)| json!({"name": name, "external_id": account}));
    let (ada, bob) = (rig.customer(ada).await, rig.customer(bob).await);
    for (customer, package, end) in [
        (&ada, "a/one", json!("2026-01-05T12:01:00.000Z")),
        (&ada, "a/both", json!("2026-01-05T12:03:00.000Z")),
        (&bob, "a/two", json!("2026-01-05T12:02:00.000Z")),
        (&bob, "a/both", Value::Null),
    ] {
        let body = json!({"package": package, "expires_at": end});
        let packages = format!("{}/packages", path_of(customer));
        rig.post(&packages, body).await.expect(201);
    }
    let suspend = format!("{}/suspend", path_of(&ada));
    rig.post(&suspend, json!({})).await.expect(200);
    rig.hook(&receiver.url, &["customer.granted", "customer.revoked"])
        .await;
    rig.pass(60);
    run_due(&rig.store, rig.now()).await.unwrap();
    let expected = [of("customer.revoked", "a/one")];
    assert_eq!(told(&rig, &receiver).await, expected, "while suspended");
    let ended = format!("{}/packages/a/one", path_of(&ada));
    rig.delete(&ended).await.expect(204);
    assert_eq!(told(&rig, &receiver).await, [], "it had ended");

    // The two become one between an end and the timer.
    let reactivate = format!("{}/reactivate", path_of(&ada));
    rig.post(&reactivate, json!({})).await.expect(200);
    rig.pass(60);
    rig.happens(&stripe_event(
        "evt_bob",
        "customer.created",
        NOW - 100,
        stripe_customer("cus_2", "bob@example.com"),
    ))
    .await;
    told(&rig, &receiver).await;
    let link = json!({"provider": "stripe", "account": "cus_2"});
    let accounts = format!("{}/accounts", path_of(&ada));
    rig.post(&accounts, link).await.expect(200);
    run_due(&rig.store, rig.now()).await.unwrap();
    rig.pass(60);
    run_due(&rig.store, rig.now()).await.unwrap();
    // Of the one that has another grant, there is one afterwards.
    let access = format!("{}/access?package=a/both", path_of(&ada));
    let left = rig.get(&access).await.expect(200);
    let last = told(&rig, &receiver).await;
    let kind = if left["allowed"] == true {
        "customer.granted"
    } else {
        "customer.revoked"
    };
    assert_eq!(last, [of(kind, "a/both")], "{left}");
}

async fn of_grants_that_are_set_as_a_whole_each_package_is_told(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let packages = format!("{}/packages", path_of(&ada));
    let put = async |names: &[&str]| {
        let grants: Vec<Value> = names.iter().map(|it| json!({"package": it})).collect();
        let answer = rig.put(&packages, json!({"packages": grants})).await;
        answer.expect(200);
    };
    put(&["a/charts", "a/forms"]).await;
    rig.hook(&receiver.url, &["customer.*"]).await;
    put(&["a/forms", "a/new"]).await;
    let expected = [
        of("customer.revoked", "a/charts"),
        of("customer.granted", "a/new"),
    ];
    assert_eq!(told(&rig, &receiver).await, expected);
    put(&[]).await;
    let expected = [
        of("customer.revoked", "a/forms"),
        of("customer.revoked", "a/new"),
    ];
    assert_eq!(told(&rig, &receiver).await, expected);
}

async fn a_plan_that_gives_something_else_is_told_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let receiver = Receiver::start().await;
    let plan = "/plans/stripe/price_basic";
    let gives = |package: &str| json!({"packages": [{"package": package, "constraint": "*"}]});
    rig.put(plan, gives("a/one")).await.expect(201);
    for number in 1..3 {
        let [subscription, customer] = ["sub", "cus"].map(|it| format!("{it}_{number}"));
        let subscription = stripe_subscription(&subscription, &customer, "active");
        rig.happens(&stripe_event(
            &format!("evt_{number}"),
            "customer.subscription.created",
            NOW - 100,
            subscription,
        ))
        .await;
    }
    rig.hook(&receiver.url, &["customer.*", "plan.*"]).await;
    rig.put(plan, gives("a/two")).await.expect(200);
    rig.delivers_all().await;
    let taken = receiver.taken();
    let [(_, body)] = &taken[..] else {
        panic!("{taken:?}")
    };
    assert_eq!(body["type"], "plan.updated");
    assert_eq!(body["customer_id"], Value::Null);
    let data = &body["data"];
    assert_eq!(
        (&data["provider"], &data["price_id"]),
        (&json!("stripe"), &json!("price_basic"))
    );
    assert_eq!(data["from"]["packages"][0]["package"], "a/one");
    assert_eq!(data["to"]["packages"][0]["package"], "a/two");
    rig.delete(plan).await.expect(204);
    let told = told(&rig, &receiver).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(kinds.contains(&"plan.deleted"), "{kinds:?}");
    let of_packages = ["customer.granted", "customer.revoked"];
    assert!(!kinds.iter().any(|it| of_packages.contains(it)), "{told:?}");
}
