//! `/metrics`: that each figure says what happened, who may read them, and what they say while
//! something is away.

mod access;
mod away;
mod format;
mod rig;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::domain::id::Provider;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};

use crate::support::spec::sign;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    TestServer, client, post_signed, seconds_from_now, secret, stripe_customer, stripe_event,
    stripe_subscription,
};
use rig::{Figures, figures, until};

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let id = format!("evt_{n}");
    stripe_event(&id, "customer.created", seconds_from_now(-100), customer)
}

/// Counts the events of a type with an outcome.
fn events(figures: &Figures, provider: Provider, kind: &str, outcome: &str) -> i64 {
    let series = format!(
        "tollgate_events_total{{provider=\"{provider}\",type=\"{kind}\",outcome=\"{outcome}\"}}"
    );
    figures.get(&series)
}

async fn each_event_is_counted_by_its_outcome(engine: Engine) {
    let server = TestServer::start(engine).await;
    let of = |figures: &Figures, kind, outcome| events(figures, STRIPE.name, kind, outcome);
    server.deliver(STRIPE.name, &sign_up(1)).await;
    // The same again, something of no interest, and what cannot be read.
    assert_eq!(server.post(STRIPE.name, &sign_up(1)).await.0, 200);
    let invented = stripe_event("evt_i", "invented", seconds_from_now(0), json!({}));
    server.deliver(STRIPE.name, &invented).await;
    let kind = "customer.subscription.created";
    let unreadable = stripe_event("evt_u", kind, seconds_from_now(0), json!({ "id": "sub_1" }));
    server.deliver(STRIPE.name, &unreadable).await;
    let figures = until(&server.base, |it| {
        of(it, "customer.created", "duplicate") > 0 && of(it, kind, "failed") > 0
    })
    .await;
    assert_eq!(of(&figures, "customer.created", "applied"), 1);
    assert_eq!(of(&figures, "customer.created", "duplicate"), 1);
    assert_eq!(of(&figures, "other", "ignored"), 1);
    assert_eq!(of(&figures, kind, "failed"), 1);
    let reason = "tollgate_dead_letters_total{reason=\"payload_field_missing\"}";
    assert_eq!(figures.get(reason), 1);
    // Of the four webhooks each was acknowledged, and two events were new and had an outcome.
    let acknowledged = "tollgate_webhook_acknowledge_seconds_count{provider=\"stripe\"}";
    assert_eq!(figures.get(acknowledged), 4);
    let delays = "tollgate_event_received_to_outcome_seconds_count{provider=\"stripe\"}";
    assert_eq!(figures.get(delays), 2);
    assert_eq!(figures.get("tollgate_batch_messages_sum"), 4);
    let batches = figures.get("tollgate_batch_seconds_count");
    assert!((1..=4).contains(&batches), "{batches}");
    let published = "tollgate_queue_published_total{kind=\"webhook\"}";
    assert_eq!(figures.get(published), 4);
    assert_eq!(figures.get("tollgate_queue_confirm_seconds_count"), 4);
    let first = "tollgate_webhook_secret_uses_total{provider=\"stripe\",secret=\"settings_1\"}";
    assert_eq!(figures.get(first), 4);
    let route = "tollgate_http_requests_total{method=\"POST\",route=\"/webhooks/{provider}\",status=\"200\"}";
    assert_eq!(figures.get(route), 4);
    server.stop().await;
}

async fn a_replay_is_counted_as_one(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let path = "/api/v1/events/evt_1/replay";
    let (code, answer) = server
        .call("POST", path, Some(json!({ "force": true })))
        .await;
    assert_eq!(code, 202, "{answer}");
    let figures = until(&server.base, |it| {
        events(it, STRIPE.name, "customer.created", "unchanged") > 0
    })
    .await;
    let kinds = ["webhook", "replay"].map(|kind| {
        figures.get(&format!(
            "tollgate_queue_published_total{{kind=\"{kind}\"}}"
        ))
    });
    assert_eq!(kinds, [1, 1]);
    // The time since the first receipt would say nothing about the queue.
    let delays = "tollgate_event_received_to_outcome_seconds_count{provider=\"stripe\"}";
    assert_eq!(figures.get(delays), 1);
    let body = json!({ "filter": {}, "force": true });
    let (code, answer) = server
        .call("POST", "/api/v1/events/replay", Some(body))
        .await;
    assert_eq!(code, 202, "{answer}");
    let replays = "tollgate_queue_published_total{kind=\"replay\"}";
    let figures = until(&server.base, |it| {
        it.get(replays) >= 2 && it.get("tollgate_replays_open") == 0
    })
    .await;
    assert_eq!(figures.get(replays), 2);
    server.stop().await;
}

