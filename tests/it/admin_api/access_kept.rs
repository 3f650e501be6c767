//! Answers to registries are kept for a moment, and what is kept never outlives a second.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate::domain::id::{AppSlug, CustomerId, TokenId};
use tollgate::domain::precondition::Precondition;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{Act, act};
use tollgate::pipeline::order::Order;
use tollgate::store::{Actor, Store};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

/// What users are promised: a change counts everywhere within this time.
const PROMISED: Duration = Duration::from_secs(1);

fn order() -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: Timestamp::from_seconds(NOW).unwrap(),
        reason: None,
    }
}

/// A customer who may have `a/lib`: its id and its token.
async fn holder(rig: &Rig) -> (CustomerId, Value) {
    let made = rig.customer(json!({"name": "holder"})).await;
    let grant = json!({"package": "a/lib", "constraint": "^2.0"});
    rig.post(&format!("{}/packages", path_of(&made)), grant)
        .await
        .expect(201);
    (made["id"].as_str().unwrap().parse().unwrap(), made)
}

async fn ask(rig: &Rig, made: &Value) -> (u16, String) {
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let path = "/access?package=a/lib&version=2.1.0";
    let answer = rig
        .send("GET", path, &[("authorization", &bearer)], None)
        .await;
    (answer.status, answer.header("x-tollgate-code").to_owned())
}

/// Asks again and again from just after a change by another node, until the answer is the new one. No
/// question that was put a second after the change may get the old one.
async fn expect_within_a_second(rig: &Rig, made: &Value, status: u16, code: &str) {
    let changed = Instant::now();
    loop {
        let asked = changed.elapsed();
        let answer = ask(rig, made).await;
        if answer == (status, code.to_owned()) {
            return;
        }
        assert!(asked < PROMISED, "{answer:?} {asked:?} after the change");
    }
}

async fn what_another_node_changes_counts_within_a_second(engine: Engine) {
    let rig = Rig::start(engine).await;
    let other: Store = rig.place.open().await;
    let (id, made) = holder(&rig).await;
    let yes = (200, "ok".to_owned());
    for (ordered, status, code) in [
        (Act::Suspend(None), 403, "customer_suspended"),
        (Act::Reactivate, 200, "ok"),
        (Act::Expire(None), 403, "customer_expired"),
        (Act::Reactivate, 200, "ok"),
    ] {
        let before = ask(&rig, &made).await;
        act(&other, &order(), &id, ordered, &Precondition::None)
            .await
            .unwrap();
        expect_within_a_second(&rig, &made, status, code).await;
        assert_ne!(before, (status, code.to_owned()));
    }

    assert_eq!(ask(&rig, &made).await, yes);
    let mut tx = other.begin().await.unwrap();
    let packages = ["a/lib"];
    tx.grant_delete(&order().app, &id, packages).await.unwrap();
    tx.commit().await.unwrap();
    expect_within_a_second(&rig, &made, 403, "package_not_granted").await;

    let (id, made) = holder(&rig).await;
    assert_eq!(ask(&rig, &made).await, yes);
    let mut tx = other.begin().await.unwrap();
    let token: TokenId = tx.token_list(&order().app, &id).await.unwrap()[0]
        .id
        .clone();
    tx.token_delete(&order().app, &id, &token).await.unwrap();
    tx.commit().await.unwrap();
    expect_within_a_second(&rig, &made, 401, "token_unknown").await;
}

async fn what_this_node_changes_counts_at_once(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, made) = holder(&rig).await;
    let path = path_of(&made);
    let cases = [
        ("suspend", json!({}), 403, "customer_suspended"),
        ("reactivate", json!({}), 200, "ok"),
        ("expire", json!({}), 403, "customer_expired"),
        ("reactivate", json!({}), 200, "ok"),
    ];
    for (act, body, status, code) in cases {
        ask(&rig, &made).await;
        rig.post(&format!("{path}/{act}"), body).await.expect(200);
        assert_eq!(ask(&rig, &made).await, (status, code.to_owned()), "{act}");
    }
    rig.delete(&path).await.expect(204);
    let gone = (401, "token_unknown".to_owned());
    assert_eq!(ask(&rig, &made).await, gone, "deleted");
    let (_, made) = holder(&rig).await;
    ask(&rig, &made).await;
    rig.delete(&format!("{}/token", path_of(&made)))
        .await
        .expect(204);
    assert_eq!(ask(&rig, &made).await, gone, "revoked");
}

