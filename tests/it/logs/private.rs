//! Nothing private is in the log of a whole run, whatever is asked of the server and however much
//! it tells.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::provider::{PADDLE, STRIPE};

use super::rig::Process;
use crate::support::program;
use crate::support::rabbitmq::shared;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    ADMIN_TOKEN, PADDLE_SECRET, SECRET_KEY, STRIPE_SECRET, seconds_from_now, stripe_event,
    stripe_subscription,
};

/// Everything of the run that must stay out of the log.
const PRIVATE: [&str; 16] = [
    "ada.private",
    "bob.private",
    "eve.private",
    "Lovelace",
    "Babbage",
    "+49 1234",
    "Rosenweg",
    "wrong-token-in-header",
    "wrong-token-in-query",
    "wrong-token-in-cookie",
    "key-for-one-request",
    "because Ada called",
    "licence-key-of-ada",
    "ca11ab1e",
    "whsec_",
    "pdl_ntfset",
];

/// Everything of ours and of libraries that a filter can turn on.
const ALL: &str = "trace,lapin=trace,sqlx=trace,hyper=trace,hyper_util=trace,rustls=trace";

/// Webhooks good and bad; returns their signatures.
async fn webhooks(server: &Process) -> Vec<String> {
    let at = seconds_from_now(-100);
    let customer = json!({
        "id": "cus_1", "object": "customer", "email": "ada.private@example.com",
        "name": "Ada Lovelace", "phone": "+49 1234", "address": {"line1": "Rosenweg 1"},
    });
    let created = stripe_event("evt_1", "customer.created", at, customer);
    let mut ordered = stripe_subscription("sub_1", "cus_1", "active");
    ordered["description"] = "for Ada Lovelace".into();
    let subscribed = stripe_event("evt_2", "customer.subscription.created", at, ordered);
    // Each cannot be read, at a place where an address stands.
    let broken = [
        json!({"id": "sub_2", "customer_email": "eve.private@example.com"}),
        json!({"id": "sub_2", "customer": "cus_1", "status": ["eve.private@example.com"]}),
        json!({"id": "sub_2", "customer": {"email": "eve.private@example.com"}, "items": 1}),
        json!({"id": {"email": "eve.private@example.com"}}),
        json!("eve.private@example.com"),
    ];
    let mut signatures = Vec::new();
    let mut events = vec![created.clone(), subscribed, created.clone()];
    for (n, object) in broken.into_iter().enumerate() {
        let id = format!("evt_broken_{n}");
        events.push(stripe_event(
            &id,
            "customer.subscription.updated",
            at,
            object,
        ));
    }
    // Wrong in its head, where the receiver looks.
    let mut wrong_id = created.clone();
    wrong_id["id"] = json!(["eve.private@example.com"]);
    events.push(wrong_id);
    let mut wrong_time = created.clone();
    wrong_time["id"] = "evt_wrong_time".into();
    wrong_time["created"] = "eve.private@example.com".into();
    events.push(wrong_time);
    for event in events {
        signatures.push(server.post(STRIPE.name, &event).await.1);
    }
    let of_paddle = json!({
        "event_id": "evt_01", "event_type": "customer.created",
        "occurred_at": "2026-01-05T12:00:00Z", "notification_id": "ntf_01",
        "data": {"id": "ctm_01", "email": "bob.private@example.com", "name": "Bob Babbage"},
    });
    signatures.push(server.post(PADDLE.name, &of_paddle).await.1);
    let body = created.to_string().into_bytes();
    let forged = format!("t={at},v1={}", "ca11ab1e".repeat(8));
    for (path, header) in [
        ("/webhooks/stripe", &*forged),
        ("/webhooks/stripe", "ca11ab1e"),
        (
            "/webhooks/paddle",
            &forged.replace("v1", "h1").replace(',', ";"),
        ),
        ("/webhooks/stripe?token=wrong-token-in-query", &*forged),
        ("/webhooks/ada.private@example.com/stripe", &*forged),
        ("/webhooks/acme/ada.private@example.com", &*forged),
    ] {
        server.post_bytes(path, header, body.clone()).await;
    }
    server
        .post_bytes("/webhooks/stripe", &forged, vec![b'x'; 1 << 21])
        .await;
    signatures
}

