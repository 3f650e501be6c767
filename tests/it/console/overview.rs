//! The overview: pauses, refused signatures, the course of customers; and test events.

use std::time::Duration;

use serde_json::json;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::acknowledged::Acknowledged;
use tollgate::pipeline::history::note_day;
use tollgate::provider::STRIPE;
use tollgate::store::AcknowledgedEvent;

use super::driver::Browser;
use super::visit::{Visit, buys};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer, post_signed, seconds_from_now, stripe_event};

on_both_stores! {
    an_app_is_paused_and_goes_on_by_the_overview,
    refused_signatures_are_shown_by_reason,
    customers_by_status_are_kept_day_by_day,
    a_test_event_goes_the_way_of_webhooks_and_changes_nothing,
    the_time_from_receipt_to_outcome_is_drawn_by_the_hour,
    the_oldest_webhook_without_an_outcome_is_told,
    the_last_webhook_of_each_endpoint_is_shown_and_a_silence_said,
}

async fn an_app_is_paused_and_goes_on_by_the_overview(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    let paused = owner
        .post("/console/pause", &[("reason", "a <b>migration</b>")])
        .await;
    assert_eq!(
        paused.location(),
        "/console/overview?done=pause",
        "{}",
        paused.text
    );
    let page = owner.page("/console/overview").await;
    assert!(
        page.contains("<b>Paused</b>") && page.contains("a &#60;b&#62;migration"),
        "{page}"
    );
    let viewer = Visit::with_role(&server, "viewer").await;
    assert_eq!(viewer.post("/console/resume", &[]).await.status, 403);
    let seen = viewer.page("/console/overview").await;
    assert!(
        seen.contains("<b>Paused</b>") && !seen.contains("/console/resume"),
        "{seen}"
    );
    let resumed = owner.post("/console/resume", &[]).await;
    assert_eq!(resumed.location(), "/console/overview?done=resume");
    assert!(
        !owner
            .page("/console/overview")
            .await
            .contains("<b>Paused</b>")
    );
    server.stop_and_give_back().await;
}