/// A row that cannot be read makes an event wait for its next try.
async fn a_retry_is_counted_and_waits_in_the_queue(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let event = |id: &str, status: &str, at: i64| {
        let object = stripe_subscription("sub_1", "cus_1", status);
        stripe_event(
            id,
            "customer.subscription.updated",
            seconds_from_now(at),
            object,
        )
    };
    server
        .deliver(STRIPE.name, &event("evt_2", "active", -90))
        .await;
    server
        .place
        .run(
            "UPDATE subscriptions SET kept = 'broken:' || kept",
            "UPDATE subscriptions SET kept = to_jsonb(kept::text)",
        )
        .await;
    let broken = event("evt_3", "past_due", -80);
    assert_eq!(server.post(STRIPE.name, &broken).await.0, 200);
    let retries = "tollgate_event_retries_total{provider=\"stripe\"}";
    let waits = "tollgate_queue_messages{lane=\"retry\"}";
    until(&server.base, |it| {
        it.get(retries) >= 2 && it.get(waits) == 1
    })
    .await;
    server
        .place
        .run(
            "UPDATE subscriptions SET kept = substr(kept, 8)",
            "UPDATE subscriptions SET kept = (kept #>> '{}')::jsonb",
        )
        .await;
    server.outcome("evt_3").await;
    until(&server.base, |it| it.get(waits) == 0).await;
    server.stop().await;
}

async fn refused_signatures_are_counted_by_reason(engine: Engine) {
    let server = TestServer::start(engine).await;
    let before = figures(&server.base).await;
    let series = |reason: &str| {
        format!(
            "tollgate_webhook_signature_failures_total{{provider=\"stripe\",reason=\"signature_{reason}\"}}"
        )
    };
    let url = format!("{}/webhooks/stripe", server.base);
    let long_ago = Timestamp::from_seconds(seconds_from_now(-1_000_000)).unwrap();
    let old = sign(STRIPE.name, &secret(STRIPE.name), b"{}", long_ago);
    let forged = format!("t={},v1={}", seconds_from_now(0), "ab".repeat(32));
    for (reason, header) in [
        ("missing", None),
        ("malformed", Some("nonsense".to_owned())),
        ("mismatch", Some(forged)),
        ("too_old", Some(old)),
    ] {
        // Seen before it happened, so that an alert sees the change.
        assert_eq!(before.get(&series(reason)), 0, "{reason}");
        let mut request = client().post(&url).body("{}");
        if let Some(header) = header {
            request = request.header("stripe-signature", header);
        }
        assert_eq!(request.send().await.unwrap().status(), 400, "{reason}");
    }
    let after = figures(&server.base).await;
    for reason in ["missing", "malformed", "mismatch", "too_old"] {
        assert_eq!(after.get(&series(reason)), 1, "{reason}");
    }
    server.stop().await;
}

async fn what_senders_invent_makes_no_series(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let before = until(&server.base, |it| {
        events(it, STRIPE.name, "customer.created", "applied") > 0
    })
    .await;
    let url = format!("{}/webhooks/stripe", server.base);
    let client = client();
    for some in (0..1_000).collect::<Vec<_>>().chunks(50) {
        let posts = some.iter().map(async |n| {
            let kind = format!("invented.{n}");
            let id = format!("evt_i{n}");
            let event = stripe_event(&id, &kind, seconds_from_now(0), json!({ "id": kind }));
            let body = event.to_string().into_bytes();
            let (status, answer) = post_signed(&client, &url, STRIPE.name, body).await;
            assert_eq!(status, 200, "{answer}");
            // Paths and methods that do not exist.
            let path = format!("{}/invented/{n}?token=secret", server.base);
            let method = reqwest::Method::from_bytes(format!("INVENT{n}").as_bytes());
            let request = client.request(method.unwrap(), path);
            assert_eq!(request.send().await.unwrap().status(), 404);
        });
        join_all(posts).await;
    }
    let after = until(&server.base, |it| {
        events(it, STRIPE.name, "other", "ignored") >= 1_000
    })
    .await;
    assert_eq!(events(&after, STRIPE.name, "other", "ignored"), 1_000);
    let unknown = "tollgate_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}";
    assert_eq!(after.get(unknown), 1_000);
    // One series of events and one of requests; and one more distribution of requests.
    let more = after.len() - before.len();
    assert!(more < 40, "{more} more series");
    assert!(!after.text.contains("invented"), "{}", after.text);
    server.stop().await;
}