/// Requests to the API right and wrong; returns the tokens, keys and secrets that were made.
async fn requests(server: &Process) -> Vec<String> {
    let mut made = Vec::new();
    let person = json!({"email": "bob.private@example.com", "name": "Bob Babbage"});
    let calls = [
        (
            "POST",
            "/api/v1/customers/get-or-create",
            Some(person.clone()),
        ),
        (
            "POST",
            "/api/v1/customers",
            Some(json!({"email": 7, "bob.private": "Babbage"})),
        ),
        ("POST", "/api/v1/customers", Some(json!("Babbage"))),
        ("GET", "/api/v1/customers?q=ada.private@example.com", None),
        (
            "GET",
            "/api/v1/customers/by-email?email=ada.private@example.com",
            None,
        ),
        ("GET", "/api/v1/customers/ada.private@example.com", None),
        ("GET", "/api/v1/ada.private@example.com", None),
        (
            "GET",
            "/api/v1/customers?access_token=wrong-token-in-query",
            None,
        ),
        ("GET", "/api/v1/stats", None),
        (
            "POST",
            "/api/v1/apps",
            Some(json!({"slug": "acme", "name": "of Babbage"})),
        ),
        (
            "POST",
            "/api/v1/admin-tokens",
            Some(json!({"name": "of Ada Lovelace", "role": "viewer"})),
        ),
        (
            "POST",
            "/api/v1/apps/acme/endpoints/stripe/secrets",
            Some(json!({"secret": "whsec_of_acme_0123456789", "mode": "live"})),
        ),
        ("GET", "/api/customers", None),
    ];
    for (method, path, body) in calls {
        let (_, answer) = server.call(method, path, body).await;
        made.extend(
            ["token", "secret", "key"]
                .iter()
                .filter_map(|name| text(&answer, name)),
        );
    }
    let (_, customer) = server
        .call("POST", "/api/v1/customers/get-or-create", Some(person))
        .await;
    let id = text(&customer, "id").unwrap();
    let of = |rest: &str| format!("/api/v1/customers/{id}{rest}");
    for (method, path, body) in [
        (
            "PATCH",
            of(""),
            json!({"name": "Bob B. Babbage", "phone": "+49 1234"}),
        ),
        (
            "POST",
            of("/suspend"),
            json!({"reason": "because Ada called"}),
        ),
        (
            "POST",
            of("/reactivate"),
            json!({"reason": "because Ada called"}),
        ),
        ("POST", of("/tokens"), json!({"name": "of Bob Babbage"})),
        ("POST", of("/token/regenerate"), json!({})),
        (
            "POST",
            "/api/v1/licenses".to_owned(),
            json!({"customer_id": id, "key": "licence-key-of-ada"}),
        ),
        (
            "POST",
            "/api/v1/licenses/validate".to_owned(),
            json!({"key": "licence-key-of-ada"}),
        ),
    ] {
        let (_, answer) = server.call(method, &path, Some(body)).await;
        made.extend(
            ["token", "secret", "key"]
                .iter()
                .filter_map(|name| text(&answer, name)),
        );
    }
    assert!(made.len() >= 3, "{made:?}");
    made.retain(|it| it.len() > 8);
    strangers(server, &made).await;
    made
}

