//! One request id from HTTP through the queue to every line about the event.

use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use super::rig::Process;
use super::{broken, sign_up, subscribed};
use crate::support::rabbitmq::shared;
use crate::support::spec::{header_name, sign};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, secret};

/// Posts a payload with an id of the sender's; the id of the answer.
async fn post(server: &Process, id: Option<&str>, payload: &Value) -> String {
    let body = payload.to_string().into_bytes();
    let signature = sign(STRIPE.name, &secret(STRIPE.name), &body, SystemClock.now());
    let url = format!("{}/webhooks/stripe", server.base);
    let mut request = server
        .client
        .post(url)
        .header(header_name(STRIPE.name), signature);
    if let Some(id) = id {
        request = request.header("x-request-id", id);
    }
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

async fn order(server: &Process, id: &str, path: &str, body: &Value) -> Value {
    let request = server.client.post(format!("{}{path}", server.base));
    let request = request.bearer_auth(ADMIN_TOKEN).header("x-request-id", id);
    let answer = request.json(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json().await.unwrap()
}

/// The ids in the lines with these words, and the number of such lines.
fn ids(server: &Process, words: &str) -> Vec<String> {
    let lines = server.lines().into_iter();
    let lines = lines.filter(|line| {
        line["message"]
            .as_str()
            .is_some_and(|it| it.contains(words))
    });
    let id = |line: Value| line["request.id"].as_str().unwrap_or_default().to_owned();
    lines.map(id).collect()
}

async fn each_line_about_an_event_has_the_id_of_its_request(engine: Engine) {
    // With a broker beside one of the stores, so that it goes through both queues.
    let broker = shared().url();
    let broker = (engine == Engine::Postgres).then_some(&*broker);
    let mut server = Process::start(engine, broker, "json", "info").await;
    assert_eq!(post(&server, Some("req-1"), &sign_up(1)).await, "req-1");
    server.until_done(1).await;
    let made = post(
        &server,
        Some("not well-formed"),
        &subscribed(1, 0, "active"),
    )
    .await;
    assert_ne!(made, "not well-formed");
    server.until_done(2).await;
    assert_eq!(post(&server, Some("req-3"), &broken()).await, "req-3");
    server.until_logged("cannot be understood").await;

    // What cannot be read waits for its next try.
    server
        .place
        .run(
            "UPDATE subscriptions SET kept = 'broken:' || kept",
            "UPDATE subscriptions SET kept = to_jsonb(kept::text)",
        )
        .await;
    post(&server, Some("req-4"), &subscribed(1, 9, "unpaid")).await;
    server.until_logged("it will be tried again").await;
    server
        .place
        .run(
            "UPDATE subscriptions SET kept = substr(kept, 8)",
            "UPDATE subscriptions SET kept = (kept #>> '{}')::jsonb",
        )
        .await;
    server.until_done(3).await;

    let event = sign_up(1)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/events/{event}/replay");
    order(&server, "req-5", &path, &json!({ "force": true })).await;
    server.until_done(4).await;
    let many = json!({ "filter": { "type": "customer.created" }, "force": true });
    let many = order(&server, "req-6", "/api/v1/events/replay", &many).await;
    server.until_done(5).await;
    server.stop();

    let replay = many["id"].as_str().unwrap();
    let done = ids(&server, "event done");
    assert_eq!(done, ["req-1", &made, "req-4", "req-5", replay]);
    assert_eq!(ids(&server, "cannot be understood"), ["req-3"]);
    let tried = ids(&server, "it will be tried again");
    assert!(tried.iter().all(|id| id == "req-4"), "{tried:?}");
    assert_eq!(ids(&server, "replay ordered"), ["req-6"]);
}

async fn a_line_of_a_request_names_it_even_if_only_warnings_are_wanted(engine: Engine) {
    let mut server = Process::start(engine, None, "json", "warn,tollgate::cli::serve=info").await;
    let request = server
        .client
        .post(format!("{}/webhooks/stripe", server.base));
    let request = request.header("x-request-id", "req-1").body("{}");
    assert_eq!(request.send().await.unwrap().status(), 400);
    server.stop();

    let lines = server.lines();
    let refused: Vec<&Value> = (lines.iter())
        .filter(|line| line["message"] == "webhook refused")
        .collect();
    let [line] = refused[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(line["request.id"], "req-1");
    assert_eq!(line["http.method"], "POST");
    assert_eq!(line["http.route"], "/webhooks/{provider}");
    assert_eq!(line["error.code"], "signature_missing");
}

on_both_stores! {
    a_line_of_a_request_names_it_even_if_only_warnings_are_wanted,
    each_line_about_an_event_has_the_id_of_its_request,
}