async fn nothing_of_a_person_or_a_secret_is_shown(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let paddle = json!({
        "event_id": "evt_p", "event_type": "customer.created", "notification_id": "ntf_1",
        "occurred_at": "2026-03-09T09:00:00.1Z",
        "data": { "id": "ctm_1", "email": "two@example.com", "name": null, "status": "active" },
    });
    server.deliver(PADDLE.name, &paddle).await;
    let (code, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    assert_eq!(code, 200, "{customer}");
    let asked = client()
        .get(format!("{}/access?package=acme/tool", server.base))
        .bearer_auth("tgc_nobody")
        .send();
    assert_eq!(asked.await.unwrap().status(), 401);
    let figures = figures(&server.base).await;
    let checks = "tollgate_access_checks_total{code=\"token_unknown\"}";
    assert_eq!(figures.get(checks), 1);
    for hidden in [
        "cus_1",
        "evt_1",
        "example.com",
        "whsec",
        "tgc_",
        "acme",
        "default",
        customer["id"].as_str().unwrap(),
    ] {
        assert!(!figures.text.contains(hidden), "{hidden}: {}", figures.text);
    }
    server.stop().await;
}

async fn timers_that_are_due_are_seen_until_they_were_acted_on(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let mut object = stripe_subscription("sub_1", "cus_1", "active");
    object["cancel_at"] = json!(seconds_from_now(2));
    let kind = "customer.subscription.created";
    let event = stripe_event("evt_2", kind, seconds_from_now(-90), object);
    server.deliver(STRIPE.name, &event).await;
    // A worker looks every ten seconds.
    let fired = "tollgate_timers_fired_total";
    until(&server.base, |it| it.get(fired) >= 1).await;
    until(&server.base, |it| {
        it.get("tollgate_timers_due") == 0 && it.get("tollgate_timers_late_seconds") == 0
    })
    .await;
    server.stop().await;
}

async fn a_quiet_server_shows_what_it_is_and_what_waits(engine: Engine) {
    let server = TestServer::start(engine).await;
    let figures = figures(&server.base).await;
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("tollgate_build_info{{version=\"{version}\"}}");
    assert_eq!(figures.get(&build), 1);
    assert_eq!(figures.get("tollgate_store_up"), 1);
    for waits in [
        "tollgate_queue_messages{lane=\"work\"}",
        "tollgate_queue_messages{lane=\"failed\"}",
        "tollgate_queue_oldest_message_age_seconds",
        "tollgate_spool_messages",
        "tollgate_spool_oldest_message_age_seconds",
        "tollgate_timers_due",
        "tollgate_replays_open",
        "tollgate_changes_unpublished",
        "tollgate_changes_oldest_unpublished_age_seconds",
        "tollgate_hook_deliveries_waiting",
        "tollgate_hook_deliveries_oldest_age_seconds",
        "tollgate_hooks_disabled",
        "tollgate_acknowledged_without_outcome",
        "tollgate_acknowledged_without_outcome_age_seconds",
    ] {
        assert_eq!(figures.get(waits), 0, "{waits}");
    }
    let (pool, most) = match engine {
        Engine::Sqlite => ("writer", 1),
        Engine::Postgres => ("postgres", 12),
    };
    let size = format!("tollgate_store_connections_max{{pool=\"{pool}\"}}");
    assert_eq!(figures.get(&size), most);
    // There is no broker.
    assert!(
        !figures.text.contains("tollgate_broker"),
        "{}",
        figures.text
    );
    server.stop().await;
}

on_both_stores! {
    each_event_is_counted_by_its_outcome,
    a_replay_is_counted_as_one,
    a_retry_is_counted_and_waits_in_the_queue,
    refused_signatures_are_counted_by_reason,
    what_senders_invent_makes_no_series,
    nothing_of_a_person_or_a_secret_is_shown,
    timers_that_are_due_are_seen_until_they_were_acted_on,
    a_quiet_server_shows_what_it_is_and_what_waits,
}