/// Requests with credentials that do not fit.
async fn strangers(server: &Process, made: &[String]) {
    let url = |path: &str| format!("{}{path}", server.base);
    let get = |path: &str| server.client.get(url(path));
    let mut asked = vec![
        get("/api/v1/customers").bearer_auth("wrong-token-in-header"),
        get("/api/v1/customers").header("Cookie", "tollgate=wrong-token-in-cookie"),
        get("/api/v1/customers").header("Authorization", "wrong-token-in-header"),
        get("/api/v1/customers?token=wrong-token-in-query"),
        get("/access?package=acme/tool").basic_auth("ada.private", Some("wrong-token-in-header")),
        server
            .client
            .post(url("/api/v1/customers"))
            .bearer_auth(ADMIN_TOKEN)
            .header("Idempotency-Key", "key-for-one-request")
            .json(&json!({"email": "eve.private@example.com"})),
    ];
    for token in made {
        asked.push(get("/access?package=acme/tool&version=1.0.0").basic_auth("token", Some(token)));
        asked.push(get("/api/v1/customers").bearer_auth(token));
    }
    for request in asked {
        request.send().await.unwrap();
    }
}

fn text(answer: &Value, name: &str) -> Option<String> {
    answer[name].as_str().map(str::to_owned)
}

/// The words of a log's settings that may be there: the test's own, set by it.
fn assert_nothing_private(log: &str, made: &[String], what: &str) {
    let mut private: BTreeSet<&str> = PRIVATE.into_iter().collect();
    private.extend([
        ADMIN_TOKEN,
        SECRET_KEY,
        STRIPE_SECRET,
        PADDLE_SECRET,
        "guest:guest",
    ]);
    private.extend(made.iter().map(String::as_str));
    for word in private {
        let line = log.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{what}: {word} is in {}", line.unwrap());
    }
}

async fn nothing_private_is_in_the_log_of_a_whole_run(engine: Engine) {
    let broker = shared().url();
    for (format, broker) in [("text", Some(&*broker)), ("json", None)] {
        let mut server = Process::start(engine, broker, format, ALL).await;
        let mut made = webhooks(&server).await;
        made = made
            .iter()
            .flat_map(|it| it.split(['=', ',', ';']))
            .filter(|it| it.len() > 20)
            .map(str::to_owned)
            .collect();
        assert!(made.len() > 10);
        made.extend(requests(&server).await);
        let store: reqwest::Url = server.place.url().parse().unwrap();
        made.extend(store.password().map(str::to_owned));
        server.until_done(4).await;
        server.until_logged("evt_broken_4").await;
        server.until_logged("evt_wrong_time").await;
        let log = server.stop();
        assert!(log.contains("webhook received"), "it tells everything");
        assert_nothing_private(&log, &made, format);
    }
}

async fn nothing_private_is_in_what_a_wrong_start_says(engine: Engine) {
    let server = Process::start(engine, None, "text", "info").await;
    for (name, value) in [
        (
            "DATABASE_URL",
            "postgres://ada.private:ca11ab1e@127.0.0.1:1/none",
        ),
        (
            "DATABASE_URL",
            "mysql://ada.private:ca11ab1e@127.0.0.1/none",
        ),
        ("AMQP_URL", "amqp://ada.private:ca11ab1e@@127.0.0.1:1/%2f"),
        ("AMQP_URL", "http://ada.private:ca11ab1e@127.0.0.1"),
        ("TOLLGATE_SECRET_KEY", "ca11ab1e"),
        ("ADMIN_TOKEN", "ca11ab1e"),
        ("STRIPE_WEBHOOK_SECRET", "ca11ab1e ca11ab1e"),
        ("STRIPE_PRICE_MAPPING", r#"{"price": "ada.private"#),
    ] {
        let mut environment = server.environment.clone();
        environment.insert(name.into(), value.into());
        environment.insert("TOLLGATE_LOG".into(), ALL.into());
        // The first is another's, so that none of them gets as far as to serve.
        environment.insert(
            "TOLLGATE_LISTEN".into(),
            server.base["http://".len()..].into(),
        );
        let output = program::tollgate(&["serve"], environment).await;
        assert!(!output.status.success(), "{name}={value}");
        let log = program::err(&output) + &program::out(&output);
        assert_nothing_private(&log, &[], name);
    }
}

on_both_stores! {
    nothing_private_is_in_the_log_of_a_whole_run,
    nothing_private_is_in_what_a_wrong_start_says,
}
