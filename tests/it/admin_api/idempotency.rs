//! `Idempotency-Key`: a request that is sent twice does its work once.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::store::idempotency::{Attempt, on_behalf_of};
use tollgate::store::{StoreError, Tx};

use super::rig::{Answer, NOW, ROOT, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

const DAY: u64 = 86_400;

impl Rig {
    /// A POST of the admin API with a key.
    async fn post_keyed(&self, token: &str, key: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        let path = format!("/api/v1{path}");
        self.send("POST", &path, &headers, Some(body.clone())).await
    }

    async fn customers(&self) -> u64 {
        let listed = self.get("/customers").await.expect(200);
        listed["meta"]["total"].as_u64().unwrap()
    }

    /// An event that can be replayed, which publishes.
    async fn ignored_event(&self) {
        let object = stripe_customer("cus_1", "one@x.com");
        self.happens(&stripe_event("evt_1", "coupon.created", NOW - 9, object))
            .await;
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

/// Whoever hangs up at whatever point may send the same again in a moment.
async fn a_sender_that_hangs_up_locks_no_key(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    let key = |number: u64| format!("k-{number}");
    for number in 0..40 {
        let (key, given_up) = (key(number), Duration::from_micros(number * 150));
        let sent = rig.post_keyed(ROOT, &key, "/customers", &body);
        let _ = tokio::time::timeout(given_up, sent).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for number in 0..40 {
        let key = key(number);
        let again = rig.post_keyed(ROOT, &key, "/customers", &body).await;
        again.expect(201);
    }
    assert_eq!(rig.customers().await, 40);
}

async fn another_content_type_is_another_request(engine: Engine) {
    let rig = Rig::start(engine).await;
    let bearer = format!("Bearer {ROOT}");
    let send = async |content_type: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", "k-1"),
            ("content-type", content_type),
        ];
        let asked = ("POST", "/api/v1/customers");
        rig.send_text(asked, &headers, r#"{"name": "Ada"}"#).await
    };
    assert_eq!(send("text/plain").await.status, 415);
    let json = send("application/json").await;
    json.refused(422, "idempotency_key_reused");
}

async fn a_request_that_is_sent_twice_gets_the_first_answer_again(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    let first = rig.post_keyed(ROOT, "k-1", "/customers", &body).await;
    assert!(!is_replayed(&first));
    rig.pass(DAY - 1);
    // The draft's form and the usual one are the same key.
    let again = rig.post_keyed(ROOT, "\"k-1\"", "/customers", &body).await;
    assert!(is_replayed(&again));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let (first, again) = (first.expect(201), again.expect(201));
    assert_eq!(first, again, "with the token, which is shown this once");
    assert!(first["token"].is_string());
    assert_eq!(rig.customers().await, 1);

    rig.pass(1);
    let next_day = rig.post_keyed(ROOT, "k-1", "/customers", &body).await;
    assert!(!is_replayed(&next_day));
    assert_ne!(next_day.expect(201)["id"], first["id"]);
}

async fn a_deleted_app_answers_nobody(engine: Engine) {
    let rig = Rig::start(engine).await;
    let app = json!({"slug": "gone", "name": "Gone"});
    let person = json!({"name": "Ada", "email": "ada@example.com"});
    let make = async |key: &str| {
        let path = "/customers?app=gone";
        rig.post_keyed(ROOT, key, path, &person).await
    };
    rig.post("/apps", app.clone()).await.expect(201);
    let hook = json!({"url": "https://example.com/hook"});
    let hooked = rig.post_keyed(ROOT, "h", "/apps/gone/hooks", &hook).await;
    hooked.expect(201);
    make("k").await.expect(201);
    assert!(is_replayed(&make("k").await));
    rig.delete("/apps/gone").await.expect(204);
    make("k").await.refused(404, "app_not_found");
    let again = rig.post_keyed(ROOT, "h", "/apps/gone/hooks", &hook).await;
    again.refused(404, "app_not_found");
    // Another tenant, who has nothing of the first.
    rig.pass(1);
    rig.post("/apps", app).await.expect(201);
    make("k").await.refused(422, "idempotency_key_reused");
    make("other").await.expect(201);

    // A vendor of that name is no app.
    let release = json!({"version": "1.0.0"});
    for replayed in [false, true] {
        let path = "/packages/apps/tool/releases";
        let answer = rig.post_keyed(ROOT, "v", path, &release).await;
        assert_eq!(is_replayed(&answer), replayed);
        answer.expect(201);
    }
}

async fn a_refusal_is_an_answer_like_any_other(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"reason": "x"});
    let path = "/customers/cust_0/suspend";
    for replayed in [false, true] {
        let answer = rig.post_keyed(ROOT, "k", path, &body).await;
        assert_eq!(is_replayed(&answer), replayed);
        answer.refused(404, "customer_not_found");
    }
}

async fn a_key_stands_for_one_request(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    rig.post_keyed(ROOT, "k", "/customers", &body)
        .await
        .expect(201);
    let cases = [
        ("another body", "/customers", json!({"name": "Eve"})),
        ("another path", "/customers/get-or-create", body.clone()),
        ("another query", "/customers?x=1", body.clone()),
    ];
    for (description, path, body) in cases {
        let answer = rig.post_keyed(ROOT, "k", path, &body).await;
        assert_eq!(answer.status, 422, "{description}: {}", answer.body);
        answer.refused(422, "idempotency_key_reused");
    }
    assert_eq!(rig.customers().await, 1);
}

async fn a_key_stands_for_the_json_of_a_body_however_it_is_written(engine: Engine) {
    let rig = Rig::start(engine).await;
    let bearer = format!("Bearer {ROOT}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "k"),
        ("content-type", "application/json"),
    ];
    let post = async |body: &str| {
        let asked = ("POST", "/api/v1/customers");
        rig.send_text(asked, &headers, body).await
    };
    let first = post(r#"{"name":"Ada","metadata":{"b":[1,2],"a":0.5}}"#).await;
    let first = first.expect(201);
    for same in [
        r#"{"metadata": {"a": 0.5, "b": [1, 2]}, "name": "Ada"}"#,
        "{\n\t\"name\" : \"\\u0041da\" ,\"metadata\":{\"a\":5e-1,\"b\":[ 1,2 ]}\r\n}",
    ] {
        let again = post(same).await;
        assert!(is_replayed(&again), "{same}: {}", again.body);
        assert_eq!(again.expect(201), first, "{same}");
    }
    for other in [
        r#"{"name":"Ada","metadata":{"b":[2,1],"a":0.5}}"#,
        r#"{"name":"Ada","metadata":{"b":[1,2],"a":"0.5"}}"#,
        r#"{"name":"ada","metadata":{"b":[1,2],"a":0.5}}"#,
        r#"{"name":"Eve","name":"Ada","metadata":{"b":[1,2],"a":0.5}}"#,
        r#"{"name":"Ada","metadata":{"b":[1,2],"a":0.5}"#,
        "",
    ] {
        let answer = post(other).await;
        assert_eq!(answer.status, 422, "{other}: {}", answer.body);
        answer.refused(422, "idempotency_key_reused");
    }
    assert_eq!(rig.customers().await, 1);
}

async fn a_key_belongs_to_the_token_it_came_with(engine: Engine) {
    let rig = Rig::start(engine).await;
    let app = json!({"slug": "acme", "name": "Acme"});
    rig.post("/apps", app).await.expect(201);
    let body = json!({"name": "Ada"});
    let mut made = Vec::new();
    for token in [
        ROOT.to_owned(),
        rig.admin("admin", None).await,
        rig.admin("admin", Some("acme")).await,
    ] {
        let answer = rig.post_keyed(&token, "k", "/customers", &body).await;
        assert!(!is_replayed(&answer));
        made.push(answer.expect(201)["id"].to_string());
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 3);
    let viewer = rig.admin("viewer", None).await;
    let answer = rig.post_keyed(&viewer, "k", "/customers", &body).await;
    answer.refused(403, "role_insufficient");
    let nobody = rig.post_keyed("wrong", "k", "/customers", &body).await;
    nobody.refused(401, "token_unknown");
    let keyed = [("idempotency-key", "k")];
    rig.send("POST", "/api/v1/customers", &keyed, Some(body))
        .await
        .refused(401, "token_missing");
}

/// Or whoever may only look could fill the store with answers.
async fn idempotency_keys_of_viewers_are_ignored(engine: Engine) {
    let rig = Rig::start(engine).await;
    let viewer = rig.admin("viewer", None).await;
    for license in ["one", "one", "other"] {
        let body = json!({"key": license});
        let answer = rig
            .post_keyed(&viewer, "k", "/licenses/validate", &body)
            .await;
        assert!(!is_replayed(&answer), "{license}");
        answer.expect(200);
    }
    rig.pass(DAY);
    let mut tx = rig.store.begin().await.unwrap();
    assert_eq!(tx.idempotency_purge(rig.now()).await.unwrap(), 0, "kept");
}

async fn a_key_that_is_none_is_refused_where_it_counts(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    for key in ["", "\"\"", &"k".repeat(256)] {
        let answer = rig.post_keyed(ROOT, key, "/customers", &body).await;
        answer.refused(400, "idempotency_key_invalid");
    }
    // Other methods may be repeated anyway.
    let bearer = format!("Bearer {ROOT}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "")];
    let listed = rig.send("GET", "/api/v1/customers", &headers, None).await;
    assert_eq!(listed.expect(200)["meta"]["total"], 0);
}

async fn of_many_at_once_one_does_the_work(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    let sent = (0..12).map(|_| rig.post_keyed(ROOT, "k", "/customers", &body));
    let answers = join_all(sent).await;
    let (mut worked, mut waited) = (0, 0);
    for answer in answers {
        match (answer.status, is_replayed(&answer)) {
            (201, false) => worked += 1,
            (201, true) => {}
            _ => {
                assert_eq!(answer.header("retry-after"), "1");
                answer.refused(409, "idempotency_key_in_use");
                waited += 1;
            }
        }
    }
    assert_eq!(worked, 1, "and {waited} were told to come again");
    assert_eq!(rig.customers().await, 1);
}

async fn what_has_begun_is_finished_though_its_sender_hangs_up(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.ignored_event().await;
    let (path, body) = ("/events/evt_1/replay", json!({}));
    let gate = rig.queue_waits().await;
    let sent = rig.post_keyed(ROOT, "k", path, &body);
    let hung_up = tokio::time::timeout(Duration::from_millis(200), sent).await;
    assert!(hung_up.is_err());
    rig.post_keyed(ROOT, "k", path, &body)
        .await
        .refused(409, "idempotency_key_in_use");
    drop(gate);
    let answer = loop {
        let answer = rig.post_keyed(ROOT, "k", path, &body).await;
        if answer.status != 409 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(is_replayed(&answer));
    answer.expect(202);
    assert_eq!(rig.published().len(), 1);
}

async fn an_answer_of_failure_is_not_kept(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.ignored_event().await;
    let (path, body) = ("/events/evt_1/replay", json!({}));
    rig.queue_is_away(true);
    rig.post_keyed(ROOT, "k", path, &body)
        .await
        .refused(503, "unavailable");
    rig.queue_is_away(false);
    let answer = rig.post_keyed(ROOT, "k", path, &body).await;
    assert!(!is_replayed(&answer));
    answer.expect(202);
    assert_eq!(rig.published().len(), 1);
}

async fn kept_answers_cannot_be_read_in_the_database(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .post_keyed(ROOT, "k", "/customers", &json!({"name": "Ada"}))
        .await
        .expect(201);
    let token = made["token"].as_str().unwrap();
    let holding = |text: &str| {
        let sqlite = format!(
            "SELECT COUNT(*) FROM idempotency_keys WHERE instr(answer, CAST('{text}' AS BLOB)) > 0"
        );
        let postgres = format!(
            "SELECT COUNT(*) FROM idempotency_keys WHERE position('{text}'::bytea IN answer) > 0"
        );
        (sqlite, postgres)
    };
    let all = "SELECT COUNT(*) FROM idempotency_keys WHERE answer IS NOT NULL";
    assert_eq!(rig.place.count(all, all).await, 1);
    for text in [token, "Ada", "status"] {
        let (sqlite, postgres) = holding(text);
        assert_eq!(rig.place.count(&sqlite, &postgres).await, 0, "{text}");
    }
}

/// Reserves the request `ask` under the key `key`.
async fn reserve(rig: &Rig, holder: &str, asked: &str) -> Attempt {
    let mut tx = rig.store.begin().await.unwrap();
    let reserved = tx
        .idempotency_reserve("key".to_owned(), asked, holder.to_owned(), rig.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    reserved
}

/// What a request does to the store.
async fn effect(rig: &Rig) -> Result<(), StoreError> {
    let tx: Tx = rig.store.begin().await?;
    tx.commit().await
}

async fn a_request_that_died_without_effect_begins_anew(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Attempt::Reserved(first) = reserve(&rig, "one", "ask").await else {
        panic!("the key is free");
    };
    rig.pass(59);
    let running = reserve(&rig, "two", "ask").await;
    assert!(matches!(running, Attempt::Running), "{running:?}");
    rig.pass(1);
    let other = reserve(&rig, "two", "ask another").await;
    assert!(matches!(other, Attempt::OtherRequest), "{other:?}");
    let second = reserve(&rig, "two", "ask").await;
    let Attempt::Reserved(second) = second else {
        panic!("{second:?}");
    };
    // Should the first be alive after all, it comes too late.
    let late = on_behalf_of(first, effect(&rig)).await;
    assert!(matches!(late, Err(StoreError::Overtaken)), "{late:?}");
    on_behalf_of(second, effect(&rig)).await.unwrap();
}

async fn a_request_that_died_after_its_effect_has_no_second_one(engine: Engine) {
    let rig = Rig::start(engine).await;
    let Attempt::Reserved(reservation) = reserve(&rig, "one", "ask").await else {
        panic!("the key is free");
    };
    on_behalf_of(reservation.clone(), effect(&rig))
        .await
        .unwrap();
    let running = reserve(&rig, "two", "ask").await;
    assert!(matches!(running, Attempt::Running), "{running:?}");
    rig.pass(60);
    let lost = reserve(&rig, "two", "ask").await;
    assert!(matches!(lost, Attempt::AnswerLost), "{lost:?}");

    // The same of one that failed after its effect: its key is not given back.
    let mut tx = rig.store.begin().await.unwrap();
    tx.idempotency_release(&reservation, rig.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let lost = reserve(&rig, "two", "ask").await;
    assert!(matches!(lost, Attempt::AnswerLost), "{lost:?}");
}

async fn after_a_crash_before_the_answer_was_stored_nothing_is_done_twice(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ada = json!({"name": "Ada"});
    rig.post_keyed(ROOT, "k", "/customers", &ada)
        .await
        .expect(201);
    rig.post_keyed(ROOT, "refused", "/customers", &json!({}))
        .await
        .refused(422, "body_invalid");
    let crash = "UPDATE idempotency_keys SET answer = NULL";
    rig.place.run(crash, crash).await;
    let running = rig.post_keyed(ROOT, "k", "/customers", &ada).await;
    running.refused(409, "idempotency_key_in_use");
    rig.pass(60);
    let lost = rig.post_keyed(ROOT, "k", "/customers", &ada).await;
    lost.refused(409, "idempotency_answer_lost");
    // What had changed nothing begins anew.
    let anew = rig
        .post_keyed(ROOT, "refused", "/customers", &json!({}))
        .await;
    assert!(!is_replayed(&anew));
    anew.refused(422, "body_invalid");
    assert_eq!(rig.customers().await, 1);
}

async fn keys_are_removed_after_a_day(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"name": "Ada"});
    rig.post_keyed(ROOT, "early", "/customers", &body)
        .await
        .expect(201);
    rig.pass(1);
    rig.post_keyed(ROOT, "late", "/customers", &body)
        .await
        .expect(201);
    rig.pass(DAY - 1);
    let mut tx = rig.store.begin().await.unwrap();
    assert_eq!(tx.idempotency_purge(rig.now()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let late = rig.post_keyed(ROOT, "late", "/customers", &body).await;
    assert!(is_replayed(&late));
}

on_both_stores! {
    a_sender_that_hangs_up_locks_no_key,
    another_content_type_is_another_request,
    a_request_that_is_sent_twice_gets_the_first_answer_again,
    a_deleted_app_answers_nobody,
    a_refusal_is_an_answer_like_any_other,
    a_key_stands_for_one_request,
    a_key_stands_for_the_json_of_a_body_however_it_is_written,
    a_key_belongs_to_the_token_it_came_with,
    idempotency_keys_of_viewers_are_ignored,
    a_key_that_is_none_is_refused_where_it_counts,
    of_many_at_once_one_does_the_work,
    what_has_begun_is_finished_though_its_sender_hangs_up,
    an_answer_of_failure_is_not_kept,
    kept_answers_cannot_be_read_in_the_database,
    a_request_that_died_without_effect_begins_anew,
    a_request_that_died_after_its_effect_has_no_second_one,
    after_a_crash_before_the_answer_was_stored_nothing_is_done_twice,
    keys_are_removed_after_a_day,
}