async fn what_is_kept_is_of_one_token_and_package(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, made) = holder(&rig).await;
    let (_, stranger) = holder(&rig).await;
    let path = path_of(&made);
    let grant = json!({"package": "a/other", "constraint": "*"});
    rig.post(&format!("{path}/packages"), grant)
        .await
        .expect(201);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let check = async |query: &str| {
        let path = format!("/access?{query}");
        let answer = rig
            .send("GET", &path, &[("authorization", &bearer)], None)
            .await;
        answer.header("x-tollgate-code").to_owned()
    };
    // Twice: looked up, and then kept.
    for _ in 0..2 {
        for (query, code) in [
            ("package=a/lib&version=2.1.0", "ok"),
            ("package=a/lib&version=3.0.0", "version_not_allowed"),
            ("package=A/Lib", "ok"),
            ("package=a/other&version=3.0.0", "ok"),
            ("package=a/none", "package_not_granted"),
        ] {
            assert_eq!(check(query).await, code, "{query}");
        }
    }
    assert_eq!(ask(&rig, &stranger).await.0, 200);
    rig.post(&format!("{path}/suspend"), json!({}))
        .await
        .expect(200);
    assert_eq!(check("package=a/lib").await, "customer_suspended");
    assert_eq!(
        ask(&rig, &stranger).await.0,
        200,
        "another customer of the same"
    );
}

async fn what_ends_ends_on_time(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (_, made) = holder(&rig).await;
    let path = path_of(&made);
    let short = json!({"name": "s", "expires_at": "2026-01-05T12:00:01Z"});
    let short = rig.post(&format!("{path}/tokens"), short).await.expect(201);
    let grant = json!({
        "package": "a/lib", "constraint": "^2.0", "expires_at": "2026-01-05T12:00:01Z"
    });
    let granted = rig.post(&format!("{path}/packages"), grant).await;
    assert!(granted.status < 300, "{granted:?}");
    assert_eq!(ask(&rig, &short).await.0, 200);
    assert_eq!(ask(&rig, &made).await.0, 200);
    rig.pass(1);
    assert_eq!(ask(&rig, &short).await, (401, "token_expired".to_owned()));
    let over = (403, "package_not_granted".to_owned());
    assert_eq!(ask(&rig, &made).await, over);
}

/// The statements of so many questions at once, and of the same once more. On one thread, so that none is
/// answered before all are there; on several it depends on the machine how many wait together.
async fn many_at_once_cost_few_statements(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut holders = Vec::new();
    for _ in 0..40 {
        holders.push(holder(&rig).await.1);
    }
    let before = rig.store.statements();
    let asked = futures::future::join_all(holders.iter().map(|made| ask(&rig, made))).await;
    assert!(asked.iter().all(|(status, _)| *status == 200), "{asked:?}");
    let first = rig.store.statements() - before;
    assert!(first <= 10, "{first} statements for 40 questions");
    let one = rig.store.statements();
    ask(&rig, &holders[0]).await;
    // Kept, unless a busy machine took a second for the others.
    let again = rig.store.statements() - one;
    assert!(
        again <= 1,
        "{again} statements for a question that was asked before"
    );
}

on_both_stores!(
    what_another_node_changes_counts_within_a_second,
    what_this_node_changes_counts_at_once,
    what_is_kept_is_of_one_token_and_package,
    what_ends_ends_on_time,
);

#[tokio::test]
async fn many_at_once_cost_few_statements_with_sqlite() {
    many_at_once_cost_few_statements(Engine::Sqlite).await;
}

#[tokio::test]
async fn many_at_once_cost_few_statements_with_postgres() {
    many_at_once_cost_few_statements(Engine::Postgres).await;
}