async fn refused_signatures_are_shown_by_reason(engine: Engine) {
    let server = TestServer::start(engine).await;
    let url = format!("{}/webhooks/stripe", server.base);
    for header in [None, Some("t=1,v1=00"), Some("nonsense"), Some("nonsense")] {
        let request = server.client.post(&url).body("{}");
        let request = match header {
            Some(header) => request.header("Stripe-Signature", header),
            None => request,
        };
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
    let owner = Visit::owner(&server).await;
    assert!(
        owner
            .page("/console/overview")
            .await
            .contains("Refused signatures")
    );
    // Receivers write them every few seconds, and when they stop.
    let (place, environment) = server.stop_and_keep().await;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start_over(environment, place, dir).await;
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/overview").await;
    for told in [
        "1 × <code>signature_missing</code>",
        "1 × <code>signature_mismatch</code>",
        "2 × <code>signature_malformed</code>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    server.stop_and_give_back().await;
}

async fn customers_by_status_are_kept_day_by_day(engine: Engine) {
    let server = TestServer::start(engine).await;
    buys(&server, "cus_1", "ann@example.com").await;
    let store = server.server.store();
    let day = |days: i64| Timestamp::from_seconds(seconds_from_now(days * 86_400)).unwrap();
    // The worker may have counted when nobody was there; a day without customers is no row.
    for (days, counts) in [(1, true), (1, false), (2, true)] {
        assert_eq!(note_day(store, day(days)).await.unwrap(), counts, "{days}");
    }
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/overview").await;
    assert!(page.contains("chart course"), "{page}");
    assert_eq!(page.matches("1 active; ").count(), 1, "{page}");
    // A year later only that day is left.
    assert!(note_day(store, day(500)).await.unwrap());
    let sql = "SELECT COUNT(*) AS n FROM customer_days";
    assert_eq!(server.place.count(sql, sql).await, 1);
    server.stop_and_give_back().await;
}

async fn the_time_from_receipt_to_outcome_is_drawn_by_the_hour(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/overview").await;
    assert!(page.contains("Nothing was received."), "{page}");
    buys(&server, "cus_1", "ann@example.com").await;
    buys(&server, "cus_2", "bob@example.com").await;
    // Two of the four took five minutes.
    let sql = "UPDATE events SET received_at = {ago} WHERE id LIKE 'evt_known%'";
    let postgres = sql.replace("{ago}", "processed_at - INTERVAL '5 minutes'");
    let sqlite = sql.replace("{ago}", "processed_at - 300000000000");
    server.place.run(&sqlite, &postgres).await;
    let part = owner.page("/console/overview/latency").await;
    assert!(part.starts_with("<section id=\"latency\""), "{part}");
    assert!(part.contains("99 in 100 within 5 minutes"), "{part}");
    assert!(part.contains("class=\"rest\""), "{part}");
    let page = owner.page("/console/overview").await;
    assert!(page.contains("99 in 100 within 5 minutes"), "{page}");
    // Another app has nothing of it.
    let app = AppSlug::default_app();
    let other: AppSlug = "other".parse().unwrap();
    let mut tx = server.server.store().read().await.unwrap();
    assert_eq!(tx.latency_sample(&app, 1, 2_000).await.unwrap().len(), 4);
    assert_eq!(tx.latency_sample(&app, 1, 2).await.unwrap().len(), 2);
    assert_eq!(tx.latency_sample(&app, 1, 1).await.unwrap().len(), 1);
    assert_eq!(tx.latency_sample(&app, 99, 9).await.unwrap().len(), 0);
    assert_eq!(tx.latency_sample(&other, 1, 9).await.unwrap().len(), 0);
    drop(tx);
    server.stop_and_give_back().await;
}

async fn the_oldest_webhook_without_an_outcome_is_told(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let store = server.server.store();
    let owner = Visit::owner(&server).await;
    let now = Timestamp::from_seconds(seconds_from_now(0)).unwrap();
    let noted = Acknowledged::default();
    let app = AppSlug::default_app();
    let event = |event_id: &str, minutes: u64| AcknowledgedEvent {
        provider: STRIPE.name,
        id: event_id.to_owned(),
        event_type: "customer.updated".to_owned(),
        received_at: now.minus(Duration::from_mins(minutes)),
    };
    noted.note(&app, &event("evt_known_cus_1", 90));
    noted.flush(store, now).await.unwrap();
    let page = owner.page("/console/overview").await;
    assert!(
        page.contains("No webhook waits for its outcome."),
        "{id}: {page}"
    );
    noted.note(&app, &event("evt_lost", 40));
    noted.flush(store, now).await.unwrap();
    let page = owner.page("/console/overview").await;
    assert!(page.contains("came <b>40 minutes ago</b>"), "{page}");
    server.stop_and_give_back().await;
}

async fn a_test_event_goes_the_way_of_webhooks_and_changes_nothing(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    for provider in ["stripe", "paddle"] {
        let sent = owner
            .post("/console/endpoints/test", &[("provider", provider)])
            .await;
        let location = sent.location().to_owned();
        assert!(
            location.starts_with("/console/endpoints?test=evt_test_"),
            "{}",
            sent.text
        );
        let page = owner.page(location.split('#').next().unwrap()).await;
        assert!(page.contains("The test event arrived"), "{page}");
        assert!(page.contains(">ignored<"), "{page}");
    }
    let (_, customers) = server.get("/api/v1/customers").await;
    assert_eq!(customers["meta"]["total"], 0, "{customers}");
    let (_, flags) = server.get("/api/v1/flags").await;
    assert_eq!(flags["meta"]["total"], 0, "{flags}");
    let (_, audit) = server.get("/api/v1/audit?operation=endpoint_test").await;
    assert_eq!(audit["meta"]["total"], 2, "{audit}");
    // It did not make a test endpoint a live one: a test event still counts.
    let mut test = stripe_event(
        "evt_t",
        "customer.created",
        seconds_from_now(0),
        json!({"id": "cus_t", "object": "customer", "email": "t@example.com"}),
    );
    test["livemode"] = json!(false);
    let event = server.deliver(STRIPE.name, &test).await;
    assert_eq!(event["outcome"], "applied", "{event}");

    let body = json!({"slug": "bare", "name": "Bare"});
    server.call("POST", "/api/v1/apps", Some(body)).await;
    let mut of_bare = Visit::owner(&server).await;
    let switched = of_bare.post("/console/app", &[("to", "bare")]).await;
    of_bare.keep_cookie(&switched);
    "bare".clone_into(&mut of_bare.app);
    let refused = of_bare
        .post("/console/endpoints/test", &[("provider", "stripe")])
        .await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    server.stop_and_give_back().await;
}

async fn the_last_webhook_of_each_endpoint_is_shown_and_a_silence_said(engine: Engine) {
    let server = TestServer::start(engine).await;
    let secret =
        json!({"secret": "pdl_ntfset_01h5c4qkvr8g0h4j4d4h4j4d4h_abcdefghijklmnopqrstuvwxyz012345"});
    let secrets = "/api/v1/apps/default/endpoints/paddle/secrets";
    let (status, made) = server.call("POST", secrets, Some(secret)).await;
    assert_eq!(status, 201, "{made}");
    buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let sent = owner
        .post("/console/endpoints/test", &[("provider", "paddle")])
        .await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    // Receivers write it every ten seconds, and when they stop.
    let (place, environment) = server.stop_and_keep().await;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start_over(environment, place, dir).await;
    let endpoints = async || {
        let (status, listed) = server.get("/api/v1/apps/default/endpoints").await;
        assert_eq!(status, 200, "{listed}");
        listed["data"].as_array().unwrap().clone()
    };
    let listed = endpoints().await;
    let of = |all: &[serde_json::Value], provider: &str| {
        let found = all.iter().find(|it| it["provider"] == provider);
        found.unwrap().clone()
    };
    let stripe = of(&listed, "stripe");
    assert_eq!(stripe["path"], "/webhooks/default/stripe");
    assert_eq!(stripe["silent"], false, "{stripe}");
    let at = stripe["last_received_at"].as_str().unwrap().to_owned();
    // What an admin tried is no webhook of the provider's, nor a use of the secret.
    let paddle = of(&listed, "paddle");
    assert_eq!(paddle["last_received_at"], json!(null), "{paddle}");
    let (_, kept) = server.get(secrets).await;
    assert_eq!(kept["data"][0]["uses"], 0, "{kept}");
    let (_, figures) = server.get("/api/v1/stats").await;
    let webhooks = figures["webhooks"].as_array().unwrap();
    assert_eq!(webhooks.len(), 1, "{figures}");
    assert_eq!(webhooks[0]["last_received_at"], at.as_str(), "{figures}");
    assert_eq!(webhooks[0]["silent"], false, "{figures}");

    let owner = Visit::owner(&server).await;
    let pages = ["/console/overview", "/console/endpoints"];
    for path in pages {
        let page = owner.page(path).await;
        assert!(page.contains(&at), "{path}: {page}");
        assert!(!page.contains(">silent<"), "{path}: {page}");
        let none = page.to_lowercase().matches("no webhook").count();
        assert!(none >= 1, "{path}: {page}");
    }
    // Operators were told that nothing comes any more.
    let sql = "UPDATE endpoint_receipts SET told_of = last_at";
    server.place.run(sql, sql).await;
    assert_eq!(of(&endpoints().await, "stripe")["silent"], true);
    let (_, figures) = server.get("/api/v1/stats?app=default").await;
    assert_eq!(figures["webhooks"][0]["silent"], true, "{figures}");
    for path in pages {
        let page = owner.page(path).await;
        assert_eq!(page.matches(">silent<").count(), 1, "{path}: {page}");
    }
    // Another app has none of it.
    let body = json!({"slug": "bare", "name": "Bare"});
    server.call("POST", "/api/v1/apps", Some(body)).await;
    let (_, bare) = server.get("/api/v1/apps/bare/endpoints").await;
    assert_eq!(bare["data"][0]["last_received_at"], json!(null), "{bare}");
    let (_, figures) = server.get("/api/v1/stats?app=bare").await;
    assert_eq!(figures["webhooks"], json!([]), "{figures}");
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_pauses_tests_and_resumes_in_a_browser() {
    let server = TestServer::start(Engine::Sqlite).await;
    let link = server.server.sign_in_path(ADMIN_TOKEN).unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("{}{link}", server.base)).await;
    browser.sees("Sign out").await;
    browser
        .open(&format!("{}/console/overview", server.base))
        .await;
    browser.press("Pause this app").await;
    browser.write("#pause-reason", "a migration").await;
    browser.press("Pause").await;
    browser.sees("Webhooks are received and wait.").await;
    browser.sees("a migration").await;
    let url = format!("{}/webhooks/stripe", server.base);
    let customer = json!({"id": "cus_1", "object": "customer", "email": "a@example.com"});
    let event = stripe_event("evt_1", "customer.created", seconds_from_now(0), customer);
    let body = event.to_string().into_bytes();
    assert_eq!(
        post_signed(&server.client, &url, STRIPE.name, body).await.0,
        200
    );
    server
        .until("/api/v1/events/evt_1", |event| {
            event["error"]["code"] == "app_paused"
        })
        .await;
    browser
        .open(&format!("{}/console/overview", server.base))
        .await;
    browser.sees("1 message waits").await;
    let wrong = super::browser::violations(&browser, "paused").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.press("Go on").await;
    browser.sees("What has waited is processed now.").await;
    assert_eq!(server.outcome("evt_1").await["outcome"], "applied");
    browser
        .open(&format!("{}/console/endpoints", server.base))
        .await;
    browser.press("Send a test event…").await;
    browser.write("#reason", "a new address").await;
    browser.press("Send it").await;
    browser.sees("The test event arrived").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}
