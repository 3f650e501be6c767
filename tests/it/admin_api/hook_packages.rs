//! What hooks are told of packages that customers get and lose.

use serde_json::{Value, json};
use tollgate::pipeline::timers::run_due;

use super::hooks::Receiver;
use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

on_both_stores! {
    a_grant_by_hand_that_runs_out_is_told,
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
    let by_timer = entries.iter().find(|it| it["kind"] == "timer").unwrap();
    assert_eq!(by_timer["title"], "grant_expire", "{by_timer}");
    assert_eq!(by_timer["details"]["package"], "a/one", "{by_timer}");
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
